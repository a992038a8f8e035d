"""Carry out on this machine: scheduler, store, cache, journal."""

from kale_pm.local.run import RunOptions, failures, run_pipeline
from kale_pm.local.store import Store, find_store, read_run

__all__ = ["RunOptions", "Store", "failures", "find_store", "read_run", "run_pipeline"]
