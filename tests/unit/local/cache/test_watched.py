"""Files that a step depends on: which they are, and whether they are still the same."""

from __future__ import annotations

import ast
import os
import time
from pathlib import Path

import pytest

from kale_pm.local.cache.watched import (
    FileState,
    changed_file,
    digest,
    file_states,
    may_write,
    paths_in_code,
    stamps,
    touched_since,
)


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)


def found(folder: Path, code: str, *values: object) -> set[str]:
    return paths_in_code([ast.parse(code)], values, folder)


# -- state ----------------------------------------------------------------------------------


def test_the_state_of_a_file_is_its_content(tmp_path: Path) -> None:
    write(tmp_path, "a", "b")
    (tmp_path / "b").write_text("a")
    assert digest(tmp_path / "a") == digest(tmp_path / "b")
    (tmp_path / "b").write_text("b")
    assert digest(tmp_path / "a") != digest(tmp_path / "b")


def test_the_state_of_a_folder_is_the_names_in_it(tmp_path: Path) -> None:
    write(tmp_path, "data/a")
    before = digest(tmp_path / "data")
    (tmp_path / "data" / "a").write_text("other")
    write(tmp_path, "data/.hidden", "data/__pycache__/x")
    assert digest(tmp_path / "data") == before
    write(tmp_path, "data/b")
    assert digest(tmp_path / "data") != before


def test_a_pipe_or_device_is_never_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert digest(tmp_path / "pipe") == digest(Path("/dev/zero")) == digest(tmp_path / "nothing")


def test_a_change_a_loss_and_an_appearance_are_noticed(tmp_path: Path) -> None:
    write(tmp_path, "a", "b")
    state = file_states(tmp_path, ["a", "b", "c"])
    assert changed_file(tmp_path, state) is None
    write(tmp_path, "c")
    assert changed_file(tmp_path, state) == "c"
    (tmp_path / "c").unlink()
    (tmp_path / "a").unlink()
    assert changed_file(tmp_path, state) == "a"


def test_a_file_that_looks_as_it_did_is_not_read_again(tmp_path: Path) -> None:
    write(tmp_path, "a")
    settled = [FileState(digest(tmp_path / "a"), look(tmp_path / "a"))]
    assert changed_file(tmp_path, {"a": FileState("of something else", settled[0].look)}) is None
    # Any other look, and the content counts: even if copying restored size and time.
    times = (tmp_path / "a").stat()
    (tmp_path / "a").write_text("b")
    os.utime(tmp_path / "a", ns=(times.st_atime_ns, times.st_mtime_ns))
    assert changed_file(tmp_path, {"a": settled[0]}) == "a"
    (tmp_path / "a").write_text("a")
    assert changed_file(tmp_path, {"a": settled[0]}) is None


def look(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_size, status.st_ino, status.st_mtime_ns, status.st_ctime_ns


def test_the_look_of_a_file_that_just_changed_is_not_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path, "a", "folder/b")
    assert file_states(tmp_path, ["a"])["a"].look is None
    later = time.time_ns() + 3_000_000_000
    monkeypatch.setattr(time, "time_ns", lambda: later)
    states = file_states(tmp_path, ["a", "folder", "missing"])
    assert states["a"].look == look(tmp_path / "a")
    assert states["folder"].look is states["missing"].look is None


def test_a_touch_is_a_modification_between_then_and_now(tmp_path: Path) -> None:
    now = time.time()
    write(tmp_path, "old", "new", "future")
    os.utime(tmp_path / "old", (now - 10, now - 10))
    os.utime(tmp_path / "future", (now + 1000, now + 1000))
    names = ["old", "future", "missing"]
    assert touched_since(tmp_path, names, now - 1) is None
    assert touched_since(tmp_path, [*names, "new"], now - 1) == "new"


def test_a_stamp_tells_a_rewritten_file(tmp_path: Path) -> None:
    write(tmp_path, "a")
    before = stamps(tmp_path, ["a", "b"])
    assert before["b"] is None
    (tmp_path / "a").write_text("longer than before")
    assert stamps(tmp_path, ["a"])["a"] != before["a"]


# -- paths in code --------------------------------------------------------------------------


def test_literals_that_look_like_files_are_watched_even_before_they_exist(tmp_path: Path) -> None:
    assert found(tmp_path, "read('data/x.csv')") == {"data/x.csv"}
    write(tmp_path, "LICENSE")
    assert found(tmp_path, "read('LICENSE'); print('a text, to be shown: x')") == {"LICENSE"}


def test_values_of_parameters_name_files_too(tmp_path: Path) -> None:
    assert found(tmp_path, "", "x.csv", ["y.csv", {"k": "z.csv"}], 3) == {
        "x.csv",
        "y.csv",
        "z.csv",
    }


def test_a_folder_and_a_name_in_it_are_joined(tmp_path: Path) -> None:
    write(tmp_path, "data/raw")
    assert found(tmp_path, "Path('data') / 'raw'") == {"data/raw"}


@pytest.mark.parametrize(
    "code",
    ["f'data/{n}.csv'", "'data/{}.csv'.format(n)", "'data/%d.csv' % n", "glob('data/*.csv')"],
)
def test_of_a_pattern_all_files_that_fit_are_watched(tmp_path: Path, code: str) -> None:
    write(tmp_path, "data/1.csv", "data/2.csv", "data/3.txt", ".hidden/4.csv")
    assert found(tmp_path, code) == {"data/1.csv", "data/2.csv"}


def test_a_folder_holds_a_data_set_if_it_has_files_of_such_a_format(tmp_path: Path) -> None:
    write(tmp_path, "data/1.parquet", "data/deep/2.parquet", "notes/a.txt")
    assert found(tmp_path, "read('data'), read('notes')") == {
        "data",
        "data/1.parquet",
        "data/deep/2.parquet",
    }


@pytest.mark.parametrize("text", [".", "..", "/", "", "*", "**", "* *", "/tmp", "~"])
def test_no_text_makes_the_whole_folder_or_disk_a_data_set(tmp_path: Path, text: str) -> None:
    write(tmp_path, "a.parquet", "data/1.parquet")
    assert found(tmp_path, repr(text)) == set()


@pytest.mark.parametrize("text", ["x" * 5000, "a\0b", "line\nline", "SELECT * FROM t;", "é" * 299])
def test_other_texts_do_no_harm(tmp_path: Path, text: str) -> None:
    assert found(tmp_path, repr(text)) == set()


# -- writers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("torch.save(m, p)", True),
        ("df.to_parquet(p)", True),
        ("pq.write_table(t, p)", True),
        ("cv2.imwrite(p, i)", True),
        ("dump(x, f)", True),
        ("pd.read_csv(p)", False),
        ("x = total + 1", False),
    ],
)
def test_whether_code_looks_as_if_it_wrote_files(code: str, expected: bool) -> None:
    assert may_write([ast.parse(code)]) is expected


@pytest.mark.parametrize(
    "code",
    [
        "os.system(f'echo {rate} > model.txt')",
        "os.system('echo 1 > model.txt')",
        "get_ipython().run_cell_magic('bash', '', 'f() { cat model.txt; }\\nf')",
        "os.system(f'echo 1 > mod{rate}.txt')",
        "os.system('echo 1 > mod{rate}.txt')",
    ],
)
def test_the_words_of_a_command_are_found(tmp_path: Path, code: str) -> None:
    write(tmp_path, "model.txt", "other.txt")
    assert found(tmp_path, code) == {"model.txt"}
