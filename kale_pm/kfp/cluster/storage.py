"""The storage classes of a cluster: the default one, and those whose volumes one node has."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kale_pm.kfp.cluster.connection import TIMEOUT, asking

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

_DEFAULT = "storageclass.kubernetes.io/is-default-class"
# Nothing in Kubernetes says what a driver can do.  These lend a disk to one node at a time.
_ONE_NODE = frozenset(
    {
        *("ebs.csi.aws.com", "kubernetes.io/aws-ebs"),
        *("pd.csi.storage.gke.io", "kubernetes.io/gce-pd"),
        *("disk.csi.azure.com", "kubernetes.io/azure-disk"),
        *("cinder.csi.openstack.org", "kubernetes.io/cinder"),
        *("dobs.csi.digitalocean.com", "csi.hetzner.cloud", "linodebs.csi.linode.com"),
        *("rancher.io/local-path", "k8s.io/minikube-hostpath", "hostpath.csi.k8s.io"),
        *("microk8s.io/hostpath", "openebs.io/local", "topolvm.io"),
    }
)


@dataclass(frozen=True)
class StorageClass:
    """``driver`` is what makes the volumes of this class."""

    name: str
    driver: str
    is_default: bool = False

    @property
    def is_for_one_node(self) -> bool:
        """Whether its driver is known to give a volume to one node only: no ReadWriteMany."""
        return self.driver in _ONE_NODE


def storage_classes(client: ApiClient) -> tuple[StorageClass, ...]:
    """All storage classes, the default first; ClusterError if they may not be listed."""
    from kubernetes.client import StorageV1Api

    with asking("list the storage classes"):
        found = StorageV1Api(client).list_storage_class(_request_timeout=TIMEOUT).items
    classes = [
        StorageClass(
            each.metadata.name,
            each.provisioner,
            (each.metadata.annotations or {}).get(_DEFAULT) == "true",
        )
        for each in found
    ]
    return tuple(sorted(classes, key=lambda each: (not each.is_default, each.name)))
