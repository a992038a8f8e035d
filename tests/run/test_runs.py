"""A run: steps side by side, an executed notebook for each, one record of it all."""

from __future__ import annotations

import json
import signal
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from processes import driving, has_ended, until

from kale_pm.errors import LoadError, ParameterError, StoreError, UsageError
from kale_pm.events import Event
from kale_pm.face import find_run
from kale_pm.local import RunOptions, Store, find_store, read_run, run_pipeline
from kale_pm.local.journal import read_journal
from kale_pm.record import State

if TYPE_CHECKING:
    from conftest import Runner


def test_branches_run_side_by_side(run: Runner) -> None:
    nap = "import time\nbegan = time.time()\ntime.sleep(1.5)\nended = time.time()\nprint({})"
    ran = run(
        [
            ("block:start", "x = 1"),
            ("block:left prev:start", nap.format("began, ended")),
            ("block:right prev:start", nap.format("began, ended")),
        ]
    ).raise_for_failures()
    (began, ended), (other_began, other_ended) = (
        map(float, ran.printed(name).split()) for name in ("left", "right")
    )
    assert max(began, other_began) < min(ended, other_ended)


def test_one_step_at_a_time_if_asked_for(run: Runner) -> None:
    with pytest.raises(UsageError):
        run.with_options(jobs=0)([("block:a", "x = 1")])
    ran = run.with_options(jobs=1)([("block:a", "x = 1"), ("block:b", "y = 1")])
    names = [type(e).__name__ for e in ran.events if type(e).__name__ in ("StepStarted",)]
    finished = [e.step for e in ran.events if type(e).__name__ == "StepFinished"]
    assert (len(names), finished) == (2, ["a", "b"])


def test_a_listener_hears_one_event_at_a_time(run: Runner) -> None:
    cells = [(f"block:{name}", "for i in range(20):\n    print(i, flush=True)") for name in "abc"]
    busy = threading.Lock()
    overlaps: list[Event] = []

    def listen(event: Event) -> None:
        if not busy.acquire(blocking=False):
            overlaps.append(event)
            return
        time.sleep(0.01)
        busy.release()

    run.write_cells(cells)
    run_pipeline(run.pipeline(), RunOptions(jobs=3), listen)
    assert overlaps == []


def test_the_executed_notebook_shows_all_outputs_pictures_included(run: Runner) -> None:
    pytest.importorskip("matplotlib")
    ran = run(
        [
            ("imports", "%matplotlib inline\nimport matplotlib.pyplot as plt"),
            ("parameters", "n = 2"),
            ("block:a", "print('text', n)\nplt.plot(range(n))\nplt.show()"),
            ("", "{'answer': n}"),
        ],
        n=3,
    ).raise_for_failures()
    notebook = ran.notebook("a")
    data = [o.get("data", {}) for c in notebook.cells for o in c.get("outputs", ())]
    assert any("image/png" in each for each in data)
    assert any(each.get("text/plain") == "{'answer': 3}" for each in data)
    assert ran.printed("a") == "text 3\n"
    injected = [c for c in notebook.cells if "injected-parameters" in c.metadata.get("tags", ())]
    assert [c.source.splitlines()[-1] for c in injected] == ["n = 3"]


def test_run_json_journal_and_links_are_complete(run: Runner) -> None:
    ran = run(
        [
            ("parameters", "n = 2\nwords = ['a']"),
            ("block:a", "x = n"),
            ("block:b prev:a", "score = x * 1.5\nfor _ in range(3):\n    print('line')"),
            ("metrics", "score"),
        ],
        words='["b", "c"]',
    ).raise_for_failures()
    content = json.loads((ran.folder / "run.json").read_text())
    assert content["id"] == ran.folder.name
    assert content["id"].startswith("notebook-2")
    assert content["pipeline"] == "notebook"
    assert content["state"] == "done"
    assert content["parameters"] == {"n": 2, "words": ["b", "c"]}
    assert content["metrics"] == {"score": 3.0}
    assert content["notebook"] == str(run.path)
    assert content["seconds"] > 0
    step = content["steps"]["b"]
    assert step["parents"] == step["inputs"] == ["a"]
    assert step["notebook"] == "notebooks/b.ipynb"
    assert step["metrics"] == {"score": 3.0}
    assert abs(step["started"] - time.time()) < 60
    assert read_run(ran.folder) == ran.record

    events = read_journal(ran.folder / "journal.jsonl")
    names = [event["event"] for event in events]
    assert names[0] == "RunStarted"
    assert names[-1] == "RunFinished"
    assert names.count("StepStarted") == names.count("StepFinished") == 2
    cells = [e["cell"] for e in events if e["event"] == "CellFinished" and e["step"] == "b"]
    assert cells == [1, None, 3, None]

    runs = run.store / "runs"
    assert (runs / "latest").resolve() == ran.folder
    assert (runs / "latest-notebook").resolve() == ran.folder
    assert (run.store / ".gitignore").read_text() == "*\n"
    assert Store(run.store).find_run() == ran.folder
    assert Store(run.store).find_run(ran.folder.name[:-2]) == ran.folder


