"""The settings of a pipeline: notebook metadata, under pyproject.toml, under flags.

One table holds every key that is understood: ours, and those of Kale before and after 2.0.  A
key that has no meaning here is answered with what to use instead; none is dropped in silence.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from kale_pm.model import Configuration, Problem, PullPolicy, Severity, Volume
from kale_pm.notebook import kubernetes_syntax
from kale_pm.notebook.document import Document
from kale_pm.notebook.kubernetes_syntax import LARGEST_INTEGER
from kale_pm.notebook.names import legal_pipeline_name
from kale_pm.notebook.requirements import package_index, requirement
from kale_pm.notebook.spelling import nearest
from kale_pm.notebook.tags import (
    Setting,
    bad_tags,
    open_secret,
    options_from,
    parse_default,
    pull_policy,
)

_ACCESS_MODES = {
    "rwo": "ReadWriteOnce",
    "rom": "ReadOnlyMany",
    "rox": "ReadOnlyMany",
    "rwm": "ReadWriteMany",
    "rwx": "ReadWriteMany",
    "rwop": "ReadWriteOncePod",
}
_VOLUME_TYPES = ("pvc", "new_pvc", "pv", "clone", "snapshot")
# What already is there, by its name: a claim, a persistent volume, a snapshot.
_NAMED_AFTER_OBJECTS = ("pvc", "pv", "clone", "snapshot")
_SECURITY_KEYS = {"enabled": bool, "run_as_user": int, "run_as_group": int, "run_as_non_root": bool}
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\d{1,5})?")
_SIZE = re.compile(r"\d{1,12}(\.\d{1,12})?([KMGTPE]i?|k|m)?", re.ASCII)


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
        problems.append(_problem("warning", f"{path} cannot be read: {error}", "mend the file"))
        return _Source("", {})
    table = tool.get("kale-pm", {}) if isinstance(tool, dict) else {}
    return _Source(f"[tool.kale-pm] of {path}", table)


def _read_source(
    source: _Source, fields: dict[str, Any], defaults: list[Setting], problems: list[Problem]
) -> None:
    if not isinstance(source.settings, Mapping):
        message = f"{source.place} is no table of settings"
        problems.append(_problem("error", message, "write key and value"))
        return
    given = {str(key).replace("-", "_"): value for key, value in source.settings.items()}
    for key in given:
        if key not in _KEYS and key not in _ADVICE and key != "steps_defaults":
            known = [*_KEYS, "steps_defaults"]
            problems.append(_unknown(key, known, source.place))
    for key, advice in _ADVICE.items():
        # Kale's panel writes these keys into every notebook, mostly switched off.
        if given.get(key):
            message = f"{source.place}: '{key}' has no meaning here"
            problems.append(_problem("warning", message, advice))
    # In the order of the table: of two keys for one field the newer one holds.
    for key, (field, read) in _KEYS.items():
        if given.get(key) in (None, ""):
            continue
        try:
            fields[field] = read(given[key], problems.append)
        except ValueError as error:
            message = f"{source.place}: '{key}' cannot be used: {error}"
            problems.append(_problem("error", message, "correct it or remove it"))
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
            problems.append(_problem("warning", f"{source.place}: {message}", hint))


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
    problems.append(_problem("error", message, 'write ["limit:cpu:2", "retry:3"]'))
    return []


_Report = Callable[[Problem], None]


def _text(value: object, _: _Report) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def _name(value: object, report: _Report) -> str:
    text = _text(value, report)
    legal = legal_pipeline_name(text)
    if legal != text:
        message = f"the pipeline's name '{text}' becomes '{legal}'"
        hint = "names are lower-case letters, digits and dashes"
        report(_problem("warning", message, hint))
    return legal


def _switch(value: object, _: _Report) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")
    return value


def _seconds(value: object, _: _Report) -> int:
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{value!r} is no whole number of seconds")
    if not 1 <= value <= LARGEST_INTEGER:
        raise ValueError(f"{value} is no number of seconds from 1 to {LARGEST_INTEGER}")
    return value


def _texts(
    what: str, read: Callable[[str], str] = str
) -> Callable[[object, _Report], tuple[str, ...]]:
    """The reader of a list of texts, each of which ``read`` refuses or puts right."""

    def texts(value: object, _: _Report) -> tuple[str, ...]:
        entries = [value] if isinstance(value, str) else value
        if not isinstance(entries, (list, tuple)) or not all(
            isinstance(entry, str) for entry in entries
        ):
            raise ValueError(f"{value!r} is no list of {what}")
        return tuple(dict.fromkeys(read(entry.strip()) for entry in entries))

    return texts


def _kubernetes(check: Callable[[str], str]) -> Callable[[object, _Report], str]:
    """The reader of a text that Kubernetes takes."""
    return lambda value, report: check(_text(value, report))


def _host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError(f"'{value}' is no host: write its name, and its port if need be")
    return value


def _pull_policy(value: object, report: _Report) -> PullPolicy:
    return pull_policy(_text(value, report))


def _warmth(value: object, report: _Report) -> str:
    text = _text(value, report)
    if text not in ("cold", "warm"):
        raise ValueError(f"'{text}' is neither cold nor warm")
    return text


def _experiment(value: object, report: _Report) -> str:
    if isinstance(value, Mapping):
        value = value.get("name") or "Default"
    return _text(value, report)


def _access_mode(value: object, report: _Report) -> str:
    text = _text(value, report)
    known = {mode.lower(): mode for mode in _ACCESS_MODES.values()} | _ACCESS_MODES
    if text.lower() not in known:
        raise ValueError(f"'{text}' is none of {', '.join(dict.fromkeys(_ACCESS_MODES.values()))}")
    return known[text.lower()]


def _size(value: object, report: _Report) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value}Gi"
    text = _text(value, report)
    if not _SIZE.fullmatch(text):
        raise ValueError(f"'{text}' is no size such as 5Gi")
    return text


def _security_context(value: object, report: _Report) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{value!r} is no table")
    result: dict[str, Any] = {}
    for key, entry in value.items():
        wanted = _SECURITY_KEYS.get(key)
        if wanted is None:
            report(_unknown(str(key), list(_SECURITY_KEYS), "security_context"))
        elif entry is not None and type(entry) is not wanted:
            raise ValueError(f"'{key}' is {entry!r}, not of type {wanted.__name__}")
        elif wanted is int and isinstance(entry, int) and not 0 <= entry <= LARGEST_INTEGER:
            raise ValueError(f"'{key}' is {entry}: ids are numbers from 0 to {LARGEST_INTEGER}")
        elif entry is not None:
            result[key] = entry
    if not result.pop("enabled", True):
        return {}
    if result.get("run_as_non_root") and result.get("run_as_user") == 0:
        raise ValueError("'run_as_user' 0 is root, which 'run_as_non_root' forbids")
    return result


def _volumes(value: object, report: _Report) -> tuple[Volume, ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"{value!r} is no list of volumes")
    return tuple(_volume(number, entry, report) for number, entry in enumerate(value, 1))


def _volume(number: int, entry: object, report: _Report) -> Volume:
    place = f"volume {number}"

    def refuse(reason: str) -> NoReturn:
        raise ValueError(f"{place}: {reason}")

    if not isinstance(entry, Mapping):
        refuse(f"{entry!r} is no table")
    given = {str(key).replace("-", "_"): value for key, value in entry.items()}
    unit = given.pop("size_type", None) or "Gi"
    if isinstance(given.get("size"), (int, float)) and not isinstance(given["size"], bool):
        given["size"] = f"{given['size']}{unit}"
    if given.pop("expose_as_env_var", False) is True:
        name = re.sub(r"\W", "_", str(given.get("name", "")), flags=re.ASCII).upper()
        given.setdefault("env_variable", f"KALE_VOLUME_{name}")
    fields: dict[str, Any] = {}
    for key, value in given.items():
        if key not in _VOLUME_KEYS:
            report(_unknown(key, list(_VOLUME_KEYS), place))
        elif value not in (None, ""):
            field, read = _VOLUME_KEYS[key]
            try:
                fields[field] = read(value, report)
            except ValueError as error:
                refuse(f"'{key}': {error}")
    missing = [key for key in ("name", "type", "mount_point") if key not in fields]
    if missing:
        refuse(f"{' and '.join(missing)} missing")
    if fields["type"] in _NAMED_AFTER_OBJECTS:
        try:
            kubernetes_syntax.object_name(fields["name"])
        except ValueError as error:
            refuse(f"'name': {error}")
    return Volume(**fields)


def _volume_type(value: object, report: _Report) -> str:
    text = _text(value, report)
    if text not in _VOLUME_TYPES:
        raise ValueError(f"'{text}' is none of {', '.join(_VOLUME_TYPES)}")
    return text


def _annotations(value: object, _: _Report) -> dict[str, str]:
    """A table, or the list of {key, value} that Kale's panel writes, its empty rows left out."""
    if isinstance(value, Mapping):
        found = {str(key): str(entry) for key, entry in value.items()}
    elif isinstance(value, list) and all(isinstance(row, Mapping) for row in value):
        found = {str(row["key"]): str(row.get("value") or "") for row in value if row.get("key")}
    else:
        raise ValueError(f"{value!r} is no table of annotations")
    return {kubernetes_syntax.key(key): entry for key, entry in found.items()}


