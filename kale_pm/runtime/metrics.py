"""Metrics: named numbers that a step records.

They are shown in the executed notebook and stored there in scrapbook's own format, so that
``scrapbook.read_notebook`` finds them as well.
"""

from __future__ import annotations

import numbers
from collections.abc import Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any

from kale_pm import strict_json

SCRAP_MIME = "application/scrapbook.scrap."

_recorded: dict[str, Any] = {}
_of_prelude: frozenset[str] | None = None


def metric(name: str, value: Any) -> None:
    """Record ``value`` as the metric ``name`` of the running step, and show it.

    numpy scalars become plain numbers; what JSON cannot hold is recorded as its text.
    """
    plain = plain_value(value)
    _recorded[name] = plain
    _show(name, plain)


def recorded() -> dict[str, Any]:
    """The metrics of the prelude and of the step, as recorded so far."""
    return dict(_recorded)


def begin() -> None:
    """The step's cells come next: forget what they recorded when they ran here before.

    The names that the prelude recorded stay, with the values that they have now.
    """
    global _of_prelude  # noqa: PLW0603 - one kernel runs one step
    if _of_prelude is None:
        _of_prelude = frozenset(_recorded)
    for name in _recorded.keys() - _of_prelude:
        del _recorded[name]


def plain_value(value: Any) -> Any:
    """``value`` as JSON can hold it: bool, int, float, str or None."""
    with suppress(Exception):  # only what holds a single number has one
        value = value.item()
    if type(value) in (bool, int, float, str, type(None)):
        return value
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, (numbers.Real, Decimal)):
        return float(value)
    return str(value)


def scraps(notebook: Mapping[str, Any]) -> dict[str, Any]:
    """The plain scraps (numbers and texts) that cells of an executed notebook glued."""
    found: dict[str, Any] = {}
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            for mime, content in output.get("data", {}).items():
                if mime.startswith(SCRAP_MIME) and isinstance(content, Mapping):
                    value = strict_json.number(content.get("data"))
                    if isinstance(value, (bool, int, float, str)):
                        found[str(content.get("name"))] = value
    return found


def _show(name: str, value: Any) -> None:
    from IPython.core.getipython import get_ipython
    from IPython.display import display

    if get_ipython() is None:
        return
    shown: dict[str, Any] = {"text/plain": f"{name} = {value}"}
    metadata = {}
    if value is not None:  # of a notebook with a scrap without data scrapbook reads nothing at all
        data = strict_json.finite(value)
        scrap = {"name": name, "data": data, "encoder": "json", "version": 1}
        shown[f"{SCRAP_MIME}json+json"] = scrap
        metadata["scrapbook"] = {"name": name, "data": True, "display": False}
    display(shown, metadata=metadata, raw=True)  # type: ignore[no-untyped-call]
