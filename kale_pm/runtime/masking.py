"""Secrets in what a step says: dots take their place before anything is told or written."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from kale_pm.runtime.manifest import read_manifest, write_manifest

DOTS = "•••"
_LINE = 4  # characters from which a line of a longer secret counts as one by itself
_Noun = TypeVar("_Noun")


class Mask:
    """Replaces the values of secrets in texts; false if there are none.

    A value of fewer than four characters is replaced only where it stands as a word by itself.
    """

    def __init__(self, values: Iterable[str] = ()) -> None:
        spellings = {spelling for value in values for spelling in _spellings(value)}
        # The longest first: one may be a part of another.
        ordered = sorted(spellings, key=lambda spelling: (-len(spelling), spelling))
        self._pattern = re.compile("|".join(map(_pattern, ordered))) if ordered else None

    def __bool__(self) -> bool:
        return self._pattern is not None

    def text(self, text: str) -> str:
        """The text without secrets, as they are printed, quoted, or written in JSON or HTML."""
        return self._pattern.sub(DOTS, text) if self._pattern else text

    def noun(self, noun: _Noun) -> _Noun:
        """A dataclass, or anything made of texts, mappings and sequences, without secrets."""
        return self._masked(noun) if self else noun

    def _masked(self, value: Any) -> Any:
        if isinstance(value, Enum):
            return value
        if isinstance(value, str):
            return self.text(value)
        if is_dataclass(value) and not isinstance(value, type):
            old = {field.name: getattr(value, field.name) for field in fields(value)}
            new = {name: self._masked(part) for name, part in old.items()}
            return replace(value, **new) if new != old else value
        if isinstance(value, Mapping):
            return {self._masked(name): self._masked(part) for name, part in value.items()}
        if isinstance(value, list | tuple):
            return type(value)(map(self._masked, value))
        return value


def without_secrets(path: Path, mask: Mask) -> None:
    """Take secrets out of the metrics and reasons that a step has put into its manifest."""
    if not mask:
        return
    manifest = read_manifest(path)
    masked = replace(
        manifest, metrics=mask.noun(manifest.metrics), variables=mask.noun(manifest.variables)
    )
    if masked != manifest:
        write_manifest(masked, path)


def _spellings(value: str) -> Iterator[str]:
    lines = [line for line in value.splitlines() if len(line.strip()) >= _LINE]
    for text in dict.fromkeys([value, value.strip(), *(line.strip() for line in lines)]):
        if not text:
            continue
        plain = [text, repr(text)[1:-1], html.escape(text), quote(text, safe="")]
        for spelling in plain:
            yield spelling
            yield json.dumps(spelling)[1:-1]
            yield json.dumps(spelling, ensure_ascii=False)[1:-1]


def _pattern(spelling: str) -> str:
    found = re.escape(spelling)
    return found if len(spelling) >= _LINE else rf"(?<!\w){found}(?!\w)"
