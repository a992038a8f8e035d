"""One step in a pod: what the compiled pipeline calls.

It runs the same slice through the same :func:`kale_pm.runtime.execution.execute.execute` as this
machine does, between the files that KFP brings and those that it takes away.
"""

from __future__ import annotations

import base64
import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kale_pm.errors import KalePmError, LoadError, StepFailed
from kale_pm.events import Listener
from kale_pm.record import CellError, State, StepRecord
from kale_pm.runtime.execution.execute import Outcome, execute
from kale_pm.runtime.execution.kernel import interpreter_spec
from kale_pm.runtime.execution.kernel_process import Starter, cold_starter
from kale_pm.runtime.execution.monitor import source_number
from kale_pm.runtime.execution.unsaved import with_origin
from kale_pm.runtime.kept_files import with_files
from kale_pm.runtime.manifest import Exchange, read_manifest, write_manifest
from kale_pm.runtime.masking import Mask, without_secrets
from kale_pm.runtime.pod.ahead import while_starting
from kale_pm.runtime.pod.announce import announce, announce_error, this_attempt
from kale_pm.runtime.pod.diary import Diary, open_diary
from kale_pm.runtime.pod.home import writable_places
from kale_pm.runtime.pod.log import printer, report_failure
from kale_pm.runtime.pod.packing import unpacked
from kale_pm.runtime.pod.page import write_page
from kale_pm.runtime.pod.parameters import changed
from kale_pm.runtime.pod.places import Places, sorted_places
from kale_pm.runtime.pod.recording import record, write_summary
from kale_pm.runtime.pod.volume import arriving, folder_of_packs, leaving
from kale_pm.runtime.render import get_ready

if TYPE_CHECKING:
    from nbformat import NotebookNode

MANIFEST = "manifest.json"


def run_step(step: str, bundle: str, given: Mapping[str, Any]) -> None:
    """Execute one step, and leave everything that KFP is to keep of it.

    ``bundle`` is what ``kale_pm.kfp.compiling.bundle`` made, ``given`` are the arguments of the
    step's function: see :class:`~kale_pm.runtime.pod.places.Places`.

    Raises StepFailed after a failure; the log then holds the executed notebook.  Whatever else
    is raised, such as StoreError for a volume that takes nothing, is in the log as well.
    """
    attempt, started, began = this_attempt(), time.time(), time.monotonic()
    diary = open_diary("")
    try:
        content = unpacked(bundle)
        places = sorted_places(given, content["facts"]["artifacts"])
        packs = folder_of_packs(places.volume, content["facts"]["packs"])
        if content["facts"]["diary"]:
            diary = open_diary(places.volume)
        diary.write(StepRecord(step, State.RUNNING, started=started))
        _run_step(
            step, content, places, packs, diary, attempt=attempt, started=started, began=began
        )
    except StepFailed:
        raise  # it is told
    except Exception as error:
        outcome = Outcome(State.FAILED, time.monotonic() - began, _error_of(error))
        diary.write(_record_of(step, outcome, started, outcome.seconds))
        announce_error(step, attempt, _error_of(error), started=started, seconds=outcome.seconds)
        raise


def _error_of(error: Exception) -> CellError:
    """What went wrong outside of all cells."""
    message = error.message if isinstance(error, KalePmError) else str(error)
    hint = error.hint if isinstance(error, KalePmError) else ""
    return CellError(type(error).__name__, message, hint=hint)


