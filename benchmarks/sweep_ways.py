"""The ways to run a notebook with many values of its parameters, each in a process of its own."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path

from sweep_pipelines import METRIC, Swept
from tools import ToolError
from ways import Taken, Way, ask, command

COMMAND = "kale-pm sweep"
ALONE = "its steps alone"

_WORKER = "sweep_worker.py"


def kale_pm(swept: Swept) -> Way:
    """The whole command `kale-pm sweep`, in a folder without earlier runs."""

    def take(folder: Path) -> Taken:
        values = (f"{name}={','.join(map(str, each))}" for name, each in swept.values.items())
        argv = [sys.executable, "-m", "kale_pm", "sweep", str(swept.write(folder))]
        argv += [word for value in values for word in ("-p", value)]
        seconds = command([*argv, "--best", f"{METRIC}:max"], folder)
        return {"seconds": seconds, "executions": executions(swept, folder)}

    return take


def kale_pm_api(swept: Swept) -> Way:
    def take(folder: Path) -> Taken:
        values = {name: list(each) for name, each in swept.values.items()}
        taken = ask(_WORKER, folder, "sweep", swept.write(folder), json.dumps(values))
        return {**taken, "executions": executions(swept, folder)}

    return take


def papermill_api(swept: Swept) -> Way:
    """The whole notebook for each trial, one after another in one process."""
    return _for_each_trial("papermill", swept)


def steps_alone(swept: Swept) -> Way:
    """What kale-pm executes, without any bookkeeping; for a notebook of one step."""
    return _for_each_trial("alone", swept)


def _for_each_trial(what: str, swept: Swept) -> Way:
    return lambda folder: ask(_WORKER, folder, what, swept.write(folder), json.dumps(swept.trials))


def executions(swept: Swept, folder: Path) -> int:
    """How many steps were executed, by the journal of the newest sweep in the folder.

    Raises ToolError if one was executed more often, or less, than it has different inputs.
    """
    text = (folder / ".kale-pm/sweeps/latest/journal.jsonl").read_text(encoding="utf-8")
    events = map(json.loads, text.splitlines())
    counts = Counter(each["step"] for each in events if each["event"] == "StepStarted")
    for step, wanted in swept.distinct.items():
        if counts[step] != wanted:
            raise ToolError(f"{step} was executed {counts[step]} times for {wanted} inputs")
    return counts.total()
