"""What sweep.py asks of Python faces, of kale-pm and papermill.  The last line printed is JSON.

    python sweep_worker.py sweep NOTEBOOK VALUES       kale_pm.load(NOTEBOOK).sweep(...)
    python sweep_worker.py papermill NOTEBOOK TRIALS   the notebook once for each trial
    python sweep_worker.py alone NOTEBOOK TRIALS       its only step, for each, and nothing else

VALUES and TRIALS are JSON.  Seconds are those of the calls: the packages are imported before.
``own`` are seconds of the processor that the process itself has used meanwhile.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from sweep_pipelines import METRIC


def sweep(notebook: str, values: Mapping[str, Any]) -> dict[str, float]:
    import kale_pm

    pipeline = kale_pm.load(notebook)
    return _taken(lambda: pipeline.sweep(best=f"{METRIC}:max", **values))


def papermill(notebook: str, trials: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    from papermill import execute_notebook

    folder = Path(notebook).parent

    def work() -> None:
        for number, values in enumerate(trials, 1):
            output = folder / f"executed_{number}.ipynb"
            execute_notebook(notebook, output, parameters=dict(values), progress_bar=False)

    return _taken(work)


def alone(notebook: str, trials: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """The step executed as in a sweep, with its kernels and as many at once, and no more.

    Nobody looks for a stored result, and neither record nor journal nor table is kept.
    """
    import kale_pm
    from kale_pm.local.kernels.pool import Pool
    from kale_pm.local.room import Room
    from kale_pm.local.scheduler import schedule
    from kale_pm.record import State
    from kale_pm.runtime.execution.execute import execute
    from kale_pm.runtime.execution.kernel import interpreter_spec
    from kale_pm.runtime.manifest import Exchange
    from kale_pm.slicing import cut

    pipeline = kale_pm.load(notebook)
    (step,) = pipeline.steps
    folder = Path(notebook).resolve().parent
    packs = folder / "packs"
    packs.mkdir()
    room: Room[int] = Room(os.cpu_count() or 1)
    kernels: Pool | None = None

    def execute_one(number: int) -> State:
        assert kernels is not None
        own = folder / f"{number}"
        own.mkdir()
        outcome = execute(
            cut(pipeline, step.name),
            own / "executed.ipynb",
            step=step.name,
            parameters=trials[number],
            folder=folder,
            exchange=Exchange((), own / "manifest.json", packs, audit=folder),
            start=kernels.start,
            log=own / "log",
            ending=lambda: room.leave_early(number),
        )
        if outcome.error is not None:
            raise RuntimeError(f"the step failed: {outcome.error.message}")
        return outcome.state

    def work() -> None:
        nonlocal kernels
        kernels = Pool(interpreter_spec(), folder, ahead=lambda: min(room.jobs, 2))
        try:
            numbers = range(len(trials))
            schedule(numbers, dict.fromkeys(numbers, ()), execute_one, _never, room=room)
        finally:
            kernels.close()

    return _taken(work)


def _never(number: int, parent: int) -> None:
    raise RuntimeError(f"trial {number} has no parent {parent}")


def _taken(work: Callable[[], object]) -> dict[str, float]:
    start, own = time.perf_counter(), time.process_time()
    work()
    return {"seconds": time.perf_counter() - start, "own": time.process_time() - own}


def answer(what: str, notebook: str, given: Any) -> dict[str, float]:
    match what:
        case "sweep":
            return sweep(notebook, given)
        case "papermill":
            return papermill(notebook, given)
        case "alone":
            return alone(notebook, given)
    raise SystemExit(f"{what}: not a question")


if __name__ == "__main__":
    found = answer(sys.argv[1], sys.argv[2], json.loads(sys.argv[3]))
    print("\n" + json.dumps(found))