def _run_step(
    step: str,
    content: Mapping[str, Any],
    places: Places,
    packs: Path | None,
    diary: Diary,
    *,
    attempt: int,
    started: float,
    began: float,
) -> None:
    facts = content["facts"]
    state = Path(places.state.path)
    with tempfile.TemporaryDirectory(
        prefix=f"kale-pm-{step}-", ignore_cleanup_errors=True
    ) as scratch:
        folder, slice_ = _laid_out(content, Path(scratch))
        mask = Mask(os.environ[name] for name in facts["secrets"] if name in os.environ)
        os.environ.update(writable_places(os.environ, Path(scratch) / "home"))
        executed = Path(places.notebook.path) / f"{step}.ipynb"
        try:
            exchange = _exchange(places, packs, Path(scratch) / "exchange")
            outcome = _execute(
                step,
                slice_,
                executed,
                parameters=changed(places.parameters, facts["parameters"]),
                folder=folder,
                exchange=exchange,
                start=_starter(folder, page=facts["report"]),
                timeout=facts["timeout"],
                secrets=facts["secrets"],
                mask=mask,
                log=Path(scratch) / "kernel.log",
                listener=diary.copying(step, executed, printer(mask)),
            )
        except LoadError as missing:
            lacking = CellError("LoadError", missing.message, hint=missing.hint)
            outcome = Outcome(State.FAILED, time.monotonic() - began, lacking)
        files = {name: Path(artifact.path) for name, artifact in places.artifacts.items()}
        outcome = with_files(outcome, facts["artifacts"], folder, files)
        if outcome.state is State.DONE:
            without_secrets(exchange.manifest, mask)
            if exchange.manifest != state / MANIFEST:
                leaving(exchange.manifest, state / MANIFEST)
    outcome = mask.noun(outcome)
    page = Path(places.html.path)
    write_page(page, executed, step, wanted=facts["report"], metrics=outcome.metrics)
    seconds = time.monotonic() - began
    if outcome.state is not State.DONE:
        error = outcome.error or CellError("StepFailed", "the step ended without a reason")
        error = mask.noun(with_origin(error, _own_cells(slice_), facts["users"]))
        diary.copy(step, executed)
        diary.write(_record_of(step, replace(outcome, error=error), started, seconds))
        report_failure(step, attempt, error, executed, started=started, seconds=seconds)
        place = f" in cell {error.cell}" if error.cell else ""
        raise StepFailed(step, f"{error.ename}{place}: {error.evalue}", notebook=str(executed))
    diary.copy(step, executed)
    diary.write(_record_of(step, outcome, started, seconds))
    record(outcome.metrics, places.metrics, places.trial)
    if places.summary:
        write_summary(outcome.metrics, Path(places.summary), places.trial)
    manifest = read_manifest(state / MANIFEST).without_variables()
    write_manifest(manifest, Path(places.context.path))
    announce(
        step,
        places.output_uris,
        places.input_uris,
        attempt=attempt,
        started=started,
        seconds=seconds,
        metrics=outcome.metrics,
        files=facts["artifacts"],
    )


def _laid_out(content: Mapping[str, Any], scratch: Path) -> tuple[Path, NotebookNode]:
    """The working folder with its files, and the slice."""
    import nbformat

    folder = scratch / "files"
    folder.mkdir()
    for name, data in content["files"].items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(data))
    return folder, nbformat.from_dict(content["notebook"])


def _own_cells(slice_: NotebookNode) -> list[tuple[int | None, str]]:
    """Number and text of the step's own code cells in the source notebook."""
    return [
        (source_number(cell), cell.source)
        for cell in slice_.cells
        if cell.cell_type == "code" and cell.metadata.get("kale_pm", {}).get("role") == "step"
    ]


def _manifests(inputs: Sequence[Path]) -> tuple[Path, ...]:
    """One manifest a step: the one beside its variables, if those came too."""
    by_step: dict[str, Path] = {}
    for path in sorted(inputs, key=Path.is_dir):
        manifest = path / MANIFEST if path.is_dir() else path
        by_step[read_manifest(manifest).step] = manifest
    return tuple(by_step.values())


def _exchange(places: Places, packs: Path | None, scratch: Path) -> Exchange:
    """Where variables come from and go to: artifacts, or the folder ``packs`` of the volume."""
    state, manifests = Path(places.state.path), _manifests(places.input_paths)
    if packs is None:
        return Exchange(manifests, state / MANIFEST, state)
    arrived = tuple(arriving(manifest, packs, scratch / "arrived") for manifest in manifests)
    return Exchange(arrived, scratch / MANIFEST, packs)


def _record_of(step: str, outcome: Outcome, started: float, seconds: float) -> StepRecord:
    return StepRecord(
        step,
        outcome.state,
        started=started,
        seconds=seconds,
        metrics=outcome.metrics,
        error=outcome.error,
    )


def _starter(folder: Path, *, page: bool) -> Starter:
    """Starts the kernel, and gets ready for the page meanwhile if one is wanted."""
    start = cold_starter(interpreter_spec(), str(folder))
    return while_starting(start, get_ready) if page else start


def _execute(
    step: str,
    slice_: NotebookNode,
    executed: Path,
    *,
    parameters: Mapping[str, Any],
    folder: Path,
    exchange: Exchange,
    start: Starter,
    timeout: float | None,
    secrets: Sequence[str],
    mask: Mask,
    log: Path,
    listener: Listener,
) -> Outcome:
    path = os.environ.get("PYTHONPATH")
    environment = {"PYTHONPATH": f"{folder}{os.pathsep}{path}" if path else str(folder)}
    if secrets:
        environment["KALE_PM_SECRETS"] = " ".join(secrets)
    outcome = execute(
        slice_,
        executed,
        step=step,
        parameters=parameters,
        folder=folder,
        exchange=exchange,
        start=start,
        env=environment,
        timeout=timeout,
        # What the kernel's process prints itself goes to the pod's log as well: at once, but
        # where a secret may be in it.
        log=log if mask else None,
        mask=mask,
        listener=listener,
    )
    if log.exists():
        print(log.read_text(encoding="utf-8"), end="", flush=True)
    return outcome
