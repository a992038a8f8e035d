"""Where the volumes and the secrets of a step are mounted in its pod, and what cannot be.

A folder of one volume may well be where another is mounted: Kubeflow's notebook servers do so.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import permutations
from pathlib import PurePosixPath

from kale_pm.errors import CompileError
from kale_pm.model import Step
from kale_pm.settings import Volume


@dataclass(frozen=True)
class Mount:
    """Something that is mounted: ``what`` it is for people, and whether it is read only."""

    what: str
    path: PurePosixPath
    is_read_only: bool = False


def refuse_clashes(step: Step, volumes: Sequence[Volume]) -> None:
    """Raise CompileError, naming both, for two things that one pod cannot mount."""
    for inner, outer in permutations(_mounts(step, volumes), 2):
        if inner.path == outer.path:
            raise CompileError(
                f"{_place(step, inner, outer)}{inner.what} and {outer.what} are both mounted at "
                f"{outer.path}",
                hint="give each a folder of its own",
            )
        if outer.is_read_only and inner.path.is_relative_to(outer.path):
            raise CompileError(
                f"{_place(step, inner, outer)}{inner.what} cannot be mounted at {inner.path}: "
                f"{outer.path} is where {outer.what} is, and its files are read only",
                hint=f"mount it outside of {outer.path}",
            )


def _place(step: Step, *mounts: Mount) -> str:
    """The step, where one of its own secrets is meant."""
    return f"step {step.name}: " if any(mount.is_read_only for mount in mounts) else ""


def _mounts(step: Step, volumes: Sequence[Volume]) -> Iterator[Mount]:
    for volume in volumes:
        yield Mount(f"volume '{volume.name}'", _path(volume.mount_point))
    for secret in step.options.secret_files:
        yield Mount(f"secret '{secret.name}'", _path(secret.path), is_read_only=True)


def _path(text: str) -> PurePosixPath:
    # Two slashes at the beginning are another root to pathlib, and not to Kubernetes.
    return PurePosixPath("/", text.lstrip("/"))
