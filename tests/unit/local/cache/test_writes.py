"""What an execution may have written, by its code and by what has changed."""

from __future__ import annotations

import ast
import os
import time
from pathlib import Path

import pytest

from kale_pm.local.cache.writes import written_in_code

NAMES = ("model.txt", "m-1.txt", "m-2.txt", "m-0.50.txt", "out/m-1.pq", "old.txt")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "out").mkdir()
    for name in NAMES:
        (tmp_path / name).touch()
    os.utime(tmp_path / "old.txt", (1, 1))
    return tmp_path


def written(folder: Path, code: str, **parameters: object) -> set[str]:
    return written_in_code([ast.parse(code)], parameters, folder, time.time() - 60)


@pytest.mark.parametrize(
    "code",
    [
        "open('model.txt', 'w').write('x')",
        "path = 'model.txt'\nframe.to_parquet(path)",
        "train('./model.txt')",
        "def keep(to='model.txt'): to.write()",
        "os.system(f'train {k} > model.txt')",
        "os.system(f'train {unknown} > model.txt')",
        "subprocess.run(['cp', 'other.txt', 'model.txt'])",
        "get_ipython().system('train {k} > model.txt')",
        "get_ipython().run_cell_magic('bash', '', 'train\\ntouch model.txt\\n')",
    ],
)
def test_what_the_code_names_and_has_changed_may_be_its_work(folder: Path, code: str) -> None:
    assert written(folder, code, k=1) == {"model.txt"}


@pytest.mark.parametrize(
    "code",
    ["open('model.txt').read()", "pandas.read_parquet('model.txt')", "open('old.txt', 'w')", "1"],
)
def test_what_it_only_reads_or_what_is_as_it_was_is_not(folder: Path, code: str) -> None:
    assert written(folder, f"import pandas\n{code}") == set()


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("keep(f'm-{k}.txt')", "m-1.txt"),
        ("keep('m-' + str(k) + '.txt')", "m-1.txt"),
        ("path = f'm-{k}.txt'\nkeep(path)", "m-1.txt"),
        ("keep(f'm-{rate:.2f}.txt')", "m-0.50.txt"),
        ("keep(Path('out') / f'm-{k}.pq')", "out/m-1.pq"),
        ("os.system(f'train > m-{k}.txt')", "m-1.txt"),
        ("get_ipython().system('train > m-{k}.txt')", "m-1.txt"),
        ("get_ipython().system('train > m-$k.txt')", "m-1.txt"),
    ],
)
def test_a_name_with_a_parameter_in_it_is_that_of_its_value(
    folder: Path, code: str, expected: str
) -> None:
    assert written(folder, code, k=1, rate=0.5) == {expected}


@pytest.mark.parametrize("code", ["keep(f'm-{other}.txt')", "k = 3\nkeep(f'm-{k}.txt')"])
def test_of_a_name_that_only_the_run_can_tell_all_that_fit_may_be(folder: Path, code: str) -> None:
    assert written(folder, code, k=1) == {"m-1.txt", "m-2.txt", "m-0.50.txt"}


def test_the_code_stays_as_it_is(folder: Path) -> None:
    tree = ast.parse("keep(f'm-{k}.txt')")
    before = ast.dump(tree)
    written_in_code([tree], {"k": 1}, folder, 0.0)
    assert ast.dump(tree) == before
