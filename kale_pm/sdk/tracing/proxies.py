"""What stands for a value while a pipeline is traced: it can be passed on, and nothing else.

The body of a pipeline says which step gets what from which.  No step has run by then, so
whatever asks for a value itself is refused with a sentence of its own.
"""

from __future__ import annotations

import dis
import re
import sys
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, NoReturn, Protocol

from kale_pm.errors import UsageError
from kale_pm.sdk.source.functions import shown
from kale_pm.user_frames import is_installed


class Origin(Protocol):
    """Where a value comes from: a call of a step, or a parameter of the pipeline."""

    def described(self, path: tuple[int, ...]) -> str:
        """The value in words; ``path`` are the places at which it was unpacked, from 0."""

    def unpacked(self, path: tuple[int, ...], wanted: int | None, place: str) -> int:
        """How many values it is unpacked into; ``wanted`` is None where the code does not say.

        Raises UsageError where that cannot be.
        """

    def length(self, path: tuple[int, ...]) -> int | None:
        """How many values it is for certain; None where only a run can tell."""

    def follow(self, other: Value, place: str) -> None:
        """It comes after what ``other`` comes from."""


class Value:
    """What a step will give, or what a parameter will be."""

    __slots__ = ("__weakref__", "_origin", "_path")

    def __init__(self, origin: Origin, path: tuple[int, ...] = ()) -> None:
        self._origin = origin
        self._path = path

    def after(self, *others: Value) -> Value:
        """The step that gives this runs after those that give ``others``."""
        for other in others:
            if not isinstance(other, Value):
                raise UsageError(
                    f"{place()}: after({other!r}): that is nothing that a step gives",
                    hint="write train(x).after(other), with what the call of another step gave",
                )
            self._origin.follow(other, place())
        return self

    def __iter__(self) -> Iterator[Value]:
        caller = sys._getframe(1)
        count = self._origin.unpacked(self._path, _wanted(caller), place())
        return iter([Value(self._origin, (*self._path, index)) for index in range(count)])

    def __len__(self) -> int:
        # f(*pair()) and list(pair()) ask for it, too.
        known = self._origin.length(self._path)
        if known is None:
            refuse(self, "is asked for its length")
        return known

    def __repr__(self) -> str:
        return f"<{self._origin.described(self._path)}>"

    def __getattr__(self, name: str) -> NoReturn:
        if name.startswith("_"):  # so libraries ask what a thing can do
            raise AttributeError(name)
        refuse(self, f"is asked for its '{name}'")

    def __setattr__(self, name: str, value: object) -> None:
        if name not in Value.__slots__:
            refuse(self, f"gets a new '{name}'")
        object.__setattr__(self, name, value)

    def __delattr__(self, name: str) -> NoReturn:
        refuse(self, f"is to lose its '{name}'")

    def __copy__(self) -> Value:
        return self  # of a list that holds it, too, it is the same value

    def __deepcopy__(self, _: object) -> Value:
        return self


def origin_of(value: Value) -> tuple[Any, tuple[int, ...]]:
    """Where it comes from, and at which places it was unpacked."""
    return value._origin, value._path


def refuse(value: Value, how: str) -> NoReturn:
    raise UsageError(
        f"{place()}: {value._origin.described(value._path)} {how}, but no step has run yet: a "
        f"pipeline only says which step gets what",
        hint="do that inside of a step, which gets the value",
    )


_REFUSED = {
    "is used as a condition": ("bool",),
    "is asked for one of its items": ("getitem",),
    "is asked what it holds": ("contains",),
    "is looked up, or put into a set": ("hash",),
    "gets a new item": ("setitem", "delitem"),
    "is used as a text": ("str", "format", "bytes"),
    "is used as a path": ("fspath",),
    "is used as a number": ("index", "int", "float", "complex", "round", "trunc", "floor", "ceil"),
    "is called": ("call",),
    "is compared": ("eq", "ne", "lt", "le", "gt", "ge"),
    # Python looks up both ends before it calls the first.
    "is opened with 'with'": ("enter", "exit", "aenter", "aexit"),
    "is awaited": ("await",),
    "is calculated with": (
        *("neg", "pos", "abs", "invert"),
        *(
            f"{side}{operator}"
            for operator in ("add", "sub", "mul", "truediv", "floordiv", "mod", "divmod", "pow")
            for side in ("", "r", "i")
        ),
        *(
            f"{side}{operator}"
            for operator in ("matmul", "and", "or", "xor", "lshift", "rshift")
            for side in ("", "r", "i")
        ),
    ),
}


def _refusing(how: str) -> Any:
    def method(self: Value, *_: object, **__: object) -> NoReturn:
        refuse(self, how)

    return method


for _how, _names in _REFUSED.items():
    for _name in _names:
        setattr(Value, f"__{_name}__", _refusing(_how))


def refused_elsewhere(error: TypeError) -> UsageError | None:
    """What to say where code that is none of Python's own, such as ``str.join``, wants a value.

    None where the error is not about what stands for one.
    """
    last = _last_of_users(error.__traceback__)
    is_ours = last is not None and last.tb_frame.f_globals.get(Value.__name__, Value) is Value
    if last is None or not is_ours or not re.search(rf"\b{Value.__name__}\b", str(error)):
        return None
    return UsageError(
        f"{_line(last.tb_frame, last.tb_lineno)}: {error}; here a {Value.__name__} stands for what "
        f"a step gives, or for a parameter, but no step has run yet: a pipeline only says which "
        f"step gets what",
        hint="do that inside of a step, which gets the value",
    )


def _last_of_users(traceback: TracebackType | None) -> TracebackType | None:
    found = None
    while traceback is not None:
        is_user_s = not is_installed(traceback.tb_frame.f_code.co_filename)
        found = traceback if is_user_s and not _is_between(traceback.tb_frame) else found
        traceback = traceback.tb_next
    return found


def place() -> str:
    """The line that called us, as ``script.py:12``."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_between(frame):
        frame = frame.f_back
    return "here" if frame is None else _line(frame, frame.f_lineno)


def _line(frame: FrameType, number: int) -> str:
    return f"{shown(frame.f_code.co_filename)}:{number}"


def _is_between(frame: FrameType) -> bool:
    """Whether it is ours, or a call of the standard library's, such as that of os.path.join."""
    name = str(frame.f_globals.get("__name__", ""))
    if name.startswith("kale_pm.sdk"):
        return True
    is_standard = name.partition(".")[0] in sys.stdlib_module_names
    return is_standard and is_installed(frame.f_code.co_filename)


def _wanted(frame: FrameType) -> int | None:
    """How many names the statement that runs in ``frame`` unpacks into, if it says so.

    Where ``a, b = load()`` unpacks what a step gives, its source need not say how many values
    that are: the line that is being executed does.
    """
    code, at = frame.f_code.co_code, frame.f_lasti
    return code[at + 1] if dis.opname[code[at]] == "UNPACK_SEQUENCE" else None
