"""Dots in the place of secrets."""

from __future__ import annotations

import pytest

from kale_pm.record import CellError, State, StepRecord
from kale_pm.runtime.masking import Mask


def test_without_secrets_nothing_changes() -> None:
    record = StepRecord("a", State.FAILED, error=CellError("E", "text"))
    assert not Mask()
    assert Mask().text("text") == "text"
    assert Mask().noun(record) is record


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("hunter2", "the password is hunter2, yes"),
        ("a'b\nc", repr({"key": "a'b\nc"})),
        ('say "ü"', '{"key": "say \\"\\u00fc\\""}'),
        ("<&>xy", "<b>&lt;&amp;&gt;xy</b>"),
        ("p/w d?", "https://host/?q=p%2Fw%20d%3F"),
    ],
)
def test_every_usual_spelling_is_found(value: str, text: str) -> None:
    masked = Mask([value]).text(text)
    assert "•••" in masked
    assert value not in masked
    assert len(masked) < len(text)


def test_every_line_of_a_long_one_is_secret_by_itself() -> None:
    key = "-----BEGIN-----\nabcdefgh\nijklmnop\n-----END-----\n"
    assert Mask([key]).text("line 2: abcdefgh") == "line 2: •••"


def test_a_short_one_is_found_where_it_stands_alone() -> None:
    mask = Mask(["ab"])
    assert mask.text("ab, 'ab' but not abc or cab") == "•••, '•••' but not abc or cab"


def test_one_that_is_part_of_another_does_not_uncover_it() -> None:
    assert Mask(["pass", "password"]).text("password") == "•••"


def test_an_empty_one_is_nothing() -> None:
    assert Mask([""]).text("text") == "text"


def test_nouns_are_masked_through_and_through() -> None:
    record = StepRecord(
        "a",
        State.FAILED,
        parents=("hunter2",),
        metrics={"m": ["hunter2", 1.5]},
        error=CellError("E", "no hunter2", cell=3),
    )
    masked = Mask(["hunter2"]).noun(record)
    assert "hunter2" not in repr(masked)
    assert masked.error is not None
    assert masked.error.cell == 3
    assert masked.state is State.FAILED
    assert masked.metrics == {"m": ["•••", 1.5]}
