"""The streams of a kernel are not files of Python's own: what refers to them follows."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from conftest import Runner


def test_what_writes_to_a_standard_stream_does_so_in_the_next_step(run: Runner) -> None:
    make = """
        import functools, sys
        say = functools.partial(print, file=sys.stdout)
        errors = sys.stderr
        originals = [sys.__stdout__, sys.__stderr__]
    """
    use = """
        say("hello", errors is sys.stderr, originals == [sys.__stdout__, sys.__stderr__])
    """
    cells = [("block:a", _cell(make)), ("block:b prev:a", _cell(use))]
    assert "hello True True" in run(cells).raise_for_failures().printed("b")


def test_a_progress_bar_follows(run: Runner) -> None:
    make = """
        from tqdm import tqdm
        bar = tqdm(range(3))
        for number in bar: pass
    """
    cells = [
        ("block:a", _cell(make)),
        ("block:b prev:a", "print(bar.n, number, bar.fp is not None)"),
    ]
    assert "3 2 True" in run(cells).raise_for_failures().printed("b")


def _cell(text: str) -> str:
    return "\n".join(line.strip() for line in text.strip().splitlines())
