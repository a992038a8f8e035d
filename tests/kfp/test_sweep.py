"""``kale-pm sweep --kfp``: one pipeline with a loop over the trials, and the best of them."""

from __future__ import annotations

import csv
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from conftest import packages_under_kfp
from google.protobuf import json_format
from kfp.pipeline_spec import pipeline_spec_pb2
from tiny_notebooks import write_notebook

import kale_pm
from kale_pm import Pipeline
from kale_pm.errors import CompileError
from kale_pm.kfp.compiling.compile import CompileResult, compile_sweep
from kale_pm.kfp.compiling.loop import Swept
from kale_pm.trials.goal import Goal, read_goal

Make = Callable[..., Pipeline]

# One process has them all, so that what they begin with is made once.
pytestmark = pytest.mark.xdist_group("kfp-sweep")

CELLS = [
    ("parameters", "lr = 0.1\ndepth = 3\nstart = 1\nword = 'x'"),
    ("block:load", "import kale_pm\nrows = [start, 2, 3]\nkale_pm.metric('rows', len(rows))"),
    ("block:look prev:load", "print(rows)"),
    ("block:train prev:load", "model = [lr * row for row in rows]\nspread = float('nan')"),
    ("metrics", "spread"),
    ("block:score prev:train", "accuracy = round(sum(model) / depth, 3)"),
    ("metrics", "accuracy"),
]
# Values that KFP changes or refuses, were they given to it as they are.
VALUES = ["plain", "{{$.inputs}}", 'json:"x"', "ü\n\"quoted\", 'x'=1 \\", ""]


def compiled(made: Pipeline, output: Path, best: str = "accuracy:max", **values: Any) -> Any:
    options = {name: values.pop(name) for name in ("dsl", "parallelism") if name in values}
    plan = made.plan_sweep(parameters=values)
    swept = Swept(plan, read_goal(best), options.pop("parallelism", 10))
    return compile_sweep(made, swept, output, install=False, **options)


@dataclass(frozen=True)
class Done:
    """A sweep that ran under kfp.local, and the same one on this machine."""

    folder: Path
    log: str
    here: kale_pm.Sweep

    @property
    def last(self) -> Path:
        return self.folder / "select-best"

    @property
    def rows(self) -> list[dict[str, str]]:
        return list(csv.DictReader((self.last / "table" / "trials.csv").open(encoding="utf-8")))


def without_run(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    """Where and for how long a trial ran is another story on each side."""
    return [{k: v for k, v in row.items() if k not in ("run", "seconds", "state")} for row in rows]


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """One sweep in an image that has another kale-pm: the one that compiled it travels along."""
    folder = tmp_path_factory.mktemp("sweep")
    other = folder / "site" / "kale_pm"
    other.mkdir(parents=True)
    (other / "__init__.py").write_text("__version__ = '0.0.0'\n")
    values: Mapping[str, Any] = {"lr": [0.1, 0.5], "depth": [3, 2], "start": 4}
    made = kale_pm.load(write_notebook(folder / "small.ipynb", CELLS))
    package = compiled(made, folder / "sweep.yaml", **values).path
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(other.parent))
        patch.chdir(folder)
        finished = packages_under_kfp([(package, folder / "root", {})])
    assert finished.returncode == 0, finished.stdout + finished.stderr
    (tasks,) = (folder / "root").iterdir()
    here = made.sweep(best="accuracy:max", reports=0, parameters=values)
    return Done(tasks, finished.stdout, here)


