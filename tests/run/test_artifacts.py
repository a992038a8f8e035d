"""Files that steps keep: copied into the run, stored with the result, the same for all trials."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kale_pm.local.results.cleaning import Rules, clean
from kale_pm.local.store import Store
from kale_pm.local.sweeping import SweepOptions, run_sweep
from kale_pm.record import State
from kale_pm.report import write_report
from kale_pm.sweep import plan_sweep, space_of, trials

if TYPE_CHECKING:
    from conftest import Ran, Runner

WRITE = "import os\nos.makedirs('out', exist_ok=True)\nopen('out/page.html', 'w').write('one')"
CELLS = [("block:draw artifact:first:out/page.html", f"{WRITE}\nn = 1"), ("block:b", "print(n)")]


def kept(ran: Ran) -> Path:
    return ran.folder / ran.record.steps["draw"].artifacts["first"]


def test_they_lie_in_the_run_as_the_step_left_them(run: Runner) -> None:
    ran = run(CELLS).raise_for_failures()
    run.write("out/page.html", "changed since")
    assert kept(ran) == ran.folder / "artifacts" / "draw" / "first.html"
    assert kept(ran).read_text() == "one"
    assert ran.record.steps["b"].artifacts == {}
    page = write_report(ran.record, ran.folder).read_text("utf-8")
    assert 'href="./artifacts/draw/first.html"' in page


def test_a_stored_result_brings_them_into_the_new_run(run: Runner) -> None:
    first, second = run(CELLS), run(CELLS)
    assert second.states() == {"draw": "cached", "b": "cached"}
    assert kept(second) != kept(first)
    assert kept(second).read_text() == "one"


@pytest.mark.parametrize("harm", [Path.unlink, lambda path: path.write_text("other")])
def test_one_that_is_stored_no_more_is_made_again(
    run: Runner, harm: Callable[[Path], object]
) -> None:
    run(CELLS)
    (stored,) = (run.store / "artifacts").iterdir()
    harm(stored)
    again = run(CELLS)
    assert again.why("draw") == "its artifact first is gone or damaged"
    assert kept(again).read_text() == "one"
    assert run(CELLS).states() == {"draw": "cached", "b": "cached"}


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("n = 1", "artifact 'first': out/page.html was not written by the step"),
        (
            "import os\nos.makedirs('out/page.html')\nn = 1",
            "artifact 'first': out/page.html is no file",
        ),
    ],
)
def test_one_that_is_not_there_fails_the_step(run: Runner, source: str, said: str) -> None:
    ran = run([(CELLS[0][0], source), CELLS[1]])
    assert ran.states() == {"draw": "failed", "b": "skipped"}
    assert ran.error("draw").message == said
    assert "remove the artifact" in ran.error("draw").hint
    assert ran.record.steps["draw"].artifacts == {}


def test_a_step_that_may_be_tried_again_is(run: Runner) -> None:
    source = "import os\nif os.path.exists('tried'):\n    open('a.txt', 'w').write('x')\n"
    cells = [
        (
            "block:draw retry:1 retry_interval:0 artifact:first:a.txt",
            f"{source}open('tried', 'w').close()",
        )
    ]
    assert kept(run(cells).raise_for_failures()).read_text() == "x"


def test_of_two_that_are_called_alike_only_one_is_meant(run: Runner) -> None:
    run.write_cells([("block:a artifact:x:one.txt artifact:x:two.txt", "1")])
    (problem,) = run.pipeline().problems
    assert problem.message == (
        "step a has two values for artifacts x: one.txt (cell 1) and two.txt"
    )


def test_trials_share_them(run: Runner) -> None:
    run.write_cells([("parameters", "rate = 1"), CELLS[0], ("block:b", "print(n, rate)")])
    pipeline = run.pipeline()
    space = space_of(pipeline.parameters, {"rate": [1, 2]})
    plan = plan_sweep(pipeline, trials(pipeline.parameters, space)[0], space.names)
    record, _ = run_sweep(pipeline, plan, SweepOptions())
    runs = Store(run.store).runs
    files = [runs / str(each.run) / "artifacts/draw/first.html" for each in record.trials]
    assert record.state is State.DONE
    assert [file.read_text() for file in files] == ["one", "one"]


def test_they_go_when_nothing_needs_them(run: Runner) -> None:
    gone = run(CELLS)
    last = run([(CELLS[0][0], CELLS[0][1].replace("one", "two")), CELLS[1]])
    done = clean(Store(run.store), Rules(keep=1))
    assert done.runs == (gone.record.id,)
    assert len(done.files["artifacts"]) == 1
    assert kept(last).read_text() == "two"
    assert run().states() == {"draw": "cached", "b": "cached"}
