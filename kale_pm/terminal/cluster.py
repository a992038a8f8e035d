"""How runs on a KFP server look."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import RenderableType
from rich.table import Table
from rich.text import Text

from kale_pm.record import RunRecord
from kale_pm.report.page import duration
from kale_pm.terminal.run import counts
from kale_pm.terminal.text import STYLES, visible

if TYPE_CHECKING:
    from kale_pm.kfp.cluster_run import ClusterRun, Schedule


def submitted_view(found: ClusterRun | Schedule) -> RenderableType:
    """What was uploaded and started."""
    uploaded = found.uploaded
    known = "uploaded" if uploaded.is_new else "the server has it already"
    what = "schedule" if hasattr(found, "cron") else "run"
    facts = {
        "version": f"{uploaded.version}  ({known})",
        "experiment": found.experiment,
        what: f"{found.name}  ({found.id})",
    }
    return _facts(facts)


def prepared_view(facts: dict[str, Any]) -> RenderableType:
    """What would be sent."""
    shown = {
        "pipeline": facts["pipeline"],
        "version": f"{facts['version']}  ({facts['size'] / 1000:.0f} kB)",
        "experiment": facts["experiment"],
        "run": facts["name"],
        "schedule": facts["cron"],
        "account": facts["service_account"],
        "artifacts": facts["pipeline_root"],
    }
    shown |= {f"-p {name}": repr(value) for name, value in facts["parameters"].items()}
    return _facts({name: str(value) for name, value in shown.items() if value is not None})


def ended_view(record: RunRecord, name: str) -> Text:
    """How a run on the server ended: counts and time."""
    sign, style = STYLES[record.state]
    words = counts(step.state for step in record.steps.values())
    took = f" in {duration(record.seconds)}" if record.seconds else ""
    said = f"{sign} {visible(name)}  {record.state.value}"
    return Text.assemble((said, style), f"  {words}{took}")


def _facts(facts: dict[str, str]) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False, padding=(0, 2, 0, 0))
    for name, value in facts.items():
        table.add_row(Text(name, "dim"), Text(visible(value)))
    return table
