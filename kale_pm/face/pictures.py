"""A run as Jupyter shows it below a cell: its DAG, what became of its steps, its metrics."""

from __future__ import annotations

from html import escape
from pathlib import Path

from kale_pm.record import RunRecord, StepRecord


def run_html(record: RunRecord, folder: Path) -> str:
    """The HTML of a run; it links to the report and to the executed notebooks."""
    from kale_pm.report import as_svg

    parents = {name: step.parents for name, step in record.steps.items()}
    known = {name: tuple(p for p in above if p in parents) for name, above in parents.items()}
    picture = as_svg(
        known,
        implied=record.implied_edges,
        states={name: step.state for name, step in record.steps.items()},
        notes={name: _note(step) for name, step in record.steps.items()},
    )
    parts = [f"<p><b>{escape(record.id)}</b> {record.state.value}{_links(record, folder)}</p>"]
    parts += [picture, _metrics(record), *map(_failure, record.failures)]
    return f"<div>{''.join(parts)}</div>"


def _note(step: StepRecord) -> str:
    return f"{step.state.value} {step.seconds:.1f} s" if step.seconds is not None else ""


def _links(record: RunRecord, folder: Path) -> str:
    paths = {"report": folder / "report.html"}
    paths |= {name: folder / s.notebook for name, s in record.steps.items() if s.notebook}
    return "".join(
        f' · <a href="{escape(path.as_uri())}" target="_blank">{escape(name)}</a>'
        for name, path in paths.items()
    )


def _metrics(record: RunRecord) -> str:
    rows = "".join(
        f"<tr><th>{escape(name)}</th><td>{escape(str(value))}</td></tr>"
        for name, value in record.metrics.items()
    )
    return f"<table>{rows}</table>" if rows else ""


def _failure(step: StepRecord) -> str:
    said = step.error.message if step.error is not None else "it failed"
    return f"<p><b>{escape(step.name)}</b>: <code>{escape(said)}</code></p>"
