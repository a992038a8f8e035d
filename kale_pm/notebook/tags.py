"""What the tags of one cell say, in any order: its step, its role, its settings.

A misspelt word of ours is an error that names the right one, and is then read as what it was
meant to be, so that one slip gives one problem.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from kale_pm.model import Problem
from kale_pm.notebook.spelling import slip_of
from kale_pm.notebook.step_options import Setting, open_secret, options_from
from kale_pm.notebook.tag_values import IllegalNameError
from kale_pm.notebook.vocabulary import WORDS, as_meant
from kale_pm.settings import StepOptions

Role = Literal["imports", "functions", "parameters", "metrics", "skip"]
PRELUDE_ROLES: frozenset[str | None] = frozenset({"imports", "functions", "parameters"})


@dataclass(frozen=True)
class CellTags:
    """What the tags of one cell say.  ``role`` is None on a step's cell and on an untagged one."""

    step: str | None = None
    prev: tuple[str, ...] = ()
    role: Role | None = None
    settings: tuple[Setting, ...] = ()

    @property
    def options(self) -> StepOptions:
        return options_from(self.settings)

    @property
    def is_prelude(self) -> bool:
        return self.role in PRELUDE_ROLES


def parse_tags(tags: Sequence[str], cell: int) -> tuple[CellTags, list[Problem]]:
    """Read the tags of cell number ``cell``, in any order.

    What cannot be read is a problem ``bad-tags``; the tags that remain count.
    """
    if "skip" in tags:
        return CellTags(role="skip"), []
    problems: list[Problem] = []
    steps: dict[str, None] = {}
    prev: dict[str, None] = {}
    roles: dict[str, None] = {}
    settings: dict[Setting, str] = {}

    def bad(message: str, hint: str = "") -> None:
        problems.append(bad_tags(message, hint, cell))

    for tag in dict.fromkeys(tags):
        name, colon, value = as_meant(tag)
        word = WORDS.get(name)
        if word is None:
            continue
        right = f"{name}{colon}{value}"
        if right != tag:
            bad(f"the tag '{tag}' is misspelt", f"did you mean {right}?")
        if word.kind == "role":
            if colon:
                bad(f"the tag '{tag}' takes no value", f"write {name}")
            roles[word.says] = None
            continue
        if word.kind == "reserved":
            bad(f"the tag '{tag}' is reserved: {word.usage} is not built yet", "remove the tag")
            continue
        try:
            key, result = word.read(value)
        except IllegalNameError as error:
            legal = f"names are lower-case letters, digits and _, such as {error.meant}"
            bad(f"the tag '{tag}' does not read: {error}", f"{legal} ({word.usage})")
            key, result = None, error.meant
        except ValueError as error:
            bad(f"the tag '{tag}' does not read: {error}", f"write {word.usage}")
            continue
        if word.kind == "step":
            steps[result] = None
        elif word.kind == "prev":
            prev[result] = None
        else:
            setting = Setting(word.says, key, result)
            settings[setting] = tag
            if said := open_secret(setting):
                problems.append(Problem("bad-tags", "warning", *said, cell=cell))

    step = next(iter(steps), None)
    role = _role(roles)
    if len(steps) > 1:
        names = " and ".join(steps)
        bad(f"two step names on one cell: {names}", "split the cell, or keep one of them")
    if step and role:
        bad(f"'{role}' and the step {step} on one cell", "a cell is one or the other: split it")
    elif "metrics" in roles and len(roles) > 1:
        bad(f"{' and '.join(roles)} on one cell", "metrics stand in a cell of their own")
    if step is None:
        if prev:
            tag = f"prev:{next(iter(prev))}"
            bad(f"'{tag}' on a cell without a step", f"add block:NAME beside {tag}")
        if settings:
            tag = next(iter(settings.values()))
            hint = f"add block:NAME beside {tag}, or use steps_defaults for all steps"
            bad(f"'{tag}' on a cell without a step", hint)
        return CellTags(role=role), problems
    return CellTags(step, tuple(prev), None, tuple(settings)), problems


def parse_default(tag: str) -> Setting:
    """Read one tag of ``steps_defaults``.  Raises ValueError with the reason and what to write."""
    name, colon, value = tag.partition(":")
    word = WORDS.get(name)
    if word is None or word.kind != "option" or not colon:
        near = slip_of(name, [word for word in WORDS if WORDS[word].kind == "option"])
        allowed = ", ".join(word for word in WORDS if WORDS[word].kind == "option")
        raise ValueError(f"did you mean {near}:{value}?" if near else f"what may stand: {allowed}")
    try:
        key, result = word.read(value)
    except ValueError as error:
        raise ValueError(f"{error}; write {word.usage}") from None
    return Setting(word.says, key, result)


def bad_tags(message: str, hint: str, cell: int | None, step: str | None = None) -> Problem:
    return Problem("bad-tags", "error", message, hint, step, cell)


def _role(roles: Iterable[str]) -> Role | None:
    # Every role of the prelude runs alike; parameters alone mean something more.
    order: tuple[Role, ...] = ("skip", "parameters", "imports", "functions", "metrics")
    return next((role for role in order if role in roles), None)
