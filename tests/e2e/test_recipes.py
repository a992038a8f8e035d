"""docs/recipes.md, docs/sweeps.md: every notebook runs, and the commands show what they say."""

from __future__ import annotations

import doctest
import re
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest

if TYPE_CHECKING:
    from conftest import Answer

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {name: (DOCS / name).read_text(encoding="utf-8") for name in ("recipes.md", "sweeps.md")}
BLOCK = re.compile(r"^```(\w+) ?(.*)\n((?:.*\n)*?)```$", re.MULTILINE)
# What differs from run to run, or from machine to machine.
MASKS = (
    (r"\d{4}-\d\d-\d\d \d\d:\d\d", "DATE"),
    (r"[a-z]+-\d{8}-\d{6}-[0-9a-f]{4}", "RUN"),
    (r"\d[\d.]* s\b", "TIME"),
    (r"\d[\d.]* k?B\b", "SIZE"),
    (r"/\S+/", "FOLDER/"),
    (r"\s+", " "),
)


class Block(NamedTuple):
    kind: str
    words: str
    text: str


def sections(page: str) -> Iterator[tuple[str, list[Block]]]:
    """Each section with its blocks; notebooks of the sections before stand first."""
    notebooks: list[Block] = []
    for section in PAGES[page].split("\n## ")[1:]:
        blocks = [Block(*found) for found in BLOCK.findall(section)]
        yield section.partition("\n")[0], [*notebooks, *blocks]
        notebooks += [block for block in blocks if block.kind == "python"]


SECTIONS = {page: dict(sections(page)) for page in PAGES}
EXECUTED = [
    pytest.param(title, blocks, id=f"{page}-{title}")
    for page, found in SECTIONS.items()
    for title, blocks in found.items()
    if {"console", "pycon"} & {block.kind for block in blocks}
]


@pytest.mark.parametrize(("title", "blocks"), EXECUTED)
def test_section(
    title: str,
    blocks: list[Block],
    kale: Callable[..., Answer],
    documented_notebook: Callable[[str, Path], Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    for kind, words, text in blocks:
        match kind:
            case "python":
                documented_notebook(text, tmp_path / words.removeprefix("notebook "))
            case "text":
                Path(words).write_text(text, encoding="utf-8")
            case "console":
                for command, shown in commands(text):
                    code, said = answer(command, kale)
                    assert (code != 0) == (words == "fails"), said
                    assert missing(shown, said) == [], said
            case "pycon":
                assert failures(text, title) == 0


@pytest.mark.parametrize("page", PAGES)
def test_the_list_names_the_sections(page: str) -> None:
    assert re.findall(r"^- \[(.*)\]\(#", PAGES[page], re.MULTILINE) == list(SECTIONS[page])


def test_every_recipe_is_executed() -> None:
    for title, blocks in SECTIONS["recipes.md"].items():
        assert {"console", "pycon"} & {block.kind for block in blocks}, title


def commands(text: str) -> Iterator[tuple[str, str]]:
    """Each command of a terminal, and what it shows."""
    for part in re.split(r"^\$ ", text, flags=re.MULTILINE)[1:]:
        command, _, shown = part.partition("\n")
        yield command, shown


def answer(command: str, kale: Callable[..., Answer]) -> tuple[int, str]:
    program, *arguments = shlex.split(command)
    if program == "cat":
        return 0, Path(arguments[0]).read_text(encoding="utf-8")
    assert program == "kale-pm"
    answered = kale(*arguments)
    return answered.code, answered.err + answered.out


def missing(shown: str, said: str) -> list[str]:
    """The lines of the page that the command did not print."""
    printed = {masked(line) for line in said.splitlines()}
    return [line for line in shown.splitlines() if line != "..." and masked(line) not in printed]


def masked(line: str) -> str:
    for pattern, mask in MASKS:
        line = re.sub(pattern, mask, line)
    return line.strip()


def failures(text: str, title: str) -> int:
    """How many lines of an interactive session answer something else than the page says."""
    variables: dict[str, Any] = {}
    session = doctest.DocTestParser().get_doctest(text, variables, title, None, 0)
    return doctest.DocTestRunner().run(session).failed
