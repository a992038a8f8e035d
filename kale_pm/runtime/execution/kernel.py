"""Kernels: which one runs a slice, and in what environment."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_client.kernelspec import KernelSpec


@dataclass(frozen=True)
class KernelCommand:
    """How a kernel is started, and what its kernelspec adds to the environment."""

    argv: tuple[str, ...]
    env: Mapping[str, str]
    language: str


def kernel_command(notebook: Mapping[str, str], wanted: str | None = None) -> KernelCommand | None:
    """What the kernelspec of :func:`choose_spec` says; None if this machine has none that fits.

    It is read here, because jupyter_client takes longer to import than a run in which nothing
    has changed takes as a whole.
    """
    from jupyter_core.paths import jupyter_path

    name = wanted or notebook.get("name") or "python3"
    for folder in jupyter_path("kernels"):
        try:
            text = Path(folder, name.lower(), "kernel.json").read_text(encoding="utf-8")
            content = json.loads(text)
            argv, env = tuple(content["argv"]), dict(content.get("env") or {})
            return KernelCommand(argv, env, content.get("language", ""))
        except (OSError, ValueError, KeyError, TypeError):
            continue
    spec, _ = choose_spec(notebook, wanted)
    return KernelCommand(tuple(spec.argv), spec.env, spec.language) if spec else None


def interpreter_spec() -> KernelSpec:
    """The kernelspec of the running interpreter, whatever is registered on this machine."""
    from jupyter_client.kernelspec import KernelSpec

    return KernelSpec(
        argv=[sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"],
        display_name=f"Python {sys.version_info.major}.{sys.version_info.minor}",
        language="python",
    )


def find_spec(name: str) -> KernelSpec | None:
    """The kernelspec registered under ``name``; None if this machine has none."""
    from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel

    try:
        return KernelSpecManager().get_kernel_spec(name)
    except NoSuchKernel:
        return None


def kernel_names() -> list[str]:
    """The names of all kernels of this machine."""
    from jupyter_client.kernelspec import KernelSpecManager

    return sorted(KernelSpecManager().find_kernel_specs())


def choose_spec(
    notebook: Mapping[str, str], wanted: str | None = None
) -> tuple[KernelSpec | None, str]:
    """The kernelspec for a notebook, and a warning (or an empty text).

    ``notebook`` is the notebook's own kernelspec metadata, ``wanted`` the user's choice.
    A Python kernel that this machine lacks is replaced by the running interpreter; for
    another language, or for a ``wanted`` kernel that is not there, the spec is None.
    """
    name = wanted or notebook.get("name") or "python3"
    spec = find_spec(name)
    if spec is not None:
        return spec, ""
    if wanted is None and notebook.get("language", "python").lower() == "python":
        return interpreter_spec(), f"no kernel '{name}' here: {sys.executable} takes its place"
    return None, f"no kernel '{name}' on this machine"


def kernel_environment(extra: Mapping[str, str]) -> dict[str, str]:
    """The environment of a kernel: this process's, and ``extra``."""
    return {
        # A set of strings must have the same order in every step, as in one kernel.
        "PYTHONHASHSEED": "0",
        **os.environ,
        # debugpy warns on stderr of frozen modules at every start of a kernel.
        "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        **extra,
    }
