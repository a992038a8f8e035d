"""What cells print, as one would see it: whole lines, and of a progress bar its newest state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from rich.text import Text

_LONGEST = 10_000  # characters of a line that has no end: more of it is not looked at


@dataclass
class Lines:
    """The output of one step, which arrives in pieces that end anywhere."""

    _open: dict[str, str] = field(default_factory=dict)

    def add(self, stream: str, text: str) -> Iterator[Text]:
        """The lines that this piece of a stream has ended."""
        *ended, rest = (self._open.get(stream, "") + text).split("\n")
        # What a carriage return went back over will not be seen again.
        line, back, newest = rest.rpartition("\r")
        self._open[stream] = (newest or line.rpartition("\r")[2] + back)[-_LONGEST:]
        return (plain for line in ended if (plain := _seen(line)))

    def rest(self) -> Iterator[Text]:
        """The lines that nothing has ended; they are told once."""
        pieces, self._open = self._open, {}
        return (plain for line in pieces.values() if (plain := _seen(line)))

    def newest(self, stream: str) -> str:
        """The line that stream is just writing, without colours."""
        return _seen(self._open.get(stream, "")).plain.strip()


def _seen(line: str) -> Text:
    """A line after all its carriage returns; empty if it shows nothing."""
    text = Text.from_ansi(line.rstrip("\r").rpartition("\r")[2][:_LONGEST])
    return text if text.plain.strip() else Text()
