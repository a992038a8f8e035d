"""The examples run from a clean copy, show what they promise, and run only once."""

from __future__ import annotations

import json
import re
from collections import Counter
from html.parser import HTMLParser
from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

STEPS = {
    "candies": ["fill_sack", "sort", "share_chocolates", "share_fruits", "party"],
    "report": ["make_sales", "seasons", "regions", "summary"],
    "wine": [
        "load",
        "split",
        "train_logistic",
        "train_forest",
        "train_neighbours",
        "evaluate",
        "select",
    ],
    "wine_sweep": ["load", "split", "reduce", "train", "evaluate"],
}
PICTURES = {
    "candies": {},
    "report": {"seasons": 2, "regions": 1},
    "wine": {"load": 1, "evaluate": 1},
    "wine_sweep": {"reduce": 1},
}
METRICS = {
    "candies": set(),
    "report": {"revenue", "growth_rate"},
    "wine": {"accuracy", "f1"},
    "wine_sweep": {"accuracy", "test_accuracy"},
}
CHANGED = {
    "candies": ("kids=4", ["party", "share_chocolates", "share_fruits"]),
    "report": ("years=2", sorted(STEPS["report"])),
    "wine": ("neighbours=1", ["evaluate", "select", "train_neighbours"]),
    "wine_sweep": ("reach=0.1", ["evaluate", "train"]),
}


def latest(folder: Path) -> Path:
    return (folder / ".kale-pm" / "runs" / "latest").resolve()


def record(folder: Path) -> dict:
    return json.loads((latest(folder) / "run.json").read_text(encoding="utf-8"))


def outputs(path: Path) -> list:
    cells = nbformat.read(path, as_version=4).cells
    return [output for cell in cells if cell.cell_type == "code" for output in cell.outputs]


def printed(path: Path) -> str:
    return "".join(o.text for o in outputs(path) if o.output_type == "stream")


def pictures(path: Path) -> int:
    return sum("image/png" in output.get("data", {}) for output in outputs(path))


class Page(HTMLParser):
    """Collects what a page would load, in the pages framed in it too."""

    def __init__(self) -> None:
        super().__init__()
        self.loads: list[str] = []

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        self.loads += [found[name] for name in ("src", "srcset", "data") if found.get(name)]
        if tag == "link":
            self.loads.append(found["href"])
        if "srcdoc" in found:
            self.loads += loads(found["srcdoc"])


def loads(page: str) -> list[str]:
    """The addresses, other than data:, that a browser fetches to show the page."""
    parser = Page()
    parser.feed(page)
    parser.close()
    addresses = parser.loads + re.findall(r"url\([\"']?([^)\"']+)", page)
    return [a for a in addresses if not a.startswith(("data:", "#"))]


@pytest.mark.parametrize("name", STEPS)
def test_an_example_runs_once_and_again_only_where_a_parameter_changed_it(
    name, example, kale, tmp_path
):
    path = example(name)
    before = (path.read_bytes(), path.stat().st_mtime_ns)

    first = kale("run", path.name)

    assert first.code == 0, first.err
    assert first.started == sorted(STEPS[name])
    run = latest(tmp_path)
    assert list(record(tmp_path)["steps"]) == STEPS[name]
    assert record(tmp_path)["state"] == "done"
    assert record(tmp_path)["metrics"].keys() == METRICS[name]
    assert f"{len(STEPS[name])} done" in first.out
    assert str(run / "report.html") in first.out
    for step in STEPS[name]:
        executed = run / "notebooks" / f"{step}.ipynb"
        nbformat.validate(nbformat.read(executed, as_version=4))
        assert pictures(executed) == PICTURES[name].get(step, 0)
    events = [json.loads(line) for line in (run / "journal.jsonl").read_text().splitlines()]
    assert events[0]["event"] == "RunStarted"
    assert events[-1]["event"] == "RunFinished"
    assert {e["step"] for e in events if e["event"] == "StepFinished"} == set(STEPS[name])

    second = kale("run", path.name)

    assert second.code == 0, second.err
    assert second.started == []
    assert f"{len(STEPS[name])} cached" in second.out
    assert record(tmp_path)["metrics"] == json.loads((run / "run.json").read_text())["metrics"]
    for step in STEPS[name]:
        again = latest(tmp_path) / "notebooks" / f"{step}.ipynb"
        assert outputs(again) == outputs(run / "notebooks" / f"{step}.ipynb")

    assignment, affected = CHANGED[name]
    third = kale("run", path.name, "-p", assignment)

    assert third.code == 0, third.err
    assert third.started == affected
    step = affected[0]
    changed = latest(tmp_path) / "notebooks" / f"{step}.ipynb"
    assert outputs(changed) != outputs(run / "notebooks" / f"{step}.ipynb")
    if name == "candies":
        assert "kid 4:" in printed(changed)
        assert "kid 5:" not in printed(changed)
    assert (path.read_bytes(), path.stat().st_mtime_ns) == before
    page = (run / "report.html").read_text(encoding="utf-8")
    assert page.count("data:image/png;base64") == sum(PICTURES[name].values())
    assert loads(page) == []


def test_trials_of_the_wines_share_what_no_parameter_reaches_and_one_is_the_best(
    example, kale, tmp_path
):
    path = example("wine_sweep")
    values = ("-p", "components=1,8", "-p", "reach=0.03,3")

    swept = kale("sweep", path.name, *values, "--best", "accuracy:max")

    assert swept.code == 0, swept.err
    folder = (tmp_path / ".kale-pm" / "sweeps" / "latest").resolve()
    lines = (folder / "journal.jsonl").read_text(encoding="utf-8").splitlines()
    events = [json.loads(line) for line in lines]
    executed = Counter(each["step"] for each in events if each["event"] == "StepStarted")
    assert executed == {"load": 1, "split": 1, "reduce": 2, "train": 4, "evaluate": 4}
    results = json.loads((folder / "results.json").read_text(encoding="utf-8"))
    trials = {each["trial"]: each for each in results["trials"]}
    assert trials[results["best"]]["parameters"] == {"components": 8, "reach": 3.0}
    assert len({each["metrics"]["accuracy"] for each in trials.values()}) == len(trials)
    assert loads((folder / "report.html").read_text(encoding="utf-8")) == []


@pytest.mark.slow
def test_in_one_kernel_the_notebook_of_the_sweep_is_one_of_its_trials(example, kale, tmp_path):
    path = example("wine_sweep")
    kale("run", path.name)

    plain = nbformat.read(path, as_version=4)
    NotebookClient(
        plain, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()

    shown = [
        output.text
        for cell in plain.cells
        for output in cell.get("outputs", ())
        if "text" in output
    ]
    metrics = record(tmp_path)["metrics"]
    assert shown[-1].split() == [str(metrics["accuracy"]), str(metrics["test_accuracy"])]
