"""What the benchmarks ask of Kale 2, run by the interpreter that has it.  Prints JSON.

    python kale_worker.py version
    python kale_worker.py time NOTEBOOK WARM-UP     seconds of one analysis in process
    python kale_worker.py flow NOTEBOOK...          what flows, for each notebook

It imports nothing of kale-pm, for the peer's environment has only Kale.
"""

from __future__ import annotations

import contextlib
import json
import logging
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

from kale.common import graphutils
from kale.processors import NotebookProcessor

NAMES = {"experiment_name": "benchmark", "pipeline_name": "benchmark"}


def analyse(path: str) -> Any:
    """Kale's pipeline of a notebook: everything before code is generated."""
    processor = NotebookProcessor(path, NAMES)
    processor.to_pipeline()
    return processor.pipeline


def seconds(path: str, warm_up: str) -> float:
    """The time of one analysis after another has loaded what is loaded late."""
    analyse(warm_up)
    start = time.perf_counter()
    analyse(path)
    return time.perf_counter() - start


def flow(path: str) -> dict[str, Any]:
    """What Kale says of a notebook, in the form of ``kale-pm check --json``."""
    try:
        pipeline = analyse(path)
        steps = list(pipeline.steps)
    except Exception as error:  # noqa: BLE001 - Kale refuses notebooks by any kind of exception
        return {"error": type(error).__name__, "problems": [{"message": str(error)}]}
    return {
        "steps": {
            step.name: {
                "needs": sorted(step.ins),
                "gives": sorted(step.outs),
                "params": sorted(step.parameters),
                "from": {
                    name: [source]
                    for name in step.ins
                    if (source := _source(pipeline, step.name, name))
                },
            }
            for step in steps
        },
        "edges": [list(edge) for edge in pipeline.edges],
        "error": None,
        "problems": [],
    }


def _source(pipeline: Any, step: str, name: str) -> str | None:
    """The step from which Kale's compiler takes a variable: the nearest that gives it."""
    for ancestor in graphutils.get_ordered_ancestors(pipeline, step):
        if name in pipeline.get_step(ancestor).outs:
            return str(ancestor)
    return None


def main() -> None:
    logging.disable(logging.CRITICAL)
    verb, *arguments = sys.argv[1:]
    answers: dict[str, Callable[[], Any]] = {
        "version": lambda: version("kubeflow-kale"),
        "time": lambda: seconds(*arguments),
        "flow": lambda: [flow(path) for path in arguments],
    }
    with contextlib.redirect_stdout(sys.stderr):  # Kale prints, too
        answer = answers[verb]()
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main()
