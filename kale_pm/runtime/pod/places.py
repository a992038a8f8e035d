"""What the function of a step is given: parameters, and artifacts that come and go."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

PARAMETER = "p_"
OUTPUTS = ("notebook", "html", "metrics", "state", "context")
_INPUTS = ("state_", "context_", "input_")


class Artifact(Protocol):
    """The part of ``kfp.dsl.Artifact`` that is used here."""

    path: str
    uri: str


class Metrics(Artifact, Protocol):
    """The part of ``kfp.dsl.Metrics`` that is used here."""

    metadata: dict[str, Any]

    def log_metric(self, metric: str, value: float) -> None: ...


@dataclass(frozen=True)
class Places:
    """The arguments of a step's function, by what they are for.

    ``parameters`` are values as KFP gives them, by the names of the arguments.  ``inputs``
    are folders of variables, and manifests, of earlier steps.  The others are to be written:
    ``notebook`` a folder for the executed notebook, ``html`` a page, ``state`` a folder with
    the manifest and the variables, ``context`` the manifest alone.  ``volume`` is the folder
    where a volume is mounted that all pods of the run share; empty if there is none.

    ``artifacts`` are places for the files that the step keeps, by name.

    In a sweep, ``summary`` is the file for what its last step is told, else empty; ``trial``
    tells the values of varied parameters that reach the step, empty if none does.
    """

    parameters: Mapping[str, Any]
    inputs: Mapping[str, Artifact]
    notebook: Artifact
    html: Artifact
    metrics: Metrics
    state: Artifact
    context: Artifact
    artifacts: Mapping[str, Artifact]
    volume: str = ""
    summary: str = ""
    trial: str = ""

    @property
    def input_uris(self) -> dict[str, str]:
        return {name: artifact.uri for name, artifact in self.inputs.items()}

    @property
    def output_uris(self) -> dict[str, str]:
        outputs = {name: getattr(self, name) for name in OUTPUTS} | dict(self.artifacts)
        return {name: artifact.uri for name, artifact in outputs.items()}

    @property
    def input_paths(self) -> tuple[Path, ...]:
        return tuple(Path(artifact.path) for artifact in self.inputs.values())


def sorted_places(given: Mapping[str, Any], artifacts: Iterable[str] = ()) -> Places:
    """The arguments that a step's function was called with, sorted.

    ``artifacts`` are the names of the files that the step keeps.
    """
    return Places(
        parameters={n: value for n, value in given.items() if n.startswith(PARAMETER)},
        inputs={n: value for n, value in given.items() if n.startswith(_INPUTS)},
        **{name: given[name] for name in OUTPUTS},
        artifacts={name: given[name] for name in artifacts},
        volume=given.get("volume", ""),
        summary=given.get("summary", ""),
        trial=given.get("trial", ""),
    )
