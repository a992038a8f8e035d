"""Kernels of another interpreter than kale-pm's own.

They need kale-pm's runtime, and shall have nothing else of what is installed here: a folder
that would bring both is never put on their path.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import kale_pm
from kale_pm.errors import KalePmError
from kale_pm.local.kernels.environment import UNKNOWN, environment_of, interpreter, is_our_own

if TYPE_CHECKING:
    from jupyter_client.kernelspec import KernelSpec

_PARTS = (
    *("__init__.py", "errors.py", "events.py", "record.py", "strict_json.py", "user_frames.py"),
    "runtime",
)
_NEEDED = ("cloudpickle", "dill", "xxhash")  # what the runtime imports, by the names of packages
_OLDEST = (3, 11)


def is_foreign(spec: KernelSpec) -> bool:
    """Whether the kernel is one of Python that lacks kale-pm's own packages."""
    words = interpreter(spec.argv)
    is_own = len(words) == 1 and is_our_own(words[0])
    return bool(spec.language.lower() == "python" and not is_own)


def with_runtime(spec: KernelSpec, place: Path, folder: Path) -> KernelSpec:
    """The kernelspec of a foreign kernel, which then finds ``kale_pm.runtime``.

    The runtime is copied to ``place``; ``folder`` is the one in which the kernel starts.
    Raises KalePmError if the interpreter is too old, or lacks packages that the runtime needs.
    """
    from jupyter_client.kernelspec import KernelSpec

    found = environment_of(spec.argv, spec.env, _NEEDED, folder)
    program = " ".join(interpreter(spec.argv))
    name = f"the kernel '{spec.display_name}' ({program})"
    if found is not UNKNOWN:
        if tuple(map(int, found.python.split(".")[:2])) < _OLDEST:
            oldest = ".".join(map(str, _OLDEST))
            raise KalePmError(
                f"{name} is Python {found.python}, and steps need {oldest} or newer",
                hint="choose another kernel: --kernel NAME",
            )
        if found.missing:
            lacking = " ".join(found.missing)
            raise KalePmError(
                f"{name} lacks {', '.join(found.missing)}, which carry variables between steps",
                hint=f"{program} -m pip install {lacking}",
            )
    path = [str(_copied(place)), *filter(None, [_before(spec.env)])]
    variables = {**spec.env, "PYTHONPATH": os.pathsep.join(path)}
    return KernelSpec(**{**spec.to_dict(), "env": variables})


def _before(variables: Mapping[str, str]) -> str:
    """What the user has put on the path of every interpreter, or of this one."""
    return variables.get("PYTHONPATH", os.environ.get("PYTHONPATH", ""))


def _copied(place: Path) -> Path:
    """The folder below ``place`` that holds this version's runtime, and nothing else."""
    package = Path(kale_pm.__file__).parent
    files = sorted(
        file
        for part in _PARTS
        for file in ([package / part] if part.endswith(".py") else (package / part).rglob("*.py"))
    )
    content = hashlib.blake2b(digest_size=8)
    for file in files:
        content.update(f"{file.relative_to(package)}\0".encode() + file.read_bytes())
    target = place / content.hexdigest()
    if not target.is_dir():
        temporary = place / f".{secrets.token_hex(4)}.partial"
        for file in files:
            copy = temporary / "kale_pm" / file.relative_to(package)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
        try:
            temporary.rename(target)
        except OSError:  # another run was quicker
            shutil.rmtree(temporary, ignore_errors=True)
    return target
