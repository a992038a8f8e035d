"""The corpus of dataflow cases: small notebooks, and what flows in them.

``tests/data/dataflow_corpus.json`` describes its own fields under ``spec``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from kale_pm.model import Pipeline, Step

CORPUS = Path(__file__).parents[2] / "data" / "dataflow_corpus.json"
CASES = json.loads(CORPUS.read_text(encoding="utf-8"))["cases"]

Expectation = Mapping[str, Any]

# Said without reason, these would soon be read by nobody.
FALSE_ALARMS = frozenset({"global-state", "not-serialisable", "dynamic-access"})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_case(case: dict[str, Any], understood: Any) -> None:
    pipeline = understood(*((" ".join(cell["tags"]), cell["source"]) for cell in case["cells"]))

    assert complaints(pipeline, case["expect"]) == [], case["why"]


def complaints(pipeline: Pipeline, expect: Expectation) -> list[str]:
    """Everything in which ``pipeline`` differs from ``expect``; empty if it is right."""
    if expect["error"]:
        return list(_refusal(pipeline, expect))
    if pipeline.errors:
        return [f"unexpected error {p.code}: {p.message}" for p in pipeline.errors]
    found = list(_outline(pipeline, expect))
    if not found:
        for step in pipeline.steps:
            found += (f"{step.name} {text}" for text in _step(step, pipeline, expect))
    return [*found, *_warnings(pipeline, expect)]


def _refusal(pipeline: Pipeline, expect: Expectation) -> Iterator[str]:
    if not pipeline.errors:
        yield f"no error {expect['error']}"
        return
    first = pipeline.errors[0]
    if first.code != expect["error"]:
        yield f"error {first.code} instead of {expect['error']}"
    if expect.get("hint_mentions", "") not in f"{first.message} {first.hint}":
        yield f"the message does not mention {expect['hint_mentions']}: {first.message}"


def _outline(pipeline: Pipeline, expect: Expectation) -> Iterator[str]:
    names = {step.name for step in pipeline.steps}
    if names != expect["steps"].keys():
        yield f"steps are {sorted(names)}"
    if sorted(pipeline.edges) != sorted(map(tuple, expect["edges"])):
        yield f"edges are {sorted(pipeline.edges)}"


def _step(step: Step, pipeline: Pipeline, expect: Expectation) -> Iterator[str]:
    want = expect["steps"][step.name]
    needs = {need.name for need in step.needs}
    gives, possibly = set(step.gives), set(step.gives_if_changed)
    yield from _differences("need", needs, want["needs"], want["needs_may_also"])

    travels = gives | possibly | _mates(needs | gives | possibly, pipeline.aliases)
    if missing := set(want["gives"]) - travels:
        yield f"lacks give {sorted(missing)}"
    needed = {name for other in expect["steps"].values() for name in other["needs"]}
    allowed = {*want["gives"], *want["gives_may_also"], *(needs & needed)}
    if extra := gives - allowed:
        yield f"has spurious give {sorted(extra)}"

    if missing := set(want["params"]) - set(step.parameters):
        yield f"lacks parameter {sorted(missing)}"
    for need in step.needs:
        sources = want.get("from", {}).get(need.name)
        if sources and not _is_source(need.source.step, need.name, sources, pipeline, expect):
            yield f"takes {need.name} from {need.source.step}, not from {sources}"


def _differences(
    what: str, got: set[str], wanted: Iterable[str], allowed: Iterable[str]
) -> Iterator[str]:
    if missing := set(wanted) - got:
        yield f"lacks {what} {sorted(missing)}"
    if extra := got - {*wanted, *allowed}:
        yield f"has spurious {what} {sorted(extra)}"


def _mates(names: set[str], groups: Iterable[tuple[str, ...]]) -> set[str]:
    """What travels along because it shares objects with one of ``names``."""
    return {mate for group in groups if names & set(group) for mate in group}


def _is_source(
    step: str, name: str, sources: list[str], pipeline: Pipeline, expect: Expectation
) -> bool:
    """Does ``step`` give what one of ``sources`` gives: as its equal, or as it came?"""
    if step in sources:
        return True
    receives = any(need.name == name for need in pipeline.step(step).needs)
    if receives and name not in expect["steps"][step]["gives"]:
        return True
    return any(name in pipeline.step(source).gives_if_changed for source in sources)


def _warnings(pipeline: Pipeline, expect: Expectation) -> Iterator[str]:
    given = {problem.code for problem in pipeline.problems}
    expected = set(expect["warnings"])
    if missing := expected - given:
        yield f"no warning {sorted(missing)}"
    if noise := (given - expected) & FALSE_ALARMS:
        yield f"false alarm {sorted(noise)}"
