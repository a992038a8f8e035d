"""``kale-pm sweep`` as a user meets it."""

from __future__ import annotations

import csv
import json
import re
import signal
from pathlib import Path

import pytest
from processes import needs_terminal, on_terminal

CELLS = (
    ("parameters", "lr: float = 0.1\ndepth: int = 3\nlayers: list = [32]"),
    ("block:load", "data = list(range(10))"),
    (
        "block:train prev:load",
        "if depth == 0:\n    raise ValueError('too flat')\nmodel = depth * 10",
    ),
    ("block:score prev:train", "accuracy = 1 - lr - abs(model - 50) / 100\nloss = 1 - accuracy"),
    ("metrics", "print(accuracy)\nprint(loss)"),
)


@pytest.fixture
def tune(notebook):
    """Three steps; ``depth`` reaches the second, ``lr`` only the third."""
    return notebook("tune.ipynb", *CELLS)


def sweeps(folder: Path) -> list[Path]:
    return sorted(path for path in (folder / ".kale-pm/sweeps").glob("tune-*") if path.is_dir())


def states(folder: Path) -> dict[int, str]:
    trials = json.loads((folder / "sweep.json").read_text())["trials"]
    return {trial["number"]: trial["state"] for trial in trials}


def test_a_dry_run_lists_the_trials_and_writes_nothing(tune, kale, tmp_path):
    asked = ("sweep", "tune.ipynb", "-p", "lr=0.1,0.2", "-p", "depth=3:9:2", "--dry-run")
    answer = kale(*asked)

    assert answer.code == 0
    lines = answer.out.splitlines()
    assert [line.split() for line in lines[:2]] == [["trial", "lr", "depth"], ["1", "0.1", "3"]]
    assert lines[-2:] == [
        "6 trials: 10 step executions (18 without sharing)",
        "  load 1, train 3, score 6",
    ]
    told = kale(*asked, "--json").json
    assert (told["executions"], told["unshared"], told["stored"]) == (10, 18, 0)
    assert told["reach"] == {"load": [], "train": ["depth"], "score": ["lr", "depth"]}
    assert told["trials"][5]["parameters"] == {"lr": 0.2, "depth": 7, "layers": [32]}
    assert not (tmp_path / ".kale-pm").exists()


