"""check, show, slice, compile and report, asked the usual questions."""

from __future__ import annotations

import ast
import json
import re

import nbformat
import pytest
import yaml

PROBLEM = {"code", "severity", "step", "cell", "line", "message", "hint"}
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")


@pytest.fixture
def troubled(notebook):
    """A notebook with an error and a warning."""
    return notebook(
        "troubled.ipynb",
        ("", "import sys"),
        ("block:one", "x = 1"),
        ("block:two prev:one", "print(x)\nprint(undefined)"),
    )


# -- check ------------------------------------------------------------------------------------


def test_check_tells_what_flows_between_the_steps(example, kale):
    example("candies")
    answer = kale("check", "candies.ipynb")

    assert answer.code == 0
    assert "sort  after fill_sack" in answer.out
    assert re.search(r"from fill_sack\s+sack", answer.out)
    assert answer.out.endswith("no problems\n")
    assert answer.err == ""


def test_check_shows_a_problem_with_its_place_and_line(troubled, kale):
    answer = kale("check", "troubled.ipynb")

    assert answer.code == 1
    assert "error undefined-name  cell 3, line 2, step two" in answer.out
    assert "│ print(undefined)" in answer.out
    assert "warning untagged-prelude  cell 1" in answer.out


def test_check_json_has_one_form(example, kale):
    example("wine")
    answer = kale("check", "wine.ipynb", "--json")

    assert answer.code == 0
    content = answer.json
    assert content.keys() == {
        "steps",
        "edges",
        "implied_edges",
        "aliases",
        "error",
        "problems",
    }
    evaluate = content["steps"]["evaluate"]
    assert evaluate.keys() == {"needs", "gives", "gives_if_changed", "params", "from"}
    assert evaluate["from"]["forest"] == ["train_forest"]
    assert "split" in evaluate["from"]["x_valid"]
    assert sorted(content["steps"]["train_forest"]["params"]) == ["seed", "trees"]
    assert ["evaluate", "select"] in content["edges"]
    assert content["error"] is None


def test_check_json_has_every_field_of_a_problem_and_exit_code_1(troubled, kale):
    answer = kale("check", "troubled.ipynb", "--json")

    assert answer.code == 1
    problems = answer.json["problems"]
    assert answer.json["error"] == "undefined-name"
    assert all(problem.keys() == PROBLEM for problem in problems)
    (error,) = (problem for problem in problems if problem["severity"] == "error")
    assert (error["step"], error["cell"], error["line"]) == ("two", 3, 2)
    assert error["hint"]


def test_strict_makes_warnings_errors(notebook, kale):
    notebook("loose.ipynb", ("", "import sys"), ("block:one", "x = 1"))

    assert kale("check", "loose.ipynb").code == 0
    assert kale("check", "loose.ipynb", "--strict").code == 1
    refused = kale("run", "loose.ipynb", "--strict")
    assert refused.code == 1
    assert "untagged-prelude" in refused.err


# -- show -------------------------------------------------------------------------------------


def test_show_draws_text_and_mermaid(example, kale):
    example("candies")

    text = kale("show", "candies.ipynb")
    assert (text.code, text.err) == (0, "")
    assert [line.split()[-1] for line in text.out.splitlines() if "●" in line] == [
        "fill_sack",
        "sort",
        "share_chocolates",
        "share_fruits",
        "party",
    ]
    mermaid = kale("show", "candies.ipynb", "--mermaid")
    assert mermaid.out.startswith(("graph ", "flowchart "))
    assert "share_fruits" in mermaid.out


@pytest.mark.parametrize(
    ("suffix", "first"), [("svg", "<svg"), ("mmd", ("graph", "flowchart")), ("md", "```mermaid\n")]
)
def test_show_writes_the_picture_that_the_suffix_asks_for(suffix, first, example, kale, tmp_path):
    example("candies")
    answer = kale("show", "candies.ipynb", "-o", f"dag.{suffix}")

    assert (answer.code, answer.out) == (0, f"dag.{suffix}\n")
    assert (tmp_path / f"dag.{suffix}").read_text(encoding="utf-8").startswith(first)


# -- slice ------------------------------------------------------------------------------------


def test_slice_writes_a_notebook_for_every_step(chain, kale, tmp_path):
    answer = kale("slice", "chain.ipynb", "-o", "deep/slices")

    assert answer.code == 0
    assert answer.out.split() == ["deep/slices/make.ipynb", "deep/slices/add.ipynb"]
    content = nbformat.read(tmp_path / "deep/slices/add.ipynb", as_version=4)
    nbformat.validate(content)
    assert "total = sum(numbers)" in "\n".join(cell.source for cell in content.cells)

    first = (tmp_path / "deep/slices/add.ipynb").read_bytes()
    kale("slice", "chain.ipynb", "-o", "deep/slices")
    assert (tmp_path / "deep/slices/add.ipynb").read_bytes() == first


# -- compile ----------------------------------------------------------------------------------


def test_compile_writes_yaml_beside_the_notebook(chain, kale, tmp_path):
    answer = kale("compile", "chain.ipynb")

    assert answer.code == 0, answer.err
    assert answer.out.startswith("chain.yaml  ")
    documents = list(yaml.safe_load_all((tmp_path / "chain.yaml").read_text(encoding="utf-8")))
    assert documents[0]["pipelineInfo"]["name"] == "chain"
    assert {"n", "flag"} <= documents[0]["root"]["inputDefinitions"]["parameters"].keys()


