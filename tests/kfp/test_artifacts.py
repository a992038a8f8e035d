"""Files that steps keep are outputs of their components, as they are files of a run here."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
import yaml

from kale_pm import Pipeline
from kale_pm.kfp.compiling import plan as plan_module
from kale_pm.kfp.compiling.dsl_source import dsl_source
from kale_pm.notebook.tags import parse_tags

Make = Callable[..., Pipeline]
Run = Callable[..., tuple[Path, str]]

WRITE = (
    "from pathlib import Path\n"
    "Path('out').mkdir(exist_ok=True)\n"
    "Path('out/page.html').write_text('<b>page</b>')\n"
    "Path('notes.md').write_text('# Notes')\n"
    "Path('model.bin').write_bytes(bytes([0, 255]))\n"
    "total = 1"
)
TAGS = "artifact:page:out/page.html artifact:notes:notes.md artifact:model:./model.bin"
CELLS = [(f"step:draw {TAGS}", WRITE), ("step:show prev:draw", "print(total)")]


def outputs(pipeline: Pipeline, path: Path, step: str) -> Mapping[str, str]:
    """Output -> the title of its kind, of those that not every step has."""
    spec = next(yaml.safe_load_all(pipeline.compile(path).path.read_text(encoding="utf-8")))
    found = spec["components"][f"comp-step-{step}"]["outputDefinitions"]["artifacts"]
    usual = {"notebook", "html", "metrics", "state", "context"}
    return {n: each["artifactType"]["schemaTitle"] for n, each in found.items() if n not in usual}


def test_they_are_outputs_of_the_kind_that_kfp_shows(pipeline: Make, tmp_path: Path) -> None:
    made = pipeline(CELLS)
    assert outputs(made, tmp_path / "package.yaml", "draw") == {
        "page": "system.HTML",
        "notes": "system.Markdown",
        "model": "system.Artifact",
    }
    assert outputs(made, tmp_path / "package.yaml", "show") == {}


def test_they_are_the_same_here_and_there(pipeline: Make, run_under_kfp: Run) -> None:
    made = pipeline(CELLS)
    here = made.run().steps["draw"].artifacts
    folder, _ = run_under_kfp(made)
    there = {name: (folder / "step-draw" / name).read_bytes() for name in here}
    assert there == {name: artifact.content for name, artifact in here.items()}
    assert there == {"page": b"<b>page</b>", "notes": b"# Notes", "model": bytes([0, 255])}


def test_a_file_that_the_step_has_not_written_fails_it(pipeline: Make, run_under_kfp: Run) -> None:
    made = pipeline([("step:draw artifact:page:page.html", "total = 1")])
    _, log = run_under_kfp(made, check=False)
    assert "artifact 'page': page.html was not written by the step" in log


def test_in_large_pipelines_steps_share_a_component_with_those_that_keep_the_same(
    pipeline: Make, run_under_kfp: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plan_module, "FOLDED_ABOVE", 2)
    write = "from pathlib import Path\nPath('page.html').write_text('{}')"
    made = pipeline(
        [
            ("step:one artifact:page:page.html", write.format("one")),
            ("step:two artifact:page:page.html", write.format("two")),
            ("step:three artifact:page:page.md", write.format("three").replace("html", "md")),
            ("step:four", "print(4)"),
        ]
    )
    found = plan_module.plan(made).functions
    assert found["one"] is found["two"]
    assert len({each.name for each in found.values()}) == 3
    folder, _ = run_under_kfp(made)
    kept = {n: (folder / f"step-{n}" / "page").read_text() for n in ("one", "two", "three")}
    assert kept == {"one": "one", "two": "two", "three": "three"}


def test_no_name_that_is_allowed_means_something_else_in_the_compiled_function(
    pipeline: Make,
) -> None:
    made = pipeline(
        [
            ("parameters", "rate = 2"),
            ("step:a", "total = rate"),
            ("step:b prev:a artifact:page:x.md", "print(rate, total)"),
        ],
        marshal_path="/data",
        volumes=[{"type": "new_pvc", "name": "data", "mount_point": "/data", "size": "1Gi"}],
    )
    module = ast.parse(dsl_source(plan_module.plan(made)))
    (function,) = [
        each for each in module.body if isinstance(each, ast.FunctionDef) and each.name == "step_b"
    ]
    names = {each.arg for each in function.args.args}
    names |= {each.id for each in ast.walk(function) if isinstance(each, ast.Name)}
    assert {"page", "p_rate", "state_a", "run_step"} <= names
    for name in names - {"page", "str", "int"}:
        _, (problem,) = parse_tags(["step:b", f"artifact:{name}:x.md"], 1)
        assert problem.code == "bad-tags"


def test_names_that_look_special_are_not(pipeline: Make, run_under_kfp: Run) -> None:
    names = ("name", "type", "output", "input", "self", "task", "pipeline", "metadata", "str")
    tags = " ".join(f"artifact:{name}:x.md" for name in names)
    folder, _ = run_under_kfp(pipeline([(f"step:a {tags}", "open('x.md', 'w').write('x')")]))
    assert {(folder / "step-a" / name).read_text() for name in names} == {"x"}
