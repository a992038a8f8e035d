"""Runs and sweeps of before are found by their notebook, or by the script that defines them."""

from __future__ import annotations

from pathlib import Path

import pytest

from kale_pm.errors import StoreError
from kale_pm.face import find_run, find_sweep
from kale_pm.local import Store
from kale_pm.local.run_file import write_run
from kale_pm.local.sweep_files import write_sweep
from kale_pm.record import RunRecord, State, SweepRecord

SCRIPT = "from kale_pm.sdk import pipeline\n"


@pytest.fixture
def script(tmp_path: Path) -> Path:
    """A script whose pipeline is called otherwise than its file."""
    path = tmp_path / "script.py"
    path.write_text(SCRIPT, encoding="utf-8")
    Store(tmp_path / ".kale-pm").prepare()
    return path


def add_run(script: Path, number: int) -> None:
    folder = script.parent / ".kale-pm" / "runs" / f"houses-20261121-10000{number}-aaaa"
    folder.mkdir(parents=True)
    record = RunRecord(
        id=folder.name,
        pipeline="houses",
        notebook=str(script),
        state=State.DONE,
        parameters={},
        steps={},
        started=float(number),
    )
    write_run(record, folder)


def add_sweep(script: Path, number: int) -> None:
    folder = script.parent / ".kale-pm" / "sweeps" / f"houses-20261121-10000{number}-bbbb"
    folder.mkdir(parents=True)
    record = SweepRecord(
        id=folder.name,
        pipeline="houses",
        notebook=str(script),
        state=State.DONE,
        varied=("n",),
        fixed={},
        trials=(),
        executions=0,
        started=float(number),
    )
    write_sweep(record, folder)


def test_the_newest_run_of_a_script(script: Path) -> None:
    for number in (1, 3, 2):
        add_run(script, number)
    add_run(script.with_name("other.py"), 4)
    assert find_run(str(script)).id == "houses-20261121-100003-aaaa"


def test_the_newest_sweep_of_a_script(script: Path) -> None:
    for number in (1, 3, 2):
        add_sweep(script, number)
    add_sweep(script.with_name("other.py"), 4)
    assert find_sweep(str(script)).id == "houses-20261121-100003-bbbb"


def test_a_notebook_without_a_sweep_is_told_how_to_sweep_it(script: Path) -> None:
    notebook = script.with_name("wine.py")
    notebook.write_text('# %% tags=["block:load"]\nx = 1\n', encoding="utf-8")
    with pytest.raises(StoreError) as raised:
        find_sweep(str(notebook))
    assert raised.value.message == f"{notebook} has no sweep"
    assert "kale-pm sweep" in raised.value.hint
