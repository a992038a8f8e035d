"""How long `kale-pm check` takes: read and understand made-up notebooks of many steps.

    python benchmarks/check.py

Each step has five cells, which import, define and call functions, read parameters, rebind
some variables and change others in place; each step follows the one before.  The times are
those of the fastest of three runs, in seconds.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from kale_pm.analysis import understand
from kale_pm.notebook import read

SIZES = (100, 200, 400)  # steps


def notebook(steps: int) -> str:
    """A notebook of ``steps`` chained steps, five cells each, as JSON."""
    cells = [
        {"cell_type": "code", "source": source, "metadata": {"tags": tags}}
        for tags, source in _cells(steps)
    ]
    return json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells})


def _cells(steps: int) -> Iterator[tuple[list[str], str]]:
    yield ["imports"], "import math\nimport numpy as np\nimport pandas as pd"
    yield ["parameters"], "rate = 0.1\nrounds = 3\nname = 'wine'"
    yield (
        ["functions"],
        "log = []\n\ndef note(text):\n    log.append(text)\n\n"
        "class Model:\n    def __init__(self, rate):\n        self.rate = rate\n        self.seen = []\n\n"
        "    def fit(self, table):\n        self.seen.append(len(table))\n        return self",
    )
    yield ["block:step_0"], "table = pd.DataFrame({'x': range(10)})\ntotal_0 = 0\nscores = {}"
    for step in range(1, steps):
        before = step - 1
        yield (
            [f"block:step_{step}", f"prev:step_{before}"],
            f"import json\nfrom collections import Counter\n\nrows_{step} = table.dropna()\n"
            f"counts = Counter(rows_{step}['x'])",
        )
        yield (
            [],
            f"def scale_{step}(values, factor=rate):\n    kept = []\n    for value in values:\n"
            f"        if value > total_{before}:\n            kept.append(value * factor)\n"
            f"    return kept",
        )
        yield (
            [],
            f"scaled_{step} = scale_{step}(rows_{step}['x'])\n"
            f"model_{step} = Model(rate).fit(scaled_{step})\nnote(f'step {step} of {{name}}')",
        )
        yield (
            [],
            f"for turn in range(rounds):\n    try:\n        share = sum(scaled_{step}) / len(scaled_{step})\n"
            f"    except ZeroDivisionError:\n        share = 0\n    scores[turn, {step}] = share",
        )
        yield (
            [],
            f"table['y_{step}'] = [math.sqrt(value) for value in table['x']]\n"
            f"total_{step} = total_{before} + share\nprint(json.dumps(total_{step}), counts)",
        )


def seconds(steps: int) -> float:
    """The time that reading and understanding a notebook of ``steps`` steps takes."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made_up.ipynb"
        path.write_text(notebook(steps), encoding="utf-8")
        times = []
        for _ in range(3):
            start = time.perf_counter()
            pipeline = understand(read(path))
            times.append(time.perf_counter() - start)
    if pipeline.errors:
        raise AssertionError(pipeline.errors[0].message)
    return min(times)


def main() -> None:
    print(f"{'steps':>6} {'cells':>6} {'seconds':>8}")
    for steps in SIZES:
        print(f"{steps:6} {5 * steps:6} {seconds(steps):8.2f}")


if __name__ == "__main__":
    main()