def test_a_run_leaves_nothing_in_the_folder_of_the_notebook_but_its_store(run: Runner) -> None:
    run.write_cells([("block:a", "x = 1"), ("block:b prev:a", "print(x)")])
    before = run.path.read_bytes(), run.path.stat().st_mtime_ns
    run()
    assert sorted(p.name for p in run.folder.iterdir()) == [".kale-pm", "notebook.ipynb"]
    assert (run.path.read_bytes(), run.path.stat().st_mtime_ns) == before
    assert not [p for p in run.store.rglob(".*") if p.name != ".gitignore"]


def test_steps_work_in_the_folder_of_the_notebook_wherever_the_store_lies(
    run: Runner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inner = tmp_path / "project"
    inner.mkdir()
    (inner / "data.txt").write_text("one")
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    relative = type(run)(Path("project"), options={"folder": Path("elsewhere")})
    cells = [("block:a", "import os\nprint(os.getcwd(), open('data.txt').read())")]
    ran = relative(cells).raise_for_failures()
    assert ran.printed("a") == f"{inner} one\n"
    assert (tmp_path / "elsewhere" / ".kale-pm" / "runs" / ran.folder.name).is_dir()
    assert relative().executed == []
    (inner / "data.txt").write_text("two")
    assert relative().printed("a") == f"{inner} two\n"


def test_bad_parameters_are_refused_before_anything_is_made(run: Runner) -> None:
    cells = [("parameters", "n = 2"), ("block:a", "x = n")]
    with pytest.raises(ParameterError, match="m"):
        run(cells, m=1)
    with pytest.raises(ParameterError, match="int"):
        run(cells, n="many")
    assert not run.store.exists()


def test_parameters_of_every_kind_arrive_as_they_were_given(run: Runner) -> None:
    given = {
        "text": "quotes ' \" and \\ {braces} {{x}} $HOME %d\nlines ünï 数",
        "large": 2**70,
        "small": -1.5e-300,
        "endless": float("-inf"),
        "truth": False,
        "nothing": None,
        "rows": [1, 2.0, "x", None, [True]],
        "table": {"a b": {"c": [1.5]}, "'": '"'},
    }
    defaults = "text = ''\nlarge = 1\nsmall = 1.0\nendless = 1.0\ntruth = True\n"
    defaults += "nothing: 'int | None' = 3\nrows = []\ntable = {}"
    names = ", ".join(given)
    cells = [("parameters", defaults), ("block:a", f"print(repr(({names},)))")]
    ran = run(cells, **given).raise_for_failures()
    assert ran.printed("a") == repr(tuple(given.values())) + "\n"
    # JSON has no infinity, but it comes back.
    assert read_run(ran.folder).parameters == given


# -- metrics --------------------------------------------------------------------------------


def test_metrics_by_tag_by_call_and_by_scrapbook(run: Runner) -> None:
    pytest.importorskip("scrapbook")
    ran = run(
        [
            ("imports", "import kale_pm\nimport scrapbook as sb\nimport numpy as np"),
            ("block:a", "accuracy = np.float64(0.5)"),
            ("block:b prev:a", "accuracy = accuracy + 0.25\nkale_pm.metric('loss', 1)"),
            ("", "sb.glue('f1', 0.5)\nsb.glue('name', 'forest')\nsb.glue('rows', [1, 2])"),
            ("metrics", "print(accuracy)"),
        ]
    ).raise_for_failures()
    assert ran.record.metrics == {
        "accuracy": 0.75,
        "loss": 1,
        "f1": 0.5,
        "name": "forest",
    }
    assert ran.record.steps["a"].metrics == {}
    assert run().record.metrics == ran.record.metrics

    import scrapbook

    book = scrapbook.read_notebook(str(ran.folder / "notebooks" / "b.ipynb"))
    assert book.scraps.data_dict["accuracy"] == 0.75
    assert book.scraps.data_dict["loss"] == 1
    books = scrapbook.read_notebooks(str(ran.folder / "notebooks"))
    assert sorted(books) == ["a", "b"]
    assert books["b"].scraps.data_dict["rows"] == [1, 2]
    assert books["a"].metadata.papermill.exception is None


def test_a_metric_that_is_none_is_kept_and_leaves_the_notebook_readable(run: Runner) -> None:
    scrapbook = pytest.importorskip("scrapbook")
    code = "import kale_pm\nkale_pm.metric('loss', None)\nkale_pm.metric('score', 2)"
    ran = run([("block:a", code)]).raise_for_failures()
    assert read_run(ran.folder).metrics == {"loss": None, "score": 2}
    book = scrapbook.read_notebook(str(ran.folder / "notebooks" / "a.ipynb"))
    assert book.scraps.data_dict == {"score": 2}
    assert "loss = None" in str(ran.notebook("a"))


def test_a_scrap_of_an_unknown_encoder_is_told(run: Runner) -> None:
    payload = "{'name': 'x', 'data': '1', 'encoder': 'odd', 'version': 1}"
    mime = "application/scrapbook.scrap.odd+json"
    source = f"from IPython.display import display\ndisplay({{'{mime}': {payload}}}, raw=True)"
    ran = run([("block:a", source)]).raise_for_failures()
    with pytest.raises(LoadError, match="a scrap of step a cannot be read") as caught:
        dict(find_run(ran.folder.name, near=ran.folder).steps["a"].scraps)
    assert "register the encoder" in str(caught.value.hint)


def test_a_metric_that_is_no_number_at_all_is_kept_as_it_is(run: Runner) -> None:
    ran = run([("block:a", "loss = float('nan')"), ("metrics", "loss")]).raise_for_failures()
    assert str(ran.record.metrics["loss"]) == "nan"
    for path in (ran.folder / "run.json", *(run.store / "cache").iterdir()):
        assert "NaN" not in path.read_text().replace('"NaN"', "")
    assert str(read_run(ran.folder).metrics["loss"]) == "nan"
    assert str(run().record.metrics["loss"]) == "nan"


def test_the_later_step_in_the_notebook_has_the_last_word_on_a_metric(run: Runner) -> None:
    ran = run(
        [
            ("imports", "import kale_pm, time"),
            ("block:slow", "time.sleep(1)\nkale_pm.metric('m', 'slow')"),
            ("block:quick", "kale_pm.metric('m', 'quick')"),
        ]
    )
    assert ran.record.metrics == {"m": "quick"}


# -- interruption ---------------------------------------------------------------------------

# A shell starts its background jobs with SIGINT ignored, and their children inherit that.
SCRIPT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
from pathlib import Path
from kale_pm.analysis import understand
from kale_pm.local import run_pipeline
from kale_pm.notebook import read
run_pipeline(understand(read(Path(sys.argv[1]))))
"""
LONG = [
    ("block:first", "import os\nx = os.getpid()"),
    ("block:long retry:3 prev:first", "print('so far')"),
    ("", "open('started', 'w').write(str(os.getpid()))\nimport time\ntime.sleep(nap)"),
    ("block:after prev:long", "print(x > 0)"),
]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL])
def test_an_interrupted_run_says_so_leaves_no_kernel_and_resumes(
    run: Runner, number: signal.Signals
) -> None:
    before = run([("block:before", "x = 1")]).folder
    run.write_cells([("imports", "import os\nnap = 60"), *LONG])
    flag = run.folder / "started"
    with driving(SCRIPT, run.path) as driver:
        until(lambda: driver.poll() is not None or (flag.exists() and flag.read_text()))
        driver.send_signal(number)
        said = driver.communicate(timeout=60)[1]
    assert driver.returncode != 0
    assert flag.exists(), said
    kernel = int(flag.read_text())
    until(lambda: has_ended(kernel))
    folder = find_store(run.folder).find_run()
    assert folder != before
    record = read_run(folder)
    assert record.state is State.INTERRUPTED
    assert record.steps["first"].state is State.DONE
    if number == signal.SIGINT:
        assert {s.state for n, s in record.steps.items() if n != "first"} == {State.INTERRUPTED}
        assert "so far" in (folder / "notebooks" / "long.ipynb").read_text()
        assert not (folder / "notebooks" / "after.ipynb").exists()
    flag.unlink()
    ran = run([("imports", "import os\nnap = 60"), *LONG[:2], LONG[3]])
    assert ran.executed == ["after", "long"]


def test_a_store_that_cannot_be_made_is_a_clear_error(run: Runner) -> None:
    run.write(".kale-pm", "a file where the folder should be")
    with pytest.raises(StoreError, match="cannot write"):
        run([("block:a", "x = 1")])


def test_a_damaged_run_json_is_a_clear_error(run: Runner) -> None:
    ran = run([("block:a", "x = 1")])
    (ran.folder / "run.json").write_text('{"id": ')
    with pytest.raises(StoreError, match="damaged"):
        read_run(ran.folder)
    assert [p.name for p in (ran.folder / "notebooks").iterdir()] == ["a.ipynb"]
