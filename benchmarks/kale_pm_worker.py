"""What the benchmarks ask of kale-pm, in the same way as of Kale: kale_worker.py.

It prints JSON.

    python kale_pm_worker.py time NOTEBOOK WARM-UP     seconds of one analysis in process
    python kale_pm_worker.py flow NOTEBOOK...          what flows, for each notebook
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from typing import Any

import kale_pm


def seconds(path: str, warm_up: str) -> float:
    """The time of one analysis after another has loaded what is loaded late."""
    kale_pm.load(warm_up)
    start = time.perf_counter()
    kale_pm.load(path)
    return time.perf_counter() - start


def main() -> None:
    verb, *arguments = sys.argv[1:]
    answers: dict[str, Callable[[], Any]] = {
        "time": lambda: seconds(*arguments),
        "flow": lambda: [kale_pm.load(path).to_dict() for path in arguments],
    }
    json.dump(answers[verb](), sys.stdout)


if __name__ == "__main__":
    main()
