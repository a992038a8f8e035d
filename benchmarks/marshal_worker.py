"""One measurement of marshal.py in a process of its own.  Prints JSON.

    python marshal_worker.py has MODULE...                     which of them can be imported
    python marshal_worker.py versions DISTRIBUTION...          of those that are installed
    python marshal_worker.py save TOOL PAYLOAD SCALE FOLDER KEPT
    python marshal_worker.py load TOOL PAYLOAD FOLDER KEPT     after ``save``
    python marshal_worker.py unchanged FOLDER MODULE...        after ``save`` of the array
    python marshal_worker.py scalar-save SCALE FOLDER
    python marshal_worker.py scalar-load FOLDER
    python marshal_worker.py variables WAY CASE SCALE FOLDER
    python marshal_worker.py machine SCALE FOLDER

It imports nothing of kale-pm itself, for the peer's environment has only Kale.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import logging
import os
import pickle
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from machine import speeds
from marshallers import MARSHALLERS, OURS, Marshaller
from payloads import PAYLOADS, TINY, VARIABLES, Payload
from usage import held_memory, measured, resident

NO_PRELUDE: frozenset[str] = frozenset()
HELD = 2  # times the payload: enough for the file and for a copy in memory


def save(tool: str, payload: str, scale: str, folder: str, kept: str) -> dict[str, Any]:
    marshaller, kind = MARSHALLERS[tool], PAYLOADS[payload]
    held = held_memory(round(HELD * kind.size * float(scale)))
    _warm_up(marshaller, kind, Path(kept))
    value = kind.make(float(scale), Path(kept))
    target = Path(folder)

    def work() -> None:
        marshaller.save(value, target)
        if tool != OURS:  # which has done it
            _sync(target)

    held.close()
    _, usage = measured(work)
    size = sum(path.stat().st_size for path in target.iterdir())
    return {**asdict(usage), "size": size}


def load(tool: str, payload: str, folder: str, kept: str) -> dict[str, Any]:
    marshaller, kind = MARSHALLERS[tool], PAYLOADS[payload]
    held = held_memory(HELD * sum(path.stat().st_size for path in Path(folder).iterdir()))
    _warm_up(marshaller, kind, Path(kept))
    load_value = marshaller.load
    assert load_value is not None
    held.close()
    private = resident("RssAnon")
    loaded = 0.0

    def work() -> Any:
        nonlocal loaded
        start = time.perf_counter()
        value = load_value(Path(folder))
        loaded = time.perf_counter() - start
        kind.touch(value)
        return value

    value, usage = measured(work)
    private = resident("RssAnon") - private
    del value
    return {**asdict(usage), "untouched": loaded, "private": max(0, private)}


def _warm_up(marshaller: Marshaller, payload: Payload, kept: Path) -> None:
    """Let everything be imported that saving, loading and touching will need."""
    value = payload.make(TINY, kept)
    with tempfile.TemporaryDirectory(dir=kept) as folder:
        marshaller.save(value, Path(folder))
        payload.touch(marshaller.load(Path(folder)) if marshaller.load else value)


def _sync(folder: Path) -> None:
    for path in folder.iterdir():
        descriptor = os.open(path, os.O_RDONLY)
        os.fsync(descriptor)
        os.close(descriptor)


# -- what only kale-pm does -------------------------------------------------------------------


def unchanged(folder: str, *modules: str) -> dict[str, Any]:
    """To know that a loaded array, which was read, has not changed."""
    from kale_pm.runtime.storage.dump import fingerprint
    from kale_pm.runtime.storage.pack.reader import Pack

    for module in modules:
        if find_spec(module):
            importlib.import_module(module)
    with tempfile.TemporaryDirectory(dir=folder) as other:
        # Let everything be imported that fingerprints need.
        fingerprint({"value": PAYLOADS["array"].make(TINY, Path(other))}, NO_PRELUDE)
    (path,) = Path(folder).glob("*.pack")
    pack = Pack(path)
    (component,) = pack.components
    variables = pack.load(component.id)
    PAYLOADS["array"].touch(variables["value"])
    found, usage = measured(lambda: fingerprint(variables, NO_PRELUDE))
    variables["value"][-1] += 1  # type: ignore[index]
    assert (found, fingerprint(variables, NO_PRELUDE) == found) == (component.id, False)
    mappings = len(Path("/proc/self/maps").read_text(encoding="utf-8").splitlines())
    return {**asdict(usage), "mappings": mappings}


def save_scalar(scale: str, folder: str) -> dict[str, Any]:
    from kale_pm.runtime.storage.pack.writer import write_pack

    values = PAYLOADS["array"].make(float(scale) / 2, Path(folder))
    write_pack(Path(folder), [{"values": values}, {"scalar": 1.5}], NO_PRELUDE)
    return {}


def load_scalar(folder: str) -> dict[str, Any]:
    import kale_pm.runtime.step  # noqa: F401 - a step has imported what its variables need
    from kale_pm.runtime.storage.pack.reader import Pack

    (path,) = Path(folder).glob("*.pack")

    def work() -> Any:
        pack = Pack(path)
        (component,) = (it.id for it in pack.components if it.names == ("scalar",))
        return pack.load(component)["scalar"]

    value, usage = measured(work)
    assert value == 1.5
    return asdict(usage)


def variables(way: str, case: str, scale: str, folder: str) -> dict[str, Any]:
    """One of the ways to treat all variables of a step."""
    from kale_pm.runtime.storage.components import components
    from kale_pm.runtime.storage.dump import fingerprint
    from kale_pm.runtime.storage.pack.writer import write_pack

    target = Path(folder)

    def plain(values: dict[str, Any]) -> None:
        with (target / "value").open("wb") as file:
            pickle.dump(values, file, protocol=5)

    def pack(values: dict[str, Any]) -> None:
        write_pack(target, components(values, NO_PRELUDE), NO_PRELUDE)

    ways: dict[str, Callable[[dict[str, Any]], Any]] = {
        "plain": plain,
        "analysis": lambda values: components(values, NO_PRELUDE),
        "fingerprint": lambda values: fingerprint(values, NO_PRELUDE),
        "pack": pack,
    }
    held = held_memory(round(HELD * VARIABLES[case].size * float(scale)))
    ways[way](VARIABLES[case].make(TINY))
    values = VARIABLES[case].make(float(scale))
    held.close()
    _, usage = measured(lambda: ways[way](values))
    return asdict(usage)


def has(*modules: str) -> dict[str, bool]:
    return {module: find_spec(module) is not None for module in modules}


def versions(*distributions: str) -> dict[str, str]:
    found = {}
    for name in distributions:
        with contextlib.suppress(PackageNotFoundError):
            found[name] = version(name)
    return found


def main() -> None:
    logging.disable(logging.CRITICAL)
    warnings.simplefilter("ignore")
    verb, *arguments = sys.argv[1:]
    answers: dict[str, Callable[..., Any]] = {
        "has": has,
        "versions": versions,
        "save": save,
        "load": load,
        "unchanged": unchanged,
        "scalar-save": save_scalar,
        "scalar-load": load_scalar,
        "variables": variables,
        "machine": lambda scale, folder: speeds(float(scale), Path(folder)),
    }
    with contextlib.redirect_stdout(sys.stderr):  # Kale prints, too
        answer = answers[verb](*arguments)
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
