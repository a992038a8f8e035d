"""What the tags of a step ask of it: settings, and the options that they add up to.

The same settings stand in ``steps_defaults``, beside those of each step.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from kale_pm.notebook.requirements import canonical_name
from kale_pm.settings import StepOptions

# Options that are lists, and what tells two entries apart: of two that are alike the later holds.
_LISTS: dict[str, Callable[[Any], str]] = {
    "packages": canonical_name,
    "artifacts": lambda artifact: artifact.name,
    "secrets": lambda secret: secret.variable,
    "secret_files": lambda secret: secret.path,
    "tolerations": lambda taint: ":".join(filter(None, (taint.key, taint.value, taint.effect))),
}

# What the names of variables with secrets end with, and values that are none.
_SECRET_NAME = re.compile(
    r"(^|.*_)(PASSWORD|PASSWD|PASSPHRASE|PWD|SECRET|TOKEN|CREDENTIALS?|(API|ACCESS)?KEY)",
    re.IGNORECASE,
)
_OPEN_VALUE = re.compile(r".{0,5}|[\d.]+|[/.~$].*|disabled|enabled")


@dataclass(frozen=True)
class Setting:
    """One thing that a tag asks of a step: ``field`` of StepOptions, ``key`` in its mapping."""

    field: str
    key: str | None
    value: Any


def options_from(settings: Iterable[Setting]) -> StepOptions:
    """The options that the settings add up to; of two for the same thing the later one holds."""
    fields: dict[str, Any] = {}
    for setting in settings:
        if setting.key is None:
            fields[setting.field] = setting.value
        else:
            fields.setdefault(setting.field, {})[setting.key] = setting.value
    for field in _LISTS.keys() & fields.keys():
        fields[field] = tuple(fields[field].values())
    return StepOptions(**fields)


def settings_of(options: StepOptions) -> tuple[Setting, ...]:
    """The settings that make these options; fields that say nothing give none."""
    found: list[Setting] = []
    for field, value in vars(options).items():
        if field in _LISTS:
            found += [Setting(field, _LISTS[field](entry), entry) for entry in value]
        elif isinstance(value, dict):
            found += [Setting(field, key, entry) for key, entry in value.items()]
        elif value is not None and (field != "retry" or value):
            found.append(Setting(field, None, value))
    return tuple(found)


def inherited(defaults: StepOptions, own: Sequence[Setting]) -> tuple[Setting, ...]:
    """The settings of ``steps_defaults`` that stand beside a step's ``own``.

    A step has one kind of accelerator: its own takes the place of the default one.
    """
    settings = settings_of(defaults)
    if any(map(_is_accelerator, own)):
        return tuple(setting for setting in settings if not _is_accelerator(setting))
    return settings


def _is_accelerator(setting: Setting) -> bool:
    return setting.field in ("limits", "requests") and "/" in (setting.key or "")


def open_secret(setting: Setting) -> tuple[str, str] | None:
    """What to say, and what to do, of a variable whose value everybody may read.

    None where its name is not that of a secret, or its value is none: short, a number, a path.
    """
    if setting.field != "env" or not _SECRET_NAME.fullmatch(setting.key or ""):
        return None
    if _OPEN_VALUE.fullmatch(setting.value):
        return None
    message = (
        f"'env:{setting.key}:...' looks like a secret, and whoever sees the notebook or the "
        "pipeline can read it"
    )
    return message, f"write secret:NAME:KEY:{setting.key}, for a key of a Kubernetes secret"
