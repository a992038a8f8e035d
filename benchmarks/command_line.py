"""What benchmarks are told on their command lines."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

QUICK_ROUNDS = 2


def command_line(description: str, parts: Sequence[str], rounds: int) -> argparse.ArgumentParser:
    """A parser of what a benchmark of ``parts`` can be told; ``rounds`` are taken by default."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument(
        "--only", nargs="+", choices=parts, default=parts, metavar="PART", help=", ".join(parts)
    )
    parser.add_argument("--quick", action="store_true", help="small sizes and two rounds")
    parser.add_argument("--rounds", type=at_least(1), help=f"(default: {rounds})")
    parser.add_argument("--dir", type=Path, default=Path(tempfile.gettempdir()), dest="folder")
    parser.add_argument("--json", action="store_true", dest="as_json", help="print JSON")
    return parser


def at_least(smallest: int) -> Callable[[str], int]:
    """The type of an option that takes a number from ``smallest`` on."""

    def number(text: str) -> int:
        found = int(text)
        if found < smallest:
            raise argparse.ArgumentTypeError(f"{found} is less than {smallest}")
        return found

    return number


def rounds_of(given: argparse.Namespace, usual: int) -> int:
    """How many rounds are asked for; ``usual`` where nothing is said."""
    if given.rounds is not None:
        return int(given.rounds)
    return QUICK_ROUNDS if given.quick else usual
