"""A run on copies of the notebook server's own volumes, and new claims of the right class.

It asks the cluster while the pipeline is submitted; compiling never does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from kale_pm.errors import ClusterError
from kale_pm.kfp.cluster.connection import SERVICE_ACCOUNT, is_in_cluster, kubernetes_client
from kale_pm.kfp.cluster.notebook_server import NotebookServer, notebook_server
from kale_pm.kfp.cluster.preflight import preflight, source_claim
from kale_pm.kfp.cluster.snapshots import (
    PATIENCE,
    PAUSE,
    Snapshot,
    SnapshotEvent,
    delete_snapshots,
    take_snapshots,
)
from kale_pm.kfp.cluster.storage import storage_classes
from kale_pm.kfp.compiling.claims import EXISTING, OWN_SNAPSHOT, access_mode, storage_class
from kale_pm.kfp.compiling.mounts import refuse_clashes
from kale_pm.kfp.compiling.volumes import uses_workspace
from kale_pm.model import Pipeline
from kale_pm.settings import Volume

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

Tell = Callable[[SnapshotEvent], None]
_MANY = "ReadWriteMany"
_OF_KFP = "standard"  # the class of a new claim that names none, where the cluster has no default


@dataclass(frozen=True)
class Prepared:
    """The ``pipeline`` as it is to be compiled, and the ``snapshots`` that were taken for it.

    The exit task of the run removes them.
    """

    pipeline: Pipeline
    snapshots: tuple[Snapshot, ...] = ()
    warnings: tuple[str, ...] = ()


@contextmanager
def prepared(
    pipeline: Pipeline,
    environment: Mapping[str, str],
    *,
    recurring: bool = False,
    listener: Tell,
    folder: Path = SERVICE_ACCOUNT,
    client: ApiClient | None = None,
) -> Iterator[Prepared]:
    """The pipeline with what its volumes need to be told by the cluster, to be submitted inside.

    With ``snapshot_volumes`` it mounts copies of this notebook server's volumes; of
    ``recurring`` runs every one copies them as they are then, without a snapshot.  What the
    block raises removes the snapshots.

    ``environment`` holds this process's variables, ``folder`` what Kubernetes gives every pod.
    Raises ClusterError, with the way out as its hint.
    """
    found = Prepared(pipeline)
    namespace = ""
    if pipeline.configuration.snapshot_volumes:
        server = notebook_server(environment, folder, client)
        if server is None:
            raise ClusterError(
                "snapshot_volumes: this process runs in no notebook server of Kubeflow",
                hint="submit it there, or remove the setting",
            )
        namespace = server.namespace
        client = client or kubernetes_client(environment, folder)
        copied = with_clones if recurring else with_snapshots
        found = copied(pipeline, client, server, listener=listener)
    try:
        if client is not None or is_in_cluster(environment, folder):
            client = client or kubernetes_client(environment, folder)
            named = with_storage_class(found.pipeline, client)
            found = replace(
                found, pipeline=named.pipeline, warnings=(*found.warnings, *named.warnings)
            )
        yield found
    except BaseException:
        if found.snapshots and client is not None:
            with suppress(ClusterError):
                delete_snapshots(client, namespace, [each.name for each in found.snapshots])
        raise


def with_snapshots(
    pipeline: Pipeline,
    client: ApiClient,
    server: NotebookServer,
    *,
    listener: Tell,
    patience: float = PATIENCE,
    pause: float = PAUSE,
) -> Prepared:
    """Snapshot the claims of the notebook server; the run gets copies, at the same paths.

    A place that the notebook has given a volume already keeps it.  Raises ClusterError, with
    the way out as its hint, if the cluster does not take snapshots of them, and before that
    CompileError if a step could not mount them.
    """
    places, warnings = _places(pipeline, server)
    expected = _mounting(pipeline, [Volume(OWN_SNAPSHOT, *place) for place in places.items()])
    for step in pipeline.steps:
        refuse_clashes(step, expected.configuration.volumes)
    ready = preflight(client, server.namespace, server.service_account, places)
    snapshots = take_snapshots(
        client, server.namespace, ready, listener=listener, patience=patience, pause=pause
    )
    copies = [
        Volume(
            OWN_SNAPSHOT,
            each.name,
            places[each.claim],
            size=each.size,
            storage_class=each.storage_class,
            access_mode=each.access_mode,
        )
        for each in snapshots
    ]
    return Prepared(_mounting(pipeline, copies), snapshots, (*warnings, *ready.warnings))


def with_clones(
    pipeline: Pipeline,
    client: ApiClient,
    server: NotebookServer,
    *,
    listener: Tell | None = None,  # noqa: ARG001 - there is nothing to wait for
) -> Prepared:
    """Every run copies the claims of the notebook server when it starts, at the same paths.

    The driver of their storage class must be one that clones.  Raises ClusterError if a claim
    cannot be read.
    """
    places, warnings = _places(pipeline, server)
    claims = [source_claim(client, server.namespace, name) for name in places]
    copies = [
        Volume(
            "clone",
            each.name,
            places[each.name],
            size=each.size,
            storage_class=each.storage_class,
            access_mode=each.access_mode,
        )
        for each in claims
    ]
    return Prepared(_mounting(pipeline, copies), warnings=warnings)


def _places(pipeline: Pipeline, server: NotebookServer) -> tuple[dict[str, str], tuple[str, ...]]:
    """Claim -> where it is mounted, of those to copy; and warnings of the others."""
    taken = {volume.mount_point.rstrip("/") for volume in pipeline.configuration.volumes}
    free = [mount for mount in server.mounts if mount.path.rstrip("/") not in taken]
    warnings = tuple(
        f"{mount.path} is a folder of the claim {mount.claim}, and is left out: copies are "
        "mounted whole"
        for mount in free
        if mount.sub_path
    )
    return {mount.claim: mount.path for mount in free if not mount.sub_path}, warnings


def _mounting(pipeline: Pipeline, copies: list[Volume]) -> Pipeline:
    configuration = pipeline.configuration
    volumes = (*configuration.volumes, *copies)
    changed = replace(configuration, volumes=volumes, snapshot_volumes=False)
    return replace(pipeline, configuration=changed)


def with_storage_class(pipeline: Pipeline, client: ApiClient) -> Prepared:
    """Name the cluster's default storage class where new claims name none.

    KFP would ask for one called "standard".  Warns where there is no default, where
    ReadWriteMany was asked of a class that is known to lend its volumes to one node, and where
    the classes may not be listed.
    """
    configuration = pipeline.configuration
    new = [
        (
            f"volume '{v.name}'",
            storage_class(v, configuration),
            _OF_KFP,
            access_mode(v, configuration),
        )
        for v in configuration.volumes
        if v.type not in (*EXISTING, "pv")
    ]
    if uses_workspace(configuration):
        mode = access_mode(None, configuration)
        new.append(("the marshal volume", configuration.storage_class, "", mode))
    if all(named and mode != _MANY for _, named, _, mode in new):
        return Prepared(pipeline)
    try:
        classes = {each.name: each for each in storage_classes(client)}
    except ClusterError as error:
        return Prepared(pipeline, warnings=(error.message,))
    default = next((each.name for each in classes.values() if each.is_default), None)
    warnings = []
    for what, named, otherwise, mode in new:
        wanted = named or default or otherwise
        found = classes.get(wanted)
        if found is None:
            lacking = f"no storage class '{wanted}'" if wanted else "no default storage class"
            warnings.append(
                f"this cluster has {lacking}, so that a run would wait for {what} for ever: set "
                f"storage_class to one that it has ({', '.join(classes) or 'none so far'})"
            )
        elif found.is_for_one_node and mode == _MANY:
            warnings.append(
                f"{what} is to be ReadWriteMany, and volumes of the storage class "
                f"'{found.name}' ({found.driver}) belong to one node: write access_mode: rwo, and "
                "steps that run side by side share a node"
            )
    changed = replace(configuration, storage_class=configuration.storage_class or default)
    return Prepared(replace(pipeline, configuration=changed), warnings=tuple(warnings))
