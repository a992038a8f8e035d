"""The notebooks that sweep.py sweeps, and what their steps depend on."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipelines import notebook

METRIC = "score"

COMPUTE = """
import time


def compute(seconds):
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        pass
"""


@dataclass(frozen=True)
class Swept:
    """A notebook by its cells, the values that its parameters take, and what reaches a step.

    ``reach`` names, for every step, the parameters on which what it is given depends.
    """

    cells: Sequence[tuple[Sequence[str], str]]
    values: Mapping[str, Sequence[float]]
    reach: Mapping[str, Sequence[str]]

    @property
    def trials(self) -> list[dict[str, Any]]:
        """The values of each trial, in the order of the grid."""
        combined = itertools.product(*self.values.values())
        return [dict(zip(self.values, values, strict=True)) for values in combined]

    @property
    def distinct(self) -> dict[str, int]:
        """How many different inputs each step gets in all trials together."""
        return {
            step: math.prod(len(self.values[name]) for name in names)
            for step, names in self.reach.items()
        }

    def write(self, folder: Path) -> Path:
        path = folder / "swept.ipynb"
        path.write_text(notebook(self.cells), encoding="utf-8")
        return path


def chain(prefix: float, swept: float, values: Mapping[str, Sequence[float]]) -> Swept:
    """A chain of six steps that compute for so many seconds: three before what varies, and three.

    The first of the ``values`` reaches the last three steps, a second one the last two.
    """
    first, *others = values
    later = others[0] if others else first
    before, after = f"compute({prefix})", f"compute({swept})"
    steps = {
        "load": (f"{before}\nrows = list(range(100))", ()),
        "clean": (f"{before}\nkept = rows[10:]", ()),
        "split": (f"{before}\nlearned, judged = kept[:60], kept[60:]", ()),
        "scale": (f"{after}\nscaled = [{first} * row for row in learned]", (first,)),
        "train": (f"{after}\nmodel = sum(scaled), {later}", tuple(values)),
        "judge": (f"{after}\n{METRIC} = model[0] * model[1] / sum(judged)", tuple(values)),
    }
    cells: list[tuple[Sequence[str], str]] = [(["functions"], COMPUTE.strip())]
    cells.append(_parameters(values))
    last = ""
    for name, (source, _) in steps.items():
        cells.append(([f"block:{name}", *([f"prev:{last}"] if last else [])], source))
        last = name
    cells.append((["metrics"], f"print({METRIC})"))
    return Swept(cells, values, {name: names for name, (_, names) in steps.items()})


def trivial(trials: int) -> Swept:
    """One step that binds the swept number, and records it."""
    values = {"number": range(trials)}
    cells = [
        _parameters(values),
        (["block:only"], f"{METRIC} = number"),
        (["metrics"], f"print({METRIC})"),
    ]
    return Swept(cells, values, {"only": ("number",)})


def _parameters(values: Mapping[str, Sequence[float]]) -> tuple[Sequence[str], str]:
    return ["parameters"], "\n".join(f"{name} = {taken[0]!r}" for name, taken in values.items())
