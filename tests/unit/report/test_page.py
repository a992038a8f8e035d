"""The page of a run: what went wrong first, everything in one file, nothing rendered twice."""

from __future__ import annotations

import html
import json
import os
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from kale_pm.record import CellError, RunRecord, State, StepRecord
from kale_pm.report import write_report
from kale_pm.report.page import duration

ERROR = CellError(
    ename="ValueError",
    evalue="size 3 is different from 2",
    cell=17,
    line=4,
    source="model = fit(x, y)",
    traceback="\x1b[31m" + "-" * 75 + "\x1b[0m\n\x1b[31mValueError\x1b[0m: size 3\n",
)


class Page(HTMLParser):
    """The elements of a page, as (tag, attributes), and its text outside of scripts and styles."""

    def __init__(self, path):
        super().__init__()
        self.source = path.read_text("utf-8")
        self.elements = []
        self.text = ""
        self._within = ""
        self.feed(self.source)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        self._within = tag

    def handle_endtag(self, tag):
        self._within = ""

    def handle_data(self, data):
        if self._within not in ("script", "style"):
            self.text += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def ids(self):
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]

    def links(self):
        return [a["href"] for a in self.all("a")]


def step(name, state=State.DONE, parents=(), **more):
    more.setdefault("seconds", 1.5)
    more.setdefault("notebook", f"notebooks/{name}.ipynb")
    return StepRecord(name, state, parents, **more)


def run(*steps, **more):
    more = {"state": State.DONE, "parameters": {}, "started": 1.7e9, "seconds": 12.0} | more
    steps = {one.name: one for one in steps}
    return RunRecord("wine-20250301-ab12", "wine", "wine.ipynb", steps=steps, **more)


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "wine-20250301-ab12"
    (folder / "notebooks").mkdir(parents=True)
    for name in ("load", "train", "plot"):
        output = new_output("stream", text=f"output of {name}\n")
        cells = [new_code_cell(f"{name}()", outputs=[output], id="cell")]
        nbformat.write(new_notebook(cells=cells), folder / "notebooks" / f"{name}.ipynb")
    return folder


@pytest.fixture
def good():
    return run(step("load"), step("train", parents=("load",)))


@pytest.fixture
def failed():
    return run(
        step("load", State.CACHED, cached_from="wine-20250228-77aa", why="nothing changed"),
        step("train", State.FAILED, ("load",), error=ERROR),
        step("plot", State.SKIPPED, ("train",), why="train failed", seconds=None, notebook=None),
        state=State.FAILED,
    )


def page_of(record, folder, **options):
    return Page(write_report(record, folder, **options))


class TestHeader:
    def test_it_says_what_ran_when_and_how_it_ended(self, good, folder):
        page = page_of(good, folder)
        for words in ("wine", "done", "12.0 s", "2 done", "wine.ipynb", "wine-20250301-ab12"):
            assert words in page.text
        assert page.all("time")[0]["datetime"].startswith("2023-11-1")

    def test_parameters_and_metrics_are_listed(self, folder):
        record = run(
            step("train", metrics={"accuracy": 0.94382022}),
            parameters={"alpha": 0.5, "columns": ["a", "b"], "name": "x y"},
            metrics={"accuracy": 0.94382022, "loss": float("nan")},
        )
        text = page_of(record, folder).text
        for words in ("alpha", "0.5", "['a', 'b']", "x y", "accuracy", "0.94382", "loss", "nan"):
            assert words in text

    @pytest.mark.parametrize("state", State)
    def test_a_run_and_a_step_may_have_any_state(self, state, folder):
        page = page_of(run(step("load", state), state=state), folder)
        assert sum(f"state {state.value}" == a.get("class") for a in page.all("span")) == 3

    def test_a_run_that_did_not_end_has_no_time(self, folder):
        record = run(step("load", State.RUNNING, seconds=None), state=State.RUNNING, seconds=None)
        assert "running" in page_of(record, folder).text

    def test_a_run_without_steps_has_a_page(self, folder):
        assert "no steps" in page_of(run(), folder).text