def test_the_best_of_all_trials(tune, kale, tmp_path):
    answer = kale(
        "sweep", "tune.ipynb", "-p", "lr=0.1,0.2", "-p", "depth=3,5,9", "--best", "accuracy:max"
    )

    assert answer.code == 0, answer.err
    (folder,) = sweeps(tmp_path)
    sweep = folder.name
    # What is shared is executed once, and each trial that ended is told.
    assert "6 trials: 10 step executions (18 without sharing)" in answer.err
    assert len(re.findall(r"^✓ \d/6  trial \d  lr=0\.\d  depth=\d", answer.err, re.MULTILINE)) == 6
    lines = answer.out.splitlines()
    assert lines[0].startswith(f"✓ {sweep}  6 done in ")
    assert lines[2].split() == ["trial", "lr", "depth", "accuracy", "loss", "took"]
    assert lines[3].split()[:5] == ["★", "2", "0.1", "5", "0.9"]
    assert f"  open       kale-pm report {sweep} --open" in lines

    page = (folder / "report.html").read_text()
    links = re.findall(r'href="(\.\./\.\./runs/[^"]+)"', page)
    assert sum(link.endswith("report.html") for link in set(links)) == 6
    assert all((folder / link).is_file() for link in links)
    with (folder / "results.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [row["accuracy"] for row in rows][:2] == ["0.7", "0.9"]

    # What there is of it afterwards.
    assert "model" in kale("vars", f"{sweep}:best").out
    assert kale("vars", f"{sweep}:best", "--json").json["run"] == f"{sweep}.0002"
    assert "depth  3 → 9  (+6)" in kale("diff", f"{sweep}:1", f"{sweep}.0003").out
    assert kale("report").out.strip() == str(folder / "report.html")
    assert kale("report", f"{sweep}.0003").out.strip().endswith(".0003/report.html")
    again = kale("report", sweep, "--best", "loss:max")
    assert again.out.strip() == str(folder / "report.html")
    assert again.err.startswith("★ trial 6  lr=0.2  depth=9  →  ")


def test_runs_tell_a_sweep_in_one_line_and_its_trials_when_asked(tune, kale):
    kale("sweep", "tune.ipynb", "-p", "depth=3,5", "--best", "accuracy:max")
    kale("run", "tune.ipynb")

    run, sweep = kale("runs").out.splitlines()[1:]
    assert "latest  " in run
    assert "latest sweep" in sweep
    assert "trials: 2 done" in sweep
    assert sweep.endswith("depth       best accuracy=0.9 (trial 2)")
    assert len(kale("runs", "--trials").out.splitlines()) == 5
    told = kale("runs", "--json").json
    assert [len(told[kind]) for kind in ("runs", "sweeps")] == [1, 1]
    assert told["sweeps"][0]["best"]["number"] == 2
    assert kale("report").out.strip().endswith(f"{told['runs'][0]['id']}/report.html")


def test_failing_trials_stop_no_others_and_are_tried_again_alone(tune, notebook, kale, tmp_path):
    asked = ("sweep", "tune.ipynb", "-p", "lr=0.1,0.2", "-p", "depth=0,5", "--best", "loss:min")
    answer = kale(*asked)

    assert answer.code == 1
    (folder,) = sweeps(tmp_path)
    assert "✗ 2 trials (1, 3)  train: ValueError: too flat" in answer.out
    assert f"  retry      kale-pm sweep {folder.name} --retry" in answer.out
    assert "Traceback" not in answer.err
    assert states(folder) == {1: "failed", 2: "done", 3: "failed", 4: "done"}
    assert (tmp_path / f".kale-pm/runs/{folder.name}.0001/report.html").is_file()

    notebook("tune.ipynb", *[(tags, source.replace("== 0", "== -1")) for tags, source in CELLS])
    retried = kale("sweep", folder.name, "--retry")
    assert retried.code == 0, retried.err
    assert sweeps(tmp_path) == [folder]
    assert states(folder) == dict.fromkeys(range(1, 5), "done")
    assert sorted(re.findall(r"trial (\d)", retried.err)) == ["1", "3"]
    assert kale("vars", f"{folder.name}:1", "--json").json["run"] == f"{folder.name}.0001r2"

    nothing = kale("sweep", "tune.ipynb", "--retry")
    assert nothing.code == 2
    assert "are done" in nothing.err


def test_a_metric_that_no_trial_gave_is_an_error_and_the_results_stay(tune, kale, tmp_path):
    answer = kale("sweep", "tune.ipynb", "-p", "depth=3,5", "--best", "acuracy:max")

    assert answer.code == 1
    assert "no cell names a metric 'acuracy': did you mean 'accuracy'?" in answer.err
    assert answer.err.splitlines()[-2:] == [
        "error no trial that is done has a finite number as 'acuracy'",
        "  → did you mean 'accuracy'? metrics: accuracy, loss",
    ]
    (folder,) = sweeps(tmp_path)
    assert "2 done" in answer.out
    assert (folder / "results.csv").is_file()
    # Choosing anew runs nothing.
    assert kale("report", "--best", "accuracy:max").err.startswith("★ trial 2  depth=5")


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ([], ["nothing varies", "lr: float = 0.1"]),
        (["-p", "deph=3,5"], ["'deph'", "did you mean 'depth'?"]),
        (["-p", "depth=3,x"], ["'depth'", "'x' is no int"]),
        (["-p", "depth=0:0:1"], ["there is no trial", "0:0:1 has no value"]),
        (["-p", "depth=3", "-p", "depth=5"], ["-p depth is given twice", "-p 'depth=3,5'"]),
        (["-p", "layers=[1],[2"], ["'layers'", "is not closed"]),
        (["-p", "lr=1e-4..1e-1 log"], ["does not say how many", "--random"]),
        (["-p", "lr=1,2", "--best", "accuracy"], ["accuracy:max or accuracy:min"]),
        (["-p", "lr=1,2", "--stop-when", "accuracy"], ["no condition", "accuracy>=0.95"]),
        (["-p", "lr=1,2", "--trials", "none.csv"], ["none.csv: there is no such file"]),
        (["-p", "lr=1,2", "--reports", "some"], ["'some' is no number"]),
        (["-p", "lr=1,2", "--json", "--csv"], ["--csv goes not with --json"]),
        (["-p", "lr=1,2", "--retry"], ["-p goes not with --retry"]),
        (["--retry"], ["has no sweep", "kale-pm sweep tune.ipynb -p"]),
    ],
)
def test_what_is_asked_for_wrongly_is_said_before_anything_runs(
    options, said, tune, kale, tmp_path
):
    answer = kale("sweep", "tune.ipynb", *options)

    assert answer.code in (1, 2)
    assert answer.out == ""
    assert answer.err.startswith("error ")
    assert "Traceback" not in answer.err
    for words in said:
        assert words in answer.err
    assert not (tmp_path / ".kale-pm").exists()


