"""Before snapshots are taken: whether the cluster has them, for these claims, for this account."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kale_pm.errors import ClusterError
from kale_pm.kfp.cluster.connection import TIMEOUT, asking
from kale_pm.kfp.cluster.roles import SNAPSHOT_RULES, SNAPSHOTS, Rule, role
from kale_pm.kfp.cluster.storage import storage_classes

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

VERSION = "v1"
_DEFAULT = "snapshot.storage.kubernetes.io/is-default-class"
_ROLE = "kale-pm-snapshots"


@dataclass(frozen=True)
class SourceClaim:
    """A claim as it is: what a copy of it must be like."""

    name: str
    storage_class: str | None
    access_mode: str
    size: str


@dataclass(frozen=True)
class Readiness:
    """That snapshots can be taken of ``claims``, with which class (None: the cluster decides).

    ``warnings`` are what could not be found out.
    """

    claims: tuple[SourceClaim, ...]
    classes: Mapping[str, str | None]
    warnings: tuple[str, ...] = ()


def preflight(
    client: ApiClient, namespace: str, account: str, claims: Collection[str]
) -> Readiness:
    """Make sure that snapshots of ``claims`` can be taken and removed again.

    ``account`` is the service account that is to have the rights.  Raises ClusterError, and
    its hint says who has to do what: for rights it is the role to apply.
    """
    _require_snapshots(client)
    _require_rights(client, namespace, account)
    sources = tuple(source_claim(client, namespace, name) for name in claims)
    try:
        drivers = {each.name: each.driver for each in storage_classes(client)}
        classes = _snapshot_classes(client)
    except ClusterError as error:
        if error.status not in (401, 403):
            raise
        warning = f"{error.message}; the cluster chooses the class of the snapshots itself"
        return Readiness(sources, {claim.name: None for claim in sources}, (warning,))
    return Readiness(
        sources, {claim.name: _class_for(claim, drivers, classes) for claim in sources}
    )


def source_claim(client: ApiClient, namespace: str, name: str) -> SourceClaim:
    """The claim of this name; ClusterError if it cannot be read."""
    from kubernetes.client import CoreV1Api

    with asking(f"read the claim {name} in {namespace}"):
        found = CoreV1Api(client).read_namespaced_persistent_volume_claim(
            name, namespace, _request_timeout=TIMEOUT
        )
    capacity = (found.status and found.status.capacity) or found.spec.resources.requests
    return SourceClaim(
        name, found.spec.storage_class_name, found.spec.access_modes[0], capacity["storage"]
    )


def _require_snapshots(client: ApiClient) -> None:
    from kubernetes.client import CustomObjectsApi

    try:
        with asking("say what it knows of snapshots"):
            CustomObjectsApi(client).get_api_resources(SNAPSHOTS, VERSION, _request_timeout=TIMEOUT)
    except ClusterError as error:
        if error.status != 404:
            raise
        raise ClusterError(
            f"this cluster takes no snapshots: it does not have {SNAPSHOTS}/{VERSION}",
            hint="its administrator can install the CSI snapshot controller and its resources. "
            "Without it, a volume of type clone copies a claim, where the driver can do that",
            status=404,
        ) from error


def _require_rights(client: ApiClient, namespace: str, account: str) -> None:
    missing = [
        f"{verb} {rule.resource}"
        for rule in SNAPSHOT_RULES
        for verb in rule.verbs
        if not _may(client, namespace, rule, verb)
    ]
    if missing:
        text = role(_ROLE, namespace, account, SNAPSHOT_RULES)
        raise ClusterError(
            f"in the namespace {namespace} you may not {', '.join(missing)}",
            hint=f"an administrator can apply this role (kubectl apply -f role.yaml):\n\n{text}",
            status=403,
        )


def _may(client: ApiClient, namespace: str, rule: Rule, verb: str) -> bool:
    from kubernetes.client import AuthorizationV1Api

    attributes = {
        "namespace": namespace, "verb": verb, "group": rule.group, "resource": rule.resource
    }  # fmt: skip
    body = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectAccessReview",
        "spec": {"resourceAttributes": attributes},
    }
    with asking(f"say whether one may {verb} {rule.resource}"):
        review = AuthorizationV1Api(client).create_self_subject_access_review(
            body, _request_timeout=TIMEOUT
        )
    return bool(review.status.allowed)


def _snapshot_classes(client: ApiClient) -> list[Mapping[str, Any]]:
    from kubernetes.client import CustomObjectsApi

    with asking("list the classes of snapshots"):
        found = CustomObjectsApi(client).list_cluster_custom_object(
            SNAPSHOTS, VERSION, "volumesnapshotclasses", _request_timeout=TIMEOUT
        )
    classes: list[Mapping[str, Any]] = found["items"]
    return sorted(classes, key=lambda each: (not _is_default(each), each["metadata"]["name"]))


def _is_default(snapshot_class: Mapping[str, Any]) -> bool:
    annotations = snapshot_class["metadata"].get("annotations") or {}
    return bool(annotations.get(_DEFAULT) == "true")


def _class_for(
    claim: SourceClaim, drivers: Mapping[str, str], classes: list[Mapping[str, Any]]
) -> str:
    driver = drivers.get(claim.storage_class or "")
    for each in classes:
        if each["driver"] == driver:
            return str(each["metadata"]["name"])
    of = f"made by {driver}" if driver else f"of the storage class '{claim.storage_class or ''}'"
    known = ", ".join(sorted({each["driver"] for each in classes})) or "none"
    raise ClusterError(
        f"no snapshot can be taken of the claim {claim.name}: it is {of}, and there are classes "
        f"of snapshots for: {known}",
        hint="an administrator can add a VolumeSnapshotClass for that driver, if it takes "
        "snapshots; else leave this claim out and mount it as it is (type pvc)",
    )
