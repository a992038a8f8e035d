"""What went wrong in an execution, read out of the executed notebook."""

from __future__ import annotations

import re
import signal
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kale_pm.errors import KalePmError
from kale_pm.record import CellError, Place
from kale_pm.runtime.execution.kernel_process import signal_name
from kale_pm.runtime.execution.monitor import Monitor, source_number

BEFORE, AFTER = 3, 1  # lines shown around the failing one
# What a cell is told to have done by which the kernel ends, though nothing was raised in it.
LEFT = "the cell called exit() or quit(): the rest of the step did not run"
_LONGEST = 200  # characters of a line that is shown

# IPython names each frame ``Cell In[3], line 2, in half(x)``; the last section of a traceback
# is about the exception that ended the cell, those before it about what led to that one.
_FRAME = re.compile(
    r"^ {0,2}(?:Cell In\[(?P<count>\d+)\](?:,|:) ?line (?P<line>\d+)"
    r"|File (?P<file>\S.*?):(?P<file_line>\d+))(?:, in (?P<function>[^\s(]+))?",
    re.MULTILINE,
)
_CHAINED = re.compile(
    r"^(?:The above exception was the direct cause of the following exception|"
    r"During handling of the above exception, another exception occurred):$",
    re.MULTILINE,
)


@dataclass(frozen=True)
class Frame:
    """One call of a traceback: a cell by its execution count, or a file; its line from 1."""

    count: int | None
    file: str
    line: int
    function: str


def read_failure(
    output: Path, monitor: Monitor, error: Exception | None, timeout: float | None
) -> CellError:
    """What failed and where, from the executed notebook at ``output``.

    ``monitor`` watched the execution, ``error`` is what it raised, if it raised;
    ``timeout`` is the step's, in seconds.
    """
    import nbformat

    # Papermill knows of a cell that it has failed, though the kernel took it for done.
    index = getattr(error, "cell_index", monitor.failed_index)
    if index is None or not output.exists():
        # Nothing of the notebook ran: the kernel did not start, or papermill refused.
        return _before_the_cells(error)
    cells = nbformat.read(output, as_version=4).cells
    cell = cells[index]
    number = source_number(cell)
    found = next((o for o in cell.outputs if o.output_type == "error"), None)
    if monitor.died is not None:
        ename, evalue, hint = _death(monitor, timeout, _doing(cell))
        return CellError(ename, evalue, number, hint=hint)  # nobody knows the line
    if found is None:
        # A magic that fails raises nothing: it writes its reason to stderr.
        said = "".join(o.text for o in cell.outputs if o.get("name") == "stderr")
        last = _last_line(without_colours(said)) or "the cell failed without a word"
        return CellError("CellFailed", last, number)
    traceback = without_colours("\n".join(found.traceback))
    evalue = without_colours(found.evalue)
    if found.ename == "SaveError":
        variable, path = _culprit(found.traceback)
        return CellError(
            "SaveError", evalue, number, traceback=traceback, variable=variable, path=path
        )
    places = _places(traceback, cell, cells)
    first = places[0] if places else None
    return CellError(
        found.ename or "CellFailed",
        _words(found.ename, evalue) if found.ename else _without_a_name(cell, evalue),
        number,
        first.line if first else None,
        _line(cell.source, first.line).strip() if first else _only_line(cell.source),
        traceback,
        places=places,
    )


def excerpt(place: Place) -> str:
    """The lines of a place with their numbers, and a mark at the one that it is about."""
    width = len(str(place.first + len(place.lines) - 1))
    rows = []
    for number, line in enumerate(place.lines, place.first):
        mark = "▸" if number == place.line else " "
        rows.append(f"{mark} {number:>{width}} │ {line}".rstrip())
    return "\n".join(rows)


def place_in(
    source: str, cell: int | None, line: int, function: str = "", *, before: int = BEFORE
) -> Place:
    """The place of a line in the text of a cell, with what stands around it."""
    lines = source.split("\n")
    first = max(1, line - before)
    shown = lines[first - 1 : line + AFTER]
    # Empty lines at the ends tell nothing; the line itself always stays.
    while shown and first < line and not shown[0].strip():
        shown, first = shown[1:], first + 1
    while len(shown) > line - first + 1 and not shown[-1].strip():
        shown = shown[:-1]
    return Place(cell, line, function, first, tuple(text[:_LONGEST].rstrip() for text in shown))


def frames(traceback: str) -> list[Frame]:
    """The calls of a plain traceback of IPython's, the outermost first."""
    last = _CHAINED.split(traceback)[-1]
    return [
        Frame(
            int(match["count"]) if match["count"] else None,
            match["file"] or "",
            int(match["line"] or match["file_line"]),
            match["function"] or "",
        )
        for match in _FRAME.finditer(last)
    ]


def without_colours(text: str) -> str:
    """The text without the escapes that colour it in a terminal."""
    return re.sub(r"\x1b\[[0-9;]*[A-Za-z]", "", text)


