"""Lists that a server gives page by page."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

_PAGE = 100


def every(list_page: Callable[..., Any], entries: str, **arguments: Any) -> Iterator[Any]:
    """All entries of a list, fetched as far as they are looked at.

    ``list_page`` is a method of the API, ``entries`` the attribute of its answer that holds
    them, ``arguments`` what else the method takes.
    """
    token = ""
    while True:
        asked = {**arguments, "page_token": token} if token else arguments
        page = list_page(page_size=_PAGE, **asked)
        yield from getattr(page, entries) or ()
        token = page.next_page_token
        if not token:
            return


def named(name: str) -> str:
    """The filter for the entries whose name as people see it is ``name``."""
    predicate = {"operation": "EQUALS", "key": "display_name", "string_value": name}
    return json.dumps({"predicates": [predicate]})
