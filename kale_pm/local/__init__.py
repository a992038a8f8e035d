"""Carry out on this machine: scheduler, store, cache, journal."""

from kale_pm.local.explain import Explanation, explain_pipeline
from kale_pm.local.failures import failures
from kale_pm.local.run import RunOptions, run_pipeline
from kale_pm.local.run_file import read_run
from kale_pm.local.store import Store, find_store, store_in

__all__ = [
    "Explanation",
    "RunOptions",
    "Store",
    "explain_pipeline",
    "failures",
    "find_store",
    "read_run",
    "run_pipeline",
    "store_in",
]