def _places(
    traceback: str, cell: Mapping[str, Any], cells: Sequence[Mapping[str, Any]]
) -> tuple[Place, ...]:
    """The line of the failing cell, and where in another part of the notebook it ended."""
    by_count = {c["execution_count"]: c for c in cells if c.get("execution_count") is not None}
    own = cell.get("execution_count")
    found: list[Place] = []
    for frame in frames(traceback):
        where = cell if own is None and frame.count else by_count.get(frame.count)
        if where is None or (not found and where is not cell):
            continue
        if frame.line <= where["source"].count("\n") + 1:
            number = source_number(where)
            found.append(place_in(where["source"], number, frame.line, frame.function))
    return _ends(found)


def _ends(places: Sequence[Place]) -> tuple[Place, ...]:
    """The first and the last of a chain of calls; what lies between them is in the traceback."""
    return tuple(places[:1]) + (tuple(places[-1:]) if len(places) > 1 else ())


def _before_the_cells(error: Exception | None) -> CellError:
    text = _first_line(str(error)) or type(error).__name__
    name = type(error).__name__
    if isinstance(error, KalePmError):
        return CellError(name, text, hint=error.hint)
    if isinstance(error, FileNotFoundError) and error.filename:
        return CellError(
            "KernelNotStarted",
            f"the kernel did not start: there is no {error.filename}",
            hint="its kernelspec names a program that is not here: install the kernel again, or "
            "choose another one with --kernel NAME",
        )
    if name in ("RuntimeError", "DeadKernelError", "TimeoutError"):
        # jupyter_client and nbclient say so of a kernel that never answered.
        return CellError(
            "KernelNotStarted",
            f"the kernel did not start: {text}",
            hint="its own last words are in the log of the step",
        )
    return CellError(name, text)


def _doing(cell: Mapping[str, Any]) -> str:
    """What a kernel is busy with in the cells that kale-pm adds, or in one of the notebook."""
    match cell["metadata"].get("kale_pm", {}).get("role"):
        case "load":
            return "while it loaded what the step needs"
        case "save":
            return "while it stored what the step gives"
    return "while the cell ran"


def _death(monitor: Monitor, timeout: float | None, doing: str) -> tuple[str, str, str]:
    """Name, text and hint for a cell that did not end by itself."""
    error = monitor.died
    name = type(error).__name__
    if name == "CellTimeoutError":
        text = f"the step took longer than its timeout of {timeout or 0:g} seconds"
        return name, text, "give it more time, in a tag of the step: timeout:SECONDS"
    if name != "DeadKernelError":
        return name, _first_line(str(error)), ""
    cause, advice = _dead_kernel(monitor.exit_code, monitor.memory)
    return name, f"the kernel died {doing}: {cause}", advice


def _dead_kernel(code: int | None, memory: int | None) -> tuple[str, str]:
    """What a kernel died of, and what to do; ``memory`` is what it held, in bytes."""
    held = f"; it held {memory / 1e9:.1f} GB of memory" if memory and memory > 5e7 else ""
    if code is None:
        cause = "out of memory, os._exit or a crash in a library"
        advice = "what the kernel said last is in the log of the step"
    elif code == -signal.SIGKILL:
        cause = "something outside killed it, as systems do that run out of memory"
        advice = (
            "let fewer steps run beside it: -j 1, or a tag limit:memory:SIZE that says what it "
            "takes; or work on less at a time"
        )
    elif code < 0:
        cause = f"it crashed ({signal_name(-code)})"
        advice = "a library has a fault, or versions of two do not fit together"
    else:
        cause = f"it ended itself with exit code {code}, as {'os._exit' if code else 'exit()'} does"
        advice = "raise an exception in its place, which tells what is wrong"
    return cause + held, advice


def _words(ename: str, evalue: str) -> str:
    """What an exception says, where its own text would leave people guessing."""
    if ename == "SystemExit" and evalue != LEFT:
        return f"the cell called sys.exit({evalue or ''}): the rest of the step did not run"
    if ename == "KeyboardInterrupt" and not evalue:
        return "the cell was interrupted: by its own code, or by a signal from outside"
    return evalue


def _without_a_name(cell: Mapping[str, Any], evalue: str) -> str:
    """What a shell says: the last line that it printed, and its exit code."""
    text = "".join(each.text for each in cell["outputs"] if each.output_type == "stream")
    said = _last_line(without_colours(text))
    code = f"exit code {evalue}" if evalue.isdigit() else evalue
    return f"{said} ({code})" if said else code


def _culprit(traceback: Iterable[str]) -> tuple[str, str]:
    """Variable and path that ``save`` put into the first line of its own traceback."""
    path = next(iter(traceback), "").removeprefix("cannot save ")
    found = re.match(r"(\w+)(?=$|[.\[(]| \()", path)
    return (found[1], path) if found else ("", "")


def _line(source: str, line: int | None) -> str:
    lines = source.split("\n")
    return lines[line - 1] if line and line <= len(lines) else ""


def _only_line(source: str) -> str:
    return "" if "\n" in source.strip() else source.strip()


def _last_line(text: str) -> str:
    return text.strip().splitlines()[-1] if text.strip() else ""


def _first_line(text: str) -> str:
    return text.strip().splitlines()[0] if text.strip() else ""
