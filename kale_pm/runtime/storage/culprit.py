"""Who is to blame when a variable cannot be stored: ``model.callbacks[2]._lock``.

The pickler is fast but does not say where it failed.  So the search asks it again about
halves of what it was given, goes into the part that fails, and so on down to an object that
fails although all its parts can be stored.
"""

from __future__ import annotations

import contextlib
import pickle
import time
import types
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from kale_pm.errors import SaveError
from kale_pm.runtime.storage import instances
from kale_pm.runtime.storage.blame import AGAIN_HINT, MEMORY, blame, describe
from kale_pm.runtime.storage.pickler import Pickler
from kale_pm.runtime.storage.savers.registry import SaverError

_SECONDS = 5.0  # the search then stops, and names what it has found so far
_LONGEST_KEY = 40
_CREATE = "create it in the step that uses it"
_CONNECT = "keep its address, and connect in each step"
_ADVICE: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("_io.", "tempfile."),
        "an open file belongs to a process",
        "keep its path, and open it in each step",
    ),
    (("_thread.", "threading."), "a lock or thread belongs to a process", _CREATE),
    (("sqlite3.", "socket.", "_socket.", "ssl."), "a connection belongs to a process", _CONNECT),
    (
        ("builtins.generator", "builtins.async_generator"),
        "a generator cannot be stored half-way",
        f"turn it into a list, or {_CREATE}",
    ),
    (("builtins.coroutine", "_asyncio."), "it has not finished", "await it, and keep the result"),
    (
        ("builtins.frame", "builtins.traceback"),
        "it belongs to running code",
        "keep its text instead",
    ),
    (("concurrent.futures.", "multiprocessing.pool."), "a pool belongs to a process", _CREATE),
    (("multiprocessing.", "subprocess."), "it belongs to a process", _CREATE),
    (
        ("xgboost.core.DMatrix", "lightgbm.basic.Dataset"),
        "its data lie in the memory of the library",
        "keep the arrays that it is made of, and make it in each step",
    ),
    (
        ("torch.jit.", "torch.ScriptModule"),
        "a compiled module belongs to a process",
        "keep the module itself, and compile it in each step",
    ),
    (
        ("torch.nn.utils.parametrize.",),
        "torch does not store modules with parametrizations",
        "keep its state_dict(), and make the module in each step",
    ),
)
_CONNECTIONS = ("connection", "cursor", "session", "engine", "client", "channel")
_SAVER_HINT = "mend the saver: it returns a function, and the arguments that it takes, as a tuple"
_GENERAL_HINT = (
    "make it in the step that needs it, or tell kale-pm how to store its type: kale_pm.saver"
)


# Raises what storing a value raises, where the prelude has these names.
Attempt = Callable[[object, frozenset[str]], None]


class _Part(NamedTuple):
    """A value, and how to reach it from what holds it; "" where Python has no expression."""

    label: str
    value: Any


def explain(
    variables: Mapping[str, object],
    error: BaseException,
    prelude: frozenset[str],
    attempt: Attempt | None = None,
) -> SaveError:
    """The error to raise instead of ``error``, which storing ``variables`` raised.

    It carries the path to the culprit, the reason, and a hint for this kind of object.
    ``attempt`` says what failed: by default it was to pickle them.
    """
    search = _Search(prelude, attempt or _pickle)
    if isinstance(error, MemoryError):
        return SaveError(
            ", ".join(variables), "there is not enough memory to store it", hint=MEMORY
        )
    if attempt is None and _is_too_deep(error):
        name = next(
            (n for n, value in variables.items() if search.failure(value) is not None),
            next(iter(variables), "the variables"),
        )
        return SaveError(
            name,
            "its objects are nested too deeply",
            hint="flatten it (a list instead of a chain of objects), "
            "or raise the limit with sys.setrecursionlimit in the notebook",
        )
    chain = search.chain(variables)
    failure = search.failure(chain[-1].value) if chain else None
    if isinstance(failure, SaverError):
        return SaveError(_path(chain), str(failure), hint=_SAVER_HINT)
    # A pool of workers is to blame itself, not the queue inside it: the outermost known kind.
    for length, part in enumerate(chain, start=1):
        advice = _advice(type(part.value), is_last=length == len(chain))
        if advice is not None:
            reason, hint = advice
            return SaveError(_path(chain[:length]), reason, hint=hint)
    named = [part.value for part in chain if part.label]
    hint = _GENERAL_HINT if attempt is None else AGAIN_HINT
    if not named:
        return SaveError(", ".join(variables), describe(error), hint=hint)
    kind = type(named[-1])
    cause = search.failure(named[-1]) or error
    reason = f"{kind.__module__}.{kind.__qualname__}: {describe(cause)}"
    if attempt is not None:
        reason = f"it can be stored, but not be made again of that: {blame(cause)}"
    return SaveError(_path(chain), reason, hint=hint)


def _path(chain: Sequence[_Part]) -> str:
    return "".join(part.label for part in chain)


