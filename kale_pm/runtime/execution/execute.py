"""Execute one slice by papermill: the same way on this machine and in a pod."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kale_pm.events import CellFinished, CellOutput, CellStarted, Listener, ignore
from kale_pm.record import CellError, State
from kale_pm.runtime.manifest import Exchange, read_manifest

if TYPE_CHECKING:
    from jupyter_client.kernelspec import KernelSpec
    from nbformat import NotebookNode

    from kale_pm.runtime.execution.monitor import Monitor


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
    env: Mapping[str, str] | None = None,
    timeout: float | None = None,
    log: Path | None = None,
    listener: Listener = ignore,
    register: Any = None,
) -> Outcome:
    """Run the slice ``notebook`` in ``folder``, and keep the executed notebook at ``output``.

    ``spec`` is the kernel to start, None takes the running interpreter.  ``timeout`` is in
    seconds for the whole step.  ``log`` gets what the kernel process itself prints.
    ``register`` is called with the monitor, whose ``interrupt`` ends the step from outside.
    The executed notebook is there after every kind of failure.
    """
    from kale_pm.runtime.execution.kernel import interpreter_spec

    began = time.monotonic()
    cells = sum(cell.cell_type == "code" for cell in notebook.cells) + bool(parameters)
    monitor = _monitor(step, cells, listener)
    if register is not None:
        register(monitor)
    spec = spec or interpreter_spec()
    error = _run(
        notebook,
        output,
        parameters=parameters,
        folder=folder,
        exchange=exchange,
        spec=spec,
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
    folder: Path,
    exchange: Exchange,
    spec: Any,
    env: Mapping[str, str] | None,
    timeout: float | None,
    log: Path | None,
    monitor: Monitor,
) -> CellError | None:
    """Let papermill execute the notebook; what went wrong, or None."""
    import logging

    # papermill imports every registered engine, ours among them: it must come first.
    import papermill
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
    with log.open("ab") if log is not None else nullcontext() as log_file:
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
                spec=spec,
                folder=str(folder),
                env=variables,
                log=log_file,
                deadline=None if timeout is None else began + timeout,
            )
        except Exception as error:  # noqa: BLE001 - every kind of failure becomes a value
            return _cell_error(output, monitor, error, timeout)
    if monitor.failed_index is not None:
        # papermill takes sys.exit(0) for a success; the cells after it did not run.
        return _cell_error(output, monitor, None, timeout)
    return None


def _monitor(step: str, cells: int, listener: Listener) -> Monitor:
    from kale_pm.runtime.execution.monitor import Monitor

    class StepMonitor(Monitor):
        count = 0

        def cell_started(self, cell: Mapping[str, Any]) -> None:
            self.count += 1
            listener(CellStarted(step, self.count, cells, source_number(cell)))

        def cell_finished(self, cell: Mapping[str, Any], seconds: float) -> None:
            listener(CellFinished(step, self.count, cells, source_number(cell), seconds))

        def output(self, stream: str, text: str) -> None:
            listener(CellOutput(step, stream, text))

    return StepMonitor()


def source_number(cell: Mapping[str, Any]) -> int | None:
    """The number in the source notebook of a slice's cell; None for the cells we add."""
    number = cell["metadata"].get("kale_pm", {}).get("cell")
    return number if isinstance(number, int) else None


def _metrics(output: Path, manifest: Path) -> dict[str, Any]:
    import nbformat

    from kale_pm.runtime.metrics import scraps

    recorded = dict(read_manifest(manifest).metrics)
    text = output.read_text(encoding="utf-8")
    if "application/scrapbook.scrap." in text:
        recorded = {**scraps(nbformat.reads(text, as_version=4)), **recorded}
    return recorded


def _cell_error(
    output: Path, monitor: Monitor, error: Exception | None, timeout: float | None
) -> CellError:
    """What failed and where, from the executed notebook itself."""
    import nbformat

    if monitor.failed_index is None or not output.exists():
        # Nothing of the notebook ran: the kernel did not start, or papermill refused.
        return CellError(type(error).__name__, _first_line(str(error)))
    cell = nbformat.read(output, as_version=4).cells[monitor.failed_index]
    number = source_number(cell)
    found = next((o for o in cell.outputs if o.output_type == "error"), None)
    if monitor.died is not None:
        ename, evalue = _death(monitor.died, timeout)
        return CellError(ename, evalue, number)  # nobody knows the line
    if found is None:
        # A magic that fails raises nothing: it writes its reason to stderr.
        said = "".join(o.text for o in cell.outputs if o.get("name") == "stderr")
        last = _last_line(strip_colours(said)) or "the cell failed without a word"
        return CellError("CellFailed", last, number)
    traceback = strip_colours("\n".join(found.traceback))
    line = _failing_line(traceback, cell.get("execution_count"), len(cell.source.splitlines()))
    evalue = found.evalue
    if found.ename == "SystemExit":
        evalue = f"the cell called sys.exit({evalue or ''}): the rest of the step did not run"
    return CellError(found.ename, evalue, number, line, _line(cell.source, line), traceback)


def _death(error: BaseException, timeout: float | None) -> tuple[str, str]:
    name = type(error).__name__
    if name == "DeadKernelError":
        return name, (
            "the kernel died while the cell ran: out of memory, os._exit or a crash in a library"
        )
    if name == "CellTimeoutError":
        return name, f"the step took longer than its timeout of {timeout:g} seconds"
    return name, _first_line(str(error))


def strip_colours(text: str) -> str:
    """``text`` without the terminal's colour codes."""
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)


def _failing_line(traceback: str, count: int | None, lines: int) -> int | None:
    """The line of the failing cell itself; IPython names each frame ``Cell In[3], line 2``."""
    for match in re.finditer(r"Cell In\[(\d+)\](?:, |:)line (\d+)", traceback):
        if count is None or int(match[1]) == count:
            line = int(match[2])
            return line if line <= lines else None
    return None


def _line(source: str, line: int | None) -> str:
    lines = source.splitlines()
    return lines[line - 1].strip() if line and line <= len(lines) else ""


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1] if text.strip() else ""


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else ""
