"""What is kept of a sweep: its record, and a line for every trial that has ended.

    sweep.json      the record, written when the sweep begins and when it ends
    trials.jsonl    what became of a trial, appended as it ends; the last line of a number holds

A sweep may have ten thousand trials, so its record is not written again for each.  While it
says that the sweep goes on, the lines, and the runs that there are, tell more than it does.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from errno import ENOSPC
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Any

from kale_pm import strict_json
from kale_pm.errors import DamagedRecord, StoreError
from kale_pm.local.files import cannot_write, write_text
from kale_pm.local.run_file import is_alive, numbers, restored, storable
from kale_pm.record import State, SweepRecord, TrialRecord

_TRIAL_RUN = re.compile(r"\.(?P<number>\d{4,})(?:r(?P<attempt>\d+))?")


def write_sweep(record: SweepRecord, folder: Path) -> None:
    """Write ``sweep.json``.  Raises StoreError."""
    trials = tuple(_kept(trial) for trial in record.trials)
    kept = replace(record, fixed=storable(record.fixed), trials=trials)
    write_text(folder / "sweep.json", strict_json.dumps(kept, indent=1, default=str) + "\n")


def read_sweep(folder: Path) -> SweepRecord:
    """The record of the sweep in ``folder``.

    A sweep whose process is gone reads ``interrupted``, and so do those of its trials that had
    not ended.  Raises StoreError where ``sweep.json`` is missing or damaged.
    """
    path = folder / "sweep.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        read = {
            "state": State(content["state"]),
            "varied": tuple(content["varied"]),
            "fixed": restored(content["fixed"]),
            "trials": tuple(_trial(values) for values in content["trials"]),
            "warnings": tuple(content.get("warnings", ())),
        }
        record = SweepRecord(**{**content, **read})
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedRecord(
            f"{path} is damaged: {error}",
            hint="sweep the notebook again, which takes up what is stored, or remove the folder; "
            f"the runs of its trials can be read all the same, such as {folder.name}.0001",
        ) from error
    return _as_far_as_it_came(record, folder) if record.state is State.RUNNING else record


class TrialLog:
    """Appends records of trials to ``trials.jsonl``; a context manager.

    Its methods may be called from any thread, and raise StoreError where nothing can be written.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = Lock()
        try:
            self._file = (folder / "trials.jsonl").open("ab+", buffering=0)
            self._begin_a_line()
        except OSError as error:
            raise cannot_write(folder, error) from error

    def __enter__(self) -> TrialLog:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def write(self, trial: TrialRecord) -> None:
        """Append what became of a trial."""
        line = (strict_json.dumps(_kept(trial), default=str) + "\n").encode()
        try:
            with self._lock:
                if self._file.write(line) < len(line):
                    raise OSError(ENOSPC, os.strerror(ENOSPC))
        except OSError as error:
            raise cannot_write(self._folder, error) from error

    def _begin_a_line(self) -> None:
        # Who was killed may have left half a line, which must not swallow the next one.
        if self._file.seek(0, 2):
            self._file.seek(-1, 2)
            if self._file.read(1) != b"\n":
                self._file.write(b"\n")


def trial_runs(runs: Path, sweep: str) -> dict[int, tuple[int, str]]:
    """Number of a trial -> its newest run in the folder ``runs``: which attempt it is, its id."""
    found: dict[int, tuple[int, str]] = {}
    for folder in runs.glob(f"{sweep}.*"):
        match = _TRIAL_RUN.fullmatch(folder.name.removeprefix(sweep))
        if match is not None:
            run = int(match["attempt"] or 1), folder.name
            number = int(match["number"])
            found[number] = max(run, found.get(number, run))
    return found


def _as_far_as_it_came(record: SweepRecord, folder: Path) -> SweepRecord:
    """A record that says running, as it would be if it was written now."""
    state = State.RUNNING if is_alive(record.process) else State.INTERRUPTED
    ended = {trial.number: trial for trial in _lines(folder / "trials.jsonl")}
    begun = trial_runs(folder.parent.parent / "runs", record.id)
    trials = []
    for written in record.trials:
        trial = ended.get(written.number, written)
        _, run = begun.get(trial.number, (0, trial.run))
        if run != trial.run:  # its end is not written
            trial = TrialRecord(trial.number, trial.parameters, state, run)
        elif not trial.state.is_final and state.is_final:
            trial = replace(trial, state=state)
        trials.append(trial)
    return replace(record, state=state, trials=tuple(trials))


def _lines(path: Path) -> Iterator[TrialRecord]:
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return
    for line in text.splitlines():
        try:
            yield _trial(json.loads(line))
        except (ValueError, KeyError, TypeError, AttributeError):
            continue  # half a line, of one who was killed


def _kept(trial: TrialRecord) -> TrialRecord:
    return replace(trial, parameters=storable(trial.parameters))


def _trial(values: Mapping[str, Any]) -> TrialRecord:
    read = {
        "state": State(values["state"]),
        "parameters": restored(values["parameters"]),
        "metrics": numbers(values["metrics"]),
    }
    return TrialRecord(**{**values, **read})