_Reader = Callable[[object, _Report], Any]

_KEYS: dict[str, tuple[str, _Reader]] = {
    "pipeline_name": ("name", _name),
    "name": ("name", _name),
    "experiment": ("experiment", _experiment),
    "experiment_name": ("experiment", _experiment),
    "pipeline_description": ("description", _text),
    "description": ("description", _text),
    "docker_image": ("image", _kubernetes(kubernetes_syntax.image)),
    "base_image": ("image", _kubernetes(kubernetes_syntax.image)),
    "image": ("image", _kubernetes(kubernetes_syntax.image)),
    "image_pull_policy": ("image_pull_policy", _pull_policy),
    "image_pull_secrets": ("image_pull_secrets", _texts("names", kubernetes_syntax.object_name)),
    "install": ("install", _switch),
    "packages": ("packages", _texts("requirements", requirement)),
    "package_indexes": ("package_indexes", _texts("addresses", package_index)),
    "trusted_hosts": ("trusted_hosts", _texts("hosts", _host)),
    "enable_caching": ("cache", _switch),
    "cache": ("cache", _switch),
    "replay": ("replay", _switch),
    "timeout": ("timeout", _seconds),
    "files": ("files", _texts("globs")),
    "kfp_host": ("host", _text),
    "host": ("host", _text),
    "namespace": ("namespace", _kubernetes(kubernetes_syntax.object_name)),
    "authentication": ("authentication", _text),
    "ca": ("ca", _text),
    "service_account": ("service_account", _kubernetes(kubernetes_syntax.object_name)),
    "secrets_dir": ("secrets_dir", _text),
    "kernels": ("kernels", _warmth),
    "security_context": ("security_context", _security_context),
    "storage_class_name": ("storage_class", _kubernetes(kubernetes_syntax.object_name)),
    "storage_class": ("storage_class", _kubernetes(kubernetes_syntax.object_name)),
    "volume_access_mode": ("access_mode", _access_mode),
    "access_mode": ("access_mode", _access_mode),
    "volumes": ("volumes", _volumes),
    "snapshot_volumes": ("snapshot_volumes", _switch),
    "marshal_volume": ("marshal_volume", _switch),
    "marshal_volume_size": ("marshal_volume_size", _size),
    "marshal_path": ("marshal_path", _text),
}

