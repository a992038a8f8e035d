"""A kernel that was ready before its step is handed over to it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from kale_pm.runtime import opened_files


def take_over(env: Mapping[str, str], log: str, before: str) -> None:
    """What a kernel would have had from its beginning, had it been started for this step.

    ``env`` are more environment variables, ``log`` is the file for what the process itself
    prints, and ``before`` the one that it had until now, which is moved there.
    """
    os.environ.update(env)
    if log:
        _redirect(Path(before), Path(log))
    opened_files.watch_as_asked()


def _redirect(before: Path, log: Path) -> None:
    former = before.stat()
    new = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o666)
    # ipykernel holds the file by more descriptors than the standard ones.
    for entry in list(Path("/proc/self/fd").iterdir()):
        number = int(entry.name)
        with suppress(OSError):
            if os.path.samestat(os.fstat(number), former):
                os.dup2(new, number, inheritable=number < 3)
    os.write(new, before.read_bytes())
    os.close(new)
    before.unlink()
