"""What the interpreter of the kernels is and has: a part of every cache key.

Where that is another interpreter than kale-pm's own, the text of this file is handed to it,
so that both are described in the same way.  Hence it imports the standard library only.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

_PATIENCE = 30  # seconds that another interpreter has to answer


@dataclass(frozen=True)
class Environment:
    """An interpreter: its version, and what it knows of the modules that were asked for.

    ``packages`` maps each module to the version of the distribution that brings it, empty
    where none does; ``missing`` are the modules that it cannot find.
    """

    python: str
    packages: Mapping[str, str]
    missing: tuple[str, ...]


UNKNOWN = Environment("unknown", {}, ())


def environment_of(
    command: Sequence[str], variables: Mapping[str, str], modules: Iterable[str], folder: Path
) -> Environment:
    """What a kernel that ``command`` starts in ``folder`` has of ``modules``.

    ``command`` is the argv of a Python kernelspec, ``variables`` what the kernelspec adds to
    the environment.  UNKNOWN if the interpreter does not answer.
    """
    modules = sorted(set(modules))
    words = interpreter(command)
    if not variables and len(words) == 1 and is_our_own(words[0]):
        return describe(modules)
    try:
        answer = subprocess.run(
            [*words, "-c", Path(__file__).read_text(encoding="utf-8"), *modules],
            cwd=folder,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE,
            check=True,
            start_new_session=True,  # Ctrl-C is for the run to handle
        )
        content = json.loads(answer.stdout.splitlines()[-1])
        return Environment(content["python"], content["packages"], tuple(content["missing"]))
    except (OSError, subprocess.SubprocessError, ValueError, IndexError, KeyError, TypeError):
        return UNKNOWN


def interpreter(command: Sequence[str]) -> list[str]:
    """How to call the interpreter: all up to the module that is the kernel."""
    words = list(command)
    return words[: words.index("-m")] if "-m" in words else words[:1]


def is_our_own(program: str) -> bool:
    # jupyter_client starts these with the interpreter that it runs in itself.
    major, minor = sys.version_info[:2]
    if program in ("python", f"python{major}", f"python{major}.{minor}"):
        return True
    found = shutil.which(program)
    if found is None:
        return False
    # Virtual environments link to one and the same program: where the link lies counts.
    same_folder = Path(found).parent.resolve() == Path(sys.executable).parent.resolve()
    return same_folder and Path(found).samefile(sys.executable)


def describe(modules: Iterable[str]) -> Environment:
    """The running interpreter."""
    modules = list(modules)
    packages = {name: _version(name) for name in modules}
    others = [name for name, version in packages.items() if not version]
    if others:
        # sklearn comes with scikit-learn: the whole list is read only for such names.
        bringing = importlib.metadata.packages_distributions()
        for name in others:
            found = sorted(set(bringing.get(name, ())))
            packages[name] = " ".join(f"{each} {_version(each)}" for each in found)
    missing = tuple(name for name in modules if _is_missing(name))
    return Environment(sys.version.split()[0], packages, missing)


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _is_missing(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is None
    except (ImportError, ValueError):
        return False  # it runs already and has no spec, as __main__: it is there


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asdict(describe(sys.argv[1:]))) + "\n")
