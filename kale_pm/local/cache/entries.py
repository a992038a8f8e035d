"""What a step gave when it was executed, kept as ``cache/<key>.json`` for the runs to come.

An entry is used only if it is whole: it carries a seal over its own content, and of every
pack a stamp (size and time) taken when it was written, so that a file which somebody touched
since is read through before anything is taken from it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kale_pm import strict_json
from kale_pm.errors import PackError
from kale_pm.local.cache.watched import FileState, Stamp, stamps
from kale_pm.local.files import cannot_write, write_text
from kale_pm.local.run_file import numbers
from kale_pm.local.store import Store
from kale_pm.runtime.manifest import Seal, Variable, Version, version
from kale_pm.runtime.storage.pack.reader import Pack


@dataclass(frozen=True)
class CachedStep:
    """The result of one execution.

    ``run`` executed the step, ``notebook`` is the name of the kept notebook, ``files`` maps
    what the step read and wrote to its state, ``packs`` the names of its packs to their stamp.
    ``stores`` names the variables that it was asked to store, ``gave`` those that it would
    have stored, had it changed them.
    ``versions`` and ``context`` hold only what the step itself changed.  ``artifacts`` are the
    names of the kept files, by those that the step gave them.
    """

    run: str
    notebook: str
    stores: tuple[str, ...]
    gave: tuple[str, ...]
    metrics: Mapping[str, Any]
    files: Mapping[str, FileState]
    packs: Mapping[str, Stamp | None]
    variables: Mapping[str, Variable]
    versions: Mapping[str, Version]
    context: Mapping[str, str]
    artifacts: Mapping[str, str] = field(default_factory=dict)


def remember(store: Store, key: str, entry: CachedStep) -> None:
    """Store ``entry`` under ``key``.  Raises StoreError where it cannot be written."""
    content = vars(entry)
    text = strict_json.dumps({"seal": _seal(content), **content})
    write_text(store.cache / f"{key}.json", text)


def forget(store: Store, key: str) -> None:
    """Let the step with this key have given nothing.  Raises StoreError."""
    path = store.cache / f"{key}.json"
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from error


def recall(store: Store, key: str) -> CachedStep | None:
    """What the step with this key gave; None if it never ran, or if the entry is damaged."""
    try:
        content = json.loads((store.cache / f"{key}.json").read_text(encoding="utf-8"))
        if content.pop("seal") != _seal(content):
            return None
        content["variables"] = {k: Variable(**v) for k, v in content["variables"].items()}
        content["versions"] = {k: version(v) for k, v in content["versions"].items()}
        content["packs"] = {name: (size, time) for name, (size, time) in content["packs"].items()}
        content["files"] = {name: _file_state(**v) for name, v in content["files"].items()}
        content["metrics"] = numbers(content["metrics"])
        for name in ("stores", "gave"):
            content[name] = tuple(content[name])
        return CachedStep(**content)
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _file_state(digest: str, look: list[int] | None) -> FileState:
    return FileState(digest, None if look is None else tuple(look))


def pack_stamps(packs: Path, variables: Iterable[Variable]) -> dict[str, Stamp | None]:
    """The stamps of the packs of ``variables``, which lie in the folder ``packs``."""
    names = {Path(variable.pack).name for variable in variables if variable.pack}
    return stamps(packs, sorted(names))


def seals(packs: Path, names: Iterable[str]) -> dict[str, Seal]:
    """The seals of packs that :func:`are_whole` has found to be right."""
    return {name: stamp for name, stamp in stamps(packs, names).items() if stamp is not None}


def are_whole(
    packs: Path,
    expected: Mapping[str, Stamp | None],
    *,
    verify: bool = False,
    discard: bool = True,
) -> bool:
    """Whether all these packs are there with the content they had.

    One whose stamp has changed is read through, with ``verify`` every one.  ``discard`` deletes
    a damaged one, since packs are named by their content and a new one of the same name would
    not take its place.
    """
    for name, stamp in stamps(packs, expected).items():
        path = packs / name
        if stamp is None:
            return False
        try:
            if verify or stamp != expected[name]:
                Pack(path).verify()
        except OSError:
            return False
        except PackError:
            if discard:
                with suppress(OSError):
                    path.unlink(missing_ok=True)
            return False
    return True


def _seal(content: Mapping[str, Any]) -> str:
    # Through JSON, because that is what a reader sees: tuples are lists there.
    text = strict_json.dumps(content, sort_keys=True)
    return hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
