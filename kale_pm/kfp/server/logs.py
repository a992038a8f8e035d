"""The logs of pods."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from urllib.parse import quote

from kale_pm.errors import ServerError
from kale_pm.kfp.server.connection import Connection
from kale_pm.kfp.server.raw import Route, first_answer


def read_log(
    connection: Connection, run: str, pod: str, *, created: datetime | None = None
) -> Iterator[str]:
    """The lines of a pod's log as far as there are any now, without their line breaks.

    ``run`` is the id of the run, ``created`` the time when the pod was made, by which archives
    of logs are sorted.  Servers look for the pod first and then in their archive, if they keep
    one.  Raises ServerError, also while the lines are read; its status is 404 if the log is
    gone.
    """
    try:
        chunks = first_answer(
            connection,
            f"read the log of pod {pod}",
            _routes(connection, run, pod, created),
        )
    except ServerError as error:
        if error.status is not None and (error.status == 404 or error.status >= 500):
            raise ServerError(
                f"the log of pod {pod} is not there (any more)",
                hint="Kubernetes removes the pods of old runs, and logs are archived only where "
                "the administrator has set it up; the server said: " + error.message,
                status=404,
            ) from None
        raise
    return lines(chunks)


def lines(chunks: Iterator[bytes]) -> Iterator[str]:
    """The lines of a text that arrives in pieces."""
    rest = b""
    for chunk in chunks:
        *whole, rest = (rest + chunk).split(b"\n")
        for line in whole:
            yield _text(line)
    if rest:
        yield _text(rest)


def _text(line: bytes) -> str:
    return line.removesuffix(b"\r").decode("utf-8", "replace")


def _routes(
    connection: Connection, run: str, pod: str, created: datetime | None
) -> tuple[Route, ...]:
    """The API server of all versions, then the server of the user interface."""
    node = f"runs/{quote(run, safe='')}/nodes/{quote(pod, safe='')}/log"
    query = {"podname": pod, "runid": run}
    if connection.namespace:
        query["podnamespace"] = connection.namespace
    if created:
        query["createdat"] = f"{created:%Y-%m-%d}"
    return (
        Route(f"/apis/v1alpha1/{node}"),
        Route(f"/apis/v2beta1/{node}"),
        Route("/k8s/pod/logs", query),
    )