class TestFailure:
    def test_it_stands_above_everything_but_the_title(self, failed, folder):
        source = page_of(failed, folder).source
        assert source.index("<h1>") < source.index("ValueError") < source.index("<svg")

    def test_it_names_place_exception_line_and_traceback(self, failed, folder):
        text = page_of(failed, folder).text
        assert "cell 17, line 4" in text
        assert "size 3 is different from 2" in text
        assert "model = fit(x, y)" in text
        assert "ValueError: size 3" in text

    def test_colours_and_rules_of_the_terminal_are_gone(self, failed, folder):
        page = page_of(failed, folder)
        assert "\x1b" not in page.source
        assert "-" * 20 not in page.text

    def test_it_leads_to_the_cell_and_to_the_notebook(self, failed, folder):
        page = page_of(failed, folder)
        assert [a["href"] for a in page.all("a") if "data-failed" in a] == ["#step-train"]
        assert "./notebooks/train.ipynb" in page.links()

    def test_a_cell_of_ours_has_no_number(self, folder):
        error = CellError("SaveError", "a lock belongs to a process")
        record = run(step("train", State.FAILED, error=error), state=State.FAILED)
        assert "in a cell that kale-pm adds" in page_of(record, folder).text

    def test_a_good_run_shows_none(self, good, folder):
        assert 'class="failure' not in page_of(good, folder).source


class TestSteps:
    def test_the_graph_is_drawn_with_states_and_links(self, failed, folder):
        source = page_of(failed, folder, implied={("load", "train")}).source
        for part in ('class="step failed"', 'class="edge implied"', '<a href="#step-train">'):
            assert part in source

    def test_every_link_within_the_page_has_its_target(self, failed, folder):
        page = page_of(failed, folder)
        targets = {link[1:] for link in page.links() if link.startswith("#")}
        assert targets == {"step-load", "step-train", "step-plot"}
        assert targets <= set(page.ids())
        assert len(page.ids()) == len(set(page.ids()))

    def test_a_cached_step_names_its_origin(self, failed, folder):
        assert "from wine-20250228-77aa" in page_of(failed, folder).text

    def test_and_leads_there_while_that_page_exists(self, failed, folder):
        link = "../wine-20250228-77aa/report.html"
        assert link not in page_of(failed, folder).links()
        origin = folder.parent / "wine-20250228-77aa"
        origin.mkdir()
        (origin / "report.html").touch()
        assert link in page_of(failed, folder).links()

    def test_the_bar_shows_the_share_of_the_slowest(self, folder):
        record = run(step("load", seconds=1.0), step("train", seconds=4.0))
        bars = [a["style"] for a in page_of(record, folder).all("span") if "style" in a]
        assert bars == ["width:25.0%", "width:100.0%"]


class TestNotebooks:
    def test_each_lies_folded_in_a_sandbox_of_its_own(self, good, folder):
        page = page_of(good, folder)
        folded = [a for a in page.all("details") if a.get("id", "").startswith("step-")]
        assert [a["id"] for a in folded if "open" not in a] == ["step-load", "step-train"]
        frames = page.all("iframe")
        assert ["output of load" in f["srcdoc"] for f in frames] == [True, False]
        assert ["output of train" in f["srcdoc"] for f in frames] == [False, True]
        assert all("allow-same-origin" not in frame["sandbox"] for frame in frames)
        assert all(frame["title"].startswith("Executed notebook of step") for frame in frames)

    def test_what_an_output_holds_cannot_leave_its_frame(self, good, folder):
        nasty = '"></iframe></details></template><script>alert(1)</script><style>*{}</style>'
        output = new_output("display_data", data={"text/html": nasty})
        cells = [new_code_cell("nasty()", outputs=[output])]
        nbformat.write(new_notebook(cells=cells), folder / "notebooks" / "load.ipynb")
        page = page_of(good, folder)
        assert len(page.all("script")) == 1
        assert len(page.all("iframe")) == 2
        assert "alert(1)" in page.all("iframe")[0]["srcdoc"]

    def test_a_missing_one_is_told_of(self, good, folder):
        (folder / "notebooks" / "load.ipynb").unlink()
        page = page_of(good, folder)
        assert "no executed notebook" in page.text
        assert "./notebooks/load.ipynb" not in page.links()
        assert len(page.all("iframe")) == 1

    @pytest.mark.parametrize("content", [b"not json", b"{}", b"\xff\xfe", b'{"cells": 3}'])
    def test_a_damaged_one_does_not_spoil_the_page(self, good, folder, content):
        (folder / "notebooks" / "load.ipynb").write_bytes(content)
        page = page_of(good, folder)
        assert "cannot be shown" in page.text
        assert len(page.all("iframe")) == 1


