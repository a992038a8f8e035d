"""docs/problems.md: every example gives the problem that its section is about, or avoids it."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

import kale_pm

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "problems.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```python (wrong|right) ?(.*)\n((?:.*\n)*?)```$", re.MULTILINE)
CODE = re.compile(r"[a-z]+(-[a-z]+)*")


class Example(NamedTuple):
    code: str
    kind: str
    flag: str
    text: str


def examples() -> Iterator[Example]:
    for section in PAGE.split("\n## ")[1:]:
        code = section.partition("\n")[0]
        for kind, flag, text in BLOCK.findall(section):
            yield Example(code, kind, flag, text)


EXAMPLES = list(examples())
DOCUMENTED = [section.partition("\n")[0] for section in PAGE.split("\n## ")[1:]]


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda example: f"{example.code}-{example.kind}")
def test_example(
    example: Example, tmp_path: Path, documented_notebook: Callable[[str, Path], Path]
) -> None:
    notebook = documented_notebook(example.text, tmp_path / "example.ipynb")
    pipeline = kale_pm.load(notebook, strict=example.flag == "--strict")
    found = {problem.code for problem in pipeline.problems}
    if example.kind == "wrong":
        assert example.code in found
    else:
        assert found == set()


@pytest.mark.parametrize("code", DOCUMENTED)
def test_each_section_has_a_wrong_and_a_right_notebook(code: str) -> None:
    kinds = [example.kind for example in EXAMPLES if example.code == code]
    assert kinds == ["wrong", "right"]


def test_the_table_lists_the_sections() -> None:
    assert re.findall(r"^\| \[([a-z-]+)\]", PAGE, re.MULTILINE) == DOCUMENTED


def test_every_code_of_the_program_has_a_section() -> None:
    assert set(codes_in_the_program()) == set(DOCUMENTED)


def codes_in_the_program() -> Iterator[str]:
    """What stands first in ``Problem(...)`` or is assigned to ``code``."""
    for folder in ("notebook", "analysis"):
        for file in (ROOT / "kale_pm" / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
                match node:
                    case ast.Call(func=ast.Name(id="Problem"), args=[first, *_]):
                        yield from texts(first)
                    case ast.Assign(targets=[ast.Name(id="code")], value=value):
                        yield from texts(value)
                    case ast.Assign(
                        targets=[ast.Tuple(elts=[ast.Name(id="code"), *_])],
                        value=ast.Tuple(elts=[first, *_]),
                    ):
                        yield from texts(first)


def texts(value: ast.expr) -> Iterator[str]:
    """The texts that ``value`` may be; what a condition compares with is none of them."""
    match value:
        case ast.Constant(value=str(text)) if CODE.fullmatch(text):
            yield text
        case ast.IfExp(body=body, orelse=other):
            yield from texts(body)
            yield from texts(other)
