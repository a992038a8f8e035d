"""Execute one slice by papermill: the same way on this machine and in a pod."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from kale_pm.events import Listener, ignore
from kale_pm.record import CellError, State
from kale_pm.runtime.execution.failure import read_failure
from kale_pm.runtime.execution.lean_papermill import import_papermill
from kale_pm.runtime.execution.monitor import Monitor, StepMonitor
from kale_pm.runtime.manifest import Exchange, read_manifest, write_manifest
from kale_pm.runtime.masking import Mask

if TYPE_CHECKING:
    from jupyter_client.kernelspec import KernelSpec
    from nbformat import NotebookNode

    from kale_pm.runtime.execution.kernel_process import Starter


@dataclass(frozen=True)
class Outcome:
    """How an execution ended: failing is a value here, not an exception."""

    state: State
    seconds: float
    error: CellError | None = None
    metrics: Mapping[str, Any] = field(default_factory=dict)


def execute(
    notebook: NotebookNode,
    output: Path,
    *,
    step: str,
    parameters: Mapping[str, Any],
    folder: Path,
    exchange: Exchange,
    spec: KernelSpec | None = None,
    start: Starter | None = None,
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
    log: Path | None = None,
    mask: Mask | None = None,
    listener: Listener = ignore,
    register: Callable[[Monitor], None] | None = None,
    ending: Callable[[], None] = lambda: None,
) -> Outcome:
    """Run the slice ``notebook`` in ``folder``, and keep the executed notebook at ``output``.

    ``spec`` is the kernel to start, None takes the running interpreter; or ``start`` starts it.
    ``timeout`` is in seconds for the whole step.  ``log`` gets what the kernel process itself
    prints.
    ``mask`` takes secrets out of what is written; the ``listener`` hears them.
    ``register`` is called with the monitor, whose ``interrupt`` ends the step from outside,
    and ``ending`` when all that is left to wait for is the end of the kernel.
    The executed notebook is there after every kind of failure.
    """
    from kale_pm.runtime.execution.kernel import interpreter_spec
    from kale_pm.runtime.execution.kernel_process import cold_starter

    began = time.monotonic()
    cells = sum(cell.cell_type == "code" for cell in notebook.cells) + bool(parameters)
    monitor = StepMonitor(step, cells, listener, ending)
    monitor.mask = mask or Mask()
    if register is not None:
        register(monitor)
    error = _run(
        notebook,
        output,
        parameters=parameters,
        exchange=exchange,
        start=start or cold_starter(spec or interpreter_spec(), str(folder)),
        env=env,
        timeout=timeout,
        log=log,
        monitor=monitor,
    )
    seconds = time.monotonic() - began
    if error is not None:
        # A kernel that died or was killed leaves the processes behind that it started.
        monitor.end_processes()
    if monitor.interrupted:
        return Outcome(State.INTERRUPTED, seconds, error)
    if error is None and exchange.silent is not None:
        write_manifest(exchange.silent, exchange.manifest)
    if error is None and exchange.manifest.exists():
        metrics = _metrics(output, exchange.manifest)
        return Outcome(State.DONE, seconds, None, metrics)
    if error is None:
        error = CellError(
            "NothingSaved", "the last cell of the slice did not store the step's result"
        )
    return Outcome(State.FAILED, seconds, error)


def _run(
    notebook: NotebookNode,
    output: Path,
    *,
    parameters: Mapping[str, Any],
    exchange: Exchange,
    start: Starter,
    env: Mapping[str, str] | None,
    timeout: float | None,
    log: Path | None,
    monitor: Monitor,
) -> CellError | None:
    """Let papermill execute the notebook; what went wrong, or None."""
    import logging

    papermill = import_papermill()
    from papermill.engines import papermill_engines

    from kale_pm.runtime.execution.engine import Engine

    # In a pod kale-pm is no installed package, so that nothing has registered its engine.
    papermill_engines.register("kale-pm", Engine)
    # Papermill announces paths and kernels on its logger, and so does nbclient.
    logging.getLogger("papermill").setLevel(logging.ERROR)
    order = notebook.metadata.get("kale_pm", {}).get("order", 0)
    exchange.packs.mkdir(parents=True, exist_ok=True)
    variables = {
        **(env or {}),
        "KALE_PM_INPUTS": json.dumps([str(path) for path in exchange.inputs]),
        "KALE_PM_OUTPUT": str(exchange.manifest),
        "KALE_PM_PACKS": str(exchange.packs),
        "KALE_PM_ORDER": str(order),
    }
    if exchange.audit is not None:
        variables["KALE_PM_AUDIT"] = str(exchange.audit)
    began = time.monotonic()
    with _log_file(log, monitor.mask) as log_file:
        try:
            papermill.execute_notebook(
                notebook,
                None,
                parameters=dict(parameters),
                engine_name="kale-pm",
                kernel_name=notebook.metadata["kernelspec"]["name"],
                progress_bar=False,
                keep=str(output),
                monitor=monitor,
                start=start,
                env=variables,
                log=log_file,
                deadline=None if timeout is None else began + timeout,
            )
        except Exception as error:  # noqa: BLE001 - every kind of failure becomes a value
            return read_failure(output, monitor, error, timeout)
    if monitor.failed_index is not None:
        # papermill takes sys.exit(0) for a success; the cells after it did not run.
        return read_failure(output, monitor, None, timeout)
    return None


@contextmanager
def _log_file(path: Path | None, mask: Mask) -> Iterator[IO[bytes] | None]:
    """Where the kernel process writes; with secrets to be masked first a file elsewhere."""
    if path is None:
        yield None
        return
    if not mask:
        with path.open("ab") as file:
            yield file
        return
    # A name it must have, because a kernel that is started ahead opens the file itself.
    with tempfile.NamedTemporaryFile(prefix="kale-pm-") as hidden:
        try:
            yield hidden
        finally:
            hidden.seek(0)
            text = hidden.read().decode("utf-8", "replace")
            with path.open("a", encoding="utf-8") as file:
                file.write(mask.text(text))


def _metrics(output: Path, manifest: Path) -> dict[str, Any]:
    import nbformat

    from kale_pm.runtime.metrics import scraps

    recorded = dict(read_manifest(manifest).metrics)
    text = output.read_text(encoding="utf-8")
    if "application/scrapbook.scrap." in text:
        recorded = {**scraps(nbformat.reads(text, as_version=4)), **recorded}
    return recorded
