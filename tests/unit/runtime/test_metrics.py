"""Metrics: what is recorded, as plain numbers and texts."""

from __future__ import annotations

from decimal import Decimal
from enum import Enum
from fractions import Fraction
from typing import Any

import pytest

from kale_pm.runtime.metrics import SCRAP_MIME, plain_value, scraps


class Colour(Enum):
    RED = 1


class Several:
    def item(self) -> object:
        raise ValueError("more than one")

    def __str__(self) -> str:
        return "several"


@pytest.mark.parametrize(
    ("value", "plain"),
    [
        (True, True),
        (3, 3),
        (0.5, 0.5),
        ("forest", "forest"),
        (None, None),
        (Decimal("0.5"), 0.5),
        (Fraction(1, 4), 0.25),
        (Colour.RED, "Colour.RED"),
        ([1, 2], "[1, 2]"),
        (Several(), "several"),
    ],
)
def test_numbers_and_texts_stay_the_rest_becomes_text(value: object, plain: object) -> None:
    found = plain_value(value)
    assert found == plain
    assert type(found) is type(plain)


def test_what_numpy_computes_becomes_plain_numbers() -> None:
    np = pytest.importorskip("numpy")
    values = [np.float32(0.5), np.int64(2), np.bool_(True), np.array([0.25]), np.longdouble(1.5)]
    assert [plain_value(value) for value in values] == [0.5, 2, True, 0.25, 1.5]
    assert {type(plain_value(value)) for value in values} == {float, int, bool}
    assert plain_value(np.str_("a")) == "a"
    assert plain_value(np.array([1, 2])) == "[1 2]"


def glued(name: str, data: object) -> dict[str, Any]:
    content = {"name": name, "data": data, "encoder": "json", "version": 1}
    return {"output_type": "display_data", "data": {f"{SCRAP_MIME}json+json": content}}


def test_scraps_are_found_in_an_executed_notebook_and_the_last_one_counts() -> None:
    notebook = {
        "cells": [
            {"cell_type": "markdown"},
            {"cell_type": "code", "outputs": [glued("f1", 0.5), glued("table", [1, 2])]},
            {"cell_type": "code", "outputs": [glued("f1", 0.75), {"output_type": "stream"}]},
        ]
    }
    assert scraps(notebook) == {"f1": 0.75}


def test_scraps_that_are_not_finite_come_back_as_numbers() -> None:
    outputs = [glued("most", "Infinity"), glued("word", "infinite")]
    notebook = {"cells": [{"cell_type": "code", "outputs": outputs}]}
    assert scraps(notebook) == {"most": float("inf"), "word": "infinite"}
