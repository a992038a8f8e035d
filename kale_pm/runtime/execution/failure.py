"""What went wrong in an execution, read out of the executed notebook."""

from __future__ import annotations

import re
from pathlib import Path

from kale_pm.record import CellError
from kale_pm.runtime.execution.monitor import Monitor, source_number


def read_failure(
    output: Path, monitor: Monitor, error: Exception | None, timeout: float | None
) -> CellError:
    """What failed and where, from the executed notebook at ``output``.

    ``monitor`` watched the execution, ``error`` is what it raised, if it raised;
    ``timeout`` is the step's, in seconds.
    """
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
        last = _last_line(_without_colours(said)) or "the cell failed without a word"
        return CellError("CellFailed", last, number)
    traceback = _without_colours("\n".join(found.traceback))
    line = _failing_line(traceback, cell.get("execution_count"), cell.source.count("\n") + 1)
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


def _without_colours(text: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)


def _failing_line(traceback: str, count: int | None, lines: int) -> int | None:
    """The line of the failing cell itself; IPython names each frame ``Cell In[3], line 2``."""
    for match in re.finditer(r"Cell In\[(\d+)\](?:, |:)line (\d+)", traceback):
        if count is None or int(match[1]) == count:
            line = int(match[2])
            return line if line <= lines else None
    return None


def _line(source: str, line: int | None) -> str:
    lines = source.split("\n")
    return lines[line - 1].strip() if line and line <= len(lines) else ""


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1] if text.strip() else ""


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else ""
