"""Probes of global state: what can be read and set of the process and of its libraries."""

from __future__ import annotations

from kale_pm.runtime.probes.libraries import LIBRARIES
from kale_pm.runtime.probes.probe import REMOVED, Probe, Values, encode
from kale_pm.runtime.probes.standard import STANDARD

PROBES = (*STANDARD, *LIBRARIES)

__all__ = ["PROBES", "REMOVED", "Probe", "Values", "encode"]
