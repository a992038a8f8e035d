"""What pods have written into their logs for a program: see kale_pm/runtime/pod/frames.py.

Logs come back with timestamps before the lines, with lines of other processes between and in
them, doubled, or cut short.  Whatever is whole is found; what is not is named.
"""

from __future__ import annotations

import base64
import gzip
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kale_pm.runtime.pod.announce import ERROR, OUTPUTS
from kale_pm.runtime.pod.frames import MARK

_FRAME = re.compile(
    rf"({MARK}(?:-[A-Z]+)?) (\w+) (\d{{1,4}}) (\d{{1,5}})/(\d{{1,5}}) ([0-9a-f]{{8}}) ([\w+/=]+)"
)


@dataclass(frozen=True)
class Frames:
    """The pieces of one content, of which there should be ``total``, by their number from 1."""

    total: int
    pieces: dict[int, str] = field(default_factory=dict)

    @property
    def missing(self) -> tuple[int, ...]:
        return tuple(n for n in range(1, self.total + 1) if n not in self.pieces)

    def content(self) -> Any:
        """The JSON that the pieces hold; ValueError, with what is wrong, if they do not."""
        if self.missing:
            raise ValueError(f"the log lacks {_listing(self.missing)} of {self.total} lines")
        try:
            text = "".join(self.pieces[number] for number in sorted(self.pieces))
            return json.loads(gzip.decompress(base64.b64decode(text, validate=True)))
        except (ValueError, EOFError, OSError, zlib.error) as error:
            raise ValueError(f"the lines in the log do not fit together: {error}") from error


@dataclass(frozen=True)
class Told:
    """What one try of a step has told through its log; None for what is not there.

    ``outputs`` and ``error`` are the objects that announce.py describes, ``notebook`` is the
    executed notebook of a failed try.  ``damage`` says what of them could not be read.
    """

    outputs: Mapping[str, Any] | None = None
    error: Mapping[str, Any] | None = None
    notebook: Mapping[str, Any] | None = None
    damage: tuple[str, ...] = ()


def read_told(lines: Iterable[str]) -> dict[tuple[str, int], Told]:
    """What the steps have told in a log, by their name and the number of the try."""
    told: dict[tuple[str, int], Told] = {}
    for (step, attempt), found in _by_attempt(lines).items():
        contents: dict[str, Any] = {}
        damage = []
        for mark, candidates in found.items():
            problems = []
            for frames in candidates:
                try:
                    content = frames.content()
                    if not isinstance(content, dict):
                        raise ValueError("the lines in the log are of something else")
                    contents[mark] = content
                    break
                except ValueError as error:
                    problems.append(str(error))
            else:
                damage.append(f"{_WHAT.get(mark, mark)}: {problems[0]}")
        told[step, attempt] = Told(
            contents.get(OUTPUTS), contents.get(ERROR), contents.get(MARK), tuple(damage)
        )
    return told


def is_frame(line: str) -> bool:
    """Whether the line of a log is for a program, not for people."""
    return MARK in line and _FRAME.search(line) is not None


_WHAT = {MARK: "its notebook", ERROR: "its error", OUTPUTS: "where its outputs lie"}


def _by_attempt(lines: Iterable[str]) -> dict[tuple[str, int], dict[str, list[Frames]]]:
    """All frames by step and try, then by mark, with one entry for each total."""
    found: dict[tuple[str, int], dict[str, list[Frames]]] = {}
    for line in lines:
        if MARK not in line:
            continue
        for mark, step, attempt, number, total, checksum, piece in _FRAME.findall(line):
            whole = _whole(piece, int(checksum, 16))
            of_step = found.setdefault((step, int(attempt)), {}).setdefault(mark, [])
            frames = next((f for f in of_step if f.total == int(total)), None)
            if frames is None:
                frames = Frames(int(total))
                of_step.append(frames)
            if whole and 1 <= int(number) <= frames.total:
                frames.pieces.setdefault(int(number), piece)
    return found


def _whole(piece: str, checksum: int) -> bool:
    return zlib.crc32(piece.encode()) == checksum


def _listing(numbers: tuple[int, ...]) -> str:
    """Numbers as people write them.

    >>> _listing((1, 3, 4, 5, 9))
    '1, 3-5 and 9'
    """
    spans: list[list[int]] = []
    for number in numbers:
        if spans and number == spans[-1][-1] + 1:
            spans[-1] = [spans[-1][0], number]
        else:
            spans.append([number])
    texts = ["-".join(str(end) for end in dict.fromkeys(span)) for span in spans]
    return " and ".join([", ".join(texts[:-1]), texts[-1]] if len(texts) > 1 else texts)
