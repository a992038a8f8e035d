"""Synthetic notebooks of chained steps, in the tags that both Kale 2 and kale-pm know.

    python benchmarks/synthetic.py --steps 200 --cells 5 chain.ipynb

The code is that of ordinary notebooks: it imports, defines and calls functions and classes,
reads parameters, loops, and changes frames and dicts in place.  With ``shared`` flow every
step changes the same table, dict and list; with ``chain`` flow a step takes only what the
step before it made.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import cycle, islice
from pathlib import Path
from textwrap import dedent
from typing import Any, Literal

Flow = Literal["shared", "chain"]

IMPORTS = """
    import json
    import math
    from collections import Counter

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

        def fit(self, values):
            self.seen.append(len(values))
            return self
"""
FIRST = """
    table_0 = table = pd.DataFrame({"x": range(10)})
    scores_0 = scores = {}
    total_0 = 0
"""
OPENING = {
    "shared": """
        rows_STEP = table.dropna()
        counts = Counter(rows_STEP["x"])
        total_STEP = total_LAST + len(counts)
    """,
    "chain": """
        table_STEP = rows_STEP = table_LAST.dropna().copy()
        scores_STEP = {}
        counts = Counter(rows_STEP["x"])
        total_STEP = total_LAST + len(counts)
    """,
}
# The cells after the opening one, over and over; CELL is a number of its own for each.
REST = (
    """
    def scale_CELL(values, factor=rate):
        kept = []
        for value in values:
            if value > total_LAST:
                kept.append(value * factor)
        return kept

    scaled_CELL = scale_CELL(rows_STEP["x"])
    """,
    """
    model_CELL = Model(rate).fit(rows_STEP)
    REPORT(f"step STEP of {name}")
    """,
    """
    for turn in range(rounds):
        try:
            share_CELL = len(counts) / len(rows_STEP)
        except ZeroDivisionError:
            share_CELL = 0
        SCORES[turn, "CELL"] = share_CELL
    """,
    """
    TABLE["y_CELL"] = [math.sqrt(value) for value in TABLE["x"]]
    print(json.dumps(total_STEP), counts)
    """,
)
WORDS = {
    "shared": {"TABLE": "table", "SCORES": "scores", "REPORT": "note"},
    "chain": {"TABLE": "table_STEP", "SCORES": "scores_STEP", "REPORT": "print"},
}


@dataclass(frozen=True)
class Shape:
    """How large a synthetic notebook is, and what its steps share."""

    steps: int
    cells: int = 5  # of each step
    flow: Flow = "shared"


def notebook(shape: Shape) -> str:
    """The notebook of this shape as JSON; its first step has one cell only."""
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "execution_count": None,
            "metadata": {"tags": tags},
            "outputs": [],
            "source": dedent(source).strip(),
        }
        for tags, source in _cells(shape)
    ]
    return json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells})


def _cells(shape: Shape) -> Iterator[tuple[list[str], str]]:
    yield ["imports"], IMPORTS
    yield ["pipeline-parameters"], PARAMETERS
    yield ["functions"], FUNCTIONS
    yield ["step:step_0"], FIRST
    for step in range(1, shape.steps):
        tags = [f"step:step_{step}", f"prev:step_{step - 1}"]
        for number, source in enumerate(_sources(shape)):
            words = {
                **WORDS[shape.flow],
                "CELL": f"{step}_{number}",
                "STEP": str(step),
                "LAST": str(step - 1),
            }
            for word, meaning in words.items():
                source = source.replace(word, meaning)  # noqa: PLW2901 - word by word
            yield tags, source
            tags = []


def _sources(shape: Shape) -> Iterator[str]:
    yield OPENING[shape.flow]
    yield from islice(cycle(REST), shape.cells - 1)


def main() -> None:
    parser = argparse.ArgumentParser(description="Write a synthetic notebook of chained steps.")
    parser.add_argument("output", type=Path, help="the .ipynb file to write")
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--cells", type=int, default=5, help="of each step (default: 5)")
    parser.add_argument("--flow", choices=["shared", "chain"], default="shared")
    options = parser.parse_args()
    shape = Shape(options.steps, options.cells, options.flow)
    options.output.write_text(notebook(shape), encoding="utf-8")


if __name__ == "__main__":
    main()
