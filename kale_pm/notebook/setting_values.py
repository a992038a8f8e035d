"""How the values of settings read, each kind by a function of its own.

It gives the value as the configuration has it, and reports what the user should know beside; or
it raises ValueError with the reason why the value cannot be used.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from kale_pm.model import Problem, Severity
from kale_pm.notebook import kubernetes_syntax
from kale_pm.notebook.kubernetes_syntax import LARGEST_INTEGER
from kale_pm.notebook.names import legal_pipeline_name
from kale_pm.notebook.spelling import nearest
from kale_pm.settings import PullPolicy

Report = Callable[[Problem], None]
Reader = Callable[[object, Report], Any]

_ACCESS_MODES = {
    "rwo": "ReadWriteOnce",
    "rom": "ReadOnlyMany",
    "rox": "ReadOnlyMany",
    "rwm": "ReadWriteMany",
    "rwx": "ReadWriteMany",
    "rwop": "ReadWriteOncePod",
}
_SECURITY_KEYS = {"enabled": bool, "run_as_user": int, "run_as_group": int, "run_as_non_root": bool}
_HOST = re.compile(r"[A-Za-z0-9]([A-Za-z0-9.-]*[A-Za-z0-9])?(:\d{1,5})?")
_SIZE = re.compile(r"\d{1,12}(\.\d{1,12})?([KMGTPE]i?|k|m)?", re.ASCII)


def plain_text(value: object, _: Report) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value!r} is no text")
    return value


def pipeline_name(value: object, report: Report) -> str:
    text = plain_text(value, report)
    legal = legal_pipeline_name(text)
    if legal != text:
        message = f"the pipeline's name '{text}' becomes '{legal}'"
        hint = "names are lower-case letters, digits and dashes"
        report(bad_configuration("warning", message, hint))
    return legal


def switch(value: object, _: Report) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{value!r} is neither true nor false")
    return value


def seconds(value: object, _: Report) -> int:
    if isinstance(value, str) and value.isdecimal():
        value = int(value)
    if not isinstance(value, int) or isinstance(value, bool):
        raise ValueError(f"{value!r} is no whole number of seconds")
    if not 1 <= value <= LARGEST_INTEGER:
        raise ValueError(f"{value} is no number of seconds from 1 to {LARGEST_INTEGER}")
    return value


def texts(
    what: str, read: Callable[[str], str] = str
) -> Callable[[object, Report], tuple[str, ...]]:
    """The reader of a list of texts, each of which ``read`` refuses or puts right."""

    def texts(value: object, _: Report) -> tuple[str, ...]:
        entries = [value] if isinstance(value, str) else value
        if not isinstance(entries, (list, tuple)) or not all(
            isinstance(entry, str) for entry in entries
        ):
            raise ValueError(f"{value!r} is no list of {what}")
        return tuple(dict.fromkeys(read(entry.strip()) for entry in entries))

    return texts


def kubernetes(check: Callable[[str], str]) -> Callable[[object, Report], str]:
    """The reader of a text that Kubernetes takes."""
    return lambda value, report: check(plain_text(value, report))


def host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError(f"'{value}' is no host: write its name, and its port if need be")
    return value


def pull_policy(value: object, report: Report) -> PullPolicy:
    return kubernetes_syntax.pull_policy(plain_text(value, report))


def warmth(value: object, report: Report) -> str:
    text = plain_text(value, report)
    if text not in ("cold", "warm"):
        raise ValueError(f"'{text}' is neither cold nor warm")
    return text


def experiment(value: object, report: Report) -> str:
    if isinstance(value, Mapping):
        value = value.get("name") or "Default"
    return plain_text(value, report)


def access_mode(value: object, report: Report) -> str:
    text = plain_text(value, report)
    known = {mode.lower(): mode for mode in _ACCESS_MODES.values()} | _ACCESS_MODES
    if text.lower() not in known:
        raise ValueError(f"'{text}' is none of {', '.join(dict.fromkeys(_ACCESS_MODES.values()))}")
    return known[text.lower()]


def size(value: object, report: Report) -> str:
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value}Gi"
    text = plain_text(value, report)
    if not _SIZE.fullmatch(text):
        raise ValueError(f"'{text}' is no size such as 5Gi")
    return text


def security_context(value: object, report: Report) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise ValueError(f"{value!r} is no table")
    result: dict[str, Any] = {}
    for key, entry in value.items():
        wanted = _SECURITY_KEYS.get(key)
        if wanted is None:
            report(unknown_key(str(key), list(_SECURITY_KEYS), "security_context"))
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


def unknown_key(key: str, known: list[str], place: str) -> Problem:
    near = nearest(key, known)
    hint = f"did you mean '{near}'?" if near else f"known keys: {', '.join(known)}"
    return bad_configuration("warning", f"{place}: '{key}' is no key that kale-pm knows", hint)


def bad_configuration(severity: Severity, message: str, hint: str) -> Problem:
    return Problem("bad-configuration", severity, message, hint)
