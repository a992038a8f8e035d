"""The tasks of a compiled pipeline, through the pipelines within it.

Where a pipeline has an exit task, all other tasks lie in a pipeline within, and the steps of a
large one in several.  What a step takes from another part then goes over the border of both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Dag = Mapping[str, Any]


def dag_tasks(spec: Mapping[str, Any]) -> dict[str, Any]:
    """All tasks by what KFP calls them, as if they stood side by side.

    ``spec`` is the first document of the package, or both documents as a server gives them.
    """
    document = spec.get("pipeline_spec", spec)
    parts = {"root": document.get("root", {}), **document.get("components", {})}
    graphs = {name: part["dag"] for name, part in parts.items() if "dag" in part}
    callers = {
        component: (name, task)
        for name, dag in graphs.items()
        for task in dag["tasks"].values()
        if (component := _component(task)) in graphs
    }
    nested = _Nested(graphs, callers)
    return {
        key: nested.flat(name, task)
        for name, dag in graphs.items()
        for key, task in dag["tasks"].items()
    }


def looped_tasks(spec: Mapping[str, Any]) -> frozenset[str]:
    """What KFP calls the tasks in the loops of a pipeline: each ran many times, or never."""
    document = spec.get("pipeline_spec", spec)
    parts = [document.get("root", {}), *document.get("components", {}).values()]
    tasks = [task for part in parts for task in part.get("dag", {}).get("tasks", {}).values()]
    bodies = [
        document["components"][_component(task)] for task in tasks if "parameterIterator" in task
    ]
    return frozenset(key for body in bodies for key in body.get("dag", {}).get("tasks", {}))


def _component(task: Mapping[str, Any]) -> str:
    return str(task.get("componentRef", {}).get("name", ""))


@dataclass(frozen=True)
class _Nested:
    """The graphs by their component, and where the tasks stand that are graphs themselves."""

    graphs: Mapping[str, Dag]
    callers: Mapping[str, tuple[str, Mapping[str, Any]]]

    def flat(self, name: str, task: Mapping[str, Any]) -> dict[str, Any]:
        """A task of the graph ``name`` that names the tasks which it rests on in the end."""
        inputs = task.get("inputs", {})
        artifacts = {
            key: self._source(name, given) for key, given in inputs.get("artifacts", {}).items()
        }
        made = [given["taskOutputArtifact"] for given in artifacts.values() if given]
        parents = [*task.get("dependentTasks", ()), *(each["producerTask"] for each in made)]
        return {
            **task,
            "inputs": {**inputs, "artifacts": artifacts},
            "dependentTasks": list(dict.fromkeys(parents)),
        }

    def _source(self, name: str, given: Mapping[str, Any]) -> Mapping[str, Any]:
        """Which output an artifact is that is ``given`` in the graph ``name``; none if unknown."""
        if "componentInputArtifact" in given:
            if name not in self.callers:
                return {}
            outer, caller = self.callers[name]
            artifacts = caller["inputs"]["artifacts"]
            return self._source(outer, artifacts[given["componentInputArtifact"]])
        made = given.get("taskOutputArtifact")
        if not made:
            return {}
        within = _component(self.graphs[name]["tasks"].get(made["producerTask"], {}))
        if within not in self.graphs:
            return given
        outputs = self.graphs[within]["outputs"]["artifacts"]
        # A part gives what one of its tasks gives; a choice of several is none of ours.
        selector = outputs[made["outputArtifactKey"]]["artifactSelectors"][0]
        source = {
            "producerTask": selector["producerSubtask"],
            "outputArtifactKey": selector["outputArtifactKey"],
        }
        return self._source(within, {"taskOutputArtifact": source})
