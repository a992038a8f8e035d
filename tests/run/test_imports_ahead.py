"""Kernels without a step import what every step begins with, and no step can tell."""

from __future__ import annotations

import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest
from kernel_talk import printed_by

from kale_pm.local.kernels.pool import Pool
from kale_pm.runtime.execution.kernel import interpreter_spec
from kale_pm.runtime.execution.kernel_process import end

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from conftest import Ran, Runner

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="kernels are forked on Linux only")

LOOK = "import sys\nprint('colorsys' in sys.modules)"
MOST = 200  # kernels that are tried until one of them had the time to import


class Kernels:
    """The kernels of a pool, one after another; ``notes`` is what the pool tells."""

    def __init__(self, folder: Path, *imports: str, is_idle: bool = True) -> None:
        self.notes: list[str] = []
        self.variables = {"KALE_PM_AUDIT": str(folder)}
        self.pool = Pool(
            interpreter_spec(),
            folder,
            ahead=lambda: 2,
            imports=imports,
            is_idle=lambda: is_idle,
            tell=self.notes.append,
        )

    def prints(self, code: str) -> str:
        """What the next kernel prints."""
        kernel, _ = self.pool.start(self.variables, None, lambda _: None, 60)
        try:
            return printed_by(kernel, code)
        finally:
            end(kernel, politely=False)

    def until(self, code: str, expected: str) -> bool:
        """Whether one of the next kernels prints this."""
        return any(self.prints(code) == expected for _ in range(MOST))


@contextmanager
def kernels(folder: Path, *imports: str, is_idle: bool = True) -> Iterator[Kernels]:
    made = Kernels(folder, *imports, is_idle=is_idle)
    try:
        yield made
    finally:
        made.pool.close()


def test_a_kernel_imports_before_it_has_a_step(tmp_path: Path) -> None:
    with kernels(tmp_path, "import colorsys") as some:
        assert some.until(LOOK, "True\n")
        assert some.notes == []


def test_nothing_but_modules_is_there_afterwards(tmp_path: Path) -> None:
    code = f"{LOOK}\nprint('colorsys' in globals(), 'rgb_to_hls' in globals(), In[1:] == [In[-1]])"
    with kernels(tmp_path, "import colorsys", "from colorsys import *") as some:
        assert some.until(code, "True\nFalse False True\n")


def test_while_no_processor_is_idle_nothing_is_imported(tmp_path: Path) -> None:
    with kernels(tmp_path, "import colorsys", is_idle=False) as some:
        assert {some.prints(LOOK) for _ in range(10)} == {"False\n"}


def test_a_module_that_prints_does_so_in_every_step(tmp_path: Path) -> None:
    with kernels(tmp_path, "import this") as some:
        for _ in range(MOST):
            assert "Explicit is better than implicit." in some.prints("import this")
            if some.notes:
                break
        assert some.notes == ["kernels import nothing before their step: a message of kind stream"]


def test_a_module_that_cannot_be_imported_fails_in_its_step(tmp_path: Path) -> None:
    with kernels(tmp_path, "from colorsys import nothing_of_that_name") as some:
        while not some.notes:
            some.prints("1")
        assert some.notes == ["kernels import nothing before their step: ImportError"]
        assert some.prints(LOOK) == "False\n"


def test_modules_of_the_user_wait_for_the_step_and_so_do_all_below_them(tmp_path: Path) -> None:
    (tmp_path / "mine.py").write_text("import pathlib\npathlib.Path('imported').touch()\n")
    with kernels(tmp_path, "import colorsys", "import mine", "import this") as some:
        assert some.until(LOOK, "True\n")
        assert some.notes == []
    assert not (tmp_path / "imported").exists()


def test_a_file_that_a_module_reads_in_the_users_folder_is_known_to_the_step(
    tmp_path: Path,
) -> None:
    """As matplotlib reads ``matplotlibrc``: the cache has to know it."""
    (tmp_path / "matplotlibrc").write_text("lines.linewidth: 7\n")
    reading = "from kale_pm.runtime.opened_files import read_files\nprint(read_files())"
    with kernels(tmp_path, "import matplotlib") as some:
        while not some.notes:
            assert some.prints(f"import matplotlib\n{reading}") == "('matplotlibrc',)\n"
        assert some.notes == ["kernels import nothing before their step: Noticed"]


def test_the_backend_of_pictures_is_that_of_the_kernel(tmp_path: Path) -> None:
    code = (
        "import sys\nis_ahead = 'matplotlib.pyplot' in sys.modules\n"
        "import matplotlib.pyplot\nprint(is_ahead, matplotlib.get_backend().rpartition('_')[2])"
    )
    with kernels(tmp_path, "import matplotlib.pyplot") as some:
        assert some.until(code, "True inline\n")


def test_steps_of_a_run_give_what_they_give_in_cold_kernels(run: Runner) -> None:
    plot = "import matplotlib.pyplot as plt\nplt.plot([1, 2])"
    cells = [
        ("imports", "import colorsys\nimport numpy as np\nimport matplotlib.pyplot as plt"),
        ("block:a", f"import time\ntime.sleep(1)\nx = np.arange(3)\n{plot}"),
        ("block:b prev:a", f"y = x.sum()\n{plot}"),
        ("block:c prev:b", f"print(colorsys.__name__, y)\n{plot}"),
    ]
    warm = run(cells).raise_for_failures()
    cold = run.named("cold.ipynb").with_metadata(kale_pm={"kernels": "cold"})(cells)
    for step in "abc":
        assert shown(warm, step) == shown(cold.raise_for_failures(), step)
    assert shown(warm, "c")[-1] == "image/png"


def shown(ran: Ran, step: str) -> list[str]:
    """The texts that a step printed, and the kinds of what it displayed."""
    outputs = [o for cell in ran.notebook(step).cells for o in cell.get("outputs", ())]
    shown = [list(output.get("data", [output.get("text")])) for output in outputs]
    return [each for data in shown for each in data if each != "text/plain"]
