"""Which modules of this process the kernel of a step finds as well."""

from __future__ import annotations

import subprocess
import sys
from functools import cache
from pathlib import Path

from kale_pm.sdk.source.modules import ModuleSource
from kale_pm.user_frames import is_installed


def is_in_reach(name: str, home: ModuleSource) -> bool:
    """Whether a step of ``home`` can import the module ``name`` that this process has.

    It cannot where this process alone knows the folder, as pytest knows that of a test.
    """
    top = sys.modules.get(name.partition(".")[0])
    file = getattr(top, "__file__", None) or next(iter(getattr(top, "__path__", ())), "")
    if not file or is_installed(file):
        return True
    is_package = hasattr(top, "__path__") and Path(file).is_file()
    folder = Path(file).resolve().parents[1 if is_package else 0]
    here = {Path(entry).resolve() for entry in sys.path}
    # What is in none of these folders a finder has found, which an installed package brings.
    return folder not in here or folder == _folder_of(home) or folder in _everywhere()


def _folder_of(module: ModuleSource) -> Path:
    """Where its steps work: the script's folder, or the one above its package."""
    file = Path(module.file)
    if not file.is_file():
        return Path.cwd()
    return file.resolve().parents[module.package.count(".") + 1 if module.package else 0]


@cache
def _everywhere() -> frozenset[Path]:
    """The folders in which every Python of this environment looks."""
    code = "import sys; print('\\0'.join(filter(None, sys.path)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    return frozenset(Path(entry).resolve() for entry in done.stdout.rstrip("\n").split("\0"))
