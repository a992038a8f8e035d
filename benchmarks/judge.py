"""Judge what a tool says of a corpus case: tests/data/dataflow_corpus.json, ``spec``.

An answer has the form of ``kale-pm check --json``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

Answer = Mapping[str, Any]
Expectation = Mapping[str, Any]

# Said without reason, these would soon be read by nobody.
FALSE_ALARMS = frozenset({"global-state", "not-serialisable", "dynamic-access"})


@dataclass(frozen=True)
class Verdict:
    """What is wrong with an answer: with the flow itself, and with its warnings."""

    flow: tuple[str, ...]
    warnings: tuple[str, ...]


def judge(answer: Answer, expect: Expectation, *, own_codes: bool) -> Verdict:
    """Compare an answer with what is expected.

    ``own_codes`` says that the tool has the corpus's vocabulary: then a refusal must have
    the right code and name the right step, and warnings count.
    """
    if expect["error"]:
        return Verdict(tuple(_refusal(answer, expect, own_codes)), ())
    if answer["error"]:
        return Verdict((f"refuses: {_first_line(answer)}",), ())
    flow = list(_outline(answer, expect))
    if not flow:
        for step in expect["steps"]:
            flow += (f"step {step}: {text}" for text in _step(step, answer, expect))
    return Verdict(tuple(flow), tuple(_warnings(answer, expect)))


def _refusal(answer: Answer, expect: Expectation, own_codes: bool) -> Iterator[str]:
    if not answer["error"]:
        yield f"accepts what is a {expect['error']}"
    elif own_codes:
        if answer["error"] != expect["error"]:
            yield f"error {answer['error']}, not {expect['error']}"
        if expect.get("hint_mentions", "") not in str(answer["problems"]):
            yield f"does not mention {expect['hint_mentions']}"


def _first_line(answer: Answer) -> str:
    messages = [problem["message"].strip() for problem in answer["problems"]]
    lines = messages[0].splitlines() if messages else []
    return ": ".join([answer["error"], *lines[:1]])


def _outline(answer: Answer, expect: Expectation) -> Iterator[str]:
    if answer["steps"].keys() != expect["steps"].keys():
        yield f"steps are {sorted(answer['steps'])}"
    if sorted(map(tuple, answer["edges"])) != sorted(map(tuple, expect["edges"])):
        yield f"edges are {sorted(answer['edges'])}"


def _step(name: str, answer: Answer, expect: Expectation) -> Iterator[str]:
    got, want = answer["steps"][name], expect["steps"][name]
    needs, gives = set(got["needs"]), set(got["gives"])
    yield from _missing("need", needs, want["needs"])
    yield from _spurious("need", needs, {*want["needs"], *want["needs_may_also"]})

    possible = gives | set(got.get("gives_if_changed", ()))
    yield from _missing("give", _with_mates(needs | possible, answer) | possible, want["gives"])
    needed = {need for step in expect["steps"].values() for need in step["needs"]}
    # To hand on what it needed is waste, not a fault.
    yield from _spurious(
        "give", gives, {*want["gives"], *want["gives_may_also"], *(needs & needed)}
    )

    yield from _missing("parameter", set(got["params"]), want["params"])
    for variable, sources in want.get("from", {}).items():
        source = next(iter(got["from"].get(variable, ())), None)
        if source and not _is_source(source, variable, sources, answer, expect):
            yield f"takes {variable} from {source}, not from {' or '.join(sources)}"


def _missing(what: str, got: set[str], wanted: Iterable[str]) -> Iterator[str]:
    if missing := set(wanted) - got:
        yield f"lacks {what} {', '.join(sorted(missing))}"


def _spurious(what: str, got: set[str], allowed: set[str]) -> Iterator[str]:
    if extra := got - allowed:
        yield f"has spurious {what} {', '.join(sorted(extra))}"


def _with_mates(names: set[str], answer: Answer) -> set[str]:
    """What travels along because it shares objects with one of ``names``."""
    return {mate for group in answer.get("aliases", ()) if names & set(group) for mate in group}


def _is_source(
    step: str, variable: str, sources: list[str], answer: Answer, expect: Expectation
) -> bool:
    """Does ``step`` hand on what one of ``sources`` gives, be it only as it came?"""
    if step in sources:
        return True
    receives = variable in answer["steps"][step]["needs"]
    if receives and variable not in expect["steps"][step]["gives"]:
        return True
    gives = (answer["steps"][source].get("gives_if_changed", ()) for source in sources)
    return any(variable in names for names in gives)


def _warnings(answer: Answer, expect: Expectation) -> Iterator[str]:
    given = {problem["code"] for problem in answer["problems"]}
    expected = set(expect["warnings"])
    if missing := expected - given:
        yield f"no warning {', '.join(sorted(missing))}"
    if noise := (given - expected) & FALSE_ALARMS:
        yield f"false alarm {', '.join(sorted(noise))}"
