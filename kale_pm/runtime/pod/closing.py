"""The exit task of a run: it tells what came of the run, and tidies up, whatever came of it."""

from __future__ import annotations

import base64
import json
import shutil
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from kale_pm.errors import ClusterError
from kale_pm.record import RunRecord
from kale_pm.runtime.pod.announce import CLOSING, announce, this_attempt
from kale_pm.runtime.pod.diary import open_diary
from kale_pm.runtime.pod.kubernetes import Kubernetes, from_pod
from kale_pm.runtime.pod.places import PARAMETER
from kale_pm.runtime.pod.summary import SUCCEEDED, WriteReport, publish, run_record

PATIENCE = 600.0  # seconds that a snapshot may take
PAUSE = 2.0  # seconds between two looks at it


def close_run(bundle: str, given: Mapping[str, Any], write_report: WriteReport) -> None:
    """Publish the report, take the snapshots that were asked for, and remove what was made.

    ``bundle`` is what ``kale_pm.kfp.compiling.closing`` made, ``given`` are the arguments of the
    exit task's function: the final ``status``, the ``run``'s id, the path of the ``volume``, the
    artifacts ``html`` and ``notebooks`` where there is one, and parameters.

    Raises ClusterError after all this if something could not be removed or snapshotted.
    """
    facts = json.loads(zlib.decompress(base64.b64decode(bundle)))
    status, run = given["status"], given["run"]
    print(f"kale-pm: the run {run} ended: {status.state}", flush=True)
    try:
        if "html" in given:
            _publish(facts, given, write_report)
    finally:
        # However that went: nobody else removes what was made for this run.
        troubles = list(tidy_up(facts, run, succeeded=status.state == SUCCEEDED, reach=from_pod))
        for trouble in troubles:
            print(f"kale-pm: {trouble}", file=sys.stderr, flush=True)
    if troubles:
        raise ClusterError("; ".join(troubles), hint="remove them by hand: see docs/volumes.md")


def _publish(facts: Mapping[str, Any], given: Mapping[str, Any], write_report: WriteReport) -> None:
    diary = open_diary(given["volume"])
    folder, page = Path(given["notebooks"].path), Path(given["html"].path)
    parameters = {n: value for n, value in given.items() if n.startswith(PARAMETER)}
    record = run_record(
        facts, diary, run=given["run"], status=given["status"], parameters=parameters
    )
    publish(record, diary, folder=folder, page=page, write_report=write_report)
    for step in record.failures:
        print(f"kale-pm: step {step.name} failed: {step.error.message if step.error else ''}")
    _announce(given, record)
    # All of it lies in the artifacts now.
    if diary.folder is not None:
        shutil.rmtree(diary.folder, ignore_errors=True)


def _announce(given: Mapping[str, Any], record: RunRecord) -> None:
    """Tell ``kale-pm fetch`` where the notebooks of all steps lie."""
    announce(
        CLOSING,
        {name: given[name].uri for name in ("html", "notebooks")},
        {},
        attempt=this_attempt(),
        started=record.started,
        seconds=record.seconds or 0.0,
        metrics=record.metrics,
    )


def tidy_up(
    facts: Mapping[str, Any],
    run: str,
    *,
    succeeded: bool,
    reach: Callable[[], Kubernetes],
    patience: float = PATIENCE,
    pause: float = PAUSE,
) -> Iterator[str]:
    """Take the named snapshots after a success, and delete claims and snapshots of this run.

    Only names that this run made are ever deleted.  Gives what went wrong; ``patience`` and
    ``pause`` are in seconds.
    """
    claims = [f"{run}-{suffix}" for suffix in facts["claims"]]
    snapshots = facts["snapshots"] if succeeded else []
    if not (claims or snapshots or facts["own_snapshots"]):
        return
    try:
        kubernetes = reach()
    except ClusterError as error:
        names = ", ".join([*claims, *facts["own_snapshots"]])
        yield f"{error}" + (f"; these are left: {names}" if names else "")
        return
    unfinished = set()
    for wanted in snapshots:
        claim = wanted["claim"] or f"{run}-{wanted['suffix']}"
        try:
            _take_snapshot(kubernetes, wanted["name"], claim, run, patience=patience, pause=pause)
        except ClusterError as error:
            unfinished.add(claim)
            yield f"no snapshot {wanted['name']} of the claim {claim}: {error}"
    for claim in claims:
        if claim in unfinished:
            yield f"the claim {claim} is kept, since there is no snapshot of it"
            continue
        try:
            kubernetes.delete_claim(claim)
            print(f"kale-pm: claim {claim} deleted", flush=True)
        except ClusterError as error:
            yield f"the claim {claim} is left: {error}"
    for name in facts["own_snapshots"]:
        try:
            kubernetes.delete_snapshot(name)
            print(f"kale-pm: snapshot {name} deleted", flush=True)
        except ClusterError as error:
            yield f"the snapshot {name} is left: {error}"


def _take_snapshot(
    kubernetes: Kubernetes,
    name: str,
    claim: str,
    run: str,
    *,
    patience: float,
    pause: float,
) -> None:
    try:
        kubernetes.create_snapshot(name, claim)
    except ClusterError as error:
        if error.status != 409:
            raise
        # An earlier run took it; what somebody keeps is never replaced.
        name = f"{name}-{run}"
        kubernetes.create_snapshot(name, claim)
    deadline = time.monotonic() + patience
    while True:
        status = kubernetes.snapshot(name).get("status") or {}
        if status.get("readyToUse"):
            print(f"kale-pm: snapshot {name} of {claim} taken", flush=True)
            return
        if time.monotonic() > deadline:
            # A driver tries again by itself: what it said last is the reason.
            message = (status.get("error") or {}).get("message", "nobody says why")
            raise ClusterError(f"it was not ready within {patience:.0f} s: {message}")
        time.sleep(pause)
