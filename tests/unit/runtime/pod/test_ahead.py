"""What a pod gets ready while its kernel starts."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from kale_pm.runtime.pod.ahead import while_starting

PATIENCE = 30  # seconds; only what hangs takes so long

KERNEL: Any = object()


def started(start: Any) -> tuple[Any, Any, list[Any]]:
    """The kernel, its answer, and the kernels that were announced."""
    chosen: list[Any] = []
    kernel, facts = start({"A": "b"}, None, chosen.append, 60.0)
    return kernel, facts, chosen


def test_the_work_is_done_before_the_kernel_answers() -> None:
    worked = threading.Event()

    def slow(env: Any, log: Any, chosen: Callable[[Any], None], timeout: float) -> Any:
        assert not worked.is_set()
        chosen(KERNEL)
        assert worked.wait(PATIENCE)
        return KERNEL, {**env, "timeout": timeout}

    assert started(while_starting(slow, worked.set)) == (
        KERNEL,
        {"A": "b", "timeout": 60.0},
        [KERNEL],
    )


def test_nobody_waits_for_the_work() -> None:
    may_end = threading.Event()

    def quick(env: Any, log: Any, chosen: Callable[[Any], None], timeout: float) -> Any:
        chosen(KERNEL)
        return KERNEL, {}

    try:
        kernel, _, _ = started(while_starting(quick, lambda: may_end.wait(PATIENCE)))
        assert kernel is KERNEL
    finally:
        may_end.set()


def test_errors_of_the_work_are_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", told.append)

    def quick(env: Any, log: Any, chosen: Callable[[Any], None], timeout: float) -> Any:
        chosen(KERNEL)
        for thread in threading.enumerate():
            if thread.name == "kale-pm-ahead":
                thread.join(PATIENCE)
        return KERNEL, {}

    def fail() -> None:
        raise ImportError("no such renderer here")

    assert started(while_starting(quick, fail))[0] is KERNEL
    assert told == []


def test_a_page_imports_nothing_that_was_not_ready(run_main: Callable[..., str]) -> None:
    code = """
        import sys, tempfile
        from pathlib import Path
        import nbformat
        from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
        from kale_pm.runtime.pod.page import write_page
        from kale_pm.runtime.render import get_ready

        output = new_output("execute_result", data={"text/plain": "3", "text/html": "<b>3</b>"})
        cells = [new_markdown_cell("# Title"), new_code_cell("1 + 2", outputs=[output])]
        folder = Path(tempfile.mkdtemp())
        nbformat.write(new_notebook(cells=cells), folder / "a.ipynb")
        get_ready()
        before = set(sys.modules)
        write_page(folder / "a.html", folder / "a.ipynb", "a", wanted=True, metrics={"b": 1})
        print(set(sys.modules) - before, "<b>3</b>" in (folder / "a.html").read_text())
    """
    assert run_main(code) == "set() True"