class TestTrust:
    def test_text_of_others_is_escaped_everywhere(self, folder):
        bad = "<script>alert(1)</script>\"'"
        error = CellError(bad, bad, cell=1, line=1, source=bad, traceback=bad)
        record = replace(
            run(
                step("load", State.FAILED, why=bad, cached_from=bad, error=error),
                parameters={bad: bad},
                metrics={bad: bad},
                state=State.FAILED,
            ),
            id=bad,
            pipeline=bad,
            notebook=bad,
        )
        page = page_of(record, folder)
        assert "<script>alert" not in page.source
        assert len(page.all("script")) == 1
        assert html.escape("<script>alert(1)</script>") in page.source

    def test_the_page_fetches_nothing(self, failed, folder):
        page = page_of(failed, folder)
        assert not re.search(r"@import|url\(", page.source)
        for _, attributes in page.elements:
            assert not {"src", "srcset", "poster"} & set(attributes)
        assert [a["href"] for a in page.all("link")] == ["data:,"]
        assert "default-src 'none'" in page.all("meta")[1]["content"]

    def test_half_characters_do_no_harm(self, folder):
        assert page_of(run(step("load"), parameters={"x": "\ud800"}), folder).text


class TestFragments:
    def test_an_unchanged_notebook_is_rendered_once(self, good, folder, tmp_path):
        kept = tmp_path / "deep" / "fragments"
        write_report(good, folder, fragments=kept)
        names = sorted(kept.iterdir())
        assert len(names) == 2
        names[0].write_text("kept text")
        assert "kept text" in page_of(good, folder, fragments=kept).source
        assert sorted(kept.iterdir()) == names

    def test_a_changed_notebook_is_rendered_again(self, good, folder, tmp_path):
        write_report(good, folder, fragments=tmp_path / "fragments")
        cells = [new_code_cell("load_better()")]
        nbformat.write(new_notebook(cells=cells), folder / "notebooks" / "load.ipynb")
        assert "load_better" in page_of(good, folder, fragments=tmp_path / "fragments").source

    def test_nothing_heavy_is_imported_when_all_are_kept(self, good, folder, tmp_path):
        kept = tmp_path / "fragments"
        write_report(good, folder, fragments=kept)
        script = f"""
import json, sys
from pathlib import Path
from kale_pm.record import RunRecord, State, StepRecord
from kale_pm.report import write_report
steps = {{name: StepRecord(name, State.DONE, notebook=f"notebooks/{{name}}.ipynb")
         for name in ("load", "train")}}
record = RunRecord("id", "wine", "wine.ipynb", State.DONE, {{}}, steps, 0.0)
path = write_report(record, Path({str(folder)!r}), fragments=Path({str(kept)!r}))
assert "output of train" in path.read_text()
heavy = {{"nbconvert", "nbformat", "IPython", "numpy", "pygments", "papermill"}}
print(json.dumps(sorted(heavy & set(sys.modules))))
"""
        done = subprocess.run(
            [sys.executable, "-c", script],
            env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(done.stdout) == []


class TestWriting:
    def test_the_page_is_replaced_whole_and_leaves_nothing_else(self, good, folder):
        (folder / "report.html").write_text("old")
        path = write_report(good, folder)
        assert path == folder / "report.html"
        assert path.read_text("utf-8").endswith("</html>\n")
        assert sorted(entry.name for entry in folder.iterdir()) == ["notebooks", "report.html"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0.00 s"), (0.04, "0.04 s"), (3.21, "3.2 s"), (59.97, "1 min 00 s"), (3720, "1 h 02 min")],
)
def test_durations_read_as_people_say_them(seconds, words):
    assert duration(seconds) == words
