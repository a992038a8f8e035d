"""The volumes of a pipeline, as the settings list them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NoReturn

from kale_pm.notebook import kubernetes_syntax
from kale_pm.notebook.setting_values import (
    Reader,
    Report,
    access_mode,
    kubernetes,
    plain_text,
    size,
    switch,
    unknown_key,
)
from kale_pm.settings import Volume

_VOLUME_TYPES = ("pvc", "new_pvc", "pv", "clone", "snapshot")
# What already is there, by its name: a claim, a persistent volume, a snapshot.
_NAMED_AFTER_OBJECTS = ("pvc", "pv", "clone", "snapshot")


def volumes(value: object, report: Report) -> tuple[Volume, ...]:
    if not isinstance(value, (list, tuple)):
        raise ValueError(f"{value!r} is no list of volumes")
    return tuple(_volume(number, entry, report) for number, entry in enumerate(value, 1))


def _volume(number: int, entry: object, report: Report) -> Volume:
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
            report(unknown_key(key, list(_VOLUME_KEYS), place))
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


def _volume_type(value: object, report: Report) -> str:
    text = plain_text(value, report)
    if text not in _VOLUME_TYPES:
        raise ValueError(f"'{text}' is none of {', '.join(_VOLUME_TYPES)}")
    return text


def _annotations(value: object, _: Report) -> dict[str, str]:
    """A table, or the list of {key, value} that Kale's panel writes, its empty rows left out."""
    if isinstance(value, Mapping):
        found = {str(key): str(entry) for key, entry in value.items()}
    elif isinstance(value, list) and all(isinstance(row, Mapping) for row in value):
        found = {str(row["key"]): str(row.get("value") or "") for row in value if row.get("key")}
    else:
        raise ValueError(f"{value!r} is no table of annotations")
    return {kubernetes_syntax.key(key): entry for key, entry in found.items()}


_VOLUME_KEYS: dict[str, tuple[str, Reader]] = {
    "name": ("name", plain_text),
    "type": ("type", _volume_type),
    "mount_point": ("mount_point", kubernetes(kubernetes_syntax.mount_path)),
    "size": ("size", size),
    "annotations": ("annotations", _annotations),
    "storage_class_name": ("storage_class", kubernetes(kubernetes_syntax.object_name)),
    "storage_class": ("storage_class", kubernetes(kubernetes_syntax.object_name)),
    "volume_access_mode": ("access_mode", access_mode),
    "access_mode": ("access_mode", access_mode),
    "snapshot": ("snapshot", switch),
    "snapshot_name": ("snapshot_name", plain_text),
    "env_variable": ("env_variable", kubernetes(kubernetes_syntax.variable_name)),
}
