"""The Python face: a pipeline and its runs as objects with verbs.

>>> pipeline = load("wine.ipynb")
>>> run = pipeline.run(trees=200)
>>> run.metrics
{'accuracy': 0.98, 'f1': 0.98}
>>> run["models"]                      # a variable of the last step that set it
>>> run.variables["models"].given_by   # what else is known of it, without loading it
'evaluate'
>>> run.steps["evaluate"].notebook     # the executed notebook
>>> sweep = pipeline.sweep(trees=[50, 100, 200], best="accuracy:max")
>>> sweep.best.run["models"]
"""

from __future__ import annotations

from kale_pm.face.fetching import fetch
from kale_pm.face.finding import find_run, find_runs, find_sweep
from kale_pm.face.pipeline import Pipeline, compile, load, run  # noqa: A004
from kale_pm.face.runs import FetchedRun, Run, RunStep
from kale_pm.face.sweeps import Sweep, SweepTrial

__all__ = [
    "FetchedRun",
    "Pipeline",
    "Run",
    "RunStep",
    "Sweep",
    "SweepTrial",
    "compile",
    "fetch",
    "find_run",
    "find_runs",
    "find_sweep",
    "load",
    "run",
]
