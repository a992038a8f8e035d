"""Values as numbers and as texts: short, exact where it matters, harmless everywhere."""

from __future__ import annotations

import math

import pytest

from kale_pm.trials.values import finite_number, html_text, number_text, shortened, value_text


@pytest.mark.parametrize(
    ("value", "number"),
    [(3, 3.0), (-0.5, -0.5), (True, None), ("7", None), (None, None), ([1], None)],
)
def test_only_numbers_are_numbers(value, number):
    assert finite_number(value) == number


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, 10**400])
def test_what_no_finite_float_can_hold_is_none(value):
    assert finite_number(value) is None


@pytest.mark.parametrize(
    ("number", "text"),
    [(0.1, "0.1"), (1 / 3, "0.333333"), (1e-5, "1e-5"), (2.5e7, "2.5e7"), (40.0, "40"), (0.0, "0")],
)
def test_numbers_have_no_zeros_for_nothing(number, text):
    assert number_text(number) == text


def test_a_whole_number_that_no_float_can_be_has_its_digits():
    assert number_text(-(10**400)).startswith("-1000000")


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1234567, "1234567"),
        (0.25, "0.25"),
        (math.nan, "nan"),
        (True, "True"),
        (None, "None"),
        ("adam", "adam"),
        ([32, "a"], "[32, 'a']"),
        ("a\x00\ud800\u202eb", r"a\x00\ud800\u202eb"),
    ],
)
def test_values_read_as_python_shows_them_but_texts_as_they_are(value, text):
    assert value_text(value) == text


def test_of_a_long_value_both_ends_are_shown():
    text = value_text("begin" + "x" * 10_000 + "end")
    assert len(text) == 200
    assert text.startswith("begin")
    assert text.endswith("end")


@pytest.mark.parametrize("length", [3, 4, 9, 10])
def test_a_shortened_text_is_as_long_as_it_may_be(length):
    assert len(shortened("0123456789", length)) == length


def test_html_takes_any_text():
    assert html_text("<b> & \"x\" 'y' \x1b") == "&lt;b&gt; &amp; &quot;x&quot; &#x27;y&#x27; \\x1b"
