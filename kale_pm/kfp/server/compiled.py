"""What the compiled pipeline of a run says of its name, its parameters and its steps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kale_pm.kfp.server.connection import Connection
from kale_pm.kfp.server.graph import dag_tasks
from kale_pm.kfp.server.record import Task
from kale_pm.kfp.server.upload import version_spec
from kale_pm.runtime.pod.parameters import decode
from kale_pm.runtime.pod.places import OUTPUTS

# Step -> the name of an input artifact -> the step that gives it, and as which output.
Inputs = Mapping[str, Mapping[str, tuple[str, str]]]
_TYPES = {"NUMBER_INTEGER": "int", "NUMBER_DOUBLE": "float"}
_SUFFIXES = {"system.HTML": ".html", "system.Markdown": ".md"}


def compiled_pipeline(connection: Connection, run: Any) -> dict[str, Any]:
    """The first document of the compiled pipeline of ``run``, a V2beta1Run.  Raises ServerError."""
    spec, reference = run.pipeline_spec, run.pipeline_version_reference
    if not spec and reference is not None and reference.pipeline_version_id:
        spec = version_spec(connection, reference.pipeline_id, reference.pipeline_version_id)
    content = spec or {}
    return dict(content.get("pipeline_spec", content))


def title(spec: Mapping[str, Any]) -> str:
    """The name of the pipeline as its notebook has it."""
    info = spec.get("pipelineInfo", {})
    return str(info.get("displayName") or info.get("name") or "")


def inputs_of(spec: Mapping[str, Any], tasks: Mapping[str, Task]) -> Inputs:
    """Where the input artifacts of the steps come from."""
    names = {task.key: name for name, task in tasks.items()}
    found: dict[str, dict[str, tuple[str, str]]] = {name: {} for name in tasks}
    for key, task in dag_tasks(spec).items():
        for artifact, value in task.get("inputs", {}).get("artifacts", {}).items():
            source = value.get("taskOutputArtifact", {})
            producer = names.get(source.get("producerTask"))
            if key in names and producer is not None:
                found[names[key]][artifact] = (producer, source.get("outputArtifactKey", ""))
    return found


def kept_files(spec: Mapping[str, Any], tasks: Mapping[str, Task]) -> dict[str, dict[str, str]]:
    """The artifacts of the steps that are files which they keep, and how their names may end."""
    document = spec.get("pipeline_spec", spec)
    all_tasks = dag_tasks(spec)
    found: dict[str, dict[str, str]] = {}
    for name, task in tasks.items():
        component = all_tasks[task.key].get("componentRef", {}).get("name", "")
        definitions = document.get("components", {}).get(component, {}).get("outputDefinitions", {})
        found[name] = {
            artifact: _SUFFIXES.get(each.get("artifactType", {}).get("schemaTitle", ""), "")
            for artifact, each in definitions.get("artifacts", {}).items()
            if artifact not in OUTPUTS and artifact.isidentifier()
        }
    return found


def _declared(spec: Mapping[str, Any]) -> Mapping[str, Any]:
    found: Mapping[str, Any] = (
        spec.get("root", {}).get("inputDefinitions", {}).get("parameters", {})
    )
    return found


def parameters(spec: Mapping[str, Any], given: Mapping[str, Any]) -> dict[str, Any]:
    """The values of all parameters of a run, as the notebook has them."""
    values = {
        name: declared["defaultValue"]
        for name, declared in _declared(spec).items()
        if "defaultValue" in declared
    }
    return _typed(spec, {**values, **given})


def _typed(spec: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    # KFP keeps every number as a float.
    types = {name: each.get("parameterType", "") for name, each in _declared(spec).items()}
    found = {}
    for name, value in values.items():
        try:
            found[name] = decode(value, _TYPES.get(types.get(name, ""), "str"))
        except ValueError:
            found[name] = value
    return found
