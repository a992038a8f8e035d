"""What a pod tells ``kale-pm fetch`` through its log.

KFP has no way to ask where the outputs of a step lie, and keeps nothing of a failed step.  So
the log says it, in lines as frames.py makes them:

    KALEPM-OUTPUTS <step> <attempt> <i>/<n> <crc32> <base64>    after a success
    KALEPM-ERROR <step> <attempt> <i>/<n> <crc32> <base64>      after a failure

The base64 of all lines is a gzipped JSON object.
"""

from __future__ import annotations

import gzip
import os
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from kale_pm import strict_json
from kale_pm.record import CellError
from kale_pm.runtime.pod.frames import framed

OUTPUTS = "KALEPM-OUTPUTS"
ERROR = "KALEPM-ERROR"
CLOSING = "close_run"  # the exit task, which has no step's name


def this_attempt() -> int:
    """How often KFP has tried this step, this time included."""
    # KFP counts from 0, and tells a task that may be tried again its number.
    index = os.environ.get("KFP_RETRY_INDEX", "0")
    return int(index) + 1 if index.isdecimal() else 1


def announce(
    step: str,
    outputs: Mapping[str, str],
    inputs: Mapping[str, str],
    *,
    attempt: int,
    started: float,
    seconds: float,
    metrics: Mapping[str, Any],
    files: Mapping[str, str] | None = None,
) -> None:
    """Print where the artifacts of a step that succeeded lie, and what it came to.

    ``outputs`` and ``inputs`` are URIs by the name of the artifact, such as ``notebook`` and
    ``state_train``.  ``attempt`` counts from 1, ``started`` is in seconds since the epoch.
    ``files`` are the paths of the files that the step keeps, by the names of their artifacts.
    """
    facts = {
        "outputs": dict(outputs),
        "inputs": dict(inputs),
        "started": started,
        "seconds": seconds,
        "metrics": dict(metrics),
        "files": dict(files or {}),
    }
    _print(OUTPUTS, step, attempt, facts)


def announce_error(
    step: str, attempt: int, error: CellError, *, started: float, seconds: float
) -> None:
    """Print the failure of a step for a program."""
    facts = {"error": asdict(error), "started": started, "seconds": seconds}
    _print(ERROR, step, attempt, facts)


def _print(mark: str, step: str, attempt: int, facts: Mapping[str, Any]) -> None:
    text = strict_json.dumps(facts, sort_keys=True, default=str)
    for line in framed(mark, step, attempt, gzip.compress(text.encode(), mtime=0)):
        print(line, flush=True)
