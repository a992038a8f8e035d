"""The settings of a pipeline: notebook metadata, under pyproject.toml, under flags.

One table holds every key that is understood: ours, and those of Kale before and after 2.0.  A
key that has no meaning here is answered with what to use instead; none is dropped in silence.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kale_pm.model import Problem
from kale_pm.notebook import kubernetes_syntax
from kale_pm.notebook.document import Document
from kale_pm.notebook.names import legal_pipeline_name
from kale_pm.notebook.requirements import package_index, requirement
from kale_pm.notebook.setting_values import (
    Reader,
    access_mode,
    bad_configuration,
    experiment,
    host,
    kubernetes,
    pipeline_name,
    plain_text,
    pull_policy,
    seconds,
    security_context,
    size,
    switch,
    texts,
    unknown_key,
    warmth,
)
from kale_pm.notebook.step_options import Setting, open_secret, options_from
from kale_pm.notebook.tags import bad_tags, parse_default
from kale_pm.notebook.volumes import volumes
from kale_pm.settings import Configuration


@dataclass(frozen=True)
class _Source:
    """Where settings come from: the name for messages, and the settings."""

    place: str
    settings: Any


def read_configuration(
    document: Document, overrides: Mapping[str, object]
) -> tuple[Configuration, list[Problem]]:
    """The configuration of a notebook, and problems.

    Metadata ``kale_pm`` (else ``kubeflow_notebook``) is overridden by ``[tool.kale-pm]`` of the
    nearest pyproject.toml above the notebook, and this by ``overrides``, where None says
    nothing.  Entries of ``steps_defaults`` are overridden one by one.  A value that cannot be
    used is an error ``bad-configuration``, an unknown or useless key a warning.
    """
    problems: list[Problem] = []
    fields: dict[str, Any] = {}
    defaults: list[Setting] = []
    given = {key: value for key, value in overrides.items() if value is not None}
    sources = [_metadata(document), _project(document.path, problems), _Source("options", given)]
    for source in sources:
        _read_source(source, fields, defaults, problems)
    fields.setdefault("name", legal_pipeline_name(document.path.stem))
    return Configuration(**fields, steps_defaults=options_from(defaults)), problems


def unknown_settings(keys: Iterable[str], place: str) -> list[Problem]:
    """A warning for each key that is no setting, neither ours nor Kale's; ``place`` is for it."""
    known = [*_KEYS, "steps_defaults"]
    return [
        unknown_key(key, known, place) for key in keys if key not in known and key not in _ADVICE
    ]


def _metadata(document: Document) -> _Source:
    key = "kale_pm" if "kale_pm" in document.metadata else "kubeflow_notebook"
    return _Source(f"notebook metadata '{key}'", document.metadata.get(key) or {})


def _project(notebook: Path, problems: list[Problem]) -> _Source:
    folders = notebook.resolve().parents
    path = next((file for folder in folders if (file := folder / "pyproject.toml").is_file()), None)
    if path is None:
        return _Source("", {})
    try:
        tool = tomllib.loads(path.read_text("utf-8")).get("tool", {})
    except (OSError, ValueError) as error:
        problems.append(
            bad_configuration("warning", f"{path} cannot be read: {error}", "mend the file")
        )
        return _Source("", {})
    table = tool.get("kale-pm", {}) if isinstance(tool, dict) else {}
    return _Source(f"[tool.kale-pm] of {path}", table)


def _read_source(
    source: _Source, fields: dict[str, Any], defaults: list[Setting], problems: list[Problem]
) -> None:
    if not isinstance(source.settings, Mapping):
        message = f"{source.place} is no table of settings"
        problems.append(bad_configuration("error", message, "write key and value"))
        return
    given = {str(key).replace("-", "_"): value for key, value in source.settings.items()}
    problems.extend(unknown_settings(given, source.place))
    for key, advice in _ADVICE.items():
        # Kale's panel writes these keys into every notebook, mostly switched off.
        if given.get(key):
            message = f"{source.place}: '{key}' has no meaning here"
            problems.append(bad_configuration("warning", message, advice))
    # In the order of the table: of two keys for one field the newer one holds.
    for key, (field, read) in _KEYS.items():
        if given.get(key) in (None, ""):
            continue
        try:
            fields[field] = read(given[key], problems.append)
        except ValueError as error:
            message = f"{source.place}: '{key}' cannot be used: {error}"
            problems.append(bad_configuration("error", message, "correct it or remove it"))
    for tag in _default_tags(given.get("steps_defaults"), source.place, problems):
        try:
            setting = parse_default(tag)
        except ValueError as error:
            message = f"{source.place}: '{tag}' does not read in steps_defaults"
            problems.append(bad_tags(message, str(error), None))
            continue
        defaults.append(setting)
        if said := open_secret(setting):
            message, hint = said
            problems.append(bad_configuration("warning", f"{source.place}: {message}", hint))


