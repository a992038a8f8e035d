"""Whatever is wrong: what, where and what to do, on one screen, and nothing half-written."""

from __future__ import annotations

import json

import pytest

COMMANDS = ["check", "show", "slice", "run", "compile"]


def refused(answer, *words, code=1):
    """The answer is a short and clear refusal that holds all the words."""
    assert answer.code == code, answer.err
    said = answer.out + answer.err
    assert "Traceback" not in said
    assert len(said.splitlines()) <= 24
    for word in words:
        assert word in said


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*"))


@pytest.fixture
def bad(tmp_path, notebook):
    """Notebooks that are none, by name."""
    version_3 = {"nbformat": 3, "nbformat_minor": 0, "metadata": {}, "worksheets": []}
    (tmp_path / "folder").mkdir()
    (tmp_path / "not_json.ipynb").write_text("{hello")
    (tmp_path / "empty.ipynb").write_text("")
    (tmp_path / "number.ipynb").write_text("3")
    (tmp_path / "version_3.ipynb").write_text(json.dumps(version_3))
    notebook("no_cell.ipynb")
    notebook("no_step.ipynb", ("", "x = 1"))
    path = notebook("latin.ipynb", ("block:one", "x = 1  # here"))
    path.write_bytes(path.read_bytes().replace(b"here", "é".encode("latin-1")))
    notebook("misspelt.ipynb", ("blok:one", "x = 1"), ("block:two", "y = 2"))
    notebook("unknown.ipynb", ("block:one", "x = 1"), ("block:two prev:on", "y = 2"))
    notebook("cycle.ipynb", ("block:one prev:two", "x = 1"), ("block:two prev:one", "y = 2"))
    notebook("syntax.ipynb", ("block:one", "x = 1\nx = = 2"))
    return tmp_path


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.ipynb", ["missing.ipynb", "there is no such file"]),
        ("unknwon.ipynb", ["no such file", "did you mean unknown.ipynb?"]),
        ("folder", ["it is a folder", "name a notebook"]),
        ("not_json.ipynb", ["not JSON", "save it again"]),
        ("empty.ipynb", ["the file is empty", "save it again"]),
        ("number.ipynb", ["not a notebook", "save it again"]),
        ("version_3.ipynb", ["format 3", "nbconvert"]),
        ("no_cell.ipynb", ["no code cell", "block:NAME"]),
        ("no_step.ipynb", ["no step", "block:NAME"]),
        ("latin.ipynb", ["not UTF-8", "save it again as UTF-8"]),
        ("misspelt.ipynb", ["cell 1", "'blok:one'", "block:one?"]),
        ("unknown.ipynb", ["cell 2", "prev:on", "prev:one?"]),
        ("cycle.ipynb", ["cycle", "one -> two -> one", "remove one"]),
    ],
)
@pytest.mark.slow
def test_a_bad_notebook_is_refused_by_every_command(command, name, words, bad, kale):
    before = files(bad)
    refused(kale(command, name), *words)
    assert files(bad) == before


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.ipynb", ["missing.ipynb", "there is no such file"]),
        ("folder", ["it is a folder", "name a notebook"]),
        ("not_json.ipynb", ["not JSON", "save it again"]),
        ("version_3.ipynb", ["format 3", "nbconvert"]),
        ("no_step.ipynb", ["no step", "block:NAME"]),
        ("latin.ipynb", ["not UTF-8", "save it again as UTF-8"]),
        ("misspelt.ipynb", ["cell 1", "'blok:one'", "block:one?"]),
        ("unknown.ipynb", ["cell 2", "prev:on", "prev:one?"]),
        ("cycle.ipynb", ["cycle", "one -> two -> one", "remove one"]),
        ("syntax.ipynb", ["syntax-error", "cell 1", "line 2"]),
    ],
)
def test_a_bad_notebook_is_not_run(name, words, bad, kale):
    before = files(bad)
    refused(kale("run", name), *words)
    assert files(bad) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["-p", "m=1"], ["'m'", "no such parameter", "n: int = 2, flag: bool = False"]),
        (["-p", "n=many"], ["'n'", "'many' is no int", "n: int = 2"]),
        (["-p", "flag=maybe"], ["'flag'", "neither true nor false"]),
        (["-p", "n"], ["'n' is no name=value", "-p name=value"]),
        (["-p", "=1"], ["'=1' is no name=value"]),
        (["-p"], ["-p", "argument"]),
        (["--only", "mak"], ["no step 'mak'", "steps: make, add"]),
        (["--from", "mak"], ["no step 'mak'", "steps: make, add"]),
        (["--only", "make", "--from", "add"], ["--from and --only exclude each other"]),
        (["-j", "0"], ["--jobs", "1"]),
        (["-j", "many"], ["--jobs", "'many'"]),
        (["--fast"], ["--fast"]),
        (["more"], ["more"]),
    ],
)
def test_a_wrong_call_says_what_is_known(options, words, chain, kale, tmp_path):
    before = files(tmp_path)
    refused(kale("run", "chain.ipynb", *options), *words, code=2)
    assert files(tmp_path) == before


