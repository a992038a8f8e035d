"""What a kernel accepts parses, and lines keep the numbers that they have in the cell."""

from __future__ import annotations

import ast
import subprocess
import sys
import warnings

import pytest

from kale_pm.model import Cell
from kale_pm.notebook import is_blank, parse, python_text, syntax_tree


def lines(source: str) -> list[int]:
    return [statement.lineno for statement in parse(source).body]


@pytest.mark.parametrize(
    "source",
    [
        "x = 1",
        "",
        "%matplotlib inline",
        "%%bash\necho $HOME",
        "%%time\nx = 1",
        "!pip install pandas",
        "files = !ls",
        "t = %timeit -o f()",
        "print?",
        "print??",
        "await fetch()",
        "async for x in y:\n    pass",
        ">>> x = 1\n>>> y = 2",
        "    x = 1\n    y = 2",
        "x = (7\n% 3)",
        "if True:\n    !ls",
        "/f 1",
        "x = 1\r\ny = 2\r\n",
    ],
)
def test_the_dialect_of_a_kernel_parses(source: str) -> None:
    assert isinstance(parse(source), ast.Module)
    compile(python_text(source), "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


@pytest.mark.parametrize("source", ["pip install pandas", "cd data/raw", "matplotlib inline\n"])
def test_a_magic_without_its_percent_is_legal_alone_in_a_cell(source: str) -> None:
    assert "run_line_magic" in python_text(source)
    with pytest.raises(SyntaxError):
        parse(f"x = 1\n{source}")


def test_plain_python_is_left_as_it_is() -> None:
    source = "\n\nx = 1  # one\n"
    assert python_text(source) == source


def test_plain_python_does_not_import_ipython() -> None:
    program = (
        "import sys; from kale_pm.notebook import parse; parse('x = 1');"
        "sys.exit('IPython' in sys.modules or 'nbformat' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("%matplotlib inline\nx = 1\ny = 2", [1, 2, 3]),
        ("\n  \n%matplotlib inline\nx = 1", [3, 4]),
        ("!ls \\\n  -la\nx = 1", [1, 3]),
        ("x = !ls \\\n  -la\ny = 1\n!ls \\\n *\nz = 1", [1, 3, 4, 6]),
        ("\n%%time\nx = 1", [2]),
        ("    x = 1\n\n    y = 2", [1, 3]),
    ],
)
def test_statements_stay_on_their_lines(source: str, expected: list[int]) -> None:
    assert lines(source) == expected


@pytest.mark.parametrize(
    ("source", "line"),
    [
        ("if x\n    pass", 1),
        ("x = 1\n\nif x\n    pass", 3),
        ("%matplotlib inline\nx = 1\nif x\n    pass", 3),
        ("!ls \\\n -la\nif x\n    pass", 3),
        ("\n\n!ls\nx = = 1", 4),
        ("x = 'a\x00b'", 1),
        ("-" * 10_000 + "1", 1),
        ("(" * 1_000 + ")" * 1_000, 1),
        ("x = '\ud800'", 1),
    ],
)
def test_what_no_kernel_can_run_is_a_syntax_error_with_its_line(source: str, line: int) -> None:
    with pytest.raises(SyntaxError) as caught:
        parse(source, "cell 3")
    assert caught.value.lineno == line
    assert caught.value.filename in ("cell 3", None)


def test_invalid_escapes_do_not_warn() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        parse("import re\nre.compile('\\d')")


def cell(source: str, language: str = "python") -> Cell:
    return Cell(1, "a", "code", source, language=language)


def test_blank_cells() -> None:
    assert is_blank(cell(""))
    assert is_blank(cell("\n  # a comment\n\n"))
    assert not is_blank(cell("# a comment\nx"))
    assert is_blank(cell("\n  \n", "c++"))
    assert not is_blank(cell("#include <cmath>", "c++"))


def test_a_cell_of_another_language_is_one_call_with_its_text_as_a_magic_would_be() -> None:
    text = "if [ \"$x\" ]; then echo 'a'; fi\n"
    (as_magic,) = parse(f"%%bash\n{text}").body
    (found,) = syntax_tree(cell(text, "bash")).body
    assert ast.dump(found) == ast.dump(as_magic)
    assert ast.dump(syntax_tree(cell("x = 1"))) == ast.dump(parse("x = 1"))
    assert syntax_tree(cell(" \n", "bash")).body == []
