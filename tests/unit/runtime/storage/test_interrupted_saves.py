"""A full disk, a kill, several writers: under its final name stands a whole file or none."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from recipes import Recipe, Step

from kale_pm.runtime.manifest import read_manifest
from kale_pm.runtime.storage.pack.reader import Pack


def assert_whole(steps: Recipe) -> None:
    """Every file under its final name is whole; whatever else lies there is named a leftover."""
    for file in steps.folder.rglob("*"):
        if file.suffix == ".pack":
            Pack(file).verify()
        elif file.suffix == ".json":
            read_manifest(file)
        elif file.is_file():
            assert file.suffix == ".partial", file.name


def leftovers(steps: Recipe) -> list[Path]:
    return [*steps.folder.rglob("*.partial")]


MAKE = "rows = [{'n': n} for n in range(50)]; data = np.arange(3000.)"
USE = "print(rows[-1], data.sum())"
RIGHT = "{'n': 49} 4498500.0"


class TestFullDisk:
    def test_the_step_is_told_and_nothing_stays_wherever_it_ran_out(
        self, on_one_machine: Recipe
    ) -> None:
        shown = on_one_machine.run(
            "a",
            gives="rows data",
            code=f"""
                import os, resource
                from pathlib import Path
                import kale_pm.runtime
                from kale_pm.errors import StoreError
                {MAKE}
                packs, manifest = (
                    Path(os.environ[name]) for name in ("KALE_PM_PACKS", "KALE_PM_OUTPUT")
                )
                kale_pm.runtime.save("rows", "data")
                (pack,) = packs.iterdir()
                size = pack.stat().st_size
                pack.unlink()
                manifest.unlink()
                stayed = []
                for limit in [*range(0, size, 499), size - 1]:
                    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, resource.RLIM_INFINITY))
                    try:
                        kale_pm.runtime.save("rows", "data")
                    except StoreError as error:
                        assert "cannot write" in str(error) and error.hint, error
                    else:
                        stayed.append("no error")
                    stayed += [*packs.iterdir(), *manifest.parent.iterdir()]
                resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY,) * 2)
                print(size > 25_000, stayed)
            """,
        )
        assert shown.printed == "True []"
        assert on_one_machine.run("use", "a", needs="rows data", code=USE).printed == RIGHT
        assert leftovers(on_one_machine) == []

    def test_so_it_is_where_only_the_manifest_does_not_fit(self, on_one_machine: Recipe) -> None:
        """Modules are given by name, so that there is no pack."""
        limit = "resource.setrlimit(resource.RLIMIT_FSIZE, ({}, resource.RLIM_INFINITY))"
        said = on_one_machine.refused(
            "a", gives="it", code=f"import json as it, resource; {limit.format(50)}"
        )
        assert said.error == "StoreError"
        assert "cannot write" in said.message
        assert [path for path in on_one_machine.folder.rglob("*") if path.is_file()] == []

    def test_a_file_system_without_room(self, run_main: Callable[..., str], tmp_path: Path) -> None:
        code = """
            import os, sys
            from pathlib import Path
            import kale_pm.runtime
            from kale_pm.errors import StoreError

            folder = Path(sys.argv[1])
            os.environ["KALE_PM_OUTPUT"] = str(folder / "manifest.json")
            kale_pm.runtime.load(step="a")
            data = os.urandom(3_000_000)
            try:
                kale_pm.runtime.save("data")
            except StoreError as error:
                print(" ".join(str(error).split()), [path.name for path in folder.iterdir()])
            data = b"small"
            kale_pm.runtime.save("data")
            print(sorted(path.suffix for path in folder.iterdir()))
        """
        (tmp_path / "full").mkdir()
        (tmp_path / "code.py").write_text("".join(line[12:] for line in code.splitlines(True)[1:]))
        said, stored = in_small_file_system(tmp_path / "full", tmp_path / "code.py").splitlines()
        assert "cannot write variables: No space left on device" in said
        assert "make room" in said
        assert "[]" in said
        assert stored == "['.json', '.pack']"


def in_small_file_system(folder: Path, code: Path) -> str:
    """Run the code where ``folder`` is a file system of 1 MB, which goes away with the process."""
    inside = ["unshare", "--user", "--map-root-user", "--mount"]
    mount = f'mount -t tmpfs -o size=1m tmpfs "{folder}"'
    if shutil.which("unshare") is None:
        pytest.skip("needs unshare, to mount a small file system")
    probe = subprocess.run(
        [*inside, "sh", "-c", mount], capture_output=True, text=True, check=False
    )
    if probe.returncode:
        pytest.skip(f"no small file system can be mounted here: {probe.stderr.strip()}")
    done = subprocess.run(
        [*inside, "sh", "-c", f'{mount} && exec "$0" "$@"', sys.executable, code, folder],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[4])},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


# Ends the process at the given line of kale-pm, counted from here.
DIE_AT = """
import os, signal, sys
import kale_pm.runtime
lines, last = 0, {line}
def trace(frame, event, argument):
    global lines
    if "kale_pm/runtime" not in frame.f_code.co_filename:
        return None
    if event == "line":
        lines += 1
        if lines == last:
            os.kill(os.getpid(), signal.SIGKILL)
    return trace
