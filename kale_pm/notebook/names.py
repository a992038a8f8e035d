"""Legal names of pipelines and of steps, and names of steps as Kubeflow Pipelines folds them."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator


def legal_pipeline_name(text: str) -> str:
    """Lower-case letters, digits and inner dashes: ``My Notebook`` gives ``my-notebook``."""
    return _joined(text, "-") or "pipeline"


def legal_step_name(text: str) -> str:
    """The nearest legal step name: ``Train-Model`` gives ``train_model``."""
    name = _joined(text, "_") or "step"
    return f"_{name}" if name[0].isdigit() else name


def _joined(text: str, between: str) -> str:
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", between, plain).strip(between)


def folded(step: str) -> str:
    """What KFP calls the task of a step: lower-case letters, digits and single hyphens.

    >>> folded("train_a"), folded("train__a"), folded("_train_a")
    ('step-train-a', 'step-train-a', 'step-train-a')
    """
    return re.sub(r"[^a-z0-9]+", "-", f"step_{step}".lower()).strip("-")


def collisions(steps: Iterable[str]) -> Iterator[tuple[str, str]]:
    """Pairs of steps that KFP would take for one: the first of that name, and another."""
    first: dict[str, str] = {}
    for step in steps:
        other = first.setdefault(folded(step), step)
        if other != step:
            yield other, step