class TestARun:
    def test_the_best_is_that_of_the_sweep_on_this_machine(self, done: Done) -> None:
        best = done.here.best
        assert int((done.last / "trial").read_text()) == best.number == 4
        given = json.loads((done.last / "parameters").read_text())
        assert given == {"lr": 0.5, "depth": 2, "start": 4, "word": "x"}
        assert given.items() >= best.parameters.items()
        assert best.metrics["accuracy"] == 2.25

    def test_its_metrics_are_drawn_and_what_is_not_finite_is_told_as_text(self, done: Done) -> None:
        output = json.loads((done.last / "executor_output.json").read_text())
        (best,) = output["artifacts"]["best"]["artifacts"]
        assert best["metadata"] == {"accuracy": 2.25, "rows": 3.0, "spread": "nan"}

    def test_the_table_has_all_trials_as_on_this_machine(self, done: Done) -> None:
        here = list(csv.DictReader(done.here.as_csv().splitlines()))
        assert without_run(done.rows) == without_run(here)
        content = json.loads((done.last / "table" / "trials.json").read_text())
        assert content["best"] == 4
        assert content["fixed"] == {"start": 4, "word": "x"}

    def test_the_report_is_a_page_of_all_trials(self, done: Done) -> None:
        page = (done.last / "report").read_text(encoding="utf-8")
        assert page.startswith("<!doctype html>")
        assert all(f'id="trial-{number}"' in page for number in range(1, 5))

    def test_the_log_of_the_last_step_has_the_table(self, done: Done) -> None:
        assert "4,done,0.5,2,3,NaN,2.25" in done.log

    def test_shared_steps_run_once_and_the_others_once_for_every_trial(self, done: Done) -> None:
        assert len(list(done.folder.rglob("load.ipynb"))) == 1
        assert len(list(done.folder.rglob("train.ipynb"))) == 4
        assert len(list(done.folder.rglob("score.ipynb"))) == 4

    def test_every_step_says_which_values_reached_it(self, done: Done) -> None:
        outputs = done.folder.rglob("step-train/executor_output.json")
        metrics = [json.loads(path.read_text())["artifacts"]["metrics"] for path in outputs]
        told = [each["artifacts"][0]["metadata"]["trial"] for each in metrics]
        assert sorted(told) == ["lr=0.1", "lr=0.1", "lr=0.5", "lr=0.5"]


def test_values_of_every_kind_arrive_as_on_this_machine(tmp_path: Path) -> None:
    cells = [
        ("parameters", "word = 'x'\nitems: list = []\nlimit = 1.5\nmaybe: int | None = 1"),
        (
            "block:only",
            "from kale_pm import metric\nmetric('seen', repr((word, items, limit, maybe)))",
        ),
        ("", "metric('size', len(word))"),
    ]
    rows = [{"word": each} for each in VALUES]
    rows += [{"items": [[1, 2.0], {"a": {"b": None}}], "maybe": None}, {"limit": math.inf}]
    made = kale_pm.load(write_notebook(tmp_path / "small.ipynb", cells))
    plan = made.plan_sweep(trials=rows)
    package = compile_sweep(
        made, Swept(plan, Goal("size", "max")), tmp_path / "sweep.yaml", install=False
    ).path
    done = packages_under_kfp([(package, tmp_path / "root", {})])
    assert done.returncode == 0, done.stdout + done.stderr
    here = made.sweep(trials=rows, best="size:max", reports=0)
    (last,) = (tmp_path / "root").glob("*/select-best")
    there = json.loads((last / "table" / "trials.json").read_text())["trials"]
    assert [row["metrics"]["seen"] for row in there] == [
        trial.metrics["seen"] for trial in here.trials
    ]
    assert int((last / "trial").read_text()) == here.best.number == 4


@pytest.fixture
def spec_of(tmp_path: Path) -> Callable[..., Any]:
    """The first document of a compiled sweep."""

    def make(made: Pipeline, **options: Any) -> Any:
        path = compiled(made, tmp_path / "out.yaml", **options).path
        return next(yaml.safe_load_all(path.read_text(encoding="utf-8")))

    return make


def loop_in(spec: Any) -> tuple[str, Any]:
    tasks = spec["root"]["dag"]["tasks"]
    ((key, task),) = ((k, each) for k, each in tasks.items() if "parameterIterator" in each)
    return key, task


def test_the_ir_has_the_shared_steps_outside_of_a_loop_over_static_items(
    pipeline: Make, spec_of: Callable[..., Any]
) -> None:
    spec = spec_of(pipeline(CELLS), lr=[0.1, 0.5], depth=[3, 2], parallelism=4)
    json_format.ParseDict(spec, pipeline_spec_pb2.PipelineSpec())
    key, loop = loop_in(spec)
    shared = {"carry-runtime", "step-load", "step-look"}
    assert set(spec["root"]["dag"]["tasks"]) == {*shared, key, "select-best"}
    inside = spec["components"][loop["componentRef"]["name"]]["dag"]["tasks"]
    assert set(inside) == {"step-train", "step-score"}
    assert loop["iteratorPolicy"]["parallelismLimit"] == 4
    items = json.loads(loop["parameterIterator"]["items"]["raw"])
    assert [(each["p_lr"], each["p_depth"]) for each in items] == [
        ("json:0.1", "json:3"),
        ("json:0.1", "json:2"),
        ("json:0.5", "json:3"),
        ("json:0.5", "json:2"),
    ]
    assert {type(text) for item in items for text in item.values()} == {str}