def test_ten_thousand_trials_are_warned_of(tune, kale):
    answer = kale("sweep", "tune.ipynb", "-p", "lr=0:1:0.0001", "--dry-run")

    assert answer.code == 0
    assert "… and 9,980 more" in answer.out
    assert "10,000 trials: 10,002 step executions (30,000 without sharing)" in answer.out
    assert "warning 10,000 trials" in answer.err


def test_trials_of_a_file_crossed_with_values_and_drawn(tune, kale, tmp_path):
    (tmp_path / "trials.csv").write_text('depth,layers\n3,"[1, 2]"\n5,\n')
    told = kale(
        "sweep", "tune.ipynb", "--trials", "trials.csv", "-p", "lr=0.1,0.2", "--dry-run", "--json"
    ).json

    assert [list(t["parameters"].values()) for t in told["trials"]] == [
        [0.1, 3, [1, 2]],
        [0.2, 3, [1, 2]],
        [0.1, 5, [32]],
        [0.2, 5, [32]],
    ]
    drawn = (
        "sweep",
        "tune.ipynb",
        "-p",
        "lr=1e-4..1e-1 log",
        "--random",
        "5",
        "--dry-run",
        "--json",
    )
    assert kale(*drawn).json == kale(*drawn).json
    assert kale(*drawn).json != kale(*drawn, "--seed", "1").json


def test_for_programs(tune, kale, tmp_path):
    told = kale("sweep", "tune.ipynb", "-p", "lr=0.2,0.1", "--best", "accuracy:max", "--json")
    content = told.json

    assert told.err == ""
    assert content["best"] == 2
    assert content["folder"] == str(sweeps(tmp_path)[0])
    assert [trial["parameters"] for trial in content["trials"]] == [{"lr": 0.2}, {"lr": 0.1}]
    assert content["fixed"] == {"depth": 3, "layers": [32]}
    table = kale("sweep", "tune.ipynb", "-p", "lr=0.2,0.1", "--csv").out
    rows = list(csv.DictReader(table.splitlines()))
    assert [row["lr"] for row in rows] == ["0.2", "0.1"]
    assert table.count("\n") == 3


@pytest.mark.parametrize("way", ["--json", "--csv"])
def test_programs_are_told_of_warnings_beside_what_they_read(way, notebook, kale, tmp_path):
    notebook(
        "tune.ipynb",
        ("parameters", "lr = 0.1"),
        ("block:a", "with open('model.txt', 'w') as file:\n    file.write(str(lr))"),
    )
    said = "step a (cell 2) writes 'model.txt' in every trial"
    answer = kale("sweep", "tune.ipynb", "-p", "lr=1,2", way)

    assert answer.code == 0
    assert f"warning {said}: put a parameter into its name, or use -j 1" in answer.err
    (folder,) = sweeps(tmp_path)
    assert json.loads((folder / "sweep.json").read_text())["warnings"][0].startswith(said)
    assert json.loads((folder / "results.json").read_text())["warnings"][0].startswith(said)
    assert said.replace("'", "&#x27;") in (folder / "report.html").read_text()
    if way == "--json":
        assert answer.json["warnings"][0].startswith(said)


def test_programs_are_told_of_warnings_while_it_goes_on(tune, notebook, kale):
    kale("sweep", "tune.ipynb", "-p", "depth=0,5")
    notebook("tune.ipynb", *[(tags, source.replace("== 0", "== -1")) for tags, source in CELLS])
    answer = kale("sweep", "tune.ipynb", "--retry", "--json")

    assert answer.json["state"] == "done"
    assert "warning: the notebook has changed since the other trials were done" in answer.err


