"""The journal: what happened, line by line."""

from __future__ import annotations

from pathlib import Path

import pytest

from kale_pm.errors import StoreError
from kale_pm.events import CellOutput, RunStarted, StepStarted, SweepStarted
from kale_pm.local.journal import Journal, read_journal


def test_a_journal_that_cannot_be_written_is_told_of(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot write the journal"):
        Journal(tmp_path / "gone" / "journal.jsonl")


def test_the_journal_of_a_sweep_says_in_which_trial_it_was(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.write(SweepStarted("s-1", "s", 2, 3))
        journal.write(StepStarted("a", 1, ""), trial=2)
    first, second = read_journal(tmp_path / "journal.jsonl")
    assert (first["event"], first["executions"]) == ("SweepStarted", 3)
    assert (second["event"], second["trial"], second["step"]) == ("StepStarted", 2, "a")


def test_the_journal_tells_the_events_but_not_what_cells_print(tmp_path: Path) -> None:
    with Journal(tmp_path / "journal.jsonl") as journal:
        journal.write(RunStarted("r-1", "r", ("a", "b")))
        journal.write(CellOutput("a", "stdout", "text"))
    (event,) = read_journal(tmp_path / "journal.jsonl")
    assert event["event"] == "RunStarted"
    assert event["steps"] == ["a", "b"]


def test_a_last_line_that_was_cut_short_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "journal.jsonl"
    path.write_text('{"event": "RunStarted"}\n{"event": "Ste')
    assert read_journal(path) == [{"event": "RunStarted"}]
