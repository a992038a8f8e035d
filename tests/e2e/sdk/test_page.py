"""docs/sdk.md: what it quotes was run, and it lists every option."""

from __future__ import annotations

import doctest
import json
import re
import shlex
import sys
from pathlib import Path

from kale_pm.sdk.options import WORDS

PAGE = (Path(__file__).parents[3] / "docs" / "sdk.md").read_text(encoding="utf-8")
BLOCK = re.compile(r"^```(\w+) ?(.*)\n((?:.*\n)*?)```$", re.MULTILINE)
# What differs from run to run.
MASKS = (
    (r"[a-z]+-\d{8}-\d{6}-[0-9a-f]{4}", "RUN"),
    (r"\d[\d.]* s\b", "TIME"),
    (r"\s+", " "),
)


def masked(line):
    for pattern, mask in MASKS:
        line = re.sub(pattern, mask, line)
    return line.strip()


def test_the_page_says_what_is(python_file, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    names: dict[str, object] = {}
    for kind, words, text in BLOCK.findall(PAGE):
        match kind:
            case "python":
                Path(words).write_text(text, encoding="utf-8")
            case "console":
                command, _, shown = text.removeprefix("$ ").partition("\n")
                done = python_file(*shlex.split(command)[1:])
                assert done.returncode == 0, done.stderr
                said = {masked(line) for line in (done.stdout + done.stderr).splitlines()}
                assert {masked(line) for line in shown.splitlines()} - said <= {"..."}
            case "pycon":
                session = doctest.DocTestParser().get_doctest(text, names, "sdk.md", None, 0)
                runner = doctest.DocTestRunner()
                assert runner.run(session, clear_globs=False).failed == 0
                names |= session.globs
            case "cells":
                content = json.loads(Path("houses.ipynb").read_text(encoding="utf-8"))
                found = [
                    cell["source"]
                    for cell in content["cells"]
                    if f"block:{words}" in cell["metadata"]["tags"]
                ]
                assert "\n---\n".join(found) + "\n" == text
    for name in ("houses", "chart"):
        sys.modules.pop(name, None)


def test_the_page_lists_every_option():
    section = PAGE.partition("## Options of a step")[2].partition("\n## ")[0]
    assert [word for word in WORDS if f"`{word}`" not in section] == []
