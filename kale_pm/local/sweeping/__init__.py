"""Sweeps on this machine: many runs of one pipeline, which share what they have in common.

From the bottom up: ``adopting`` and ``trial``, one trial among others; ``results``; ``live``,
all of them while they go on; ``sweep``, from the beginning to the end; ``again``.
"""

from kale_pm.local.results.trial_rows import best_of, goal_of, rows_of
from kale_pm.local.sweep_files import read_sweep
from kale_pm.local.sweeping.again import stored, unfinished
from kale_pm.local.sweeping.finding import find_sweep
from kale_pm.local.sweeping.results import worth_a_report, write_page, write_results
from kale_pm.local.sweeping.sweep import SweepOptions, run_sweep

__all__ = [
    "SweepOptions",
    "best_of",
    "find_sweep",
    "goal_of",
    "read_sweep",
    "rows_of",
    "run_sweep",
    "stored",
    "unfinished",
    "worth_a_report",
    "write_page",
    "write_results",
]
