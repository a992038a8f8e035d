"""Notebooks rendered while their run goes on, so that its report is there when it ends."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

from kale_pm.events import Event, KernelStarting, Listener, RunStarted, StepFinished
from kale_pm.record import State
from kale_pm.report.page import keep_fragment, page_template


@contextmanager
def rendering_ahead(runs: Path, fragments: Path, listener: Listener) -> Iterator[Listener]:
    """A listener that renders every notebook as soon as its step is finished.

    What that needs is imported while the first kernel is waited for.  It hands all events on to
    ``listener``.  ``runs`` is the folder of runs, ``fragments`` that of rendered notebooks.  What
    has not been rendered when the block ends, the report does.
    """
    folder = runs
    is_ready = False
    pool = ThreadPoolExecutor(max_workers=1, thread_name_prefix="report")

    def listen(event: Event) -> None:
        nonlocal folder, is_ready
        match event:
            case RunStarted(run=run):
                folder = runs / run
            # Not earlier: what renders imports what executes, and two threads that import one
            # library at a time get in each other's way.
            case KernelStarting() if not is_ready:
                is_ready = True
                pool.submit(_get_ready)
            case StepFinished(state=state, notebook=str(notebook)) if state is not State.CACHED:
                pool.submit(_render, folder / notebook, fragments)
        listener(event)

    try:
        yield listen
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _get_ready() -> None:
    from kale_pm.runtime.render import get_ready

    with suppress(Exception):  # as below
        get_ready()
        page_template()


def _render(notebook: Path, fragments: Path) -> None:
    with suppress(Exception):  # the report meets it again, and tells of it
        keep_fragment(notebook.read_bytes(), fragments)
