"""Global state of the process: what a cell can change besides variables.

A seed, a print option, a warnings filter or an environment variable set in one step is seen
by every later cell of a notebook.  So a step notes what its cells changed, and its
descendants replay these changes before their own cells run.

Each :class:`Probe` reads one kind of state as a flat mapping.  Only libraries that are
already imported are looked at, so a probe costs nothing where its library is not in use.
"""

from __future__ import annotations

import base64
import pickle
import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from types import ModuleType

from kale_pm.runtime.probes import PROBES, REMOVED, Probe, Values, encode


def snapshot() -> dict[str, Values]:
    """The present state of every probe whose library is imported."""
    state = {}
    for probe in PROBES:
        if probe.module in sys.modules:
            with suppress(Exception):  # a library in an odd state must not stop the step
                state[probe.name] = probe.read()
    return state


def note_imports(state: dict[str, Values]) -> None:
    """Add to ``state`` what libraries are like right after the step's own code imports them.

    Some begin with another seed in every process: that is no change that a step has made.
    """
    later: dict[str, list[_Set]] = {}
    for probe in PROBES:
        if probe.module not in sys.modules and probe.initial is None:
            later.setdefault(probe.module, []).append(partial(_note, probe, state))
    if later:
        sys.meta_path.insert(0, _AfterImport(later))


def _note(probe: Probe, state: dict[str, Values]) -> list[str]:
    with suppress(Exception):  # as in a snapshot
        state[probe.name] = probe.read()
    return []


@dataclass(frozen=True)
class Changes:
    """What a step changed: ``probe:key`` -> pickled value in base64.

    ``lost`` says in words what cannot be carried, and why; never with a value.
    """

    carried: Mapping[str, str] = field(default_factory=dict)
    lost: tuple[str, ...] = ()


def changes(before: Mapping[str, Values], prelude: frozenset[str] = frozenset()) -> Changes:
    """What changed since ``before``; ``prelude`` names what of the prelude travels by name."""
    carried: dict[str, str] = {}
    lost: list[str] = []
    after = snapshot()
    for probe in PROBES:
        if probe.name not in after:
            continue
        now = after[probe.name]
        if probe.name in before:
            then = before[probe.name]
        else:
            then = probe.initial() if probe.initial else {}
        for key in sorted(now.keys() | then.keys()):
            value = now.get(key, REMOVED)
            if probe.is_secret:
                if value != then.get(key, REMOVED):
                    lost.append(f"environment variable {key} (it looks secret)")
                continue
            try:
                encoded = encode(value, prelude)
            except Exception as error:  # noqa: BLE001 - whatever an object's own code raises
                if key not in then or value is not then[key]:
                    lost.append(f"{probe.name} {key} ({type(error).__name__}: not to be stored)")
                continue
            with suppress(Exception):
                if key in then and encoded == encode(then[key], prelude):
                    continue
            carried[f"{probe.name}:{key}"] = base64.b64encode(encoded).decode()
    return Changes(carried, tuple(lost))


def replay(values: Mapping[str, str]) -> list[str]:
    """Set what ``changes`` found elsewhere; returns what could not be set, for a warning.

    The state of a library that is not imported yet is set as soon as it is: many steps never
    import it, and their place may not even have it.
    """
    failed = []
    later: dict[str, list[_Set]] = {}
    for probe in PROBES:
        encoded = {
            name.removeprefix(f"{probe.name}:"): value
            for name, value in values.items()
            if name.startswith(f"{probe.name}:")
        }
        if encoded and probe.module in sys.modules:
            failed += _set(probe, encoded)
        elif encoded:
            later.setdefault(probe.module, []).append(partial(_set, probe, encoded))
    if later:
        sys.meta_path.insert(0, _AfterImport(later))
    return failed


def _set(probe: Probe, encoded: Mapping[str, str]) -> list[str]:
    """What could not be set."""
    failed = []
    values: Values = {}
    for key, value in encoded.items():
        try:
            values[key] = pickle.loads(base64.b64decode(value))
        except Exception as error:  # noqa: BLE001 - any class may be missing here
            failed.append(f"{probe.name}:{key} ({error})")
    if values:
        try:
            probe.write(values)
        except Exception as error:  # noqa: BLE001 - the place may lack the folder, or the option
            failed.append(f"{probe.name} ({error})")
    return failed


_Set = Callable[[], list[str]]


class _AfterImport(MetaPathFinder):
    """Sets or notes the state of libraries right after their import; finds nothing by itself."""

    def __init__(self, waiting: dict[str, list[_Set]]) -> None:
        self._waiting = waiting

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        waiting = self._waiting.pop(fullname, None)
        spec = find_spec(fullname) if waiting else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_set(module: ModuleType) -> None:
            execute(module)
            for setting in waiting or ():
                for failure in setting():
                    warnings.warn(f"global state not replayed: {failure}", stacklevel=2)

        spec.loader.exec_module = execute_and_set  # type: ignore[method-assign]
        return spec
