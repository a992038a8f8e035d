"""The words of the language of cell tags: one table, and which of its words a tag means.

Both generations of Kale's words are understood, and papermill's ``parameters``.  Tags of other
tools are none of ours; a misspelt word of ours is taken for the right one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kale_pm.notebook import tag_values
from kale_pm.notebook.spelling import slip_of


@dataclass(frozen=True)
class Word:
    """One word of the language: its usage, the kind of thing it says, how its value reads.

    An ``option`` may also stand in ``steps_defaults``; ``reserved`` words are refused so far.
    """

    usage: str
    kind: Literal["step", "prev", "role", "option", "reserved"]
    says: str = ""
    read: tag_values.Reader = tag_values.text


WORDS: dict[str, Word] = {
    "block": Word("block:NAME", "step", read=tag_values.step_name),
    "step": Word("step:NAME", "step", read=tag_values.step_name),
    "prev": Word("prev:NAME", "prev", read=tag_values.step_name),
    "imports": Word("imports", "role", "imports"),
    "functions": Word("functions", "role", "functions"),
    "parameters": Word("parameters", "role", "parameters"),
    "pipeline-parameters": Word("pipeline-parameters", "role", "parameters"),
    "metrics": Word("metrics", "role", "metrics"),
    "pipeline-metrics": Word("pipeline-metrics", "role", "metrics"),
    "skip": Word("skip", "role", "skip"),
    "image": Word("image:REF", "option", "image", tag_values.image),
    "pull": Word(
        "pull:Always, pull:IfNotPresent or pull:Never",
        "option",
        "pull_policy",
        tag_values.pull_policy,
    ),
    "install": Word("install:enabled or install:disabled", "option", "install", tag_values.switch),
    "package": Word("package:REQUIREMENT", "option", "packages", tag_values.package),
    "cache": Word("cache:enabled or cache:disabled", "option", "cache", tag_values.switch),
    "report": Word("report:enabled or report:disabled", "option", "report", tag_values.switch),
    "limit": Word("limit:KEY:VALUE", "option", "limits", tag_values.resource),
    "request": Word("request:KEY:VALUE", "option", "requests", tag_values.resource),
    "retry": Word("retry:N", "option", "retry", tag_values.number_from(0)),
    "retry_interval": Word(
        "retry_interval:SECONDS", "option", "retry_interval", tag_values.number_from(0)
    ),
    "retry_factor": Word("retry_factor:NUMBER", "option", "retry_factor", tag_values.factor),
    "retry_max_interval": Word(
        "retry_max_interval:SECONDS", "option", "retry_max_interval", tag_values.number_from(0)
    ),
    "timeout": Word("timeout:SECONDS", "option", "timeout", tag_values.number_from(1)),
    "artifact": Word("artifact:NAME:PATH", "option", "artifacts", tag_values.artifact),
    "env": Word("env:NAME:VALUE", "option", "env", tag_values.variable),
    "node": Word("node:KEY:VALUE", "option", "nodes", tag_values.label),
    "toleration": Word(
        "toleration:KEY:VALUE:EFFECT", "option", "tolerations", tag_values.toleration
    ),
    "shm": Word("shm:SIZE", "option", "shared_memory", tag_values.shared_memory),
    "secret": Word("secret:NAME:KEY:ENVVAR", "option", "secrets", tag_values.secret),
    "secret_files": Word(
        "secret_files:NAME:/PATH", "option", "secret_files", tag_values.secret_files
    ),
    "label": Word("label:KEY:VALUE", "option", "labels", tag_values.label),
    "annotation": Word("annotation:KEY:VALUE", "option", "annotations", tag_values.annotation),
    "notebook": Word("notebook:NAME", "reserved"),
    "for": Word("for:VAR:in:NAME", "reserved"),
    "if": Word("if:EXPR", "reserved"),
}


def as_meant(tag: str) -> tuple[str, str, str]:
    """Word, colon and value of a tag as they were meant; the word is left where not ours."""
    name, colon, value = tag.partition(":")
    if name in WORDS:
        # A bare 'image' or 'report' may well belong to another tool, a bare 'block' hardly.
        ours = colon or WORDS[name].kind in ("role", "step", "prev")
        return (name if ours else "", colon, value)
    kinds = ("step", "prev", "option") if colon else ("role",)
    near = slip_of(name, [word for word, entry in WORDS.items() if entry.kind in kinds])
    if near is None or (colon and not _reads(WORDS[near], value)):
        return "", colon, value
    return near, colon, value


def _reads(word: Word, value: str) -> bool:
    try:
        word.read(value)
    except ValueError as error:
        return isinstance(error, tag_values.IllegalNameError)
    return True
