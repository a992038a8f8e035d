"""Which calls of a traceback are the user's own."""

from __future__ import annotations

import sysconfig
from functools import cache
from pathlib import Path
from types import TracebackType

from kale_pm.errors import KalePmError

_OURS = str(Path(__file__).parent) + "/"


def traceback_for_users(error: BaseException) -> TracebackType | None:
    """The calls that led to ``error``, without those inside of kale-pm.

    Where kale-pm or what it called has raised an error that is none of kale-pm's own, nor about
    the syntax of what it read, all of them stay: nobody but its developers can mend that.
    """
    kept: list[TracebackType] = []
    inside = False
    each = error.__traceback__
    while each is not None:
        file = each.tb_frame.f_code.co_filename
        inside = is_ours(file) or (inside and is_installed(file))
        if not inside:
            kept.append(each)
        each = each.tb_next
    if inside and not isinstance(error, KalePmError | SyntaxError):
        return error.__traceback__
    found = None
    for each in reversed(kept):
        found = TracebackType(found, each.tb_frame, each.tb_lasti, each.tb_lineno)
    return found


def is_ours(file: str) -> bool:
    """Whether code of this file is kale-pm's."""
    return file.startswith(_OURS)


def is_installed(file: str) -> bool:
    """Whether code of this file came with Python, or with a package that is installed."""
    return file.startswith(("<frozen ", *_libraries()))


@cache
def _libraries() -> tuple[str, ...]:
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return tuple(f"{path}/" for name in names if (path := sysconfig.get_path(name)))
