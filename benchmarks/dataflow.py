"""How many cases of the dataflow corpus kale-pm understands, beside Kale.

    python benchmarks/dataflow.py
    python benchmarks/dataflow.py --peer KALE/bin/python

See README.md in this folder for what is printed.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from judge import Verdict, judge
from tools import HERE, Tool, ToolError, ours, peer

CORPUS = HERE.parent / "tests" / "data" / "dataflow_corpus.json"
# The corpus is tagged in the words of Kale 0.x; these are what both tools know.
WORDS = {"block": "step", "parameters": "pipeline-parameters"}


@dataclass(frozen=True)
class Score:
    """The verdicts on one tool's answers, by case."""

    tool: str
    verdicts: Mapping[str, Verdict]
    warns: bool  # whether its warnings are judged

    @property
    def right(self) -> int:
        return sum(not verdict.flow for verdict in self.verdicts.values())

    @property
    def right_with_warnings(self) -> int:
        return sum(not (v.flow or v.warnings) for v in self.verdicts.values())


def score(tool: Tool, cases: Sequence[Mapping[str, Any]], *, own_codes: bool) -> Score:
    """Ask the tool about all cases, and judge its answers."""
    with tempfile.TemporaryDirectory() as folder:
        # Settings of whoever runs this must not reach the notebooks.
        (Path(folder) / "pyproject.toml").touch()
        paths = [Path(folder) / f"{case['id']}.ipynb" for case in cases]
        for case, path in zip(cases, paths, strict=True):
            path.write_text(notebook(case), encoding="utf-8")
        answers = tool.flows(paths)
    verdicts = {
        case["id"]: judge(answer, case["expect"], own_codes=own_codes)
        for case, answer in zip(cases, answers, strict=True)
    }
    return Score(tool.name, verdicts, own_codes)


def notebook(case: Mapping[str, Any]) -> str:
    """The notebook of a case as JSON."""
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "execution_count": None,
            "metadata": {"tags": [translated(tag) for tag in cell["tags"]]},
            "outputs": [],
            "source": cell["source"],
        }
        for cell in case["cells"]
    ]
    return json.dumps({"nbformat": 4, "nbformat_minor": 4, "metadata": {}, "cells": cells})


def translated(tag: str) -> str:
    word, colon, value = tag.partition(":")
    return WORDS.get(word, word) + colon + value


def show(scores: Sequence[Score], cases: Sequence[Mapping[str, Any]], verbose: bool) -> None:
    """Print the counts by category, and what is wrong if asked for."""
    from rich.console import Console
    from rich.table import Table

    console = Console(width=None if sys.stdout.isatty() else 200, highlight=False)
    table = Table(box=None, pad_edge=False, padding=(0, 3, 0, 0))
    for title in ("category", "cases", *(score.tool for score in scores)):
        table.add_column(title, justify="left" if title == "category" else "right")
    for category in dict.fromkeys(case["category"] for case in cases):
        names = [case["id"] for case in cases if case["category"] == category]
        right = (sum(not score.verdicts[name].flow for name in names) for score in scores)
        table.add_row(category, str(len(names)), *map(str, right))
    console.print(table)
    if verbose:
        for score in scores:
            for name, verdict in score.verdicts.items():
                if wrong := [*verdict.flow, *(verdict.warnings if score.warns else ())]:
                    console.print(f"{score.tool}  {name}: {'; '.join(wrong)}", soft_wrap=True)
    console.print(", ".join(f"{score.tool} {score.right}/{len(cases)}" for score in scores))
    for score in scores:
        if score.warns:
            console.print(f"{score.tool} with warnings: {score.right_with_warnings}/{len(cases)}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Score kale-pm, beside Kale if --peer is given.")
    parser.add_argument("--peer", metavar="PYTHON", help="an interpreter that has kubeflow-kale")
    parser.add_argument("-v", "--verbose", action="store_true", help="print what is wrong, too")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON")
    options = parser.parse_args()
    cases = json.loads(CORPUS.read_text(encoding="utf-8"))["cases"]
    try:
        tools = [ours(), peer(options.peer)] if options.peer else [ours()]
    except ToolError as error:
        print(error, file=sys.stderr)
        return 2
    try:
        scores = [score(tool, cases, own_codes=tool is tools[0]) for tool in tools]
    except ToolError as error:
        print(error, file=sys.stderr)
        return 1
    if options.as_json:
        print(json.dumps([{**asdict(s), "right": s.right} for s in scores], indent=2))
    else:
        show(scores, cases, options.verbose)
    return 0


if __name__ == "__main__":
    sys.exit(main())