@dataclass(frozen=True)
class _Search:
    """Looks for what fails when it is attempted."""

    prelude: frozenset[str]
    attempt: Attempt

    def chain(self, variables: Mapping[str, object]) -> list[_Part]:
        """The parts on the way to the culprit, from the variable inwards."""
        deadline = time.monotonic() + _SECONDS
        chain: list[_Part] = []
        seen: set[int] = set()
        parts: Sequence[_Part] = [_Part(name, value) for name, value in variables.items()]
        while parts and self._any_fails(parts):
            low, high = 0, len(parts)
            while high - low > 1:
                middle = (low + high) // 2
                if self._any_fails(parts[low:middle]):
                    high = middle
                else:
                    low = middle
                if time.monotonic() > deadline:
                    return chain
            part = parts[low]
            if id(part.value) in seen:
                break
            seen.add(id(part.value))
            chain.append(part)
            parts = list(_parts(part.value, self.prelude))
        return chain

    def failure(self, value: object) -> BaseException | None:
        try:
            self.attempt(value, self.prelude)
        except Exception as error:  # noqa: BLE001 - whatever an object's own code raises
            return error
        return None

    def _any_fails(self, parts: Sequence[_Part]) -> bool:
        return self.failure([part.value for part in parts]) is not None


def _pickle(value: object, prelude: frozenset[str]) -> None:
    Pickler(_Nowhere(), prelude, lambda _: None).dump(value)


class _Nowhere:
    def write(self, data: Any) -> int:
        return len(data)


def _parts(value: Any, prelude: frozenset[str]) -> Iterator[_Part]:
    """What the pickler goes on to when it meets ``value``, labelled as Python would reach it."""
    kind = type(value)
    if isinstance(value, dict):
        for key, item in value.items():
            yield _Part(f"[{_short(key)}]", item)
            yield _Part(f" (the key {_short(key)})", key)
        if kind is dict:
            return
    elif isinstance(value, list | tuple):
        for index, item in enumerate(value):
            yield _Part(f"[{index}]", item)
    elif isinstance(value, set | frozenset):
        for item in value:
            yield _Part(f" (the element {_short(item)})", item)
    elif kind is types.FunctionType:
        yield from _parts_of_function(value)
    elif kind is types.MethodType:
        yield _Part(".__self__", value.__self__)
    elif isinstance(value, type):
        for name, item in vars(value).items():
            yield _Part(f".{name}", item)
        return
    elif kind.__module__ == "numpy" and kind.__name__ == "ndarray":
        for index, item in enumerate(value.ravel().tolist() if value.dtype.hasobject else ()):
            yield _Part(f".flat[{index}]" if value.ndim > 1 else f"[{index}]", item)
    elif kind.__module__.startswith("pandas") and callable(getattr(value, "items", None)):
        for label, item in value.items():
            yield _Part(f"[{_short(label)}]", item)
    yield from _parts_of_reduction(_reduction(value, prelude))


def _parts_of_function(function: types.FunctionType) -> Iterator[_Part]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with contextlib.suppress(ValueError):  # an empty cell
            yield _Part(f" (its variable {name})", cell.cell_contents)
    for value in (*(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).values()):
        yield _Part(" (a default value)", value)
    for name, value in function.__dict__.items():
        yield _Part(f".{name}", value)


def _reduction(value: Any, prelude: frozenset[str]) -> tuple[Any, ...]:
    try:
        pickler = Pickler(_Nowhere(), prelude, lambda _: None)
        reduced = pickler.reducer_override(value)
        if reduced is NotImplemented:
            reduce = pickler.dispatch_table.get(type(value))
            reduced = reduce(value) if reduce else value.__reduce_ex__(pickle.HIGHEST_PROTOCOL)
    except Exception:  # noqa: BLE001 - then the object itself is the culprit
        return ()
    return reduced if isinstance(reduced, tuple) else ()


def _parts_of_reduction(reduced: tuple[Any, ...]) -> Iterator[_Part]:
    missing: tuple[Any, ...] = (None,) * 6
    arguments, state, items, pairs, fill = (*reduced, *missing)[1:6]
    if fill is instances.fill_instance:
        state = state[:2]  # what follows are the items, found before
    states = state if isinstance(state, tuple) and len(state) == 2 else (state,)
    for attributes in states:
        if isinstance(attributes, dict):
            for name, item in attributes.items():
                yield _Part(f".{name}" if isinstance(name, str) else f"[{_short(name)}]", item)
        elif attributes is not None:
            yield _Part("", attributes)
    for index, item in enumerate(items or ()):
        yield _Part(f"[{index}]", item)
    for key, item in pairs or ():
        yield _Part(f"[{_short(key)}]", item)
    for argument in arguments or ():
        yield _Part("", argument)


def _advice(kind: type, *, is_last: bool) -> tuple[str, str] | None:
    names = [f"{base.__module__}.{base.__qualname__}" for base in kind.__mro__]
    for prefixes, reason, hint in _ADVICE:
        if any(name.startswith(prefixes) for name in names):
            return reason, hint
    if is_last and kind.__module__ != "__main__" and kind.__name__.lower().endswith(_CONNECTIONS):
        return "a connection belongs to a process", _CONNECT
    return None


def _is_too_deep(error: BaseException) -> bool:
    return isinstance(error, RecursionError) or isinstance(error.__cause__, RecursionError)


def _short(value: object) -> str:
    try:
        text = repr(value)
    except Exception:  # noqa: BLE001 - a broken __repr__ must not hide the error
        text = "…"
    return text if len(text) <= _LONGEST_KEY else "…"
