"""Cleaning: what goes, and that nothing goes which a kept run needs."""

from __future__ import annotations

import io
import json
import os
import tempfile
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.console import Console

from kale_pm.errors import StoreError
from kale_pm.local.cache import entries
from kale_pm.local.cache.entries import CachedStep
from kale_pm.local.cache.parts import write_past
from kale_pm.local.results.cleaning import Cleaning, Rules, clean, plan_cleaning
from kale_pm.local.results.variables import RunVariables
from kale_pm.local.run_file import read_run, write_run
from kale_pm.local.store import Store
from kale_pm.record import RunRecord, State, StepRecord
from kale_pm.report import write_report
from kale_pm.runtime.manifest import Manifest, Variable, Version, read_manifest, write_manifest
from kale_pm.runtime.merging import merge_versions
from kale_pm.runtime.storage.pack.writer import write_pack
from kale_pm.terminal import cleaning_view

DAY = 86_400
NOW = time.time()


@dataclass
class Past:
    """A store with runs as the scheduler would have left them, but without kernels.

    The steps of a pipeline follow one another; each gives a variable of its own name.
    ``keys`` say under which keys a run's results lie, ``values`` what its variables hold.
    """

    store: Store
    keys: dict[str, dict[str, str]] = field(default_factory=dict)
    values: dict[str, dict[str, object]] = field(default_factory=dict)
    executions: int = 0

    def run(
        self,
        pipeline: str = "wine",
        *,
        code: Mapping[str, int] | None = None,
        age: float = 0.0,
        fresh: bool = False,
        state: State = State.DONE,
        size: int = 10,
    ) -> Path:
        """A run that began ``age`` seconds ago; ``code`` maps its steps to their versions."""
        folder = self.store.new_run(pipeline)
        self.keys[folder.name], self.values[folder.name] = {}, {}
        steps: dict[str, StepRecord] = {}
        version = ""
        for order, (step, number) in enumerate((code or {"a": 1}).items()):
            version += f"{step}{number}"
            key = f"{abs(hash((pipeline, version))):032x}"[:32]
            inputs = [read_manifest(self._manifest(folder, name)) for name in steps]
            entry = None if fresh else entries.recall(self.store, key)
            if entry is None:
                entry = self._execute(folder, step, order, key, size)
            assert self.store.bring_notebook(entry.notebook, folder / f"notebooks/{step}.ipynb")
            manifest = Manifest(
                step=step,
                order=order,
                variables=entry.variables,
                versions={**merge_versions(inputs), **entry.versions},
                ancestors=tuple(steps),
                seals=entries.seals(self.store.packs, entry.packs),
            )
            write_manifest(manifest, self._manifest(folder, step))
            is_own = entry.run == folder.name
            steps[step] = StepRecord(
                step,
                State.DONE if is_own else State.CACHED,
                parents=tuple(steps)[-1:],
                cached_from=None if is_own else entry.run,
                notebook=f"notebooks/{step}.ipynb",
            )
            self.keys[folder.name][step] = key
        record = RunRecord(
            folder.name,
            pipeline,
            f"{pipeline}.ipynb",
            state,
            {},
            steps,
            NOW - age,
            process=os.getpid() if state is State.RUNNING else None,
        )
        write_run(record, folder)
        if state is not State.RUNNING:
            self.store.make_latest(folder, pipeline)
        self.values[folder.name] = self.variables(folder.name)
        return folder

    def _manifest(self, run: Path, step: str) -> Path:
        return run / "manifests" / f"{step}.json"

    def _execute(self, run: Path, step: str, order: int, key: str, size: int) -> CachedStep:
        self.executions += 1
        path = run / "notebooks" / f"{step}.ipynb"
        metadata = {"kale_pm": {"step": step, "execution": self.executions}}
        content = {"cells": [], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
        path.write_text(json.dumps(content))
        value = {step: (self.executions, bytes(size))}
        pack = write_pack(self.store.packs, [value], frozenset())
        (component,) = pack.components
        variable = Variable("tuple", f"../../../packs/{pack.path.name}", component.id)
        entry = CachedStep(
            run=run.name,
            notebook=self.store.keep_notebook(path),
            stores=(step,),
            gave=(step,),
            metrics={},
            files={},
            packs=entries.pack_stamps(self.store.packs, [variable]),
            variables={step: variable},
            versions={step: Version(step, order, component.id)},
            context={},
        )
        entries.remember(self.store, key, entry)
        return entry

    # -- what is there --------------------------------------------------------------------

    @property
    def runs(self) -> list[str]:
        inner = (path for path in self.store.runs.iterdir() if not path.is_symlink())
        return sorted(path.name for path in inner)

    def files(self) -> dict[str, int]:
        folders = ("cache", "packs", "notebooks", "reports")
        return {name: len(list((self.store.folder / name).glob("*"))) for name in folders}

    def size(self) -> int:
        inner = (p for p in self.store.folder.rglob("*") if p.is_file() and not p.is_symlink())
        return sum(path.stat().st_size for path in inner)

    def variables(self, run: str) -> dict[str, object]:
        stored = RunVariables(self.store.runs / run, read_run(self.store.runs / run))
        return {name: stored.load(name) for name in stored.final()}

    def cached(self, run: str) -> dict[str, bool]:
        """Whether the next run of that code would take each step's result from the cache."""
        found = {}
        for step, key in self.keys[run].items():
            entry = entries.recall(self.store, key)
            found[step] = (
                entry is not None
                and entries.are_whole(self.store.packs, entry.packs)
                and self.store.bring_notebook(entry.notebook, self.store.folder / "brought")
            )
        (self.store.folder / "brought").unlink(missing_ok=True)
        return found

    def settle(self) -> Past:
        """Let all files be older than any cleaning."""
        for path in self.store.folder.rglob("*"):
            status = path.stat(follow_symlinks=False)
            if path.suffix != ".pack":  # their times are part of what is sealed
                times = (status.st_atime_ns, status.st_mtime_ns - 10**9)
                os.utime(path, ns=times, follow_symlinks=False)
        return self


@pytest.fixture
def past(tmp_path: Path) -> Past:
    store = Store(tmp_path / ".kale-pm")
    store.prepare()
    return Past(store)


# -- which runs go ----------------------------------------------------------------------------


def test_without_a_rule_no_run_goes(past: Past) -> None:
    past.run(age=400 * DAY)
    past.run(age=300 * DAY)
    done = clean(past.store)
    assert (done.runs, done.files, done.freed) == ((), {}, 0)
    assert len(past.runs) == 2


def test_keep_counts_the_runs_of_each_pipeline(past: Past) -> None:
    wine = [past.run("wine", age=age).name for age in (30, 20, 10)]
    beer = [past.run("beer", age=age).name for age in (300, 200)]
    assert clean(past.store, Rules(keep=2)).runs == (wine[0],)
    assert past.runs == sorted([*wine[1:], *beer])


def test_an_age_is_that_of_the_beginning(past: Past) -> None:
    old, middle, new = (past.run(age=age * DAY).name for age in (31, 29, 1))
    assert clean(past.store, Rules(older_than=30 * DAY)).runs == (old,)
    assert past.runs == sorted([middle, new])


def test_for_a_size_the_oldest_go_and_no_more_than_must(past: Past) -> None:
    runs = [past.run(code={"a": n}, age=100 - n, size=50_000).name for n in range(6)]
    limit = past.size() - 60_000
    done = clean(past.store, Rules(size=limit))
    assert done.runs == tuple(runs[:2])
    assert past.size() == done.left <= limit


def test_what_runs_share_is_not_counted_as_freed_with_one_of_them(past: Past) -> None:
    runs = [past.run(age=100 - n, size=50_000).name for n in range(4)]
    done = clean(past.store, Rules(size=1))
    assert done.runs == tuple(runs[:-1])
    assert past.size() == done.left > 50_000


def test_the_rules_add_up(past: Past) -> None:
    first, second, third, fourth = (past.run(age=age * DAY).name for age in (40, 30, 20, 10))
    done = clean(past.store, Rules(keep=3, older_than=25 * DAY))
    assert done.runs == (first, second)
    assert past.runs == sorted([third, fourth])


def test_the_latest_run_of_a_pipeline_stays_unless_asked_for(past: Past) -> None:
    wine, beer = past.run("wine", age=900 * DAY), past.run("beer", age=1)
    strict = {"keep": 0, "older_than": 0.0, "size": 0}
    assert clean(past.store, Rules(**strict)).runs == ()
    assert clean(past.store, Rules(older_than=DAY, latest_too=True)).runs == (wine.name,)
    assert past.runs == [beer.name]
    assert clean(past.store, Rules(latest_too=True)).runs == (beer.name,)
    assert past.runs == []


def test_the_run_that_the_link_leads_to_stays_though_a_newer_one_was_killed(past: Past) -> None:
    done = past.run(age=200)
    killed = past.run(age=100)
    past.store.make_latest(done, "wine")
    assert clean(past.store, Rules(keep=0)).runs == ()
    assert past.runs == sorted([done.name, killed.name])


def test_only_the_runs_of_one_pipeline(past: Past) -> None:
    old = past.run("wine", age=20).name
    past.run("wine", age=10)
    past.run("beer", age=20)
    past.run("beer", age=10)
    assert clean(past.store, Rules(keep=1, pipeline="wine")).runs == (old,)


def test_a_run_that_cannot_be_read_goes_by_the_rules_as_well(past: Past) -> None:
    bad = past.run(age=10)
    (bad / "run.json").write_text("{")
    os.utime(bad, (1, 1))
    past.run(age=5)
    assert clean(past.store).runs == ()
    assert clean(past.store, Rules(older_than=DAY)).runs == (bad.name,)


def test_no_link_leads_to_a_run_that_is_gone(past: Past) -> None:
    beer = past.run("beer", age=10)
    past.run("wine", age=5)
    clean(past.store, Rules(latest_too=True, pipeline="wine"))
    links = {path.name: path.resolve().name for path in past.store.runs.glob("latest*")}
    assert links == {"latest": beer.name, "latest-beer": beer.name}


# -- what goes with them ----------------------------------------------------------------------


def test_what_only_the_gone_runs_needed_goes_with_them(past: Past) -> None:
    past.run(code={"a": 1, "b": 1}, age=20)
    past.run(code={"a": 1, "b": 2}, age=10)
    assert past.files() == {"cache": 3, "packs": 3, "notebooks": 3, "reports": 0}
    done = clean(past.settle().store, Rules(keep=1))
    assert {kind: len(files) for kind, files in done.files.items()} == {
        "cache": 1,
        "packs": 1,
        "notebooks": 1,
    }
    assert past.files() == {"cache": 2, "packs": 2, "notebooks": 2, "reports": 0}


def test_a_result_that_was_made_anew_by_a_gone_run_still_serves_the_kept_one(past: Past) -> None:
    kept = past.run(age=20)
    gone = past.run(age=10, fresh=True)
    past.store.make_latest(kept, "wine")
    past.run(age=5, code={"b": 1})
    past.store.make_latest(kept, "wine")
    assert clean(past.settle().store, Rules(keep=1)).runs == (gone.name,)
    assert past.cached(kept.name) == {"a": True}


def test_rendered_notebooks_stay_as_long_as_their_runs(past: Past) -> None:
    gone, kept = past.run(age=10), past.run(age=5, code={"a": 2})
    for folder in (gone, kept):
        write_report(read_run(folder), folder, fragments=past.store.fragments)
    before = {path.name for path in past.store.fragments.iterdir()}
    assert len(before) == 2
    clean(past.settle().store, Rules(keep=1))
    (left,) = (path.name for path in past.store.fragments.iterdir())
    write_report(read_run(kept), kept, fragments=past.store.fragments)
    assert [path.name for path in past.store.fragments.iterdir()] == [left]


def test_the_history_of_a_step_goes_with_its_last_run_and_result(past: Past) -> None:
    past.run("wine", code={"a": 1, "dropped": 1}, age=30)
    past.run("wine", code={"a": 2}, age=20)
    past.run("beer", age=10)
    steps = past.store.folder / "steps"
    for name in ("wine/a", "wine/dropped", "beer/a", "gone/a"):
        write_past(past.store, *name.split("/"), "key", {"cells": {"1": name}})
    (steps / "wine" / "notes.txt").write_text("mine")
    past.settle()

    done = clean(past.store)
    assert done.files == {"steps": (steps / "gone" / "a.json",)}
    assert clean(past.store, Rules(keep=1)).files["steps"] == (steps / "wine" / "dropped.json",)
    left = sorted(str(path.relative_to(steps)) for path in steps.rglob("*"))
    assert left == ["beer", "beer/a.json", "wine", "wine/a.json", "wine/notes.txt"]


def test_it_stays_where_a_run_cannot_be_read_or_goes_on(past: Past) -> None:
    bad = past.run("wine", age=10)
    (bad / "run.json").write_text("{")
    write_past(past.store, "wine", "a", "key", {"cells": {"1": "x"}})
    write_past(past.store, "gone", "a", "key", {"cells": {"1": "x"}})
    assert [path.parent.name for path in clean(past.settle().store).files["steps"]] == ["gone"]

    past.run("beer", age=10, state=State.RUNNING)
    write_past(past.store, "gone", "a", "key", {"cells": {"1": "x"}})
    assert clean(past.settle().store).files == {}


def test_leftovers_go_after_a_day(past: Past) -> None:
    run = past.run()
    old = [past.store.packs / ".x.partial", run / "manifests" / ".a-1.partial"]
    for path in (*old, past.store.packs / ".young.partial"):
        path.write_bytes(b"half")
    half_removed = past.store.folder / ".wine-1.partial"
    (half_removed / "notebooks").mkdir(parents=True)
    (half_removed / "notebooks" / "a.ipynb").write_text("{}")
    for path in (*old, half_removed):
        os.utime(path, (NOW - 2 * DAY, NOW - 2 * DAY))
    done = clean(past.store)
    assert {*done.files["leftovers"]} == {*old, half_removed}
    assert [p.name for p in past.store.folder.rglob("*.partial")] == [".young.partial"]


def test_what_somebody_else_put_there_stays(past: Past) -> None:
    past.run()
    others = [past.store.cache / "notes.json", past.store.packs / "readme.txt"]
    others.append(past.store.cache / "folder" / f"{'0' * 32}.json")
    for path in others:
        path.parent.mkdir(exist_ok=True)
        path.write_text("mine")
    clean(past.settle().store, Rules(latest_too=True))
    assert all(path.exists() for path in others)


# -- other runs at the same time --------------------------------------------------------------


def test_a_run_that_goes_on_stays_and_so_does_all_that_it_may_use(past: Past) -> None:
    old = past.run(age=30 * DAY)
    past.run(age=20 * DAY, code={"b": 1})
    running = past.run("beer", age=10 * DAY, state=State.RUNNING)
    before = past.settle().files()
    done = clean(past.store, Rules(older_than=DAY, latest_too=True))
    assert old.name in done.runs
    assert past.runs == [running.name]
    assert done.going_on == (running.name,)
    assert past.files() == before


def test_a_run_that_was_fetched_while_it_went_on_elsewhere_is_like_any_other(past: Past) -> None:
    fetched = past.run("beer", age=10 * DAY, state=State.RUNNING)
    write_run(replace(read_run(fetched), process=None), fetched)
    past.run("beer", age=DAY)
    past.run("wine", code={"a": 1}, age=2, size=50_000)
    past.run("wine", code={"a": 2}, age=1, size=50_000)
    assert read_run(fetched).state is State.RUNNING
    done = clean(past.store, Rules(keep=1))
    assert fetched.name in done.runs
    assert done.going_on == ()
    assert done.freed > 50_000


def test_a_run_that_is_about_to_begin_counts_as_going_on(past: Past) -> None:
    past.run(age=DAY)
    newborn = past.store.new_run("wine")
    done = clean(past.settle().store, Rules(latest_too=True))
    assert done.going_on == (newborn.name,)
    assert past.files()["cache"] == 1


def test_a_run_that_begins_while_files_go_ends_the_cleaning(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    past.run(age=20, code={"a": 1, "b": 1})
    past.run(age=10, code={"a": 2})
    unlink = Path.unlink

    def unlink_and_begin(path: Path, missing_ok: bool = False) -> None:
        unlink(path, missing_ok=missing_ok)
        if path.parent == past.store.cache:
            past.store.new_run("wine")

    monkeypatch.setattr(Path, "unlink", unlink_and_begin)
    done = clean(past.settle().store, Rules(keep=1))
    assert done.is_cut_short
    assert sum(map(len, done.files.values())) == 1


def test_files_that_are_younger_than_the_cleaning_stay(past: Past) -> None:
    past.run(age=10)
    past.settle()
    for path in [*past.store.cache.iterdir(), *past.store.packs.iterdir()]:
        os.utime(path, (NOW + 1000, NOW + 1000))
    clean(past.store, Rules(latest_too=True))
    assert past.files() == {"cache": 1, "packs": 1, "notebooks": 0, "reports": 0}


# -- saying and doing -------------------------------------------------------------------------


def test_a_plan_removes_nothing_and_says_what_the_cleaning_does(past: Past) -> None:
    for number in range(4):
        past.run(code={"a": 1, "b": number}, age=10 - number)
    past.settle()
    before = past.size()
    plan = plan_cleaning(past.store, Rules(keep=2))
    assert past.size() == before
    done = clean(past.store, Rules(keep=2))
    assert told(plan) == told(done)
    assert past.size() == done.left == before - done.freed


def told(cleaning: Cleaning) -> dict[str, object]:
    files = {kind: sorted(paths) for kind, paths in cleaning.files.items()}
    return {**asdict(cleaning), "files": files}


def test_what_cannot_be_removed_is_one_clear_error(
    past: Past, monkeypatch: pytest.MonkeyPatch
) -> None:
    past.run(age=20)
    past.run(age=10)

    def refuse(*_: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "rename", refuse)
    with pytest.raises(StoreError, match=r"cannot remove .*: Permission denied"):
        clean(past.store, Rules(keep=1))


def drawn(cleaning: Cleaning, *, is_plan: bool = False) -> list[str]:
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(cleaning_view(cleaning, is_plan=is_plan))
    return console.file.getvalue().splitlines()  # type: ignore[attr-defined]


def test_it_is_said_what_went_and_what_stays() -> None:
    files = {"cache": (Path("a"), Path("b")), "packs": (Path("c"),)}
    done = Cleaning(("wine-1",), ("wine-2", "wine-3"), files, 2_500_000, 1000)
    assert drawn(done) == [
        "removed run wine-1",
        "removed 1 run, 2 stored results, 1 file of variables: 2.5 MB",
        "2 runs, 1.0 kB stay",
    ]
    assert drawn(done, is_plan=True)[0] == "would remove run wine-1"
    assert drawn(Cleaning((), (), {}, 0, 2)) == ["nothing to remove", "0 runs, 2 B stay"]


def test_of_many_runs_the_first_are_named() -> None:
    lines = drawn(Cleaning(tuple(f"wine-{n}" for n in range(50)), (), {}, 1, 1))
    assert lines[19:22] == ["removed run wine-19", "… and 30 more", "removed 50 runs: 1 B"]


def test_why_something_stays_is_said() -> None:
    done = Cleaning((), ("wine-1",), {}, 0, 5, going_on=("wine-1",), is_cut_short=True)
    text = " ".join(drawn(done))
    assert "wine-1 goes on: stored results stay" in text
    assert "a run began meanwhile" in text


# -- whatever the rules are -------------------------------------------------------------------

RUNS = st.lists(
    st.builds(
        dict,
        pipeline=st.sampled_from(["wine", "beer"]),
        code=st.dictionaries(st.sampled_from("abc"), st.integers(1, 2), min_size=1).map(
            lambda code: dict(sorted(code.items()))
        ),
        fresh=st.booleans(),
        state=st.sampled_from([State.DONE] * 6 + [State.FAILED, State.RUNNING]),
    ),
    min_size=1,
    max_size=8,
)
RULES = st.builds(
    Rules,
    keep=st.none() | st.integers(0, 4),
    older_than=st.none() | st.integers(0, 9).map(lambda days: float(days * DAY)),
    size=st.none() | st.integers(0, 20_000),
    latest_too=st.booleans(),
    pipeline=st.none() | st.sampled_from(["wine", "beer"]),
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(runs=RUNS, rules=st.lists(RULES, min_size=1, max_size=3))
def test_a_kept_run_has_all_that_it_needs(
    runs: list[dict[str, object]], rules: list[Rules]
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        store = Store(Path(folder) / ".kale-pm")
        store.prepare()
        past = Past(store)
        for number, options in enumerate(runs):
            past.run(age=(len(runs) - number) * DAY, **options)  # type: ignore[arg-type]
        past.settle()
        for each in rules:
            before = past.runs
            cached = {run: past.cached(run) for run in before}
            done = clean(store, each)
            assert sorted([*done.runs, *done.kept]) == before
            assert past.runs == sorted(done.kept)
            for run in past.runs:
                record = read_run(store.runs / run)
                assert past.variables(run) == past.values[run]
                assert all((store.runs / run / s.notebook).exists() for s in record.steps.values())
                assert past.cached(run) == cached[run]
            going_on = {run for run in before if read_state(runs, past, run) is State.RUNNING}
            assert going_on <= {*past.runs}
            if not each.latest_too:
                newest = {run.rsplit("-", 3)[0]: run for run in before}
                assert {*newest.values()} <= {*past.runs}
            assert clean(store).files == {}  # nothing is left that nobody needs


def read_state(runs: list[dict[str, object]], past: Past, run: str) -> object:
    return dict(zip(past.keys, (each["state"] for each in runs), strict=True))[run]
