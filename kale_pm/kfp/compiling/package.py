"""The package: what KFP's compiler made of the file, as the YAML that a server takes."""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kale_pm.kfp.compiling.sizes import argument_size

MODULE = "kale_pm_compiled_pipeline"


@dataclass(frozen=True)
class Package:
    """A compiled pipeline.

    ``spec`` is KFP's intermediate representation, ``platform`` what it adds for Kubernetes,
    possibly empty.
    """

    spec: Mapping[str, Any]
    platform: Mapping[str, Any]
    description: str = ""

    @property
    def size(self) -> int:
        """Bytes as compact JSON, which is how a cluster keeps it."""
        return sum(len(json.dumps(each, separators=(",", ":"))) for each in self._documents)

    @property
    def largest_graph(self) -> int:
        """Bytes of the largest graph of tasks: KFP hands it to a driver as one argument."""
        graphs = [self.spec["root"], *self.spec["components"].values()]
        return max(argument_size(graph) for graph in graphs if "dag" in graph)

    @property
    def _documents(self) -> list[Mapping[str, Any]]:
        return [self.spec, self.platform] if self.platform else [self.spec]

    def task(self, name: str) -> Mapping[str, Any]:
        """The task that the user interface calls ``name``."""
        graphs = [self.spec["root"], *self.spec["components"].values()]
        tasks = (t for graph in graphs if "dag" in graph for t in graph["dag"]["tasks"].values())
        found: Mapping[str, Any] = next(t for t in tasks if t["taskInfo"]["name"] == name)
        return found

    def container(self, task: Mapping[str, Any]) -> Mapping[str, Any]:
        """What a task runs."""
        component = self.spec["components"][task["componentRef"]["name"]]
        executor = self.spec["deploymentSpec"]["executors"][component["executorLabel"]]
        container: Mapping[str, Any] = executor["container"]
        return container

    def to_yaml(self) -> bytes:
        """The file.  Equal packages give equal bytes."""
        import yaml

        # What libyaml writes in a tenth of a second takes Python's own writer seconds.
        dumper = getattr(yaml, "CSafeDumper", yaml.SafeDumper)
        text = yaml.dump_all(self._documents, Dumper=dumper, sort_keys=True, width=1 << 20)
        # KFP reads the description of a pipeline out of the third line of such a comment.
        name = self.spec["pipelineInfo"]["name"]
        heading = [f"# PIPELINE DEFINITION\n# Name: {name}\n"]
        if self.description:
            lines = self.description.splitlines()
            heading.append("# Description: " + "\n#              ".join(lines) + "\n")
        return "".join([*heading, text]).encode()


def compiled(source: str) -> Package:
    """Import the DSL file ``source``, and let KFP compile its ``pipeline``."""
    from google.protobuf.json_format import MessageToDict

    with tempfile.TemporaryDirectory(prefix="kale-pm-") as folder:
        file = Path(folder) / f"{MODULE}.py"
        file.write_text(source, encoding="utf-8")
        spec = importlib.util.spec_from_file_location(MODULE, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        # KFP reads the source of the functions, and finds it through their module.
        sys.modules[MODULE] = module
        try:
            spec.loader.exec_module(module)
        finally:
            del sys.modules[MODULE]
        pipeline = module.pipeline
        return Package(
            MessageToDict(pipeline.pipeline_spec),
            MessageToDict(pipeline.platform_spec),
            pipeline.description or "",
        )


def folded(package: Package) -> Package:
    """The same pipeline, with equal components written down once.

    KFP's compiler repeats a component for every task that it makes of it.
    """
    executors = package.spec["deploymentSpec"]["executors"]
    kubernetes = package.platform.get("platforms", {}).get("kubernetes", {})
    settings = kubernetes.get("deploymentSpec", {}).get("executors", {})
    first: dict[str, str] = {}
    same: dict[str, str] = {}
    # Sorted, because KFP gives them in another order each time.
    for name, component in sorted(package.spec["components"].items()):
        label = component.get("executorLabel")
        content = [{**component, "executorLabel": None}, executors.get(label), settings.get(label)]
        same[name] = first.setdefault(json.dumps(content, sort_keys=True), name)
    components = {
        name: _referring(component, same)
        for name, component in package.spec["components"].items()
        if same[name] == name
    }
    labels = {component.get("executorLabel") for component in components.values()}
    spec = {
        **package.spec,
        "components": components,
        "deploymentSpec": {
            **package.spec["deploymentSpec"],
            "executors": {n: e for n, e in executors.items() if n in labels},
        },
        "root": _referring(package.spec["root"], same),
    }
    platform = package.platform
    if settings:
        kept = {n: e for n, e in settings.items() if n in labels}
        deployment = {**kubernetes["deploymentSpec"], "executors": kept}
        platforms = {
            **platform["platforms"],
            "kubernetes": {**kubernetes, "deploymentSpec": deployment},
        }
        platform = {**platform, "platforms": platforms}
    return Package(spec, platform, package.description)


def _referring(graph: Mapping[str, Any], same: Mapping[str, str]) -> Mapping[str, Any]:
    """The pipeline or part of one, in which tasks refer to the first of equal components."""
    if "dag" not in graph:
        return graph
    tasks = {
        name: {**task, "componentRef": {"name": same[task["componentRef"]["name"]]}}
        for name, task in graph["dag"]["tasks"].items()
    }
    return {**graph, "dag": {**graph["dag"], "tasks": tasks}}
