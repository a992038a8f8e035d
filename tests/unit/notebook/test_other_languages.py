"""Parameters of other languages: what stands plainly on a line."""

from __future__ import annotations

from typing import Any

import pytest

from kale_pm.errors import ParameterError
from kale_pm.model import Cell
from kale_pm.notebook import bind, parameter_cells, read_parameters, split_prelude


def cells(language: str, *sources: str, tags: str = "parameters") -> list[Cell]:
    return [
        Cell(number, f"c{number}", "code", source, (tags,), language)
        for number, source in enumerate(sources, 1)
    ]


def values(language: str, *sources: str) -> dict[str, tuple[str, Any]]:
    found = read_parameters(cells(language, *sources))
    return {parameter.name: (parameter.type, parameter.default) for parameter in found}


@pytest.mark.parametrize(
    ("line", "name", "value"),
    [
        ("n=3", "n", "3"),
        ("export DATA_DIR=data/raw  # where", "DATA_DIR", "data/raw"),
        ("version=1.10", "version", "1.10"),
        ("name='a b'", "name", "a b"),
        ('name="it\'s";', "name", "it's"),
        ("empty=", "empty", ""),
    ],
)
def test_in_bash_every_value_is_a_text(line: str, name: str, value: str) -> None:
    assert values("bash", line) == {name: ("str", value)}


@pytest.mark.parametrize(
    "line",
    [
        "n=$((2 * 3))", "n=$other", 'n="$other"', "n=`date`", "n=(1 2)", "n = 3", "n=3 command",
        "  n=3", "# n=3", "n+=3", "a.b=3", "declare -i n=3", 'n="a\\"b"', "n=3; m=4",
    ],
)  # fmt: skip
def test_what_bash_computes_is_no_parameter(line: str) -> None:
    assert values("bash", line) == {}


@pytest.mark.parametrize(
    ("language", "line", "name", "type_", "value"),
    [
        ("r", "n <- 3", "n", "float", 3.0),  # what R calls a numeric
        ("r", "n <- 3L", "n", "int", 3),
        ("r", "learning.rate = 1e-3  # slow", "learning.rate", "float", 1e-3),
        ("r", "name <- 'wine'", "name", "str", "wine"),
        ("r", "verbose <- TRUE", "verbose", "bool", True),
        ("julia", "n = 3", "n", "int", 3),
        ("julia", "rate::Float64 = -0.5", "rate", "float", -0.5),
        ("julia", 'name = "wine" # red', "name", "str", "wine"),
        ("julia", "verbose = false", "verbose", "bool", False),
        ("scala", "val n: Int = 3 // three", "n", "int", 3),
        ("scala", "var rate = .5;", "rate", "float", 0.5),
        ("matlab", "n = 3; % three", "n", "float", 3.0),
    ],
)
def test_a_literal_keeps_the_type_that_the_language_gives_it(
    language: str, line: str, name: str, type_: str, value: object
) -> None:
    assert values(language, line) == {name: (type_, value)}


@pytest.mark.parametrize(
    "line",
    [
        "m <- n * 2", "x <- c(1, 2)", 'name <- "a\\n"', "f <- function(x) x", "n == 3", "  n <- 3",
        "3 -> n", "x$y <- 3", "x[1] <- 3", "n <- 3; m <- 4", "#n <- 3", "1 = 2", "n <- NULL",
    ],
)  # fmt: skip
def test_what_is_computed_or_unclear_is_no_parameter(line: str) -> None:
    assert values("r", line) == {}


def test_a_char_is_no_text() -> None:
    assert values("julia", "letter = 'a'") == {}
    assert values("julia", 'price = "$n"') == {}


def test_several_lines_and_cells_and_the_last_of_a_name_holds() -> None:
    first, second = "n <- 1\nm <- n * 2\nname <- 'a'", "n <- 5\n"
    assert values("r", first, second) == {"n": ("float", 5.0), "name": ("str", "a")}
    (n, name) = read_parameters(cells("r", first, second))
    assert (n.cell, n.line, name.cell, name.line) == (2, 1, 1, 3)


def test_their_cells_stay_whole() -> None:
    prelude = cells("bash", "n=3\nm=$((n * 2))")
    assert split_prelude(prelude) == ((), tuple(prelude))


def test_an_untagged_cell_below_works_with_the_values_and_holds_none() -> None:
    tagged, untagged = cells("bash", "n=3", "m=4")
    below = Cell(2, "c2", "code", untagged.source, (), "bash")
    assert parameter_cells([tagged, below]) == (tagged,)
    assert [parameter.name for parameter in read_parameters([tagged, below])] == ["n"]


def test_in_a_language_that_papermill_does_not_write_there_are_none() -> None:
    assert values("ruby", "n = 3") == {}
    with pytest.raises(ParameterError, match="no value can be set in a notebook of ruby"):
        bind((), {"n": "4"}, "ruby")
    with pytest.raises(ParameterError, match="there is no such parameter"):
        bind((), {"n": "4"}, "R")
