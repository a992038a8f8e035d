"""The law: a pipeline shows what one kernel shows, running the notebook from top to bottom."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Runner

CORPUS = Path(__file__).parents[1] / "data" / "dataflow_corpus.json"
CASES = json.loads(CORPUS.read_text(encoding="utf-8"))["runnable"]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_the_last_step_prints_what_one_kernel_prints(run: Runner, case: dict[str, Any]) -> None:
    cells = [(" ".join(cell["tags"]), cell["source"]) for cell in case["cells"]]
    ran = run(cells).raise_for_failures()
    assert ran.printed(list(ran.record.steps)[-1]) == case["gold_last_stdout"]
