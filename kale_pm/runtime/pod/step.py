"""One step in a pod: what the compiled pipeline calls.

It runs the same slice through the same :func:`kale_pm.runtime.execution.execute.execute` as this
machine does, between the files that KFP brings and those that it takes away.
"""

from __future__ import annotations

import base64
import html as html_module
import io
import json
import math
import os
import sys
import tempfile
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from kale_pm.errors import StepFailed
from kale_pm.events import CellOutput, CellStarted, Event, Warned
from kale_pm.record import CellError, State
from kale_pm.runtime.execution.execute import Outcome, execute
from kale_pm.runtime.execution.failure import excerpt
from kale_pm.runtime.execution.monitor import source_number
from kale_pm.runtime.execution.unsaved import with_origin
from kale_pm.runtime.manifest import Exchange, read_manifest, write_manifest
from kale_pm.runtime.pod.frames import frames
from kale_pm.runtime.pod.parameters import changed

if TYPE_CHECKING:
    from nbformat import NotebookNode

MANIFEST = "manifest.json"


class Metrics(Protocol):
    """The part of ``kfp.dsl.Metrics`` that is used here."""

    metadata: dict[str, Any]

    def log_metric(self, metric: str, value: float) -> None: ...


def run_step(
    step: str,
    bundle: str,
    *,
    parameters: Mapping[str, Any],
    inputs: Sequence[str],
    notebook: str,
    html: str,
    metrics: Metrics | None,
    state: str,
    context: str,
) -> None:
    """Execute one step, and leave everything that KFP is to keep of it.

    ``bundle`` is the archive that ``kale_pm.kfp.compiling.bundle`` made, ``parameters`` are values as
    KFP gives them.  ``inputs`` are paths: folders of variables (``state``) and manifests
    (``context``) of earlier steps.  The others are paths to write: ``notebook`` a folder for
    the executed notebook, ``html`` a page, ``state`` a folder with the manifest and the
    variables, ``context`` the manifest alone.  Numbers go to ``metrics``.

    Raises StepFailed after a failure; the log then holds the executed notebook.
    """
    with tempfile.TemporaryDirectory(
        prefix=f"kale-pm-{step}-", ignore_cleanup_errors=True
    ) as scratch:
        folder, slice_, facts = _unpack(step, bundle, Path(scratch))
        os.environ.update(writable_places(os.environ, Path(scratch) / "home"))
        executed = Path(notebook) / f"{step}.ipynb"
        outcome = _execute(
            step,
            slice_,
            executed,
            parameters=changed(parameters, facts["parameters"]),
            folder=folder,
            exchange=Exchange(_manifests(inputs), Path(state) / MANIFEST, Path(state)),
            timeout=facts["timeout"],
        )
    _write_page(Path(html), executed, step, facts["report"])
    if outcome.state is not State.DONE:
        error = outcome.error or CellError("StepFailed", "the step ended without a reason")
        error = with_origin(error, _own_cells(slice_), facts["users"])
        _report_failure(step, error, executed)
        place = f" in cell {error.cell}" if error.cell else ""
        raise StepFailed(step, f"{error.ename}{place}: {error.evalue}", notebook=str(executed))
    if metrics is not None:
        _record(outcome.metrics, metrics)
    write_manifest(read_manifest(Path(state) / MANIFEST).without_variables(), Path(context))


def writable_places(environment: Mapping[str, str], spare: Path) -> dict[str, str]:
    """What to change in ``environment`` so that Jupyter and others can write their files.

    A pod may run as a user without a home.  Folders that cannot be written are replaced by
    ones below ``spare``.
    """
    changes = {}
    if not _is_writable(environment.get("HOME", "")):
        changes["HOME"] = str(spare)
    defaults = {
        "IPYTHONDIR": ".ipython",
        "JUPYTER_CONFIG_DIR": ".jupyter",
        "JUPYTER_DATA_DIR": ".local/share/jupyter",
        "JUPYTER_RUNTIME_DIR": ".local/share/jupyter/runtime",
        "MPLCONFIGDIR": ".config/matplotlib",
        "XDG_CACHE_HOME": ".cache",
        "XDG_CONFIG_HOME": ".config",
        "XDG_DATA_HOME": ".local/share",
    }
    for name, default in defaults.items():
        if name in environment and not _is_writable(environment[name]):
            changes[name] = str(spare / default)
    if changes:
        spare.mkdir(parents=True, exist_ok=True)
    return changes


