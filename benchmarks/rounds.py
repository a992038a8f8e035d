"""Measurements of marshal.py, taken in turns: every one in a process of its own."""

from __future__ import annotations

import json
import shutil
import statistics
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from marshallers import MARSHALLERS, OURS, PLAIN, UNHASHED
from payloads import PAYLOADS, VARIABLES

HERE = Path(__file__).resolve().parent
PATIENCE = 8.0  # seconds; what takes longer is measured once

Taken = dict[str, Any]  # what the worker says of one measurement
Pythons = Mapping[str, str]  # tool -> the interpreter that has it

WAYS = ("plain", "analysis", "fingerprint", "pack")
LIBRARIES = ("pandas", "sklearn", "torch")


class WorkerError(Exception):
    """A measurement broke; the text is one line for people."""


@dataclass(frozen=True)
class Series:
    """What one tool took, round by round; None where it did not take part."""

    turns: tuple[Taken | None, ...]

    def median(self, what: str) -> float | None:
        found = [turn[what] for turn in self.turns if turn and what in turn]
        return statistics.median(found) if found else None

    def ratio(self, base: Series, what: str) -> float | None:
        """How many times as much as ``base``: the median of the rounds' own ratios."""
        found = [
            one[what] / other[what]
            for one, other in zip(self.turns, base.turns, strict=True)
            if one and other and what in one and what in other
        ]
        return statistics.median(found) if found else None


@dataclass(frozen=True)
class Figure:
    """One payload, set of variables or question, with everything that took part."""

    name: str
    title: str
    series: Mapping[str, Series]
    base: str | None = None

    def ratio(self, name: str, what: str) -> float | None:
        """Times as much as the base; None where either was not measured."""
        if self.base is None or name not in self.series or self.base not in self.series:
            return None
        return self.series[name].ratio(self.series[self.base], what)


@dataclass(frozen=True)
class Rounds:
    """How often, how large, where.  ``note`` is told what had to be left out."""

    count: int
    scale: float
    folder: Path
    pythons: Pythons
    note: Callable[[str], None]

    def payload(self, name: str) -> Figure:
        """All tools save and load one payload."""
        kind = PAYLOADS[name]
        tools = [tool for tool in self.pythons if self._can(tool, kind.needs, kind.title)]
        takes = {tool: self._save_and_load(tool, name) for tool in tools}
        peers = frozenset(tools) - {OURS, UNHASHED, PLAIN}
        return Figure(name, kind.title, self._take(kind.title, takes, peers), PLAIN)

    def variables(self, name: str) -> Figure:
        """The ways to treat all variables of a step, ``WAYS``, beside plain pickle."""
        case = VARIABLES[name]

        def take(way: str) -> Callable[[], Taken]:
            def taken() -> Taken:
                with self._new_folder() as folder:
                    return self._ask(OURS, "variables", way, name, self.scale, folder)

            return taken

        takes = {way: take(way) for way in WAYS} if self._can(OURS, case.needs, case.title) else {}
        return Figure(name, case.title, self._take(case.title, takes), "plain")

    def unchanged(self) -> Figure:
        """Fingerprints of a loaded array, with few and with many mappings in the process."""
        title = "a loaded array is known to be unchanged"
        with self._new_folder() as folder:
            self._ask(OURS, "save", OURS, "array", self.scale, folder, self.folder)
            takes = {
                "alone": lambda: self._ask(OURS, "unchanged", folder),
                "libraries": lambda: self._ask(OURS, "unchanged", folder, *LIBRARIES),
            }
            return Figure("unchanged", title, self._take(title, takes))

    def scalar(self) -> Figure:
        """One number out of a pack with an array of 500 MB."""
        title = "a scalar out of a pack of 500 MB"
        with self._new_folder() as folder:
            self._ask(OURS, "scalar-save", self.scale, folder)
            takes = {"load": lambda: self._ask(OURS, "scalar-load", folder)}
            return Figure("scalar", title, self._take(title, takes))

    def machine(self) -> Series:
        def take() -> Taken:
            with self._new_folder() as folder:
                return self._ask(OURS, "machine", self.scale, folder)

        return self._take("machine", {"machine": take})["machine"]

    def _save_and_load(self, tool: str, payload: str) -> Callable[[], Taken]:
        def take() -> Taken:
            with self._new_folder() as folder:
                saved = self._ask(tool, "save", tool, payload, self.scale, folder, self.folder)
                taken = {f"save_{key}": value for key, value in saved.items()}
                if MARSHALLERS[tool].load is not None:
                    loaded = self._ask(tool, "load", tool, payload, folder, self.folder)
                    taken |= {f"load_{key}": value for key, value in loaded.items()}
            return taken

        return take

    def _take(
        self,
        title: str,
        takes: Mapping[str, Callable[[], Taken]],
        may_fail: frozenset[str] = frozenset(),
    ) -> dict[str, Series]:
        turns: dict[str, list[Taken | None]] = {name: [] for name in takes}
        ended = set()
        for number in range(self.count):
            # Who begins changes, so that none always finds the busier machine.
            for name in takes if number % 2 == 0 else reversed(takes):
                taken = None
                if name not in ended:
                    try:
                        taken = takes[name]()
                    except WorkerError as error:
                        if name not in may_fail:
                            raise
                        self.note(f"{title}: without {name}, which fails: {error}")
                if taken is None or (name in may_fail and _slowest(taken) > PATIENCE):
                    ended.add(name)
                turns[name].append(taken)
        return {name: Series(tuple(taken)) for name, taken in turns.items() if any(taken)}

    def _can(self, tool: str, modules: Sequence[str], title: str) -> bool:
        missing = missing_modules(self.pythons[tool], modules)
        if missing:
            self.note(f"{title}: without {tool}, whose interpreter has no {', '.join(missing)}")
        return not missing

    def _ask(self, tool: str, *arguments: object) -> Taken:
        return ask(self.pythons[tool], *arguments)

    @contextmanager
    def _new_folder(self) -> Iterator[Path]:
        folder = Path(tempfile.mkdtemp(dir=self.folder))
        try:
            yield folder
        finally:
            shutil.rmtree(folder)


def missing_modules(python: str, modules: Sequence[str]) -> list[str]:
    """Those that the interpreter cannot import."""
    return [module for module, is_there in ask(python, "has", *modules).items() if not is_there]


def ask(python: str, *arguments: object) -> Taken:
    """What the worker answers; WorkerError with its last line if it fails."""
    done = subprocess.run(
        [python, str(HERE / "marshal_worker.py"), *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        lines = done.stderr.strip().splitlines()
        raise WorkerError(lines[-1] if lines else f"exit code {done.returncode}")
    answer: Taken = json.loads(done.stdout)
    return answer


def _slowest(taken: Taken) -> float:
    return max((value for key, value in taken.items() if key.endswith("seconds")), default=0.0)