def test_what_does_not_vary_is_a_parameter_of_the_pipeline_with_the_value_of_the_sweep(
    pipeline: Make, spec_of: Callable[..., Any]
) -> None:
    inputs = spec_of(pipeline(CELLS), lr=[0.1, 0.5], start=7)["root"]["inputDefinitions"]
    assert {name: p["defaultValue"] for name, p in inputs["parameters"].items()} == {
        "depth": 3.0,
        "start": 7.0,
        "word": "x",
    }


def test_a_value_that_kfp_cannot_keep_as_a_number_is_a_text(
    pipeline: Make, spec_of: Callable[..., Any]
) -> None:
    cells = [("parameters", "lr = 0.1\nlimit = 1.0"), ("block:a", "print(lr, limit)")]
    spec = spec_of(pipeline(cells), lr=[0.1, 0.2], limit=math.inf)
    assert spec["root"]["inputDefinitions"]["parameters"]["limit"] == {
        "parameterType": "STRING",
        "defaultValue": "json:Infinity",
        "isOptional": True,
    }


def test_names_of_the_generated_file_are_no_hindrance(
    pipeline: Make, spec_of: Callable[..., Any]
) -> None:
    cells = [
        ("parameters", "trial = 1\nbest = 2\nTRIALS = 3\nname = 4"),
        ("block:trial", "x = trial"),
        ("block:select_best prev:trial", "y = x + best + TRIALS + name"),
        ("block:best prev:select_best", "print(y)"),
    ]
    spec = spec_of(pipeline(cells), trial=[1, 2], name=[1, 2])
    _, loop = loop_in(spec)
    inside = spec["components"][loop["componentRef"]["name"]]["dag"]["tasks"]
    assert set(inside) == {"step-trial", "step-select-best", "step-best"}


def test_the_python_file_makes_the_same_package_without_kale_pm(
    pipeline: Make, tmp_path: Path
) -> None:
    result = compiled(pipeline(CELLS), tmp_path / "a.yaml", lr=[1, 2], dsl=tmp_path / "a.py")
    alone = (
        "import runpy, sys; sys.modules['kale_pm'] = None; sys.argv = sys.argv[1:]; "
        "runpy.run_path(sys.argv[0], run_name='__main__')"
    )
    subprocess.run(
        [sys.executable, "-c", alone, tmp_path / "a.py", tmp_path / "b.yaml"],
        check=True,
        capture_output=True,
    )
    assert (tmp_path / "b.yaml").read_bytes() == result.path.read_bytes()


def test_equal_sweeps_give_equal_bytes_whatever_python_hashes(
    pipeline: Make, tmp_path: Path
) -> None:
    made = pipeline(CELLS)
    program = (
        "import sys, kale_pm; from pathlib import Path\n"
        "from test_sweep import compiled\n"
        "made = kale_pm.load(sys.argv[1])\n"
        "compiled(made, Path(sys.argv[2]), lr=[0.1, 0.5], depth=[3, 2], word=['a', 'b'])"
    )
    known = os.pathsep.join(filter(None, sys.path))  # where this module finds those it imports
    for seed in ("1", "2"):
        subprocess.run(
            [sys.executable, "-c", program, made.path, f"{seed}.yaml"],
            check=True,
            cwd=tmp_path,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": known},
        )
    assert (tmp_path / "1.yaml").read_bytes() == (tmp_path / "2.yaml").read_bytes()


