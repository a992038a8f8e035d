"""Files that a step keeps: what ``@artifact`` says, and the cell that does it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Artifact:
    """A file of a step, and the name under which it is kept."""

    name: str
    path: str


def artifact_source(artifacts: Sequence[Artifact]) -> str:
    """The code that keeps them; the runtime, which does it, travels with every step."""
    calls = [f"kale_pm.runtime.artifacts.keep({a.name!r}, {a.path!r})" for a in artifacts]
    return "\n".join(["import kale_pm.runtime.artifacts", "", *calls])
