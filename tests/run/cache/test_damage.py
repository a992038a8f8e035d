"""What is damaged in the store is found, and made again."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Runner


@pytest.mark.parametrize(
    ("kind", "harm"),
    [("packs", harm) for harm in ("deleted", "emptied", "cut", "flipped")]
    + [(kind, harm) for kind in ("notebooks", "cache") for harm in ("deleted", "flipped")],
)
def test_damage_in_the_store_is_found_and_the_step_runs_again(
    run: Runner, kind: str, harm: str
) -> None:
    cells = [
        ("block:a", "import numpy as np\nx = np.arange(10000)"),
        ("block:b prev:a", "print(x.sum())"),
    ]
    run(cells).raise_for_failures()
    for path in (run.store / kind).iterdir():
        damage(path, harm)
    cells[1] = ("block:b prev:a", "print(x.sum(), len(x))")
    ran = run(cells).raise_for_failures()
    assert "a" in ran.executed
    assert ran.printed("b") == "49995000 10000\n"
    assert run().executed == []


def damage(path: Path, harm: str) -> None:
    content = bytearray(path.read_bytes())
    if harm == "deleted":
        path.unlink()
        return
    if harm == "emptied":
        content = bytearray()
    elif harm == "cut":
        content = content[: len(content) // 2]
    else:
        middle = len(content) // 2
        content[middle] ^= 1
    path.write_bytes(content)


def test_verify_finds_what_changed_without_a_trace(run: Runner) -> None:
    cells = [
        ("imports", "import numpy as np"),
        ("block:a", "x = np.arange(100000)"),
        ("block:b prev:a", "import os\nprint(x.sum(), os.environ.get('KALE_PM_VERIFY'))"),
    ]
    assert run(cells).printed("b") == "4999950000 None\n"
    [pack] = [path for path in (run.store / "packs").iterdir() if path.stat().st_size > 100000]
    status = pack.stat()
    damage(pack, "flipped")
    os.utime(pack, ns=(status.st_atime_ns, status.st_mtime_ns))
    assert run().executed == [], "its size and its time are as they were"
    ran = run.with_options(verify=True)()
    assert ran.executed == ["a"]
    assert ran.why("a") == "its stored variables are gone or damaged"
    assert run.with_options(verify=True)().executed == []
    ran = run.with_options(verify=True, start="b")()
    assert ran.printed("b") == "4999950000 1\n"


def test_a_cache_entry_of_another_shape_is_no_entry(run: Runner) -> None:
    run([("block:a", "x = 1")])
    for path in (run.store / "cache").iterdir():
        path.write_text(json.dumps(["something", "else"]))
    assert run().executed == ["a"]
