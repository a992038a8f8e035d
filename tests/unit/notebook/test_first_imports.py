"""The imports with which every slice begins."""

from __future__ import annotations

import pytest

from kale_pm.model import Cell
from kale_pm.notebook.first_imports import first_imports


def imports_of(*sources: str) -> list[str]:
    cells = (Cell(number, str(number), "code", text) for number, text in enumerate(sources))
    return list(first_imports(cells))


def test_they_are_given_in_their_order_and_as_they_bind() -> None:
    sources = "import numpy as np, math\n", "from os import path as where, sep\nfrom abc import *"
    expected = [
        "import numpy as np, math",
        "from os import path as where, sep",
        "from abc import *",
    ]
    assert imports_of(*sources) == expected


@pytest.mark.parametrize(
    "between",
    ["", "# a comment", '"""What it does."""', "n = 3", "sizes = [1, {'a': -2}]"],
)
def test_what_changes_nothing_may_stand_between_them(between: str) -> None:
    assert imports_of("import abc", between, "import ast") == ["import abc", "import ast"]


@pytest.mark.parametrize(
    "between",
    [
        "warnings.filterwarnings('ignore')",
        "sys.path.append('lib')",
        "os.environ['OMP_NUM_THREADS'] = '1'",
        "n = input()",
        "%matplotlib inline",
        "def f(): pass",
        "if fast: import torch",
        "import",
    ],
)
def test_they_end_where_something_may_change_those_below(between: str) -> None:
    assert imports_of("import abc", between, "import ast") == ["import abc"]


def test_a_new_rule_of_the_language_is_none() -> None:
    assert imports_of("from __future__ import annotations\nimport abc") == ["import abc"]


def test_text_is_passed_over() -> None:
    cells = [Cell(0, "a", "markdown", "import this"), Cell(1, "b", "code", "import abc")]
    assert first_imports(cells) == ("import abc",)
