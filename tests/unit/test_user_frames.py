"""Which calls of a traceback a user sees of an error that went through kale-pm."""

from __future__ import annotations

import sysconfig
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import kale_pm
from kale_pm.errors import KalePmError, UsageError
from kale_pm.user_frames import traceback_for_users

OURS = str(Path(kale_pm.__file__).parent / "sdk" / "made_up.py")
LIBRARY = str(Path(sysconfig.get_path("purelib")) / "numpy" / "made_up.py")


def calling(*files: str, raised: Exception) -> list[str]:
    """Functions of these files call each other, the last one raises: the calls that are shown."""

    def end() -> None:
        raise raised

    call: Callable[[], Any] = end
    for file in reversed(files):
        names: dict[str, Any] = {"inner": call}
        source = "def call():\n    inner()"
        exec(compile(source, file, "exec"), names)
        call = names["call"]
    try:
        call()
    except type(raised) as error:
        (_, *frames) = traceback.extract_tb(traceback_for_users(error))
        return [frame.filename for frame in frames if frame.name == "call"]
    raise AssertionError


@pytest.mark.parametrize("error", [UsageError("no"), ZeroDivisionError()])
def test_what_lies_inside_of_kale_pm_is_left_out(error: Exception) -> None:
    assert calling("a.py", OURS, OURS, "a.py", raised=error) == ["a.py", "a.py"]


def test_so_are_libraries_that_kale_pm_calls_and_no_others() -> None:
    files = ("a.py", LIBRARY, OURS, LIBRARY, "a.py", LIBRARY)
    expected = ["a.py", LIBRARY, "a.py", LIBRARY]
    assert calling(*files, "a.py", raised=ValueError()) == [*expected, "a.py"]


def frames_of(file: str, kind: type[Exception]) -> list[str]:
    """The calls that are shown where code of ``file`` itself raises."""
    names: dict[str, Any] = {"kind": kind}
    exec(compile("def call():\n    raise kind('no')", file, "exec"), names)
    try:
        names["call"]()
    except kind as error:
        return [frame.filename for frame in traceback.extract_tb(traceback_for_users(error))]
    raise AssertionError


def test_a_mistake_of_kale_pm_s_own_is_told_with_all_calls() -> None:
    assert frames_of(OURS, KeyError) == [__file__, OURS]


@pytest.mark.parametrize("kind", [KalePmError, UsageError, SyntaxError])
def test_what_the_user_can_mend_is_told_without_them(kind: type[Exception]) -> None:
    assert frames_of(OURS, kind) == [__file__]


def test_an_error_that_nothing_raised_has_no_calls() -> None:
    assert traceback_for_users(UsageError("no")) is None


class TestHints:
    def shown(self, error: Exception) -> str:
        return "".join(traceback.format_exception_only(error))

    def test_a_plain_traceback_ends_with_them(self) -> None:
        error = UsageError("that is wrong", hint="do this\nor that")
        assert (
            self.shown(error) == "kale_pm.errors.UsageError: that is wrong\n→ do this\n→ or that\n"
        )
        assert str(error) == "that is wrong"

    def test_one_that_is_given_later_takes_the_place_of_the_first(self) -> None:
        error = UsageError("that is wrong", hint="do this")
        error.hint = "do that"
        assert self.shown(error).splitlines()[1:] == ["→ do that"]

    def test_where_there_is_none_nothing_is_added(self) -> None:
        assert self.shown(UsageError("that is wrong")).splitlines()[1:] == []
