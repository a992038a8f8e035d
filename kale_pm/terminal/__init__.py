"""How things look in a terminal: rich renderables of pipelines, problems and runs.

Nothing here prints; ``console`` does.
"""

from kale_pm.terminal.cleaning import cleaning_view
from kale_pm.terminal.cluster import ended_view, prepared_view, submitted_view
from kale_pm.terminal.comparison import comparison_view
from kale_pm.terminal.explanation import explanation_view
from kale_pm.terminal.fetched import fetched_view, lacks_view
from kale_pm.terminal.history import history_view
from kale_pm.terminal.pipeline import pipeline_view, problem_counts, problems_view
from kale_pm.terminal.run import RunLines, RunView, event_line, summary_view
from kale_pm.terminal.text import error_view, more_failures_view, visible, warning_view
from kale_pm.terminal.variables import WHOLE, pack_view, step_variables_view, variables_view

__all__ = [
    "WHOLE",
    "RunLines",
    "RunView",
    "cleaning_view",
    "comparison_view",
    "ended_view",
    "error_view",
    "event_line",
    "explanation_view",
    "fetched_view",
    "history_view",
    "lacks_view",
    "more_failures_view",
    "pack_view",
    "pipeline_view",
    "prepared_view",
    "problem_counts",
    "problems_view",
    "step_variables_view",
    "submitted_view",
    "summary_view",
    "variables_view",
    "visible",
    "warning_view",
]
