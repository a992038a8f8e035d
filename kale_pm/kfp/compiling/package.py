"""The package: what KFP's compiler made of the file, as the YAML that a server takes."""

from __future__ import annotations

import importlib.util
import json
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kale_pm.errors import CompileError
from kale_pm.kfp.compiling.lean_kfp import import_kfp
from kale_pm.kfp.compiling.sizes import argument_size

MODULE = "kale_pm_compiled_pipeline"


@dataclass(frozen=True)
class Package:
    """A compiled pipeline.

    ``spec`` is KFP's intermediate representation, ``platform`` what it adds for Kubernetes,
    possibly empty.
    """

    spec: Mapping[str, Any]
    platform: Mapping[str, Any] = field(default_factory=dict)
    description: str = ""

    @property
    def size(self) -> int:
        """Bytes as compact JSON."""
        return sum(map(_bytes, self._documents))

    @property
    def kept(self) -> int:
        """Bytes that a cluster keeps: of components with one executor it keeps one.

        KFP's backend knows a component by its container (argocompiler/argo.go).
        """
        components = self.spec["components"].values()
        executed = [each for each in components if "executorLabel" in each]
        distinct = {each["executorLabel"]: each for each in executed}
        return self.size - sum(map(_bytes, executed)) + sum(map(_bytes, distinct.values()))

    @property
    def largest_graph(self) -> int:
        """Bytes of the largest graph of tasks: KFP hands it to a driver as one argument."""
        return max(map(argument_size, self._graphs))

    @property
    def _graphs(self) -> list[Mapping[str, Any]]:
        found = [self.spec["root"], *self.spec["components"].values()]
        return [graph for graph in found if "dag" in graph]

    @property
    def _documents(self) -> list[Mapping[str, Any]]:
        return [self.spec, self.platform] if self.platform else [self.spec]

    def task(self, key: str) -> Mapping[str, Any]:
        """The task that KFP calls ``key``, in whatever part of the pipeline it is."""
        found: Mapping[str, Any] = next(
            graph["dag"]["tasks"][key] for graph in self._graphs if key in graph["dag"]["tasks"]
        )
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
        comment = heading(self.spec["pipelineInfo"]["name"], self.description)
        return f"{comment}{text}".encode()


def _bytes(document: Mapping[str, Any]) -> int:
    return len(json.dumps(document, separators=(",", ":")))


def compiled(source: str) -> Package:
    """Import the DSL file ``source``, and take the package that it makes.

    Raises CompileError for what KFP refuses.
    """
    import_kfp()
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
            pipeline_spec, platform = module.documents()
        # What KFP raises has no class in common: TypeError, ValueError, RuntimeError, its own.
        except Exception as error:
            raise CompileError(
                f"KFP {version('kfp')} refuses the pipeline: {type(error).__name__}: {error}",
                hint="change what it names; if it names nothing of yours, report a bug of kale-pm",
            ) from error
        finally:
            del sys.modules[MODULE]
        return Package(pipeline_spec, platform, module.pipeline.description or "")


def heading(name: str, description: str) -> str:
    """The comment before the documents: KFP reads the description out of its third line."""
    lines = [f"# PIPELINE DEFINITION\n# Name: {name}\n"]
    if description:
        lines.append("# Description: " + "\n#              ".join(description.splitlines()) + "\n")
    return "".join(lines)
