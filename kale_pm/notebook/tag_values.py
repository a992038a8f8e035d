"""How the values of tags read, each kind by a function of its own.

It gives the key of the setting, where it has one, and the value; or it raises ValueError with the
reason why the text does not read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from keyword import iskeyword
from pathlib import PurePosixPath
from typing import Any, get_args

from kale_pm.notebook import kubernetes_syntax
from kale_pm.notebook.names import legal_step_name
from kale_pm.notebook.requirements import canonical_name, requirement
from kale_pm.notebook.spelling import slip_of
from kale_pm.settings import Artifact, PullPolicy, Secret, SecretFiles, TaintEffect, Toleration

Reader = Callable[[str], tuple[str | None, Any]]

_STEP_NAME = re.compile(r"[_a-z][_a-z0-9]*")
_ARTIFACT_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
# What the functions of a compiled pipeline call other things by, and how these names begin.
_NO_ARTIFACTS = frozenset(
    {
        *("notebook", "html", "metrics", "state", "context", "summary", "runtime", "volume"),
        *("trial", "step", "bundle", "dsl", "open", "locals", "run_step", "use_kale_pm"),
        "runtime_archive",
    }
)
_NO_ARTIFACTS_BEGIN = ("p_", "state_", "context_", "input_", "bundle_")


class IllegalNameError(ValueError):
    """A step has no such name; ``meant`` is the legal one that it is taken for all the same."""

    def __init__(self, name: str, meant: str) -> None:
        super().__init__(f"'{name}' is no legal name")
        self.meant = meant


def text(value: str) -> tuple[None, str]:
    return None, value


def step_name(value: str) -> tuple[None, str]:
    if not value:
        raise ValueError("the name is missing")
    if not _STEP_NAME.fullmatch(value):
        raise IllegalNameError(value, legal_step_name(value))
    return None, value


def switch(value: str) -> tuple[None, bool]:
    if value not in ("enabled", "disabled"):
        raise ValueError(f"'{value}' is neither enabled nor disabled")
    return None, value == "enabled"


def number_from(smallest: int) -> Callable[[str], tuple[None, int]]:
    """The reader of whole numbers that are not below ``smallest``."""

    def read(value: str) -> tuple[None, int]:
        if not re.fullmatch(r"[0-9]{1,9}", value) or int(value) < smallest:
            raise ValueError(f"'{value}' is not a whole number from {smallest} to 999999999")
        return None, int(value)

    return read


def factor(value: str) -> tuple[None, float]:
    if not re.fullmatch(r"[0-9]{1,4}(\.[0-9]{1,4})?", value) or float(value) < 1:
        raise ValueError(f"'{value}' is not a number of at least 1")
    return None, float(value)


def package(value: str) -> tuple[str, str]:
    spelt = requirement(value)
    return canonical_name(spelt), spelt


def artifact(value: str) -> tuple[str, Artifact]:
    name, _, path = value.partition(":")
    if not _ARTIFACT_NAME.fullmatch(name):
        raise ValueError(
            f"'{name}' is no name of an artifact: these are lower-case letters, digits and _, and "
            "begin with a letter"
        )
    if name in _NO_ARTIFACTS or name.startswith(_NO_ARTIFACTS_BEGIN) or iskeyword(name):
        raise ValueError(f"'{name}' has a meaning of its own: choose another name")
    parts = PurePosixPath(path).parts
    if not parts or path.endswith("/") or not path.isprintable():
        raise ValueError("the path of a file is needed")
    if ".." in parts or parts[0] in ("/", "//", "~"):
        raise ValueError(
            f"{path} leaves the notebook's folder: write the file there, and name it relative to it"
        )
    return name, Artifact(name, "/".join(parts))


# -- what Kubernetes is given ---------------------------------------------------------------


def image(value: str) -> tuple[None, str]:
    return None, kubernetes_syntax.image(value)


def pull_policy(value: str) -> tuple[None, PullPolicy]:
    return None, kubernetes_syntax.pull_policy(value)


def shared_memory(value: str) -> tuple[None, str]:
    return None, kubernetes_syntax.memory_size(value)


def _pair(
    key: Callable[[str], str], value: Callable[[str], str] = str
) -> Callable[[str], tuple[str, str]]:
    def read(pair: str) -> tuple[str, str]:
        name, colon, rest = pair.partition(":")
        if not colon:
            raise ValueError("two parts are needed, with a colon between them")
        return key(name), value(rest)

    return read


resource = _pair(kubernetes_syntax.key, kubernetes_syntax.quantity)
label = _pair(kubernetes_syntax.key, kubernetes_syntax.label_value)
annotation = _pair(kubernetes_syntax.key)
variable = _pair(kubernetes_syntax.variable_name, kubernetes_syntax.variable_value)


def secret(value: str) -> tuple[str, Secret]:
    parts = value.split(":")
    if len(parts) != 3:
        raise ValueError("a secret has three parts: its name, its key, the variable")
    name = kubernetes_syntax.object_name(parts[0])
    key = kubernetes_syntax.secret_key(parts[1])
    environment_variable = kubernetes_syntax.variable_name(parts[2])
    return environment_variable, Secret(name, key, environment_variable)


def secret_files(value: str) -> tuple[str, SecretFiles]:
    name, _, path = value.partition(":")
    if not path or path.endswith("/"):
        raise ValueError("the name of a secret and the absolute path of a folder are needed")
    name = kubernetes_syntax.object_name(name)
    path = kubernetes_syntax.mount_path(path)
    return path, SecretFiles(name, path)


def toleration(value: str) -> tuple[str, Toleration]:
    key, *rest = value.split(":")
    effects: tuple[TaintEffect, ...] = get_args(TaintEffect)
    effect = next((effect for effect in effects if rest and effect == rest[-1]), None)
    values = rest[:-1] if effect else rest
    if len(values) > 1:
        raise ValueError(f"the parts are a key, a value and one of {', '.join(effects)}")
    kubernetes_syntax.key(key)
    if values and not kubernetes_syntax.label_value(values[0]):
        raise ValueError("the value of the taint is missing")
    if values and effect is None and slip_of(values[0], [each.lower() for each in effects]):
        raise ValueError(f"'{values[0]}' is none of {', '.join(effects)}")
    return value, Toleration(key, values[0] if values else None, effect)
