"""What a pod's log says: what happens while a step runs, and why it failed."""

from __future__ import annotations

import sys
from pathlib import Path

from kale_pm.events import CellOutput, CellStarted, Event, Listener, Warned
from kale_pm.record import CellError
from kale_pm.runtime.execution.failure import excerpt
from kale_pm.runtime.masking import Mask
from kale_pm.runtime.pod.announce import announce_error
from kale_pm.runtime.pod.frames import frames


def printer(mask: Mask) -> Listener:
    """What prints events as they happen, without the secrets that ``mask`` knows."""

    def tell(event: Event) -> None:
        event = mask.noun(event)
        if isinstance(event, CellStarted):
            where = f" (cell {event.cell} of the notebook)" if event.cell else ""
            print(f"kale-pm: {event.step} {event.index}/{event.cells}{where}", flush=True)
        elif isinstance(event, CellOutput):
            stream = sys.stderr if event.stream == "stderr" else sys.stdout
            stream.write(event.text)
            stream.flush()
        elif isinstance(event, Warned):
            print(f"kale-pm: {event.message}", flush=True)

    return tell


def report_failure(
    step: str,
    attempt: int,
    error: CellError,
    executed: Path,
    *,
    started: float,
    seconds: float,
) -> None:
    """Tell people what failed, and ``kale-pm fetch`` everything else: KFP keeps the log alone.

    ``attempt`` counts the tries from 1, ``executed`` is the executed notebook, if there is one.
    ``started`` is in seconds since the epoch.
    """
    where = f" in cell {error.cell} of the notebook" if error.cell else ""
    where += f", line {error.line}" if error.line else ""
    print(f"\nkale-pm: step {step} failed{where}: {error.message}")
    for place in error.places:
        print(excerpt(place))
    if error.traceback:
        print(f"\n{error.traceback}\n")
    print("kale-pm: the lines below hold the executed notebook, for kale-pm fetch")
    announce_error(step, attempt, error, started=started, seconds=seconds)
    if executed.exists():
        import nbformat

        for line in frames(nbformat.read(executed, as_version=4), step, attempt):
            print(line, flush=True)  # at once, so that nothing can stand in it
