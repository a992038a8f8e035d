"""The words of notebooks as those of scripts, whose authors see no cells and write no tags.

What understands a pipeline and runs it knows notebooks, and speaks of them.  Where that reaches
the author of a script, its phrases are exchanged here for what they mean there.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from kale_pm.errors import KalePmError
from kale_pm.events import OfTrial, StepFinished, StepRetried, Warned
from kale_pm.record import CellError, StepRecord

# A pattern, and what takes its place; what is said in general stands last.
PHRASES = {
    # What to do about it.
    r"add the tag prev:(\w+) if that value is meant": (
        r"let it come after step \1, with .after(...), if that value is meant; if not, let step \1 "
        r"change a copy"
    ),
    r"add prev:(\w+) to a cell of step (\w+)": (
        r"let step \2 come after step \1, with .after(...)"
    ),
    r"let one follow the other \(tag the first cell of (\w+) with prev:(\w+)\)": (
        r"let step \1 come after step \2, with .after(...)"
    ),
    r"keep one of the (two|limit:) tags": "keep one of them",
    r"in a tag of the step: timeout:SECONDS": "with @step(timeout=SECONDS)",
    r"a tag limit:memory:SIZE that says": '@step(limits={"memory": SIZE}), which says',
    r"\(limit:memory\)": '(@step(limits={"memory": SIZE}))',
    r"(write|add the option) secret:NAME:KEY:(\w+)": r'write secrets={"\2": "NAME:KEY"}',
    r"\b(limit|request):([\w./-]+):([\w.]+)": r'\1s={"\2": "\3"}',
    r"define it in this step, in one before, or in the prelude; cells .* do not run": (
        "define it in this step, make it a parameter of the step, or define it at the top of the "
        "script"
    ),
    r"show it in the last line of the cell, or tag the step skip": (
        "print it, or do not call the step"
    ),
    r"set it in a cell, with os\.environ": "set it inside of the step, with os.environ",
    r"(write '.+?') in its cell": r"\1 in the pipeline's function",
    r"annotate it in the notebook": "annotate it in the pipeline's function",
    r"run the notebook once for each value: kale-pm run NOTEBOOK -p NAME=VALUE": (
        "run it once for each value, with -p NAME=VALUE, or use sweep"
    ),
    r"use kale-pm compile NOTEBOOK -o FILE": "use compile -o FILE",
    r"; if the notebook's kernel has an environment of its own, run kale-pm there": "",
    r"in 'files' of the configuration": "in files of @pipeline",
    r"'host' in the notebook's configuration": "host of @pipeline",
    r"in a cell tagged (imports|functions)": "at the top of the script",
    # What is wrong.
    r"run from top to bottom, the notebook would": "called as plain functions, the steps would",
    r"'env:(\w+):\.\.\.'": r"'\1' of env",
    r"no cell names a metric": "no step records a metric",
    r"what the notebook has( after the two)?": "what calls of plain functions leave",
    r"the last in the notebook": "the last that is called",
    r"in the order of the notebook": "in the order of their calls",
    r"the prelude defines": "the top of the script defines",
    r"the prelude reads": "the top of the script reads",
    r"the prelude, which": "the top of the script, which",
    r"outside of its own cells": "before its own code, or after it",
    r"before its first cell": "before its own code",
    r"the cell (called|was interrupted|failed)": r"the step \1",
    r"while the cell ran": "while its code ran",
    r" \(cell \d+\)|, in cell \d+": "",
    # What things are called.
    r"what the cells print": "what the steps print",
    r", in the newest sweep or in SWEEP": ", in the newest sweep",
    r"this notebook has (none|no)\b": r"this pipeline has \1",
    r"\b([Tt]he) notebook\b(?! server)": r"\1 script",
    r"\bNOTEBOOK\b": "SCRIPT",
}
# Whose texts are kale-pm's, though their names are told, too.
_TOLD_BY_US = ("SystemExit", "KeyboardInterrupt")


def in_words_of_a_script(text: str) -> str:
    """A message or a hint about a notebook, as one about the script that it was made from."""
    for pattern, words in PHRASES.items():
        text = re.sub(pattern, words, text)
    return text


def tell_of_a_script(error: KalePmError) -> None:
    """Let the error speak so."""
    error.message = in_words_of_a_script(error.message)
    error.args = (error.message,)
    error.hint = in_words_of_a_script(error.hint)


def step_of_a_script(step: StepRecord) -> StepRecord:
    """The record of a step, whose error speaks so."""
    return replace(step, error=_of_a_script(step.error)) if step.error else step


def hearing_of_a_script(listener: Callable[[Any], None]) -> Callable[[Any], None]:
    """A listener to a run or a sweep that hears of warnings and errors in the words of a script."""

    def hear(event: Any) -> None:
        listener(_told(event))

    return hear


def _told(event: Any) -> Any:
    match event:
        case OfTrial(event=inner):
            return replace(event, event=_told(inner))
        case Warned(message=message):
            return replace(event, message=in_words_of_a_script(message))
        case StepFinished(error=CellError() as error) | StepRetried(error=error):
            return replace(event, error=_of_a_script(error))
    return event


def _of_a_script(error: CellError) -> CellError:
    """The error in other words, where they are none of the step's own code."""
    is_ours = error.message == error.evalue or error.ename in _TOLD_BY_US
    evalue = in_words_of_a_script(error.evalue) if is_ours else error.evalue
    return replace(error, evalue=evalue, hint=in_words_of_a_script(error.hint))
