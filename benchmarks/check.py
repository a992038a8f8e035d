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
from textwrap import dedent

from kale_pm.analysis import understand
from kale_pm.notebook import read

SIZES = (100, 200, 400)  # steps

IMPORTS = """
    import math
    import numpy as np
    import pandas as pd
"""
PARAMETERS = """
    rate = 0.1
    rounds = 3
    name = "wine"
"""
FUNCTIONS = """
    log = []

    def note(text):
        log.append(text)

    class Model:
        def __init__(self, rate):
            self.rate = rate
            self.seen = []

        def fit(self, table):
            self.seen.append(len(table))
            return self
"""
FIRST = """
    table = pd.DataFrame({"x": range(10)})
    total_0 = 0
    scores = {}
"""
CELLS = (
    """
    import json
    from collections import Counter

    rows_THIS = table.dropna()
    counts = Counter(rows_THIS["x"])
    """,
    """
    def scale_THIS(values, factor=rate):
        kept = []
        for value in values:
            if value > total_LAST:
                kept.append(value * factor)
        return kept
    """,
    """
    scaled_THIS = scale_THIS(rows_THIS["x"])
    model_THIS = Model(rate).fit(scaled_THIS)
    note(f"step THIS of {name}")
    """,
    """
    for turn in range(rounds):
        try:
            share = sum(scaled_THIS) / len(scaled_THIS)
        except ZeroDivisionError:
            share = 0
        scores[turn, THIS] = share
    """,
    """
    table["y_THIS"] = [math.sqrt(value) for value in table["x"]]
    total_THIS = total_LAST + share
    print(json.dumps(total_THIS), counts)
    """,
)


def notebook(steps: int) -> str:
    """A notebook of ``steps`` chained steps, five cells each, as JSON."""
    cells = [
        {"cell_type": "code", "source": dedent(source).strip(), "metadata": {"tags": tags}}
        for tags, source in _cells(steps)
    ]
    return json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells})


def _cells(steps: int) -> Iterator[tuple[list[str], str]]:
    yield ["imports"], IMPORTS
    yield ["parameters"], PARAMETERS
    yield ["functions"], FUNCTIONS
    yield ["block:step_0"], FIRST
    for step in range(1, steps):
        tags = [f"block:step_{step}", f"prev:step_{step - 1}"]
        for source in CELLS:
            yield tags, source.replace("THIS", str(step)).replace("LAST", str(step - 1))
            tags = []


def seconds(steps: int) -> float:
    """The time that reading and understanding a notebook of ``steps`` steps takes."""
    times = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "made_up.ipynb"
        path.write_text(notebook(steps), encoding="utf-8")
        for _ in range(3):
            start = time.perf_counter()
            understand(read(path))
            times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    print(f"{'steps':>6} {'cells':>6} {'seconds':>8}")
    for steps in SIZES:
        print(f"{steps:6} {5 * steps:6} {seconds(steps):8.2f}")


if __name__ == "__main__":
    main()