def _default_tags(value: object, place: str, problems: list[Problem]) -> list[str]:
    """The tags of ``steps_defaults``; Kale's SDK wrote them as a table as well."""
    if value in (None, "", [], {}):
        return []
    if isinstance(value, list) and all(isinstance(tag, str) for tag in value):
        return value
    words = {"labels": "label", "annotations": "annotation", "limits": "limit"}
    if isinstance(value, Mapping) and all(isinstance(entry, Mapping) for entry in value.values()):
        return [
            f"{words.get(str(group), str(group))}:{key}:{entry}"
            for group, entries in value.items()
            for key, entry in entries.items()
        ]
    message = f"{place}: 'steps_defaults' cannot be used: it is no list of tags"
    problems.append(bad_configuration("error", message, 'write ["limit:cpu:2", "retry:3"]'))
    return []


_KEYS: dict[str, tuple[str, Reader]] = {
    "pipeline_name": ("name", pipeline_name),
    "name": ("name", pipeline_name),
    "experiment": ("experiment", experiment),
    "experiment_name": ("experiment", experiment),
    "pipeline_description": ("description", plain_text),
    "description": ("description", plain_text),
    "docker_image": ("image", kubernetes(kubernetes_syntax.image)),
    "base_image": ("image", kubernetes(kubernetes_syntax.image)),
    "image": ("image", kubernetes(kubernetes_syntax.image)),
    "image_pull_policy": ("image_pull_policy", pull_policy),
    "image_pull_secrets": ("image_pull_secrets", texts("names", kubernetes_syntax.object_name)),
    "install": ("install", switch),
    "packages": ("packages", texts("requirements", requirement)),
    "package_indexes": ("package_indexes", texts("addresses", package_index)),
    "trusted_hosts": ("trusted_hosts", texts("hosts", host)),
    "enable_caching": ("cache", switch),
    "cache": ("cache", switch),
    "replay": ("replay", switch),
    "timeout": ("timeout", seconds),
    "files": ("files", texts("globs")),
    "kfp_host": ("host", plain_text),
    "host": ("host", plain_text),
    "namespace": ("namespace", kubernetes(kubernetes_syntax.object_name)),
    "authentication": ("authentication", plain_text),
    "ca": ("ca", plain_text),
    "service_account": ("service_account", kubernetes(kubernetes_syntax.object_name)),
    "secrets_dir": ("secrets_dir", plain_text),
    "kernels": ("kernels", warmth),
    "security_context": ("security_context", security_context),
    "storage_class_name": ("storage_class", kubernetes(kubernetes_syntax.object_name)),
    "storage_class": ("storage_class", kubernetes(kubernetes_syntax.object_name)),
    "volume_access_mode": ("access_mode", access_mode),
    "access_mode": ("access_mode", access_mode),
    "volumes": ("volumes", volumes),
    "snapshot_volumes": ("snapshot_volumes", switch),
    "marshal_volume": ("marshal_volume", switch),
    "marshal_volume_size": ("marshal_volume_size", size),
    "marshal_path": ("marshal_path", plain_text),
}

_ADVICE = {
    "autosnapshot": "every run keeps its steps' notebooks and variables: remove the key",
    "katib_run": "run the notebook once for each value: kale-pm run NOTEBOOK -p NAME=VALUE",
    "katib_metadata": "run the notebook once for each value: kale-pm run NOTEBOOK -p NAME=VALUE",
    "abs_working_dir": "steps run in the notebook's folder; name files for the cluster in 'files'",
    "output_path": "use kale-pm compile NOTEBOOK -o FILE",
    "notebook_path": "the notebook is the one that the command names: remove the key",
}