class TestLimits:
    @staticmethod
    def refused(made: Pipeline, tmp_path: Path, **values: Any) -> CompileError:
        with pytest.raises(CompileError) as raised:
            compiled(made, tmp_path / "out.yaml", **values)
        assert not (tmp_path / "out.yaml").exists()
        return raised.value

    def test_so_many_trials_that_no_argument_takes_them(
        self, pipeline: Make, tmp_path: Path
    ) -> None:
        error = self.refused(pipeline(CELLS), tmp_path, lr=list(range(3000)))
        assert "3,000 trials are too many for one run: their values take" in error.message
        assert "--as-runs" in error.hint

    def test_so_many_metrics_that_the_last_step_could_not_receive_them(
        self, pipeline: Make, tmp_path: Path
    ) -> None:
        names = [f"metric_{number}" for number in range(30)]
        cells = [
            ("parameters", "lr = 1"),
            ("block:a", "import kale_pm\n" + "\n".join(f"{name} = lr" for name in names)),
        ]
        for way in ("", "\n".join(f"kale_pm.metric('{name}', {name})" for name in names)):
            recording = [("", way)] if way else [("metrics", "\n".join(names))]
            made = pipeline([*cells, *recording])
            error = self.refused(made, tmp_path, lr=list(range(200)))
            assert "200 trials are too many for one run: what they record takes" in error.message

    def test_many_trials_are_warned_of(self, pipeline: Make, tmp_path: Path) -> None:
        result = compiled(pipeline(CELLS), tmp_path / "out.yaml", lr=list(range(301)))
        assert any(warning.startswith("301 trials in one run") for warning in result.warnings)

    def test_a_single_trial(self, pipeline: Make, tmp_path: Path) -> None:
        error = self.refused(pipeline(CELLS), tmp_path, lr=0.5)
        assert "a single trial" in error.message
        assert "kale-pm submit" in error.hint

    def test_a_parameter_that_no_step_reads(self, pipeline: Make, tmp_path: Path) -> None:
        error = self.refused(pipeline(CELLS), tmp_path, word=["a", "b"])
        assert "no step reads word" in error.message


def warnings_of(made: Pipeline, tmp_path: Path, **values: Any) -> str:
    result: CompileResult = compiled(made, tmp_path / "out.yaml", **values)
    return "\n".join(result.warnings)


def test_a_sweep_in_which_nothing_is_shared_says_so(pipeline: Make, tmp_path: Path) -> None:
    told = warnings_of(pipeline(CELLS), tmp_path, start=[1, 2])
    assert "no step is shared: all 4 depend on what varies (start)" in told


def test_steps_that_a_loop_repeats_for_nothing_are_counted(pipeline: Make, tmp_path: Path) -> None:
    told = warnings_of(pipeline(CELLS), tmp_path, lr=[0.1, 0.5], depth=[3, 2])
    assert "10 step executions, where this machine would do with 8" in told
    assert "also train, which" in told


class TestVolumes:
    DATA = {"type": "pvc", "name": "data", "mount_point": "/data"}
    NEW = {"type": "new_pvc", "name": "scratch", "mount_point": "/scratch", "size": 5}

    def test_a_claim_that_is_there_is_mounted_in_the_loop_too(
        self, pipeline: Make, tmp_path: Path
    ) -> None:
        made = pipeline(CELLS, volumes=[self.DATA])
        path = compiled(made, tmp_path / "out.yaml", lr=[1, 2]).path
        spec, platform = yaml.safe_load_all(path.read_text(encoding="utf-8"))
        executors = platform["platforms"]["kubernetes"]["deploymentSpec"]["executors"]
        mounted = {name for name, settings in executors.items() if "pvcMount" in settings}
        assert mounted == {f"exec-step-{step}" for step in ("load", "look", "train", "score")}
        assert "close-run" not in str(spec["components"].keys())

    def test_a_claim_that_a_run_makes_is_none_for_a_sweep(
        self, pipeline: Make, tmp_path: Path
    ) -> None:
        error = TestLimits.refused(pipeline(CELLS, volumes=[self.NEW]), tmp_path, lr=[1, 2])
        assert "volume 'scratch' is made for one run" in error.message
        assert "--as-runs" in error.hint

    def test_nor_is_a_snapshot_at_its_end(self, pipeline: Make, tmp_path: Path) -> None:
        kept = {**self.DATA, "snapshot": True, "snapshot_name": "kept"}
        error = TestLimits.refused(pipeline(CELLS, volumes=[kept]), tmp_path, lr=[1, 2])
        assert "volume 'data': there is no snapshot" in error.message

    def test_the_marshal_volume_is_left_out(self, pipeline: Make, tmp_path: Path) -> None:
        made = pipeline(CELLS, marshal_volume=True, marshal_volume_size="1Gi")
        assert "the marshal volume is left out of a sweep" in warnings_of(made, tmp_path, lr=[1, 2])
        assert "workspace" not in (tmp_path / "out.yaml").read_text()
