"""What varies, as text: values between commas, ranges, and what is no such text."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kale_pm.errors import ParameterError
from kale_pm.model import Parameter
from kale_pm.sweep import Choices, Range, read_assignments, read_choices

LR = Parameter("lr", "float", 0.1)
DEPTH = Parameter("depth", "int", 3)
NAME = Parameter("name", "str", "x")
FAST = Parameter("fast", "bool", False)
LAYERS = Parameter("layers", "list", [32])
OPTIONS = Parameter("options", "dict", {})
UNTYPED = Parameter("limit", "any", None, optional=True)
OPTIONAL = Parameter("limit", "int", None, optional=True)


def values(parameter: Parameter, text: str) -> list[Any]:
    found = read_choices(parameter, text)
    return list(found.values if isinstance(found, Choices) else found.spaced())


def reason(parameter: Parameter, text: str) -> str:
    with pytest.raises(ParameterError) as caught:
        read_choices(parameter, text)
    assert caught.value.name == parameter.name
    assert parameter.name in caught.value.hint, "the hint shows the parameter and its type"
    return str(caught.value)


class TestLists:
    @pytest.mark.parametrize(
        ("parameter", "text", "expected"),
        [
            (LR, "0.1,0.01", [0.1, 0.01]),
            (LR, "0.1, -1e-3 ,2", [0.1, -0.001, 2.0]),
            (LR, "inf,-inf", [math.inf, -math.inf]),
            (LR, "0.5", [0.5]),
            (DEPTH, "3,-5", [3, -5]),
            (FAST, "true,False", [True, False]),
            (NAME, "a,b", ["a", "b"]),
            (NAME, "a, b", ["a", "b"]),
            (NAME, "suffix,", ["suffix", ""]),
            (NAME, "0:10:2", ["0:10:2"]),
            (LAYERS, "[32,32],[64]", [[32, 32], [64]]),
            (LAYERS, '["a,b]","c"],[]', [["a,b]", "c"], []]),
            (LAYERS, r'["a\",b"],["c"]', [['a",b'], ["c"]]),
            (OPTIONS, '{"a": [1, 2]},{"b": {"c": 1}}', [{"a": [1, 2]}, {"b": {"c": 1}}]),
            (OPTIONAL, "null,1,2", [None, 1, 2]),
            (
                UNTYPED,
                'null,1,0.5,true,[1,2],"a,b",word',
                [None, 1, 0.5, True, [1, 2], "a,b", "word"],
            ),
        ],
    )
    def test_commas_separate_values_of_the_parameters_type(
        self, parameter: Parameter, text: str, expected: list[Any]
    ) -> None:
        assert repr(values(parameter, text)) == repr(expected)

    def test_nan_is_a_number(self) -> None:
        assert repr(values(LR, "nan,1")) == "[nan, 1.0]"

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ('"a,b",c', ["a,b", "c"]),
            ("'a,b', 'c,d'", ["a,b", "c,d"]),
            ('"a"', ["a"]),
            ('"it\'s",\'say "yes"\'', ["it's", 'say "yes"']),
            ("don't,can't", ["don't", "can't"]),
            ('"a" b,c', ['"a" b', "c"]),
            ('"a","b"', ["a", "b"]),
            ('"C:\\",D', ["C:\\", "D"]),
            ('"",x', ["", "x"]),
            ("f(a,b),[c,d]", ["f(a,b)", "[c,d]"]),
            (":)", [":)"]),
        ],
    )
    def test_quotes_round_a_whole_text_protect_it_and_are_taken_off(
        self, text: str, expected: list[str]
    ) -> None:
        assert values(NAME, text) == expected

    def test_a_single_text_keeps_its_blanks(self) -> None:
        assert values(NAME, " a ") == [" a "]

    def test_quotes_make_a_text_of_what_an_untyped_parameter_would_read_as_another_value(
        self,
    ) -> None:
        assert values(UNTYPED, "'1',1,'null'") == ["1", 1, "null"]

    @pytest.mark.parametrize(
        ("parameter", "text", "words"),
        [
            (NAME, "a,(b", "the ( in column 3 of a,(b is not closed"),
            (NAME, "a),b", "the ) in column 2 of a),b closes nothing"),
            (NAME, "a,[b)", "the ) in column 5 of a,[b) closes nothing"),
            (NAME, "a,'b", "the ' in column 3 of a,'b is not closed"),
            (LAYERS, '["a],[1]', 'the " in column 2'),
            (DEPTH, "1,2.5", "'2.5' is no int"),
            (DEPTH, "1,", "'' is no int"),
            (FAST, "true,1", "'1' is neither true nor false"),
            (LAYERS, "1,2", "1 is not of type list"),
            (DEPTH, "1,null", "'null' is no int"),
        ],
    )
    def test_what_does_not_fit_is_said(self, parameter: Parameter, text: str, words: str) -> None:
        assert words in reason(parameter, text)


class TestSteps:
    @pytest.mark.parametrize(
        ("parameter", "text", "expected"),
        [
            (DEPTH, "0:10:2", [0, 2, 4, 6, 8]),
            (DEPTH, "2:5", [2, 3, 4]),
            (DEPTH, "5:0:-2", [5, 3, 1]),
            (DEPTH, "-2:1", [-2, -1, 0]),
            (DEPTH, "1e1:12", [10, 11]),
            (LR, "0:1:0.25", [0.0, 0.25, 0.5, 0.75]),
            (LR, "1:-1:-0.5", [1.0, 0.5, 0.0, -0.5]),
            (LR, "1e-3:4e-3:1e-3", [0.001, 0.002, 0.003]),
            (DEPTH, "1,5:20:5", [1, 5, 10, 15]),
        ],
    )
    def test_start_stop_step_is_the_range_of_python(
        self, parameter: Parameter, text: str, expected: list[float]
    ) -> None:
        assert repr(values(parameter, text)) == repr(expected)

    def test_tenths_are_exact(self) -> None:
        assert values(LR, "0:1:0.1") == [0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9]

    @pytest.mark.parametrize(
        ("parameter", "text", "words"),
        [
            (DEPTH, "0:0:1", "there is no trial: 0:0:1 has no value"),
            (DEPTH, "0:10:0", "the step of 0:10:0 is 0: write 0:10:1"),
            (DEPTH, "10:0", "write 10:0:-1"),
            (LR, "0:1:-0.5", "write 0:1:0.5"),
            (DEPTH, "0:10:2.5", "'2.5' in 0:10:2.5 is no int"),
            (DEPTH, "0:x", "'x' in 0:x is no number"),
            (DEPTH, ":5", "'' in :5 is no number"),
            (DEPTH, "1:2:3:4", "write start:stop or start:stop:step"),
            (DEPTH, "0:2000000", "has more than 1,000,000 values"),
            (LR, "0:1:1e-300", "has more than 1,000,000 values"),
            (LR, "0:1e999999999", "is no number that a range can"),
            (LR, "nan:1", "is no number that a range can"),
            (LR, "0:inf", "is no number that a range can"),
        ],
    )
    def test_what_is_no_range_is_said_with_the_right_spelling(
        self, parameter: Parameter, text: str, words: str
    ) -> None:
        assert words in reason(parameter, text)


class TestSpans:
    @pytest.mark.parametrize(
        ("parameter", "text", "expected"),
        [
            (LR, "1e-4..1e-1 log 4", [0.0001, 0.001, 0.01, 0.1]),
            (LR, "0..1 5", [0.0, 0.25, 0.5, 0.75, 1.0]),
            (LR, "-0.1..0.2 4", [-0.1, 0.0, 0.1, 0.2]),
            (LR, "1..0 3", [1.0, 0.5, 0.0]),
            (LR, "-3 .. -1 3", [-3.0, -2.0, -1.0]),
            (LR, "2..7 1", [2.0]),
            (DEPTH, "1..10 4", [1, 4, 7, 10]),
            (DEPTH, "1..1000 log 4", [1, 10, 100, 1000]),
            (DEPTH, "1..3 9", [1, 2, 3]),
            (DEPTH, "1..10 4,20", [1, 4, 7, 10, 20]),
        ],
    )
    def test_numbers_are_evenly_spaced_between_both_ends(
        self, parameter: Parameter, text: str, expected: list[float]
    ) -> None:
        assert repr(values(parameter, text)) == repr(expected)

    def test_the_seven_of_a_logarithm_read_well(self) -> None:
        found = values(LR, "1e-4..1e-1 log 7")
        assert len(found) == 7
        assert found[::2] == [0.0001, 0.001, 0.01, 0.1]
        assert all(len(str(number)) <= 17 for number in found)

    def test_integers_are_exact_however_large(self) -> None:
        large = 2**80
        assert values(DEPTH, f"0..{large} 3") == [0, large // 2, large]

    def test_a_span_without_a_count_is_left_for_random_draws(self) -> None:
        assert read_choices(LR, "1e-4..1e-1 log") == Range(0.0001, 0.1, log=True)
        assert read_choices(DEPTH, "1..9") == Range(1, 9, whole=True)

    @pytest.mark.parametrize(
        ("parameter", "text", "words"),
        [
            (LR, "0..1 log 5", "0..1 log 5 has no logarithm: let both ends be above 0"),
            (LR, "-1..1 log", "has no logarithm"),
            (LR, "1..2 0", "there is no trial: 1..2 0 has no value; write 1..2 5"),
            (LR, "1..2 -3", "write 1..2 5"),
            (LR, "1..2 x", "x in 1..2 x is no count"),
            (LR, "1..2 2.5", "2.5 in 1..2 2.5 is no count"),
            (LR, "1..2 9000000", "more than 1,000,000 values"),
            (LR, "1..", "write start..stop"),
            (LR, "a..b 3", "'a' in a..b 3 is no number"),
            (DEPTH, "0.5..3 2", "'0.5' in 0.5..3 2 is no int"),
            (LR, "1..2,3", "1..2 among other values needs a count: write 1..2 5"),
            (LR, "1..1e999 3", "is no number that a range can"),
        ],
    )
    def test_what_is_no_span_is_said_with_the_right_spelling(
        self, parameter: Parameter, text: str, words: str
    ) -> None:
        assert words in reason(parameter, text)


class TestUntyped:
    @pytest.mark.parametrize("text", ["2:10:2", "1..9 3", "0.1..1 log 3", "1..2", "1, 2:5"])
    def test_a_range_is_refused_with_how_to_give_the_parameter_a_type(self, text: str) -> None:
        words = reason(UNTYPED, text)
        assert "is a range, and its type is not known" in words
        assert "limit: int | None = None" in words

    def test_in_quotes_it_is_a_text(self) -> None:
        assert values(UNTYPED, "'2:10:2'") == ["2:10:2"]

    def test_other_texts_with_colons_and_dots_are_texts(self) -> None:
        assert values(UNTYPED, "s3://a..b,C:x,a:b") == ["s3://a..b", "C:x", "a:b"]

    def test_an_annotated_one_that_may_be_none_takes_ranges(self) -> None:
        assert values(OPTIONAL, "null,2:8:2") == [None, 2, 4, 6]


class TestAssignments:
    def test_each_is_read_by_its_parameter(self) -> None:
        found = read_assignments([LR, NAME], {"name": "1,2", "lr": "1,2"})
        assert found == {"name": Choices(("1", "2")), "lr": Choices((1.0, 2.0))}

    def test_an_unknown_name_is_told_with_a_near_one(self) -> None:
        with pytest.raises(
            ParameterError, match="no such parameter; did you mean 'depth'"
        ) as caught:
            read_assignments([LR, DEPTH], {"deph": "1,2"})
        assert "depth: int = 3" in caught.value.hint

    def test_an_unknown_name_that_is_like_none_lists_all(self) -> None:
        with pytest.raises(ParameterError, match="there is no such parameter") as caught:
            read_assignments([LR, DEPTH], {"epochs": "1,2"})
        assert "lr: float = 0.1, depth: int = 3" in caught.value.hint

    def test_where_the_language_takes_no_values_that_is_said(self) -> None:
        with pytest.raises(ParameterError, match="no value can be set in a notebook of ruby"):
            read_assignments([], {"n": "1,2"}, "ruby")


ATOMS = st.none() | st.booleans() | st.integers() | st.text(max_size=5)
JSON = st.recursive(
    ATOMS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(ATOMS.map(str), inner, max_size=3),
    max_leaves=6,
)
SIGNS = st.text(alphabet="0123456789.:,-+eE \"'[](){}\\_anlogx", max_size=20)


class TestAnyText:
    @given(lists=st.lists(st.lists(JSON, max_size=3), min_size=1, max_size=3))
    @settings(deadline=None)
    def test_lists_come_back_as_they_were_written(self, lists: list[Any]) -> None:
        assert values(LAYERS, ",".join(map(json.dumps, lists))) == lists

    @given(texts=st.lists(st.text(st.characters(exclude_characters='"')), min_size=1))
    @settings(deadline=None)
    def test_quoted_texts_come_back_as_they_were_written(self, texts: list[str]) -> None:
        assert values(NAME, ",".join(f'"{text}"' for text in texts)) == texts

    @given(
        parameter=st.sampled_from([LR, DEPTH, NAME, FAST, LAYERS, OPTIONS, UNTYPED, OPTIONAL]),
        text=SIGNS | st.text(),
    )
    @settings(deadline=None, max_examples=500)
    def test_a_text_gives_values_or_is_refused(self, parameter: Parameter, text: str) -> None:
        try:
            found = read_choices(parameter, text)
        except ParameterError:
            return
        assert isinstance(found, Range) or found.values
