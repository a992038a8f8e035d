"""The role that an administrator gives, as the file to apply."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """What may be done with one kind of object; ``group`` is "" for Kubernetes' own."""

    group: str
    resource: str
    verbs: tuple[str, ...]


SNAPSHOTS = "snapshot.storage.k8s.io"
# What taking snapshots of claims, cloning them into a run and removing both asks for.
SNAPSHOT_RULES = (
    Rule(SNAPSHOTS, "volumesnapshots", ("create", "get", "delete")),
    Rule("", "persistentvolumeclaims", ("create", "get", "delete")),
)


def role(name: str, namespace: str, account: str, rules: Sequence[Rule]) -> str:
    """A Role with ``rules``, bound to a service account, as YAML for ``kubectl apply -f -``."""
    granted = "".join(
        f'- apiGroups: ["{rule.group}"]\n'
        f'  resources: ["{rule.resource}"]\n'
        f"  verbs: [{', '.join(rule.verbs)}]\n"
        for rule in rules
    )
    return f"""\
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: {name}
  namespace: {namespace}
rules:
{granted}---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: {name}
  namespace: {namespace}
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: {name}
subjects:
- kind: ServiceAccount
  name: {account}
  namespace: {namespace}
"""
