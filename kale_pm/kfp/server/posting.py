"""Requests that make something, of which nobody knows whether they arrived.

A gateway in trouble may have passed a request on before it said so.  So before one is sent a
second time, it is looked up whether the first made what it was to make.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from kale_pm.kfp.server.connection import Connection

_ATTEMPTS = 3
_PASSING = (500, 502, 503, 504)
_Made = TypeVar("_Made")


def make_once(
    connection: Connection, make: Callable[[], _Made], find: Callable[[], _Made | None]
) -> _Made:
    """What ``make`` gives, or what ``find`` finds of an attempt whose answer was lost.

    Raises what ``make`` raises the last time.
    """
    from kfp_server_api.exceptions import ApiException
    from urllib3.exceptions import HTTPError, MaxRetryError

    pause = connection.pause
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            return make()
        except (ApiException, HTTPError) as error:
            # Those of MaxRetryError never reached the server, and were repeated already.
            passing = getattr(error, "status", None) in _PASSING or (
                isinstance(error, HTTPError) and not isinstance(error, MaxRetryError)
            )
            if not passing or attempt == _ATTEMPTS:
                raise
        time.sleep(pause)
        pause *= 2
        if (found := find()) is not None:
            return found
    raise AssertionError("the last attempt ends above")
