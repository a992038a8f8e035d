"""How things look in a terminal: rich renderables of pipelines, problems and runs.

Nothing here prints; ``console`` does.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kale_pm.terminal.cleaning import cleaning_view
    from kale_pm.terminal.cluster import ended_view, prepared_view, submitted_view
    from kale_pm.terminal.comparison import comparison_view
    from kale_pm.terminal.explanation import explanation_view
    from kale_pm.terminal.fetched import fetched_view, lacks_view
    from kale_pm.terminal.history import history_view
    from kale_pm.terminal.pipeline import pipeline_view, problem_counts, problems_view
    from kale_pm.terminal.run import RunLines, RunView, event_line, summary_view
    from kale_pm.terminal.sweep import SweepLines, SweepView
    from kale_pm.terminal.text import (
        error_view,
        hint_view,
        more_failures_view,
        visible,
        warning_view,
    )
    from kale_pm.terminal.trials import best_view, places_view, plan_head, plan_view, sweep_view
    from kale_pm.terminal.variables import WHOLE, pack_view, step_variables_view, variables_view

__all__ = [
    "WHOLE",
    "RunLines",
    "RunView",
    "SweepLines",
    "SweepView",
    "best_view",
    "cleaning_view",
    "comparison_view",
    "ended_view",
    "error_view",
    "event_line",
    "explanation_view",
    "fetched_view",
    "hint_view",
    "history_view",
    "lacks_view",
    "more_failures_view",
    "pack_view",
    "pipeline_view",
    "places_view",
    "plan_head",
    "plan_view",
    "prepared_view",
    "problem_counts",
    "problems_view",
    "step_variables_view",
    "submitted_view",
    "summary_view",
    "sweep_view",
    "variables_view",
    "visible",
    "warning_view",
]

# Looked up on first use, for each command needs one or two of them.
_HOMES = {
    "cleaning_view": "kale_pm.terminal.cleaning",
    "ended_view": "kale_pm.terminal.cluster",
    "prepared_view": "kale_pm.terminal.cluster",
    "submitted_view": "kale_pm.terminal.cluster",
    "comparison_view": "kale_pm.terminal.comparison",
    "explanation_view": "kale_pm.terminal.explanation",
    "fetched_view": "kale_pm.terminal.fetched",
    "lacks_view": "kale_pm.terminal.fetched",
    "history_view": "kale_pm.terminal.history",
    "pipeline_view": "kale_pm.terminal.pipeline",
    "problem_counts": "kale_pm.terminal.pipeline",
    "problems_view": "kale_pm.terminal.pipeline",
    "RunLines": "kale_pm.terminal.run",
    "RunView": "kale_pm.terminal.run",
    "event_line": "kale_pm.terminal.run",
    "summary_view": "kale_pm.terminal.run",
    "SweepLines": "kale_pm.terminal.sweep",
    "SweepView": "kale_pm.terminal.sweep",
    "error_view": "kale_pm.terminal.text",
    "hint_view": "kale_pm.terminal.text",
    "more_failures_view": "kale_pm.terminal.text",
    "visible": "kale_pm.terminal.text",
    "warning_view": "kale_pm.terminal.text",
    "best_view": "kale_pm.terminal.trials",
    "places_view": "kale_pm.terminal.trials",
    "plan_head": "kale_pm.terminal.trials",
    "plan_view": "kale_pm.terminal.trials",
    "sweep_view": "kale_pm.terminal.trials",
    "WHOLE": "kale_pm.terminal.variables",
    "pack_view": "kale_pm.terminal.variables",
    "step_variables_view": "kale_pm.terminal.variables",
    "variables_view": "kale_pm.terminal.variables",
}


def __getattr__(name: str) -> Any:
    if name in _HOMES:
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module 'kale_pm.terminal' has no attribute {name!r}")
