"""A package in which steps that share a function share its executor, and keep their names.

The source of these functions stands in the generated file of a large pipeline, so that it
compiles to the same package: they need nothing but ``json``, ``re`` and ``Any``.
"""

from __future__ import annotations

import json
import re
from typing import Any


def fold(spec: dict[str, Any], platform: dict[str, Any]) -> None:
    """Keep one of equal executors, and call the tasks of steps by their step.

    KFP writes an executor down for every task that it runs, and numbers the tasks.
    """
    executors = spec["deploymentSpec"]["executors"]
    kubernetes = platform.get("platforms", {}).get("kubernetes", {})
    settings = kubernetes.get("deploymentSpec", {}).get("executors", {})
    first: dict[str, str] = {}
    # Sorted, because KFP gives them in another order each time.
    for _, component in sorted(spec["components"].items()):
        if "executorLabel" in component:
            label = component["executorLabel"]
            content = json.dumps([executors[label], settings.get(label)], sort_keys=True)
            component["executorLabel"] = first.setdefault(content, label)
    kept = set(first.values())
    for each in (executors, settings):
        for label in each.keys() - kept:
            del each[label]
    for graph in [spec["root"], *spec["components"].values()]:
        if "dag" in graph:
            rename_steps(graph["dag"], spec["components"])


def rename_steps(dag: dict[str, Any], components: dict[str, Any]) -> None:
    """Call the task of the step ``load`` step-load, as in a pipeline with a function for each."""
    names = {key: key for key in dag["tasks"]}
    for key, task in dag["tasks"].items():
        if key.startswith("steps-"):
            name = f"step_{task['taskInfo']['name']}".lower()
            names[key] = re.sub("[^a-z0-9]+", "-", name).strip("-")
            component = components.pop(task["componentRef"]["name"])
            task["componentRef"]["name"] = f"comp-{names[key]}"
            components[f"comp-{names[key]}"] = component
    dag["tasks"] = {names[key]: task for key, task in dag["tasks"].items()}
    for task in dag["tasks"].values():
        if "dependentTasks" in task:
            task["dependentTasks"] = sorted(names[key] for key in task["dependentTasks"])
        for given in task.get("inputs", {}).get("artifacts", {}).values():
            if "taskOutputArtifact" in given:
                source = given["taskOutputArtifact"]
                source["producerTask"] = names[source["producerTask"]]
    for output in dag.get("outputs", {}).get("artifacts", {}).values():
        for source in output["artifactSelectors"]:
            source["producerSubtask"] = names[source["producerSubtask"]]