def _is_writable(folder: str) -> bool:
    """Whether ``folder`` can be written, or made below one that can."""
    if not Path(folder).is_absolute():
        return False
    nearest = next(p for p in (Path(folder), *Path(folder).parents) if p.exists())
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)


def _unpack(step: str, bundle: str, scratch: Path) -> tuple[Path, NotebookNode, dict[str, Any]]:
    """The working folder with its files, the slice, and what else the bundle says."""
    import nbformat

    with zipfile.ZipFile(io.BytesIO(base64.b64decode(bundle))) as archive:
        archive.extractall(scratch)
    folder = scratch / "files"
    folder.mkdir(exist_ok=True)
    slice_ = nbformat.read(scratch / f"{step}.ipynb", as_version=4)
    return folder, slice_, json.loads((scratch / "step.json").read_text(encoding="utf-8"))


def _own_cells(slice_: NotebookNode) -> list[tuple[int | None, str]]:
    """Number and text of the step's own code cells in the source notebook."""
    return [
        (source_number(cell), cell.source)
        for cell in slice_.cells
        if cell.cell_type == "code" and cell.metadata.get("kale_pm", {}).get("role") == "step"
    ]


def _manifests(inputs: Sequence[str]) -> tuple[Path, ...]:
    """One manifest a step: the one beside its variables, if those came too."""
    by_step: dict[str, Path] = {}
    for path in sorted(map(Path, inputs), key=Path.is_dir):
        manifest = path / MANIFEST if path.is_dir() else path
        by_step[read_manifest(manifest).step] = manifest
    return tuple(by_step.values())


def _execute(
    step: str,
    slice_: NotebookNode,
    executed: Path,
    *,
    parameters: Mapping[str, Any],
    folder: Path,
    exchange: Exchange,
    timeout: float | None,
) -> Outcome:
    path = os.environ.get("PYTHONPATH")
    return execute(
        slice_,
        executed,
        step=step,
        parameters=parameters,
        folder=folder,
        exchange=exchange,
        env={"PYTHONPATH": f"{folder}{os.pathsep}{path}" if path else str(folder)},
        timeout=timeout,
        listener=_log,
    )


def _log(event: Event) -> None:
    """The pod's log tells what happens while it does."""
    if isinstance(event, CellStarted):
        where = f" (cell {event.cell} of the notebook)" if event.cell else ""
        print(f"kale-pm: {event.step} {event.index}/{event.cells}{where}", flush=True)
    elif isinstance(event, CellOutput):
        stream = sys.stderr if event.stream == "stderr" else sys.stdout
        stream.write(event.text)
        stream.flush()
    elif isinstance(event, Warned):
        print(f"kale-pm: {event.message}", flush=True)


def _write_page(path: Path, executed: Path, step: str, wanted: bool) -> None:
    """The executed notebook as a page; a page that cannot be made never fails a step."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if not wanted:
        path.write_text(_note(step, "The report of this step is switched off."), encoding="utf-8")
        return
    try:
        import nbformat

        from kale_pm.runtime.render import render_page

        page = render_page(nbformat.read(executed, as_version=4), title=step)
    except Exception as error:  # noqa: BLE001 - whatever a notebook holds, the step is done
        page = _note(step, f"The notebook cannot be shown: {error}")
    path.write_text(page, encoding="utf-8")


def _note(step: str, text: str) -> str:
    title, body = html_module.escape(step), html_module.escape(text)
    return f"<!doctype html><meta charset='utf-8'><title>{title}</title><p>{body}</p>\n"


def _record(values: Mapping[str, Any], metrics: Metrics) -> None:
    """KFP draws finite numbers; the rest is kept as text beside them."""
    for name, value in values.items():
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if number and math.isfinite(value):
            metrics.log_metric(name, value)
        else:
            metrics.metadata[name] = str(value)


def _report_failure(step: str, error: CellError, executed: Path) -> None:
    where = f" in cell {error.cell} of the notebook" if error.cell else ""
    where += f", line {error.line}" if error.line else ""
    print(f"\nkale-pm: step {step} failed{where}: {error.message}")
    for place in error.places:
        print(excerpt(place))
    if error.traceback:
        print(f"\n{error.traceback}\n")
    if executed.exists():
        import nbformat

        print("kale-pm: the lines below are the executed notebook (see docs/files.md of kale-pm)")
        # KFP counts the tries of a step from 0 and tells each its number.
        attempt = int(os.environ.get("KFP_RETRY_INDEX", "0")) + 1
        for line in frames(nbformat.read(executed, as_version=4), step, attempt):
            print(line)
    sys.stdout.flush()
