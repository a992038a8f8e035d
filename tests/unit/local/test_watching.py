"""What is watched, and when a change is one."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from tiny_notebooks import write_notebook

from kale_pm.analysis import understand
from kale_pm.local.watching import Watch
from kale_pm.model import Pipeline
from kale_pm.notebook import read
from kale_pm.record import RunRecord, State, StepRecord
from kale_pm.runtime.manifest import Manifest, write_manifest


@pytest.fixture
def pipeline(tmp_path: Path) -> Pipeline:
    cells = [
        ("imports", "import helper"),
        ("block:make", "x = helper.read('named.csv')"),
        ("block:use prev:make", "print(x)"),
    ]
    path = write_notebook(tmp_path / "a.ipynb", cells)
    for name in ("helper.py", "inner.py", "data.csv", "named.csv", "out.csv", "other.txt"):
        (tmp_path / name).write_text("")
    return understand(read(path))


def ran(
    folder: Path, name: str = "a-1", *, cached_from: str | None = None, **manifest: tuple[str, ...]
) -> tuple[RunRecord, Path]:
    """A run whose step ``make`` has this manifest, or is cached from the run that has it."""
    run = folder / ".kale-pm" / "runs" / name
    if manifest:
        write_manifest(Manifest("make", 0, **manifest), run / "manifests" / "make.json")
    state = State.CACHED if cached_from else State.DONE
    steps = {"make": StepRecord("make", state, cached_from=cached_from)}
    return RunRecord(name, "a", "a.ipynb", State.DONE, {}, steps, 1.0), run


def names(watch: Watch) -> set[str]:
    return {path.name for path in watch.files}


def test_at_first_the_notebook_and_the_settings(pipeline: Pipeline, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text("")
    watch = Watch(pipeline.path)
    assert names(watch) == {"a.ipynb", "pyproject.toml"}


def test_after_a_run_what_it_read_and_what_its_code_names(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    watch = Watch(pipeline.path)
    watch.learn(pipeline, *ran(tmp_path, read=("data.csv",), modules=(f"{tmp_path}/helper.py",)))
    found = names(watch) - {"pyproject.toml"}
    assert found == {"a.ipynb", "data.csv", "named.csv", "helper.py", "inner.py"}
    assert len(watch.files) == len({path.resolve() for path in watch.files})


def test_what_a_step_writes_is_not_watched(pipeline: Pipeline, tmp_path: Path) -> None:
    watch = Watch(pipeline.path)
    watch.learn(pipeline, *ran(tmp_path, read=("out.csv", "data.csv"), written=("out.csv",)))
    assert "out.csv" not in names(watch)
    assert "data.csv" in names(watch)


def test_a_cached_step_read_what_it_read_where_it_was_executed(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    ran(tmp_path, "a-0", read=("data.csv",))
    watch = Watch(pipeline.path)
    watch.learn(pipeline, *ran(tmp_path, "a-1", cached_from="a-0"))
    assert "data.csv" in names(watch)


def test_what_was_read_once_stays_watched_though_the_step_fails_now(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    watch = Watch(pipeline.path)
    watch.learn(pipeline, *ran(tmp_path, read=("data.csv",)))
    watch.look()
    watch.learn(pipeline, *ran(tmp_path, "a-2"))
    assert "data.csv" in names(watch)


# -- changes ----------------------------------------------------------------------------------


def later(path: Path, text: str = "changed") -> None:
    """Change a file so that its time shows it, on every file system."""
    before = path.stat().st_mtime_ns if path.exists() else time.time_ns()
    path.write_text(text)
    os.utime(path, ns=(before + 10**9, before + 10**9))


@pytest.fixture
def asleep(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """What happens while the watch sleeps: one action for each time, then nothing."""

    def happens(*actions: Callable[[], object]) -> None:
        coming = iter(actions)
        monkeypatch.setattr(time, "sleep", lambda _: next(coming, lambda: None)())

    return happens


def test_a_save_is_told_with_the_name_of_the_file(
    pipeline: Pipeline, tmp_path: Path, asleep: Callable[..., None]
) -> None:
    watch = Watch(pipeline.path)
    watch.learn(pipeline, *ran(tmp_path, read=("data.csv",)))
    asleep(lambda: None, lambda: later(tmp_path / "data.csv"))
    assert watch.wait() == ("data.csv",)


def test_a_new_file_in_the_place_of_the_old_one_is_a_change(
    pipeline: Pipeline, tmp_path: Path, asleep: Callable[..., None]
) -> None:
    watch = Watch(pipeline.path)

    def replace() -> None:
        later(tmp_path / "new", "another notebook")
        (tmp_path / "new").replace(pipeline.path)

    asleep(replace)
    assert watch.wait() == ("a.ipynb",)


def test_a_save_during_the_run_is_worth_another_one(pipeline: Pipeline, tmp_path: Path) -> None:
    watch = Watch(pipeline.path)
    watch.learn(pipeline, *ran(tmp_path, read=("data.csv",)))
    watch.look()
    later(tmp_path / "data.csv")
    later(pipeline.path)
    watch.learn(pipeline, *ran(tmp_path, "a-2", read=("data.csv",)))
    assert watch.wait() == ("a.ipynb", "data.csv")


def test_what_only_the_code_names_may_have_been_written_by_the_run(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    watch = Watch(pipeline.path)
    watch.learn(pipeline, *ran(tmp_path, read=("data.csv",)))
    watch.look()
    later(tmp_path / "named.csv")
    watch.learn(pipeline, *ran(tmp_path, "a-2", read=("data.csv",)))
    later(tmp_path / "data.csv")
    assert watch.wait() == ("data.csv",)


def test_a_file_that_is_still_being_written_is_waited_for(
    pipeline: Pipeline, asleep: Callable[..., None]
) -> None:
    watch = Watch(pipeline.path)
    asleep(*(partial(pipeline.path.write_text, "x" * size) for size in range(1, 9)))
    assert watch.wait() == ("a.ipynb",)
    assert pipeline.path.read_text() == "x" * 8
