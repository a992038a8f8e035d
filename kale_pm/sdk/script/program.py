"""The script that this process carries out: how it was started, and what it ends with."""

from __future__ import annotations

import importlib
import shlex
import sys
from collections.abc import Callable, Mapping
from types import FrameType, TracebackType
from typing import Any, NoReturn

from kale_pm.errors import KalePmError
from kale_pm.sdk.source.functions import shown
from kale_pm.user_frames import is_installed, is_ours, traceback_for_users

_Hook = Callable[[type[BaseException], BaseException, TracebackType | None], object]


def program() -> str:
    """The command that started it, as ``python script.py`` or ``python -m project.main``."""
    spec = getattr(sys.modules["__main__"], "__spec__", None)
    if spec is not None:
        return f"python -m {spec.name.removesuffix('.__main__')}"
    return f"python {shlex.quote(sys.argv[0])}"


def is_a_script(names: Mapping[str, Any]) -> bool:
    """Whether code of these globals is a program of its own, and no session."""
    return names.get("__name__") == "__main__" and "__file__" in names and "In" not in names


def end_with(error: KalePmError) -> NoReturn:
    """End the process as the command line does after such an error.

    It is told with the line of the script that led to it, unless it says that itself.
    """
    from kale_pm.console import prepare, show_error, show_hint

    prepare()
    show_error(error)
    caller = _last_line(traceback_for_users(error))
    if caller and caller not in f"{error}\n{error.hint}":
        show_hint(f"it comes from {caller}")
    sys.exit(error.exit_code)


def tell_what_ends_the_script() -> None:
    """Let an error of kale-pm's that nobody catches be told without a traceback.

    So it is where the script that Python carries out imports this, or a module beside it does:
    not in a session, nor where another program has loaded them.  Of other errors, those of the
    body of a pipeline, the calls inside of kale-pm are left out.
    """
    if not _is_imported_by_a_script() or sys.flags.interactive:
        return
    former: _Hook = sys.excepthook

    def tell(kind: type[BaseException], error: BaseException, _: TracebackType | None) -> None:
        if isinstance(error, KalePmError):
            end_with(error)
        traceback = traceback_for_users(error)
        former(kind, error.with_traceback(traceback), traceback)

    sys.excepthook = tell


def _last_line(traceback: TracebackType | None) -> str:
    place = ""
    while traceback is not None:
        place = f"{shown(traceback.tb_frame.f_code.co_filename)}:{traceback.tb_lineno}"
        traceback = traceback.tb_next
    return place


def _is_imported_by_a_script() -> bool:
    """Whether the imports of a script, one inside of the other, have led here.

    Debuggers, ``%run`` and the like have calls of their own above that of the script.
    """
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        file, name = frame.f_code.co_filename, frame.f_globals.get("__name__")
        is_module = frame.f_code.co_name == "<module>"
        if is_module and name == "__main__":
            above = frame.f_back
            by_python = above is None or above.f_code.co_filename == "<frozen runpy>"
            return by_python and is_a_script(frame.f_globals)
        is_import = file.startswith("<frozen importlib.") or file == importlib.__file__
        is_own = name == "__main__" or (is_module and not is_installed(file))
        if not (is_own or is_import or is_ours(file)):
            return False
        frame = frame.f_back
    return False
