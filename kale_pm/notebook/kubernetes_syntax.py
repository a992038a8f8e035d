"""What Kubernetes takes as a name, a key, a value, an amount, an image and a place.

Each function gives its text back, or raises ValueError with the reason why Kubernetes would
refuse it, or why no step could run with it.
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath
from typing import get_args

from kale_pm.settings import PullPolicy

LARGEST_INTEGER = 2**31 - 1  # of Kubernetes' seconds and user ids

# The runtime's own variables in the environment of a step.
OWN_VARIABLES = "KALE_PM_"

_PART = r"[a-z0-9](?:[-a-z0-9]*[a-z0-9])?"
_OBJECT_NAME = re.compile(rf"{_PART}(?:\.{_PART})*")
_LONGEST_OBJECT_NAME = 253  # characters
_KEY = re.compile(r"[A-Za-z0-9](?:[\w.-]{0,61}[A-Za-z0-9])?", re.ASCII)
_LABEL_VALUE = re.compile(r"([A-Za-z0-9]([\w.-]{0,61}[A-Za-z0-9])?)?", re.ASCII)
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
# Kubernetes counts to 2**63; the digits of a larger exponent would keep us busy for hours.
_QUANTITY = re.compile(
    r"\d{1,30}(\.\d{1,30})?([eE][+-]?\d{1,2}|m|k|[KMGTPE]i?)?|\.\d{1,30}", re.ASCII
)
_MEMORY_SIZE = re.compile(r"[1-9]\d{0,11}([kMGTPE]|[KMGTPE]i)?", re.ASCII)
_SECRET_KEY = re.compile(r"[A-Za-z0-9._-]{1,253}")
_HOST = r"(?:[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?|\[[0-9a-fA-F:]+\])(?::\d+)?"
_FOLDER = r"[a-z0-9]+(?:(?:\.|_{1,2}|-+)[a-z0-9]+)*"
_IMAGE = re.compile(
    rf"(?:{_HOST}/)?{_FOLDER}(?:/{_FOLDER})*"
    r"(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?"
    r"(?:@[A-Za-z][\w+.-]*:[0-9a-fA-F]{32,})?"
)

# A volume there hides what every image has.
_SYSTEM = frozenset(
    ["/", "/bin", "/etc", "/lib", "/lib64", "/sbin", "/tmp", "/usr"]
    + [f"/usr/{inner}" for inner in ("bin", "lib", "local", "local/bin", "local/lib")]
)
# Kubernetes, Argo and KFP keep these places of a pod, and what lies below them, for themselves.
_TAKEN = (
    *("/dev", "/proc", "/sys", "/var/run/argo", "/var/run/secrets/kubernetes.io"),
    *("/gcs", "/s3", "/minio", "/.local", "/.cache", "/.config", "/tmp/kfp"),
    *("/kfp-launcher", "/kfp-workspace"),
)


def object_name(text: str) -> str:
    """The name of an object: of a claim, a storage class, a secret, a service account."""
    if len(text) > _LONGEST_OBJECT_NAME or not _OBJECT_NAME.fullmatch(text):
        raise ValueError(
            f"'{text}' is no name of a Kubernetes object: lower-case letters, digits, and - or . "
            "between them"
        )
    return text


def key(text: str) -> str:
    """The key of a label, an annotation, a taint or a resource, such as ``nvidia.com/gpu``."""
    prefix, slash, name = text.rpartition("/")
    if slash and (len(prefix) > _LONGEST_OBJECT_NAME or not _OBJECT_NAME.fullmatch(prefix)):
        raise ValueError(f"'{prefix}' before the / of '{text}' is no name of a domain")
    if not _KEY.fullmatch(name):
        raise ValueError(
            f"'{text}' is no key: at most 63 letters and digits, and - _ . between them, after a "
            "domain and / or alone"
        )
    return text


def label_value(text: str) -> str:
    """The value of a label or a taint, which may be empty."""
    if not _LABEL_VALUE.fullmatch(text):
        raise ValueError(
            f"'{text}' is no value of a label: at most 63 letters and digits, and - _ . between"
        )
    return text


def variable_name(text: str) -> str:
    """The name of an environment variable that is not the runtime's own."""
    if not _VARIABLE.fullmatch(text):
        raise ValueError(f"'{text}' is no legal name of an environment variable")
    if text.startswith(OWN_VARIABLES):
        raise ValueError(f"'{text}': variables that begin with {OWN_VARIABLES} are kale-pm's own")
    return text


def variable_value(text: str) -> str:
    """What an environment variable can hold: everything but one character."""
    if "\0" in text:
        raise ValueError("the environment cannot hold the character NUL")
    return text


def secret_key(text: str) -> str:
    """A key of a Kubernetes secret, which is the name of a file as well."""
    if not _SECRET_KEY.fullmatch(text) or text.startswith("..") or text == ".":
        raise ValueError(f"'{text}' is no key of a secret: letters, digits, - _ and .")
    return text


def quantity(text: str) -> str:
    """An amount of a resource, such as ``500m`` of ``cpu`` or ``4Gi`` of ``memory``."""
    if not _QUANTITY.fullmatch(text):
        raise ValueError(f"'{text}' is not a Kubernetes quantity such as 2, 500m, 1.5 or 4Gi")
    return text


def memory_size(text: str) -> str:
    """A size of memory in whole numbers of a unit of bytes, such as ``512Mi``."""
    if not _MEMORY_SIZE.fullmatch(text):
        raise ValueError(f"'{text}' is no size such as 512Mi or 2Gi")
    return text


def image(text: str) -> str:
    """The reference of a container image: ``HOST:PORT/FOLDER/NAME:TAG@DIGEST``, mostly less."""
    if not _IMAGE.fullmatch(text):
        raise ValueError(
            f"{text!r} is no reference of an image, such as python:3.12-slim or "
            "registry.example.org:5000/team/image:1"
        )
    return text


def pull_policy(text: str) -> PullPolicy:
    """When to fetch an image; any case of letters will do."""
    for policy in get_args(PullPolicy):
        if text.lower() == policy.lower():
            return policy  # type: ignore[no-any-return]
    raise ValueError(f"'{text}' is none of {', '.join(get_args(PullPolicy))}")


def mount_path(text: str) -> str:
    """The absolute path of a folder of the pod where a volume can be mounted, in its short form."""
    if not text.startswith("/"):
        raise ValueError(f"the path '{text}' does not begin with /")
    if ":" in text or "{{" in text or ".." in text.split("/") or not text.isprintable():
        raise ValueError(f"{text!r} is no path at which Kubernetes mounts anything")
    path = PurePosixPath(f"/{text.strip('/')}")
    if str(path) in _SYSTEM:
        raise ValueError(f"the pod itself needs {path}: mount it at a folder of its own")
    for taken in _TAKEN:
        if path.is_relative_to(taken):
            raise ValueError(f"{taken} of a pod belongs to Kubernetes and KFP: mount it elsewhere")
    return str(path)