def test_a_sweep_that_nobody_can_read_is_said_to_be_damaged(tune, kale, tmp_path):
    kale("sweep", "tune.ipynb", "-p", "lr=0.1,0.2")
    (folder,) = sweeps(tmp_path)
    (folder / "sweep.json").write_text("{")

    for asked in (
        ("report",),
        ("report", folder.name),
        ("report", "tune.ipynb"),
        ("vars", f"{folder.name}:1"),
        ("sweep", folder.name, "--retry"),
        ("sweep", "tune.ipynb", "--retry"),
    ):
        answer = kale(*asked)
        assert answer.code == 1
        assert f"{folder / 'sweep.json'} is damaged" in answer.err.replace("\n", "")
        assert f"{folder.name}.0001" in answer.err
    assert kale("vars", f"{folder.name}.0001").code == 0
    assert kale("sweep", "tune.ipynb", "-p", "lr=0.1,0.2").code == 0
    assert kale("report").code == 0


def test_enough_is_enough(tune, kale, tmp_path):
    answer = kale(
        *("sweep", "tune.ipynb", "-j", "1", "-p", "depth=3,5,7,9"),
        *("--best", "accuracy:max", "--stop-when", "accuracy>=0.9"),
    )

    assert answer.code == 0
    assert "2 done, 2 skipped in" in answer.out
    assert "- 2 skipped: trial 2 has accuracy 0.9 >= 0.9" in answer.out


def test_a_sweep_is_neither_a_run_nor_a_notebook(tune, kale, tmp_path):
    kale("sweep", "tune.ipynb", "-p", "lr=0.1,0.2", "--best", "loss:min")
    sweep = sweeps(tmp_path)[0].name

    for command, *rest in (("vars",), ("debug", "train"), ("diff", "latest")):
        answer = kale(command, sweep, *rest)
        assert answer.code == 2
        assert f"error {sweep} is a sweep, not a run" in answer.err
        assert f"{sweep}:best" in answer.err
    unknown = kale("vars", f"{sweep}:3")
    assert f"error sweep {sweep} has no trial 3\n  → trials: 1 to 2" in unknown.err
    unknown = kale("report", f"{sweep}.0099")
    assert f"error sweep {sweep} has no trial 99\n  → trials: 1 to 2" in unknown.err
    assert kale("vars", f"{sweep}.2").out == kale("vars", f"{sweep}.0002").out
    anew = kale("sweep", sweep, "-p", "lr=0.3")
    assert anew.code == 2
    assert f"error {sweep} is a sweep" in anew.err
    assert "--retry" in anew.err


def test_ctrl_c_ends_a_sweep_in_order_and_the_same_command_takes_it_up(
    notebook, start, kale, until, tmp_path
):
    waiting = (
        "import pathlib, time\n"
        "while lr == 0.2 and not pathlib.Path('go').exists():\n"
        "    time.sleep(0.02)\n"
    )
    cells = [(tags, waiting * ("score" in tags) + source) for tags, source in CELLS]
    notebook("tune.ipynb", *cells)
    asked = ("sweep", "tune.ipynb", "-p", "lr=0.1,0.2", "--best", "accuracy:max")
    process = start(*asked)
    until(lambda: _ended(tmp_path) == [1])
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)

    assert process.returncode == 130
    assert "interrupted; the same command takes up what is done" in err
    assert "Traceback" not in err
    (folder,) = sweeps(tmp_path)
    assert out.startswith(f"! {folder.name}  1 done, 1 interrupted in ")
    assert "accuracy" in (folder / "report.html").read_text()

    (tmp_path / "go").touch()
    again = kale(*asked, "-v")
    assert again.code == 0, again.err
    assert re.findall(r"^▸ (\d \w+)", again.err, re.MULTILINE) == ["2 score"]
    assert len(sweeps(tmp_path)) == 2


def _ended(folder: Path) -> list[int]:
    """The trials that have ended, as their log tells while the sweep goes on."""
    logs = (folder / ".kale-pm/sweeps").glob("tune-*/trials.jsonl")
    lines = [line for log in logs if not log.parent.is_symlink() for line in log.open()]
    return [json.loads(line)["number"] for line in lines if line.endswith("\n")]


@needs_terminal
def test_on_a_terminal_it_is_drawn_and_the_table_takes_its_place(tune, tmp_path):
    asked = ("sweep", "tune.ipynb", "-p", "depth=0,3,5", "--best", "accuracy:max")
    code, drawn = on_terminal(*asked, folder=tmp_path, environment={"NO_COLOR": "1"})

    assert code == 1
    assert "\x1b[2K" in drawn
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", drawn)
    assert "/3 trials" in text
    assert "✗ trial 1  depth=0  failed  train: ValueError" in text
    assert "2 done, 1 failed in" in text
    # A path of more than a line is whole all the same.
    assert str(sweeps(tmp_path)[0] / "report.html") in text