_ADVICE = {
    "autosnapshot": "every run keeps its steps' notebooks and variables: remove the key",
    "katib_run": "run the notebook once for each value: kale-pm run NOTEBOOK -p NAME=VALUE",
    "katib_metadata": "run the notebook once for each value: kale-pm run NOTEBOOK -p NAME=VALUE",
    "abs_working_dir": "steps run in the notebook's folder; name files for the cluster in 'files'",
    "output_path": "use kale-pm compile NOTEBOOK -o FILE",
    "notebook_path": "the notebook is the one that the command names: remove the key",
}

_VOLUME_KEYS: dict[str, tuple[str, _Reader]] = {
    "name": ("name", _text),
    "type": ("type", _volume_type),
    "mount_point": ("mount_point", _kubernetes(kubernetes_syntax.mount_path)),
    "size": ("size", _size),
    "annotations": ("annotations", _annotations),
    "storage_class_name": ("storage_class", _kubernetes(kubernetes_syntax.object_name)),
    "storage_class": ("storage_class", _kubernetes(kubernetes_syntax.object_name)),
    "volume_access_mode": ("access_mode", _access_mode),
    "access_mode": ("access_mode", _access_mode),
    "snapshot": ("snapshot", _switch),
    "snapshot_name": ("snapshot_name", _text),
    "env_variable": ("env_variable", _kubernetes(kubernetes_syntax.variable_name)),
}


def _unknown(key: str, known: list[str], place: str) -> Problem:
    near = nearest(key, known)
    hint = f"did you mean '{near}'?" if near else f"known keys: {', '.join(known)}"
    return _problem("warning", f"{place}: '{key}' is no key that kale-pm knows", hint)


def _problem(severity: Severity, message: str, hint: str) -> Problem:
    return Problem("bad-configuration", severity, message, hint)
