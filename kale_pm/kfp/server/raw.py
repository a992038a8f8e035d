"""Answers that are no JSON: logs and files, from the API server or the user interface."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from kale_pm.errors import ServerError
from kale_pm.kfp.server.connection import Connection, api_client
from kale_pm.kfp.server.refusal import refusals

_CHUNK = 1 << 16  # bytes
# Of what is gone, or lies elsewhere, servers say that they are in trouble: waiting for them to
# get out of it is of no use.
_PAUSE = 0.02  # seconds


@dataclass(frozen=True)
class Route:
    """One of the places where something may be had; the path is below the host."""

    path: str
    query: Mapping[str, str] = field(default_factory=dict)


def first_answer(connection: Connection, doing: str, routes: Sequence[Route]) -> Iterator[bytes]:
    """The bytes that the first of the ``routes`` gives which the server has.

    Versions of KFP, and gateways, differ in what they let through.  Raises ServerError if none
    gives an answer: what a route refuses says more than that another is not there.
    """
    connection = replace(connection, pause=min(connection.pause, _PAUSE))
    refused: list[ServerError] = []
    for route in routes:
        try:
            return _opened(connection, doing, route)
        except ServerError as error:
            if error.status is None:
                raise  # the server cannot be reached, whatever it is asked
            refused.append(error)
    raise max(refused, key=_weight)


def _weight(error: ServerError) -> int:
    order = (200, 404, 500, 403, 401)
    return order.index(error.status) if error.status in order else 2


def _opened(connection: Connection, doing: str, route: Route) -> Iterator[bytes]:
    """The answer, of which the head is there already."""
    client = api_client(connection)
    try:
        with refusals(connection, doing):
            response = client.call_api(
                route.path,
                "GET",
                query_params=dict(route.query),
                header_params={"Accept": "*/*"},
                auth_settings=["Bearer"],
                _preload_content=False,
            )
            _refuse_page(response)
    except BaseException:
        client.rest_client.pool_manager.clear()
        raise
    return _chunks(connection, doing, client, response)


def _refuse_page(response: Any) -> None:
    # A page to sign in, or the user interface itself, stands where the route is not known.
    kind = response.headers.get("Content-Type", "text/plain")
    if kind.partition(";")[0].strip().lower() == "text/html":
        from kale_pm.kfp.server.client import NotTheApi

        response.close()
        raise NotTheApi(response.status, kind)


def _chunks(connection: Connection, doing: str, client: Any, response: Any) -> Iterator[bytes]:
    try:
        with refusals(connection, doing):
            yield from response.stream(_CHUNK, decode_content=True)
    finally:
        response.close()
        client.rest_client.pool_manager.clear()
