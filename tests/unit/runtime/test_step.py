"""Load and save around the cells of a step, in a process of their own: they are its first ones."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from kale_pm.runtime.manifest import Manifest, read_manifest

HEAD = """\
import os
import kale_pm.runtime
from kale_pm.runtime.metrics import metric
from kale_pm.runtime.opened_files import watch_as_asked
watch_as_asked()
"""


def after(folder: Path, code: str) -> Manifest:
    """The manifest that a step leaves which runs ``code`` in ``folder``."""
    environment = {
        "KALE_PM_OUTPUT": str(folder / "store" / "manifests" / "it.json"),
        "KALE_PM_PACKS": str(folder / "store" / "packs"),
        "KALE_PM_AUDIT": str(folder),
    }
    done = subprocess.run(
        [sys.executable, "-c", HEAD + code],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return read_manifest(folder / "store" / "manifests" / "it.json")


def test_a_second_run_in_one_process_keeps_nothing_of_the_first(tmp_path: Path) -> None:
    for name in ("prelude", "first", "second"):
        (tmp_path / name).write_text("x")
    manifest = after(
        tmp_path,
        "metric('size', 3); open('prelude').close()\n"
        "kale_pm.runtime.load(step='it')\n"
        "metric('old', 1); open('first').close(); open('written', 'w').close()\n"
        "kale_pm.runtime.save()\n"
        "metric('size', 4)\n"
        "kale_pm.runtime.load(step='it')\n"
        "metric('new', 2); open('second').close()\n"
        "kale_pm.runtime.save()\n",
    )
    assert manifest.metrics == {"size": 4, "new": 2}
    assert manifest.read == ("prelude", "second")
    assert manifest.written == ()


def test_the_files_of_kale_pm_itself_are_not_among_those_of_the_step(tmp_path: Path) -> None:
    code = "kale_pm.runtime.load(step='it')\nx = list(range(9))\nkale_pm.runtime.save('x')"
    manifest = after(tmp_path, code)
    assert "x" in manifest.variables
    assert (manifest.read, manifest.written) == ((), ())
