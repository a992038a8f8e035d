"""Volumes as lines of the DSL: claims mounted and made, and the volume that the run shares.

What of KFP's backend this rests on was read in its source, not tried on a cluster: a pod's
volume is called like its claim, so that a claim is mounted once, and its name has no dots; and
the names of a step's claims belong to the key under which KFP keeps its results.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import PurePosixPath

from kale_pm.errors import CompileError
from kale_pm.kfp.compiling.claims import (
    EXISTING,
    INDENT,
    Claim,
    access_mode,
    creating,
    new_claims,
    quantity,
    storage_class,
)
from kale_pm.kfp.compiling.python_text import call, literal
from kale_pm.model import Pipeline
from kale_pm.runtime.pod.diary import RUN
from kale_pm.settings import Configuration, Volume

WORKSPACE = "dsl.WORKSPACE_PATH_PLACEHOLDER"
WORKSPACE_SIZE = "10Gi"
PACKS = "packs"  # folder of the workspace

READ_ONLY = "ReadOnlyMany"
_ONE_NODE = "ReadWriteOnce"
_ONE_POD = "ReadWriteOncePod"


@dataclass(frozen=True)
class SharedVolume:
    """The volume where variables travel, or where the notebooks of a run are gathered.

    ``path`` is a Python expression: where it is mounted.  ``packs`` is the folder in it for the
    variables; None leaves them to the object store.  ``claim`` is an existing claim that the
    exit task must mount; KFP's workspace mounts itself.  ``has_report`` tells whether the exit
    task can read what lies there: a claim that the run makes it cannot know.
    """

    path: str
    packs: str | None
    claim: Volume | None
    has_report: bool

    @property
    def is_workspace(self) -> bool:
        return self.path == WORKSPACE


@dataclass(frozen=True)
class VolumePlan:
    """What the volumes of a pipeline add to its DSL file.

    ``mounts`` are volumes with the expressions for the names of their claims.  The lines
    ``before`` stand before the tasks of the steps; ``config`` are arguments of
    ``dsl.PipelineConfig``.
    """

    mounts: tuple[tuple[Volume, str], ...] = ()
    claims: tuple[Claim, ...] = ()
    shared: SharedVolume | None = None
    before: tuple[str, ...] = ()
    config: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    def for_task(self, task: str) -> tuple[str, ...]:
        """The lines that give the task of a step all volumes."""
        lines = []
        for volume, name in self.mounts:
            lines.append(mounting(task, volume, name))
            if volume.env_variable:
                pair = [literal(volume.env_variable), literal(volume.mount_point)]
                lines.append(call(f"{task}.set_env_variable", pair, INDENT))
        if self.shared is not None and self.shared.has_report:
            lines.append(telling_run(task))
        return tuple(lines)


def volume_plan(pipeline: Pipeline) -> VolumePlan:
    """How the volumes of ``pipeline`` are mounted, made and shared.

    Raises CompileError for what Kubernetes or KFP would refuse.
    """
    configuration = pipeline.configuration
    _refuse(configuration.volumes)
    claims = new_claims(configuration)
    made = {claim.volume.name: claim.name for claim in claims}
    shared = _shared(configuration)
    return VolumePlan(
        mounts=tuple((v, made.get(v.name, literal(v.name))) for v in configuration.volumes),
        claims=claims,
        shared=shared,
        before=tuple(creating(claims, configuration)),
        config=tuple(_config(configuration, shared)),
        warnings=tuple(_warnings(pipeline, claims, shared)),
    )


def uses_workspace(configuration: Configuration) -> bool:
    """Whether the variables travel on a volume that KFP makes for the run."""
    shared = _shared(configuration)
    return shared is not None and shared.is_workspace


def mounting(task: str, volume: Volume, name: str) -> str:
    """The line that mounts ``volume``; ``name`` is the expression for the name of its claim."""
    arguments = [task, f"pvc_name={name}", f"mount_path={literal(volume.mount_point)}"]
    return call("kubernetes.mount_pvc", arguments, INDENT)


def telling_run(task: str) -> str:
    """The line that tells a pod its run's id.

    As a parameter the id would keep every step out of KFP's cache.
    """
    path = literal("metadata.labels['pipeline/runid']")
    arguments = [task, f"env_name={literal(RUN)}", f"field_path={path}"]
    return call("kubernetes.use_field_path_as_env", arguments, INDENT)


def _shared(configuration: Configuration) -> SharedVolume | None:
    # Two slashes at the beginning are another root to pathlib, and to nobody else.
    path = re.sub("^/+", "/", configuration.marshal_path or "")
    if path and ".." in PurePosixPath(path).parts:
        raise CompileError(
            f"marshal_path: '{path}' leads out of the volume", hint="name a folder of the volume"
        )
    if path and (volume := _volume_at(path, configuration.volumes)):
        if volume.access_mode == READ_ONLY:
            raise CompileError(
                f"marshal_path: variables cannot be written to volume '{volume.name}', which is "
                "read only (rom)",
                hint="name a folder of another volume",
            )
        folder = str(PurePosixPath(path).relative_to(volume.mount_point))
        claim = volume if volume.type in EXISTING else None
        return SharedVolume(literal(volume.mount_point), folder, claim, claim is not None)
    if configuration.marshal_volume:
        folder = str(PurePosixPath("/", path or PACKS).relative_to("/"))
        return SharedVolume(WORKSPACE, folder, None, has_report=True)
    for volume in configuration.volumes:
        if volume.type in EXISTING and volume.access_mode != READ_ONLY:
            return SharedVolume(literal(volume.mount_point), None, volume, has_report=True)
    return None


def _volume_at(path: str, volumes: Sequence[Volume]) -> Volume | None:
    """The volume to which ``path`` leads; the innermost, where one is mounted in another."""
    above = [v for v in volumes if PurePosixPath(path).is_relative_to(v.mount_point)]
    return max(above, key=lambda volume: len(volume.mount_point), default=None)


def _config(configuration: Configuration, shared: SharedVolume | None) -> Iterator[str]:
    if shared is None or not shared.is_workspace:
        return
    size = quantity(configuration.marshal_volume_size or WORKSPACE_SIZE, "marshal_volume_size")
    # A server refuses a workspace without a mode, unless its administrator has named one.
    patch = [f'"accessModes": [{literal(access_mode(None, configuration))}]']
    if configuration.storage_class:
        patch.append(f'"storageClassName": {literal(configuration.storage_class)}')
    on_cluster = f"dsl.KubernetesWorkspaceConfig(pvcSpecPatch={{{', '.join(patch)}}})"
    arguments = [f"size={literal(size)}", f"kubernetes={on_cluster}"]
    yield "workspace=" + call("dsl.WorkspaceConfig", arguments, INDENT * 2)


def _refuse(volumes: Sequence[Volume]) -> None:
    names: set[str] = set()
    for volume in volumes:
        if volume.name in names:
            raise CompileError(
                f"volume '{volume.name}': KFP mounts a volume once in a pod",
                hint="keep one entry, and use folders of it",
            )
        names.add(volume.name)
        is_legal = re.fullmatch(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?", volume.name)
        if volume.type in EXISTING and not is_legal:
            raise CompileError(
                f"volume '{volume.name}': KFP cannot mount a claim of this name",
                hint="a pod's volume is called like its claim: at most 63 lower-case letters, "
                "digits and dashes",
            )
        if any("{{" in text for text in volume.annotations.values()):
            raise CompileError(
                f"volume '{volume.name}': KFP would replace what stands in {{{{ }}}} in its "
                "annotations",
                hint="write them without double braces",
            )


def _warnings(
    pipeline: Pipeline, claims: Sequence[Claim], shared: SharedVolume | None
) -> Iterator[str]:
    configuration = pipeline.configuration
    for volume in configuration.volumes:
        if volume.type in EXISTING:
            yield from _existing_warnings(volume)
    modes = {f"volume '{c.volume.name}'": access_mode(c.volume, configuration) for c in claims}
    if shared is not None and shared.is_workspace:
        modes["the marshal volume"] = access_mode(None, configuration)
    if _has_parallel_steps(pipeline):
        for what, mode in modes.items():
            yield from _sharing_warnings(what, mode)
    nameless = [
        claim.volume.name
        for claim in claims
        if claim.volume.type != "pv" and not storage_class(claim.volume, configuration)
    ]
    if nameless:
        yield (
            f"volumes without storage_class ({', '.join(nameless)}): KFP asks for the class "
            "'standard', whatever the cluster's default is: name a class"
        )
    if shared is not None and shared.is_workspace and not configuration.storage_class:
        yield (
            "the marshal volume is of the storage class that is the cluster's default: where "
            "none is, the run waits for ever; name one with storage_class"
        )
    if modes and configuration.cache:
        yield (
            f"steps mount what belongs to one run ({', '.join(modes)}), so that none of them is "
            "taken from KFP's cache"
        )
    if configuration.marshal_path and not (shared and shared.packs):
        yield (
            f"marshal_path {configuration.marshal_path} is left out: none of the volumes is "
            "mounted there, and marshal_volume is not set"
        )
    if configuration.marshal_volume_size and not (shared and shared.is_workspace):
        yield "marshal_volume_size is left out: no volume is made for the variables"


def _existing_warnings(volume: Volume) -> Iterator[str]:
    what = f"volume '{volume.name}' ({volume.type} at {volume.mount_point})"
    if volume.annotations:
        yield f"{what}: its annotations are left out, since the claim is there already"
    if volume.access_mode == READ_ONLY:
        yield f"{what}: steps can write where the claim lets them: KFP has no read-only mounts"


def _sharing_warnings(what: str, mode: str) -> Iterator[str]:
    advice = "write access_mode: rwm, if its storage class has ReadWriteMany"
    if mode == _ONE_NODE:
        yield f"{what} is {mode}: steps that run side by side must share one node; {advice}"
    if mode == _ONE_POD:
        yield f"{what} is {mode}: steps never run side by side; {advice}"


def _has_parallel_steps(pipeline: Pipeline) -> bool:
    return any(
        first not in pipeline.ancestors[second] for first, second in pairwise(pipeline.order)
    )
