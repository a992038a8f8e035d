"""Notebooks rendered while the run goes on."""

from __future__ import annotations

import time
from pathlib import Path

import nbformat
from nbformat.v4 import new_code_cell, new_notebook

from kale_pm.events import Event, RunStarted, StepFinished
from kale_pm.record import State
from kale_pm.report import rendering_ahead


def test_every_finished_notebook_is_rendered_and_every_event_handed_on(tmp_path: Path) -> None:
    notebook = tmp_path / "runs" / "r-1" / "notebooks" / "a.ipynb"
    notebook.parent.mkdir(parents=True)
    nbformat.write(new_notebook(cells=[new_code_cell("answer = 42")]), notebook)
    heard: list[Event] = []
    events = [
        RunStarted("r-1", "p", ("a", "b")),
        StepFinished("a", State.DONE, 1.0, notebook="notebooks/a.ipynb"),
        StepFinished("b", State.FAILED, 1.0, notebook="notebooks/gone.ipynb"),
        StepFinished("c", State.SKIPPED, 0.0),
    ]
    with rendering_ahead(tmp_path / "runs", tmp_path / "reports", heard.append) as listen:
        for event in events[:2]:
            listen(event)
        for _ in range(600):
            if list((tmp_path / "reports").glob("*.html")):
                break
            time.sleep(0.05)
        for event in events[2:]:
            listen(event)
    (fragment,) = (tmp_path / "reports").glob("*.html")
    assert "answer" in fragment.read_text()
    assert heard == events


def test_a_cached_step_is_left_to_the_report(tmp_path: Path) -> None:
    """Nothing was executed then: what renders would be imported while other steps import it."""
    notebook = tmp_path / "runs" / "r-1" / "notebooks" / "a.ipynb"
    notebook.parent.mkdir(parents=True)
    nbformat.write(new_notebook(cells=[new_code_cell("answer = 42")]), notebook)
    with rendering_ahead(tmp_path / "runs", tmp_path / "reports", lambda _: None) as listen:
        listen(RunStarted("r-1", "p", ("a",)))
        listen(StepFinished("a", State.CACHED, 0.0, notebook="notebooks/a.ipynb"))
    assert not list(tmp_path.glob("reports/*.html"))
