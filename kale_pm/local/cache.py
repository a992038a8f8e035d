"""What a step gave when it was executed, kept as ``cache/<key>.json`` for the runs to come.

An entry is used only if it is whole: it carries a seal over its own content, and it says of
every pack how it looked when it was written, so that a file which somebody touched since is
read through before anything is taken from it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kale_pm.errors import PackError
from kale_pm.local.store import Store, write_text
from kale_pm.runtime.manifest import Variable
from kale_pm.runtime.storage.pack import Pack

Look = tuple[int, int]  # size in bytes, time of the last change in nanoseconds


@dataclass(frozen=True)
class CachedStep:
    """The result of one execution.

    ``run`` executed the step, ``notebook`` is the name of the kept notebook, ``files`` maps
    what the step read and wrote to its state, ``packs`` the names of its packs to their look.
    ``stores`` names the variables that it was asked to store, ``gave`` those that it would
    have stored, had it changed them.
    ``versions`` and ``context`` hold only what the step itself changed.
    """

    run: str
    step: str
    seconds: float
    notebook: str
    stores: tuple[str, ...]
    gave: tuple[str, ...]
    metrics: Mapping[str, Any]
    files: Mapping[str, str]
    packs: Mapping[str, Look]
    variables: Mapping[str, Variable]
    versions: Mapping[str, str | None]
    context: Mapping[str, str]


def remember(store: Store, key: str, entry: CachedStep) -> None:
    """Store ``entry`` under ``key``.  Raises StoreError where it cannot be written."""
    content = asdict(entry)
    text = json.dumps({"seal": _seal(content), **content}, indent=1)
    write_text(store.cache / f"{key}.json", text)


def recall(store: Store, key: str) -> CachedStep | None:
    """What the step with this key gave; None if it never ran, or if the entry is damaged."""
    try:
        content = json.loads((store.cache / f"{key}.json").read_text(encoding="utf-8"))
        if content.pop("seal") != _seal(content):
            return None
        content["variables"] = {k: Variable(**v) for k, v in content["variables"].items()}
        content["packs"] = {name: (look[0], look[1]) for name, look in content["packs"].items()}
        for name in ("stores", "gave"):
            content[name] = tuple(content[name])
        return CachedStep(**content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def looks(packs: Path, variables: Iterable[Variable]) -> dict[str, Look]:
    """How the packs of ``variables`` in the folder ``packs`` look now."""
    names = {Path(variable.pack).name for variable in variables if variable.pack}
    return {name: _look(packs / name) for name in sorted(names)}


def are_whole(packs: Path, expected: Mapping[str, Look]) -> bool:
    """Whether all these packs are there with the content they had.

    One whose look has changed is read through.  A damaged one is deleted, since packs are
    named by their content and a new one of the same name would not take its place.
    """
    for name, look in expected.items():
        path = packs / name
        try:
            if _look(path) != look:
                Pack(path).verify()
        except OSError:
            return False
        except PackError:
            with suppress(OSError):
                path.unlink(missing_ok=True)
            return False
    return True


def _look(path: Path) -> Look:
    status = path.stat()
    return status.st_size, status.st_mtime_ns


def _seal(content: Mapping[str, Any]) -> str:
    # Through JSON, because that is what a reader sees: tuples are lists there.
    text = json.dumps(content, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
