"""The journal: every event of a run as a line of JSON, in the order in which it happened."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from threading import Lock
from types import TracebackType

from kale_pm import strict_json
from kale_pm.errors import StoreError
from kale_pm.events import CellOutput, Event, SweepEvent


class Journal:
    """Appends events to ``journal.jsonl``; a context manager.

    What cells print is not journalled: it is in their executed notebooks.
    """

    def __init__(self, path: Path) -> None:
        try:
            self._file = path.open("a", encoding="utf-8", buffering=1)
        except OSError as error:
            raise _cannot_write(error) from error
        self._lock = Lock()

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._file.close()

    def write(self, event: Event | SweepEvent, trial: int = 0) -> None:
        """Append an event; with the number of the ``trial`` that it happens in, if there is one."""
        if isinstance(event, CellOutput):
            return
        place = {"trial": trial} if trial else {}
        line = {"event": type(event).__name__, "time": time.time(), **place, **vars(event)}
        try:
            with self._lock:
                self._file.write(strict_json.dumps(line, default=str) + "\n")
        except OSError as error:
            raise _cannot_write(error) from error

    def note(self, text: str) -> None:
        """Something that helps to understand a run, and that nobody needs to be told of."""
        line = {"event": "Note", "time": time.time(), "text": text}
        with self._lock, suppress(OSError):
            self._file.write(strict_json.dumps(line) + "\n")


def _cannot_write(error: OSError) -> StoreError:
    return StoreError(f"cannot write the journal: {error.strerror}", hint="make room")


def read_journal(path: Path) -> list[dict[str, object]]:
    """The events of a journal; a last line that a crash cut short is left out."""
    events = []
    for line in path.read_text(encoding="utf-8").splitlines():
        try:
            events.append(json.loads(line))
        except ValueError:
            break
    return events
