"""How things look in a terminal: rich renderables of pipelines, problems and runs.

Nothing here prints; ``console`` does.
"""

from kale_pm.terminal.pipeline import pipeline_view, problem_counts, problems_view
from kale_pm.terminal.run import RunView, event_line, summary_view
from kale_pm.terminal.text import error_view, visible, warning_view
from kale_pm.terminal.variables import WHOLE, pack_view, step_variables_view, variables_view

__all__ = [
    "WHOLE",
    "RunView",
    "error_view",
    "event_line",
    "pack_view",
    "pipeline_view",
    "problem_counts",
    "problems_view",
    "step_variables_view",
    "summary_view",
    "variables_view",
    "visible",
    "warning_view",
]
