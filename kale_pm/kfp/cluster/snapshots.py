"""Snapshots of claims: taken, waited for, removed."""

from __future__ import annotations

import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kale_pm.errors import ClusterError
from kale_pm.kfp.cluster.connection import TIMEOUT, asking
from kale_pm.kfp.cluster.preflight import VERSION, Readiness, SourceClaim
from kale_pm.kfp.cluster.roles import SNAPSHOTS

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

PATIENCE = 600.0  # seconds that all snapshots together may take
PAUSE = 2.0  # seconds between two looks at them
LOOKS = 5  # at the same trouble: a driver tries again by itself, and often that helps
# The second one tells those that belong to one run from those that a notebook asks to keep.
LABELS = {
    "app.kubernetes.io/managed-by": "kale-pm",
    "app.kubernetes.io/component": "copy-for-run",
}
_PLURAL = "volumesnapshots"


@dataclass(frozen=True)
class Snapshot:
    """A snapshot that is ready, and what a claim that is made of it must be like."""

    name: str
    claim: str
    size: str
    storage_class: str | None
    access_mode: str


@dataclass(frozen=True)
class SnapshotStarted:
    """The snapshot ``name`` of a claim was asked for."""

    claim: str
    name: str


@dataclass(frozen=True)
class SnapshotReady:
    """The snapshot can be cloned, after so many ``seconds``."""

    claim: str
    name: str
    seconds: float


SnapshotEvent = SnapshotStarted | SnapshotReady


def take_snapshots(
    client: ApiClient,
    namespace: str,
    ready: Readiness,
    *,
    listener: Callable[[SnapshotEvent], None],
    patience: float = PATIENCE,
    pause: float = PAUSE,
) -> tuple[Snapshot, ...]:
    """A snapshot of every claim that is ``ready`` for it; they are taken at the same time.

    ``patience`` and ``pause`` are in seconds.  Raises ClusterError if one cannot be taken, and
    when this or anything else ends it (Ctrl-C), those that were begun are removed.
    """
    # A snapshot holds what the disk holds: what programs wrote a moment ago must get there.
    os.sync()
    names = {claim.name: _new_name(claim.name) for claim in ready.claims}
    began = time.monotonic()
    try:
        for claim in ready.claims:
            _create(client, namespace, names[claim.name], claim.name, ready.classes[claim.name])
            listener(SnapshotStarted(claim.name, names[claim.name]))
        waiting = {claim.name: claim for claim in ready.claims}
        done: dict[str, Snapshot] = {}
        troubles: Counter[str] = Counter()
        while waiting:
            for claim in list(waiting.values()):
                name = names[claim.name]
                status = _status(client, namespace, name)
                if status.get("readyToUse"):
                    done[claim.name] = _snapshot(name, claim, status)
                    del waiting[claim.name]
                    listener(SnapshotReady(claim.name, name, time.monotonic() - began))
                elif error := status.get("error"):
                    troubles[claim.name] += 1
                    if troubles[claim.name] >= LOOKS:
                        raise _failed(claim.name, error)
            if waiting:
                _wait(pause, patience - (time.monotonic() - began), waiting)
    except BaseException:
        with suppress(ClusterError):
            delete_snapshots(client, namespace, names.values())
        raise
    return tuple(done[name] for name in names)


def delete_snapshots(client: ApiClient, namespace: str, names: Collection[str]) -> None:
    """Delete the snapshots of exactly these names; one that is not there is as good.

    Raises ClusterError, after it has tried all of them, if one could not be deleted.
    """
    from kubernetes.client import CustomObjectsApi

    refusals = []
    for name in names:
        try:
            with asking(f"delete the snapshot {name}"):
                CustomObjectsApi(client).delete_namespaced_custom_object(
                    SNAPSHOTS, VERSION, namespace, _PLURAL, name, _request_timeout=TIMEOUT
                )
        except ClusterError as error:
            if error.status != 404:
                refusals.append(error)
    if refusals:
        raise refusals[0]


def _new_name(claim: str) -> str:
    return f"{claim[:200].rstrip('-.')}-{secrets.token_hex(4)}"


def _create(
    client: ApiClient, namespace: str, name: str, claim: str, snapshot_class: str | None
) -> None:
    from kubernetes.client import CustomObjectsApi

    spec: dict[str, Any] = {"source": {"persistentVolumeClaimName": claim}}
    if snapshot_class is not None:
        spec["volumeSnapshotClassName"] = snapshot_class
    body = {
        "apiVersion": f"{SNAPSHOTS}/{VERSION}",
        "kind": "VolumeSnapshot",
        "metadata": {"name": name, "labels": LABELS},
        "spec": spec,
    }
    with asking(f"take a snapshot of the claim {claim}"):
        CustomObjectsApi(client).create_namespaced_custom_object(
            SNAPSHOTS, VERSION, namespace, _PLURAL, body, _request_timeout=TIMEOUT
        )


def _wait(pause: float, left: float, claims: Collection[str]) -> None:
    if left < 0:
        raise ClusterError(
            f"the snapshots of {', '.join(claims)} are not ready, and the time for them is over",
            hint="see kubectl describe volumesnapshot for what they wait for",
        )
    time.sleep(pause)


def _failed(claim: str, error: Mapping[str, Any]) -> ClusterError:
    return ClusterError(
        f"no snapshot of the claim {claim}: {error.get('message', 'its driver gave no reason')}",
        hint="the driver of its storage class said so; mount the claim as it is (type pvc)",
    )


def _status(client: ApiClient, namespace: str, name: str) -> Mapping[str, Any]:
    from kubernetes.client import CustomObjectsApi

    with asking(f"look at the snapshot {name}"):
        found = CustomObjectsApi(client).get_namespaced_custom_object(
            SNAPSHOTS, VERSION, namespace, _PLURAL, name, _request_timeout=TIMEOUT
        )
    status: Mapping[str, Any] = found.get("status") or {}
    return status


def _snapshot(name: str, claim: SourceClaim, status: Mapping[str, Any]) -> Snapshot:
    from kubernetes.utils import parse_quantity

    # Drivers may want more room for the copy than the claim has, and some do not say.
    size = max(claim.size, status.get("restoreSize") or "0", key=parse_quantity)
    return Snapshot(name, claim.name, size, claim.storage_class, claim.access_mode)
