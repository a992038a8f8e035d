"""What the key of a step was made of, and in which words two of them differ.

Parts are kept as short hashes: enough to say what is another, too little to restore anything.
What is short and harmless stands as it is, so that one can say from what to what it changed.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kale_pm import strict_json
from kale_pm.errors import StoreError
from kale_pm.local.files import write_text
from kale_pm.local.store import Store

Parts = Mapping[str, Mapping[str, str]]  # group -> name -> a short text

FROM_ABOVE = frozenset({"inputs", "after", "context"})
"""The groups that are not the step's own: what arrives along its edges."""

_READABLE = 40  # characters
_TOLD = 3  # differences; more would hide the first
_REMEMBERED = 50  # fingerprints of one step


def short(text: str) -> str:
    """16 hexadecimal digits that stand for the text."""
    return hashlib.blake2b(text.encode(), digest_size=8).hexdigest()


def readable(text: str) -> str:
    """The text itself, or what stands for it if it is long."""
    return text if len(text) <= _READABLE else f"#{short(text)}"


@dataclass(frozen=True)
class Past:
    """What is known of a step from earlier runs.

    ``key`` and ``parts`` belong to its newest result; ``own`` are the hashes of all parts, but
    for what arrives from above, with which it had a result.
    """

    key: str
    parts: Parts
    own: tuple[str, ...]


def own_hash(parts: Parts) -> str:
    """The hash of the parts that do not arrive from above."""
    return short(json.dumps({g: p for g, p in parts.items() if g not in FROM_ABOVE}))


def read_past(store: Store, pipeline: str, step: str) -> Past | None:
    """What is known of a step; None if it never had a result."""
    try:
        content = json.loads(_path(store, pipeline, step).read_text(encoding="utf-8"))
        parts = {g: {n: str(v) for n, v in p.items()} for g, p in content["parts"].items()}
        return Past(content["key"], parts, tuple(map(str, content["own"])))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def write_past(store: Store, pipeline: str, step: str, key: str, parts: Parts) -> None:
    """Remember the newest result of a step; where that cannot be written, nothing happens."""
    before = read_past(store, pipeline, step)
    if before is not None and (before.key, before.parts) == (key, parts):
        return
    own = own_hash(parts)
    earlier = [each for each in before.own if each != own] if before else []
    past = Past(key, parts, (*earlier[1 - _REMEMBERED :], own))
    with suppress(StoreError):  # it only helps to explain
        write_text(_path(store, pipeline, step), strict_json.dumps(past))


def _path(store: Store, pipeline: str, step: str) -> Path:
    return store.folder / "steps" / pipeline / f"{step}.json"


def difference(before: Parts, now: Parts, groups: Collection[str] = ()) -> str:
    """What changed, in words; an empty text if nothing did.

    ``groups`` are left out.
    """
    found = list(_differences(before, now, groups))
    if len(found) > _TOLD:
        found[_TOLD:] = [f"and {len(found) - _TOLD} more"]
    return ", ".join(found)


def _differences(before: Parts, now: Parts, left_out: Collection[str]) -> Iterator[str]:
    for group, say in _WORDS.items():
        old, new = before.get(group, {}), now.get(group, {})
        if group not in left_out and old != new:
            yield from say(old, new)


_Part = Mapping[str, str]
_Say = Callable[[_Part, _Part], Iterator[str]]


def _cells(old: _Part, new: _Part) -> Iterator[str]:
    """Cells are known by what they hold: their numbers move when others come and go."""
    changed = [name for name, digest in new.items() if digest not in old.values()]
    if changed:
        yield f"{_numbered(changed)} changed"
    elif len(new) < len(old):
        yield "a cell was removed"
    elif [*new.values()] != [*old.values()]:
        yield "its cells are in another order"


def _prelude(old: _Part, new: _Part) -> Iterator[str]:
    changed = [name for name, digest in new.items() if digest not in old.values()]
    numbers = dict.fromkeys(name.partition(":")[0] for name in changed)
    if changed:
        yield f"the prelude changed ({_numbered(numbers)})"
    elif [*new.values()] != [*old.values()]:
        yield "the prelude changed"


def _numbered(cells: Collection[str]) -> str:
    return f"cell{'s' if len(cells) > 1 else ''} {', '.join(cells)}"


def _changed(what: str) -> _Say:
    """For groups of which something comes or goes only with the code that names it."""
    return lambda old, new: (
        f"{what} {name} changed" for name in new if name in old and old[name] != new[name]
    )


def _arrived(what: str) -> _Say:
    def say(old: _Part, new: _Part) -> Iterator[str]:
        for name in (*new, *(name for name in old if name not in new)):
            if old.get(name) != new.get(name):
                word = "changed" if name in old and name in new else "is new"
                yield f"{what} {name} {word if name in new else 'is gone'}"

    return say


def _after(old: _Part, new: _Part) -> Iterator[str]:
    for name in new:
        if old.get(name) != new[name]:
            yield f"{name} ran again" if name in old else f"it now follows {name}"
    yield from (f"it no longer follows {name}" for name in old if name not in new)


def _parameters(old: _Part, new: _Part) -> Iterator[str]:
    for name in new:
        if name in old and old[name] != new[name]:
            hidden = old[name].startswith("#") or new[name].startswith("#")
            yield f"parameter {name} changed" + ("" if hidden else f": {old[name]} -> {new[name]}")


def _packages(old: _Part, new: _Part) -> Iterator[str]:
    for name in new:
        if name in old and old[name] != new[name]:
            yield f"{name} {old[name] or 'missing'} -> {new[name] or 'missing'}"


def _python(old: _Part, new: _Part) -> Iterator[str]:
    yield f"Python {old.get('', '')} -> {new.get('', '')}"


def _always(text: str) -> _Say:
    return lambda _old, _new: iter([text])


_WORDS: Mapping[str, _Say] = {
    "cells": _cells,
    "definitions": _changed("the"),
    "prelude": _prelude,
    "parameters": _parameters,
    "inputs": _arrived("its input"),
    "after": _after,
    "packages": _packages,
    "python": _python,
    "kernel": _always("the kernel changed"),
    "options": _changed("the option"),
    "environment": _changed("the environment variable"),
    "context": _arrived("the global state"),
    "other": _always("its metrics, or the modules that are missing, changed"),
}
