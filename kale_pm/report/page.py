"""The page of a run: one HTML file that shows what happened and why, and needs nothing else."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from importlib import resources
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

from kale_pm.record import RunRecord, State, StepRecord
from kale_pm.report.dag import GLYPHS, as_svg
from kale_pm.report.layout import Edge
from kale_pm.runtime import render
from kale_pm.runtime.atomic import replacing

REPORT = "report.html"

_CONTROL_SEQUENCE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\))")


@dataclass(frozen=True)
class _StepView:
    """A step as the page shows it; ``fragment`` is the file of its rendered notebook."""

    record: StepRecord
    time: str
    share: float
    origin_link: str | None
    notebook_link: str | None
    artifact_links: Mapping[str, str]
    fragment: Path | None
    damage: str

    @property
    def state(self) -> State:
        return self.record.state

    @property
    def document(self) -> str:
        """The executed notebook as a whole page, read only when the template comes to it."""
        if self.fragment is None:
            return ""
        content = self.fragment.read_text("utf-8")
        return render.frame(content, title=self.record.name, script=_text("frame.js.j2"))


def write_report(
    record: RunRecord,
    folder: Path,
    *,
    fragments: Path | None = None,
    implied: Collection[Edge] = (),
) -> Path:
    """Write ``folder/report.html`` and give its path; readers never see half a page.

    The executed notebooks lie in ``folder`` where ``record`` says; one that is missing or
    damaged is told of on the page.  With ``fragments``, a folder, every rendered notebook is
    kept there by its content, so that an unchanged one is never rendered twice.  ``implied``
    edges are drawn dashed.  Raises OSError if the folder cannot be written.
    """
    if fragments is None:
        with TemporaryDirectory() as scratch:
            return write_report(record, folder, fragments=Path(scratch), implied=implied)
    slowest = max((step.seconds or 0.0 for step in record.steps.values()), default=0.0)
    steps = [_view(step, folder, fragments, slowest) for step in record.steps.values()]
    notes = {view.record.name: _note(view) for view in steps}
    graph = as_svg(
        {name: step.parents for name, step in record.steps.items()},
        implied=implied,
        states={name: step.state for name, step in record.steps.items()},
        notes=notes,
        links=True,
    )
    pieces = page_template().generate(
        record=record,
        steps=steps,
        failures=[view for view in steps if view.record.error or view.state is State.FAILED],
        graph=graph,
        started=datetime.fromtimestamp(record.started).astimezone(),
        summary=_summary(record),
        metrics=_metrics(record),
        content_policy=render.CONTENT_POLICY,
    )
    target = folder / REPORT
    # Piece by piece: all notebooks together may be too much for the memory.
    _write(target, pieces)
    return target


def _view(step: StepRecord, folder: Path, fragments: Path, slowest: float) -> _StepView:
    link = fragment = None
    damage = ""
    path = folder / step.notebook if step.notebook else None
    if path and path.is_file():
        link = f"./{quote(str(step.notebook))}"
        try:
            fragment = keep_fragment(path.read_bytes(), fragments)
        except Exception as error:  # noqa: BLE001 - a page with a gap is better than none
            damage = f"{type(error).__name__}: {error}"
    origin = f"../{quote(step.cached_from)}/{REPORT}" if step.cached_from else None
    return _StepView(
        record=step,
        time="" if step.seconds is None else duration(step.seconds),
        share=(step.seconds or 0.0) / slowest if slowest else 0.0,
        origin_link=origin if origin and (folder / origin).is_file() else None,
        notebook_link=link,
        artifact_links={
            name: f"./{quote(file)}"
            for name, file in step.artifacts.items()
            if (folder / file).is_file()
        },
        fragment=fragment,
        damage=damage,
    )


def keep_fragment(notebook: bytes, fragments: Path) -> Path:
    """The file in ``fragments`` that holds the rendered notebook, made if it is not there."""
    name = hashlib.sha256(notebook + render.renderer_version().encode()).hexdigest()
    kept = fragments / f"{name}.html"
    if not kept.is_file():
        fragments.mkdir(parents=True, exist_ok=True)
        _write(kept, [_rendered(notebook)])
    return kept


def _rendered(notebook: bytes) -> str:
    import nbformat

    return render.render_fragment(nbformat.reads(notebook.decode("utf-8"), as_version=4))


def _write(path: Path, pieces: Iterable[str]) -> None:
    # Outputs may hold half characters that no encoding takes.
    with (
        replacing(path) as draft,
        draft.open("w", encoding="utf-8", errors="backslashreplace") as file,
    ):
        file.writelines(pieces)


def _note(view: _StepView) -> str:
    if view.state is State.DONE:
        return view.time or view.state.value
    shows_time = view.time and view.state in (State.FAILED, State.INTERRUPTED)
    return f"{view.state.value} · {view.time}" if shows_time else view.state.value


def _summary(record: RunRecord) -> str:
    """How many steps stand where, as in ``3 done, 1 failed``."""
    states = [step.state for step in record.steps.values()]
    return ", ".join(f"{states.count(state)} {state.value}" for state in State if state in states)


def _metrics(record: RunRecord) -> list[tuple[str, Any, str]]:
    """Name, value and step of every metric of the run."""
    owners = {name: step.name for step in record.steps.values() for name in step.metrics}
    return [(name, value, owners.get(name, "")) for name, value in record.metrics.items()]


def duration(seconds: float) -> str:
    """A time as people say it.

    >>> [duration(seconds) for seconds in (0.041, 3.21, 75, 3720)]
    ['0.04 s', '3.2 s', '1 min 15 s', '1 h 02 min']
    """
    if seconds < 1:
        return f"{seconds:.2f} s"
    if seconds < 59.95:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02} min"


def _value(value: Any) -> str:
    if isinstance(value, float) and math.isfinite(value):
        return f"{value:.6g}"
    return value if isinstance(value, str) else repr(value)


def _plain(text: str) -> str:
    """Text of a terminal without its colours and rules."""
    return re.sub(r"\A-{20,}\n", "", _CONTROL_SEQUENCE.sub("", text)).rstrip()


@cache
def _text(name: str) -> str:
    return (resources.files(__package__) / name).read_text("utf-8")


@cache
def page_template() -> Any:
    """The page as jinja2 has compiled it, which takes longer than to fill it."""
    from jinja2 import Environment, FunctionLoader, StrictUndefined

    environment = Environment(
        loader=FunctionLoader(_text),
        autoescape=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(duration=duration, plain=_plain, value=_value)
    common_style = (resources.files("kale_pm") / "pages.css").read_text("utf-8")
    environment.globals.update(glyphs=GLYPHS, common_style=common_style)
    return environment.get_template("page.html.j2")
