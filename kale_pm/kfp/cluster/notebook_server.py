"""The notebook server that this process runs in: a pod of Kubeflow, if it is one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kale_pm.kfp.cluster.connection import SERVICE_ACCOUNT, TIMEOUT, asking, kubernetes_client

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

_PREFIX = "NB_PREFIX"  # the path of the server's address: Kubeflow sets it in every one
_NAME_LABEL = "notebook-name"
_SIDECARS = ("istio-proxy",)


@dataclass(frozen=True)
class Mount:
    """A claim, or the folder ``sub_path`` of it, at ``path`` of the notebook server."""

    claim: str
    path: str
    sub_path: str = ""


@dataclass(frozen=True)
class NotebookServer:
    """The pod of a notebook server: its container's image, and the claims that it mounts."""

    pod: str
    namespace: str
    image: str
    service_account: str
    mounts: tuple[Mount, ...]


def own_namespace(environment: Mapping[str, str], folder: Path = SERVICE_ACCOUNT) -> str | None:
    """The namespace of the notebook server that this process runs in, None elsewhere."""
    file = folder / "namespace"
    if _PREFIX not in environment or "HOSTNAME" not in environment or not file.is_file():
        return None
    return file.read_text(encoding="utf-8").strip() or None


def notebook_server(
    environment: Mapping[str, str],
    folder: Path = SERVICE_ACCOUNT,
    client: ApiClient | None = None,
) -> NotebookServer | None:
    """The notebook server that this process runs in, None elsewhere.

    ``environment`` holds this process's variables, ``folder`` what Kubernetes gives every pod.
    Raises ClusterError where the pod may not be read.
    """
    namespace = own_namespace(environment, folder)
    if namespace is None:
        return None
    from kubernetes.client import CoreV1Api

    name = environment["HOSTNAME"]
    with asking(f"read this notebook server's own pod, {name} in {namespace}"):
        pods = CoreV1Api(client or kubernetes_client(environment, folder))
        pod = pods.read_namespaced_pod(name, namespace, _request_timeout=TIMEOUT)
    container = _container(pod)
    return NotebookServer(
        pod=name,
        namespace=namespace,
        image=container.image,
        service_account=pod.spec.service_account_name or "default",
        mounts=_mounts(pod, container),
    )


def _container(pod: Any) -> Any:
    """The container of the server itself, not those that a mesh puts beside it."""
    wanted = (pod.metadata.labels or {}).get(_NAME_LABEL)
    containers = pod.spec.containers
    named = [each for each in containers if each.name == wanted]
    others = [each for each in containers if each.name not in _SIDECARS]
    return (named or others or containers)[0]


def _mounts(pod: Any, container: Any) -> tuple[Mount, ...]:
    claims = {
        volume.name: volume.persistent_volume_claim.claim_name
        for volume in pod.spec.volumes or ()
        if volume.persistent_volume_claim is not None
    }
    return tuple(
        Mount(claims[mount.name], mount.mount_path, mount.sub_path or "")
        for mount in container.volume_mounts or ()
        if mount.name in claims
    )
