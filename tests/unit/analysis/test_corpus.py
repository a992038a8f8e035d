"""The corpus of dataflow cases: small notebooks, and what flows in them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from judge import complaints

CORPUS = Path(__file__).parents[2] / "data" / "dataflow_corpus.json"
CASES = json.loads(CORPUS.read_text(encoding="utf-8"))["cases"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_case(case: dict[str, Any], understood: Any) -> None:
    pipeline = understood(*((" ".join(cell["tags"]), cell["source"]) for cell in case["cells"]))

    assert complaints(pipeline, case["expect"]) == [], case["why"]