def test_compile_writes_where_it_is_told_and_the_python_of_it(chain, kale, tmp_path):
    answer = kale("compile", "chain.ipynb", "-o", "new/p.yaml", "--py", "p.py", "--image", "img:1")

    assert answer.code == 0, answer.err
    assert "img:1" in (tmp_path / "new/p.yaml").read_text(encoding="utf-8")
    ast.parse((tmp_path / "p.py").read_text(encoding="utf-8"))
    assert answer.out.splitlines()[-1] == "p.py"
    assert not (tmp_path / "chain.yaml").exists()


# -- run and report ---------------------------------------------------------------------------


def test_a_run_tells_every_step_and_shows_what_cells_print_on_demand(chain, kale):
    answer = kale("run", "chain.ipynb", "-p", "n=4", "-v")

    assert answer.code == 0, answer.err
    assert answer.started == ["add", "make"]
    assert "add | 6\n" in answer.err
    assert re.search(r"^✓ add  done [\d.]+ s$", answer.err, re.MULTILINE)
    assert re.search(r"^✓ chain-\S+  2 done in ", answer.out)
    assert "  total = 6\n" in answer.out


def test_report_finds_a_run_by_every_name(chain, kale, tmp_path):
    kale("run", "chain.ipynb", "--only", "make")
    kale("run", "chain.ipynb", "--only", "make", "-p", "n=3")
    newest, oldest = sorted(
        (path.name for path in (tmp_path / ".kale-pm/runs").glob("chain-*")),
        key=lambda name: json.loads((tmp_path / ".kale-pm/runs" / name / "run.json").read_text())[
            "parameters"
        ]["n"],
        reverse=True,
    )
    page = tmp_path / ".kale-pm/runs" / newest / "report.html"
    page.unlink()

    assert kale("report").out == f"{page}\n"
    assert page.is_file()
    assert kale("report", "chain.ipynb").out == f"{page}\n"
    assert kale("report", newest).out == f"{page}\n"
    assert kale("report", page.parent).out == f"{page}\n"
    assert kale("report", "chain.ipynb", cwd=tmp_path / ".kale-pm").code == 1
    assert oldest in kale("report", oldest).out
    told = kale("report", newest, "--json").json
    assert (told["id"], told["state"], told["metrics"]) == (newest, "done", {})

    ambiguous = kale("report", "chain-")
    assert ambiguous.code == 1
    assert newest in ambiguous.err
    assert oldest in ambiguous.err


def test_runs_may_lie_elsewhere(chain, kale, tmp_path):
    answer = kale("run", "chain.ipynb", "--dir", "elsewhere")

    assert answer.code == 0, answer.err
    assert not (tmp_path / ".kale-pm").exists()
    assert (tmp_path / "elsewhere/.kale-pm/runs/latest/report.html").is_file()
    assert "elsewhere" in kale("report", "chain.ipynb", "--dir", "elsewhere").out
    assert "elsewhere" in kale("report", cwd=tmp_path / "elsewhere").out


def test_only_and_from_choose_what_is_executed(chain, kale):
    assert kale("run", "chain.ipynb", "--only", "make").started == ["make"]
    assert kale("run", "chain.ipynb", "--from", "add").started == ["add"]
    assert kale("run", "chain.ipynb", "--fresh", "-j", "1").started == ["add", "make"]


def test_a_run_says_that_there_are_warnings(notebook, kale):
    notebook("loose.ipynb", ("", "import sys"), ("block:one", "x = 1"))
    answer = kale("run", "loose.ipynb")

    assert answer.code == 0
    assert "warning 1 warning: kale-pm check loose.ipynb\n" in answer.err


# -- all of them ------------------------------------------------------------------------------


def test_no_command_touches_the_notebook(chain, kale):
    before = (chain.read_bytes(), chain.stat().st_mtime_ns)
    for command in (
        ["check"],
        ["check", "--json"],
        ["show", "-o", "dag.svg"],
        ["slice"],
        ["run"],
        ["compile", "--py", "p.py"],
        ["report"],
        ["vars"],
        ["runs"],
        ["diff", "latest"],
        ["debug", "add"],
        ["clean", "--all"],
    ):
        # Each by a fresh interpreter: what it imports must not be there by luck.
        assert kale(command[0], "chain.ipynb", *command[1:], env={}).code == 0
        assert (chain.read_bytes(), chain.stat().st_mtime_ns) == before


def test_piped_output_is_plain_text(troubled, example, kale):
    example("candies")
    for answer in (
        kale("check", "troubled.ipynb"),
        kale("show", "candies.ipynb"),
        kale("run", "troubled.ipynb"),
        kale("run", "candies.ipynb", "--only", "fill_sack", "-v"),
        kale("report", "nothing"),
        kale("run", "troubled.ipynb", "--nonsense"),
    ):
        assert not CONTROL.search(answer.out + answer.err)


def test_piped_lines_are_neither_wrapped_nor_padded(notebook, kale):
    name = "a_variable_with_quite_a_long_name_that_is_never_defined_anywhere_in_the_notebook"
    notebook("long.ipynb", ("block:one", f"print({name})"))
    answer = kale("check", "long.ipynb")

    assert not re.search(r" $", answer.out, re.MULTILINE)
    assert [line for line in answer.out.splitlines() if line.endswith(f"print({name})")]


def test_json_is_all_that_a_program_reads(chain, notebook, kale):
    answer = kale("run", "chain.ipynb", "--json")
    assert answer.code == 0
    assert answer.err == ""
    assert answer.json["steps"]["add"]["state"] == "done"

    notebook("broken.ipynb", ("block:one", "1 / 0"))
    failed = kale("run", "broken.ipynb", "--json")
    assert failed.code == 1
    assert failed.json["state"] == "failed"
    assert failed.json["steps"]["one"]["error"]["ename"] == "ZeroDivisionError"