def test_an_unknown_command_and_no_command(kale):
    refused(kale("rum"), "rum", code=2)
    assert kale("run").code == 2
    assert "Commands" in kale().out + kale().err


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "-o", "wall/dag.svg"],
        ["slice", "-o", "wall"],
        ["slice", "-o", "wall/slices"],
        ["compile", "-o", "wall/p.yaml"],
        ["compile", "--py", "wall/p.py"],
        ["run", "--dir", "wall"],
    ],
)
def test_an_output_that_cannot_be_written(arguments, chain, kale, tmp_path):
    (tmp_path / "wall").write_text("a file")
    answer = kale(arguments[0], "chain.ipynb", *arguments[1:])

    assert answer.code in (1, 2)
    refused(answer, "cannot write", "wall", "another place", code=answer.code)
    assert (tmp_path / "wall").read_text() == "a file"


@pytest.mark.parametrize(
    ("command", "name", "word"), [("show", "dag.png", ".svg"), ("compile", "p.txt", ".yaml")]
)
def test_an_odd_suffix(command, name, word, chain, kale, tmp_path):
    answer = kale(command, "chain.ipynb", "-o", name)

    assert answer.code in (1, 2)
    refused(answer, name, word, code=answer.code)
    assert files(tmp_path) == ["chain.ipynb"]


@pytest.mark.parametrize("blocked", [".kale-pm", ".kale-pm/runs", ".kale-pm/packs"])
def test_a_folder_of_runs_that_cannot_be_used(blocked, chain, kale, tmp_path):
    wall = tmp_path / blocked
    wall.parent.mkdir(exist_ok=True)
    wall.write_text("a file")

    refused(kale("run", "chain.ipynb"), "cannot write", ".kale-pm", "--dir")
    assert wall.read_text() == "a file"


def test_a_report_where_nothing_ran(chain, kale):
    refused(kale("report"), "no .kale-pm folder", "kale-pm run")
    refused(kale("report", "chain.ipynb"), "chain.ipynb has no run", "kale-pm run chain.ipynb")
    refused(kale("report", "missing.ipynb"), "no such file")


def test_a_report_of_an_unknown_or_damaged_run(chain, notebook, kale, tmp_path):
    assert kale("run", "chain.ipynb", "--only", "make").code == 0
    (run,) = (tmp_path / ".kale-pm/runs").glob("chain-*")

    refused(kale("report", "wine-2020"), "no run 'wine-2020'", run.name)
    for text in ("{", "[]", '{"state": "flying", "steps": {}}'):
        (run / "run.json").write_text(text)
        refused(kale("report"), "run.json is damaged", "notebooks")
    assert kale("run", "chain.ipynb", "--only", "make").code == 0


def test_a_broken_configuration_is_told_and_does_no_harm(chain, kale, tmp_path):
    (tmp_path / "pyproject.toml").write_text("[tool.kale-pm\nimage = 3\n")
    told = kale("check", "chain.ipynb")
    assert told.code in (0, 1)
    refused(told, "pyproject.toml", "line 1", code=told.code)

    (tmp_path / "pyproject.toml").write_text("[tool.kale-pm]\nimage = 3\n")
    refused(kale("compile", "chain.ipynb"), "pyproject.toml", "'image'", "correct it")
    assert not (tmp_path / "chain.yaml").exists()


@pytest.mark.parametrize(
    "name",
    ["{}.ipynb", 'übung {x} it\'s "[bold]".ipynb', "a folder {of} mine/a.b c.ipynb"],
)
def test_any_name_will_do(name, notebook, kale):
    path = notebook(name, ("block:one", "print('hello')"))

    run = kale("run", name, "-v")

    assert run.code == 0, run.err
    assert "one | hello" in run.err
    page = kale("report", name).out.removesuffix("\n")
    assert page == str(path.parent / ".kale-pm/runs" / page.split("/")[-2] / "report.html")
    compiled = kale("compile", name)
    assert compiled.code == 0, compiled.err
    assert path.with_suffix(".yaml").is_file()


def test_a_name_that_looks_like_an_option(notebook, kale):
    notebook("-dash.ipynb", ("block:one", "x = 1"))

    assert kale("check", "--", "-dash.ipynb").code == 0
    assert kale("check", "./-dash.ipynb").code == 0


@pytest.mark.parametrize("name", ["missing.ipynb", "not_json.ipynb", "no_step.ipynb"])
def test_check_json_of_what_is_no_pipeline(name, bad, notebook, kale):
    answer = kale("check", name, "--json")

    assert answer.code == 1
    assert name in answer.err
    notebook("good.ipynb", ("block:one", "print(1)"))
    assert answer.json.keys() == kale("check", "good.ipynb", "--json").json.keys()
    assert answer.json["error"] == "unreadable"
    assert (answer.json["steps"], answer.json["edges"]) == ({}, [])
    (problem,) = answer.json["problems"]
    assert problem["code"] == "unreadable"
    assert name in problem["message"]
    assert problem["hint"]
