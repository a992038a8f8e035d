"""Words and names that do not exist, and what was meant by them."""

from __future__ import annotations

import pytest

from kale_pm.notebook.spelling import nearest, slip_of

WORDS = ["step", "limit", "prev", "parameters"]


@pytest.mark.parametrize(
    ("slip", "meant"),
    [
        ("stap", "step"),  # wrong
        ("lmit", "limit"),  # missing
        ("preev", "prev"),  # doubled
        ("setp", "step"),  # swapped
        ("Step", "step"),
        ("pramters", "parameters"),  # two letters of a long word
    ],
)
def test_one_letter_of_a_word_may_be_wrong_and_two_of_a_long_one(slip: str, meant: str) -> None:
    assert slip_of(slip, WORDS) == meant


@pytest.mark.parametrize("word", ["", "stp2", "pev2", "limestone", "pramtrs", "日本"])
def test_a_word_farther_off_is_no_slip(word: str) -> None:
    assert slip_of(word, WORDS) is None


def test_a_name_may_be_farther_off_than_a_word() -> None:
    assert nearest("training_rows", ["train_rows", "lines"]) == "train_rows"
    assert slip_of("training_rows", ["train_rows", "lines"]) is None


def test_a_name_is_not_its_own_slip() -> None:
    assert nearest("rows", ["rows", "row"]) == "row"
    assert nearest("x", ["rows"]) is None
