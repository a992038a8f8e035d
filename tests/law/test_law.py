"""The law: a pipeline gives the same as its notebook, run from top to bottom in one kernel.

Where the edges order the steps totally the prints must be equal.  Where they do not, they
must be equal too, or a named warning says that the order matters.  ``make fuzz`` runs many
more notebooks than CI does.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest
from forks import run_forked
from hypothesis import HealthCheck, Phase, given, note, settings
from notebooks import Notebook, notebooks
from tiny_notebooks import write_notebook

from kale_pm.analysis import understand
from kale_pm.kfp.compiling.relays import with_relays
from kale_pm.model import Pipeline
from kale_pm.notebook import read

EXAMPLES = int(os.environ.get("KALE_PM_LAW_EXAMPLES", "150"))
# The same notebooks every time, unless somebody asks for more: `make fuzz` is for new ones.
IS_REPEATABLE = "KALE_PM_LAW_EXAMPLES" not in os.environ
# Warnings which say that the notebook's own order would have shown something else.
ORDER_WARNINGS = {
    "order-differs", "ambiguous-source", "serialised", "not-upstream", "undefined-name",
    "global-state",
}  # fmt: skip

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")

law = settings(
    max_examples=EXAMPLES,
    derandomize=IS_REPEATABLE,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.generate, Phase.shrink],
    print_blob=True,
)


@law
@given(notebook=notebooks(chain=True))
def test_ordered_steps_print_what_one_kernel_prints(
    notebook: Notebook, count: Callable[[], None]
) -> None:
    note(str(notebook))
    count()
    with tempfile.TemporaryDirectory() as folder:
        pipeline = understood(notebook, Path(folder))
        assert not pipeline.errors, "a notebook that runs in one kernel was refused"
        assert plain(run_forked(pipeline, Path(folder))) == plain(notebook.printed)


@settings(law, max_examples=max(1, EXAMPLES * 2 // 3))
@given(notebook=notebooks(chain=False))
def test_parallel_steps_print_the_same_or_a_warning_says_why_not(
    notebook: Notebook, count: Callable[[], None]
) -> None:
    note(str(notebook))
    count()
    with tempfile.TemporaryDirectory() as folder:
        pipeline = understood(notebook, Path(folder))
        if pipeline.errors or ORDER_WARNINGS & {problem.code for problem in pipeline.problems}:
            return
        assert plain(run_forked(pipeline, Path(folder))) == plain(notebook.printed)


@settings(law, max_examples=max(1, EXAMPLES // 3))
@given(notebook=notebooks(chain=True))
def test_steps_that_hand_on_for_others_print_the_same(
    notebook: Notebook, count: Callable[[], None]
) -> None:
    """As compiled for pods, where no step asks many others for one variable."""
    note(str(notebook))
    count()
    with tempfile.TemporaryDirectory() as folder:
        pipeline = with_relays(understood(notebook, Path(folder)), most=1)
        assert plain(run_forked(pipeline, Path(folder))) == plain(notebook.printed)


def plain(printed: list[str]) -> list[str]:
    """Without the addresses of objects."""
    return [re.sub(r"0x[0-9a-fA-F]+", "0x", text) for text in printed]


def understood(notebook: Notebook, folder: Path) -> Pipeline:
    return understand(read(write_notebook(folder / "law.ipynb", notebook.cells())))