sys.settrace(trace)
kale_pm.runtime.save("rows", "data")
sys.settrace(None)
print(lines)
"""


class TestKill:
    def test_at_lines_all_over_the_save(self, on_one_machine: Recipe) -> None:
        steps = on_one_machine
        step = {"gives": "rows data"}
        whole = int(steps.run("dry", code=f"{MAKE}\n{DIE_AT.format(line=0)}", **step).printed)
        assert whole > 100
        kills = 60
        for kill in range(kills):
            line = 1 + kill * (whole - 1) // (kills - 1)
            code = f"{MAKE}\n{DIE_AT.format(line=line)}"
            (report,) = steps.together(Step("a", code=code, **step))
            assert report.killed, report
            assert_whole(steps)
            if steps.manifest("a").exists():
                assert steps.run("use", "a", needs="rows data", code=USE).printed == RIGHT
                steps.manifest("a").unlink()
        assert leftovers(steps)
        steps.run("a", code=MAKE, **step)
        assert steps.run("use", "a", needs="rows data", code=USE).printed == RIGHT

    def test_at_random_moments_of_many_saves(self, on_one_machine: Recipe) -> None:
        """Also while bytes are on their way to the disk, which is no line of any code."""
        steps = on_one_machine
        code = """
            import kale_pm.runtime
            turn = 0
            while True:
                turn += 1
                rows, data = [turn], np.full(400_000, float(turn))
                kale_pm.runtime.save("rows", "data")
        """
        moments = random.Random(4)
        for _ in range(30):
            kill = Step("a", code=code, killed_after=moments.uniform(0.005, 0.08))
            (report,) = steps.together(kill)
            assert report.killed, report
            assert_whole(steps)
            if steps.manifest("a").exists():
                shown = steps.run(
                    "use", "a", needs="rows data", code="print((data == rows[0]).all())"
                )
                assert shown.printed == "True"
            for file in steps.folder.rglob("*.pack"):
                file.unlink()
            steps.manifest("a").unlink(missing_ok=True)
        steps.run("a", gives="rows data", code=MAKE)
        assert steps.run("use", "a", needs="rows data", code=USE).printed == RIGHT

    def test_a_killed_attempt_leaves_what_an_earlier_one_gave_or_gives_its_own(
        self, on_one_machine: Recipe
    ) -> None:
        steps = on_one_machine
        step = {"gives": "rows data"}
        other = f"{MAKE}; data[0] = 1\n"
        whole = int(steps.run("dry", code=other + DIE_AT.format(line=0), **step).printed)
        seen = []
        for line in range(1, whole, whole // 12):
            steps.run("a", code=MAKE, **step)
            killed = Step("a", code=other + DIE_AT.format(line=line), **step)
            (report,) = steps.together(killed)
            assert report.killed, report
            seen.append(steps.run("use", "a", needs="rows data", code=USE).printed)
        assert set(seen) <= {RIGHT, RIGHT.replace("500.0", "501.0")}
        assert seen == sorted(seen, key=RIGHT.__ne__), "it took its place at one moment"


class TestSeveralWriters:
    READ = """
        import kale_pm.runtime
        seen = set()
        for turn in range(40):
            kale_pm.runtime.load("rows", "data", step="use")
            assert (data == rows[0]).all()
            seen.add(rows[0])
        print(sorted(seen) == [7] or sorted(seen))
    """
    WRITE = """
        import kale_pm.runtime
        rows, data = [{value}], np.full(50_000, {value}.0)
        for turn in range(20):
            kale_pm.runtime.save("rows", "data")
    """

    def write(self, value: int) -> Step:
        return Step("a", gives="rows data", code=self.WRITE.format(value=value))

    def read(self) -> Step:
        return Step("use", "a", needs="rows data", code=self.READ, verify=True)

    def test_of_the_same_content(self, on_one_machine: Recipe) -> None:
        steps = on_one_machine
        steps.run("a", gives="rows data", code=self.WRITE.format(value=7))
        *writers, reader = steps.together(*[self.write(7)] * 3, self.read())
        assert [report.traceback for report in (*writers, reader)] == [""] * 4
        assert reader.printed == "True"
        assert_whole(steps)
        assert leftovers(steps) == []
        assert len([*steps.folder.rglob("*.pack")]) == 1

    def test_of_different_content(self, on_one_machine: Recipe) -> None:
        """Attempts of one step that overlap: who reads gets one of them, whole."""
        steps = on_one_machine
        steps.run("a", gives="rows data", code=self.WRITE.format(value=1))
        *writers, reader = steps.together(self.write(1), self.write(2), self.write(3), self.read())
        assert [report.traceback for report in (*writers, reader)] == [""] * 4
        assert_whole(steps)
        assert leftovers(steps) == []
        assert len([*steps.folder.rglob("*.pack")]) == 3
