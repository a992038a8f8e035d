"""What is asked for: by the tags of a step, and by the settings of a pipeline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Literal

PullPolicy = Literal["Always", "IfNotPresent", "Never"]
TaintEffect = Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]

# The pauses between two tries of a step, where no tag says anything else.
RETRY_INTERVAL = 10  # seconds
RETRY_FACTOR = 2.0
RETRY_MAX_INTERVAL = 600  # seconds


@dataclass(frozen=True)
class Secret:
    """A key of a Kubernetes secret that a step sees as an environment variable."""

    name: str
    key: str
    variable: str


@dataclass(frozen=True)
class SecretFiles:
    """All keys of a Kubernetes secret, which a step finds as files in the folder ``path``."""

    name: str
    path: str


@dataclass(frozen=True)
class Artifact:
    """A file that a step writes at ``path``, in its working folder, and keeps as ``name``."""

    name: str
    path: str

    def __str__(self) -> str:
        return self.path

    @property
    def suffix(self) -> str:
        return PurePosixPath(self.path).suffix


@dataclass(frozen=True)
class Toleration:
    """A taint of nodes that a step's pod tolerates; None stands for any value, any effect."""

    key: str
    value: str | None = None
    effect: TaintEffect | None = None


@dataclass(frozen=True)
class StepOptions:
    """What the tags of a step ask of the place it runs in.

    ``timeout`` is in seconds; ``cache``, ``report`` and ``install`` (of packages, when the step
    starts) are None where no tag says anything, and so are the pauses between two tries:
    ``retry_interval`` (seconds) before the second try, ``retry_factor`` times longer before each
    later one, ``retry_max_interval`` (seconds) at most.  ``shared_memory`` is the size of
    /dev/shm, as Kubernetes writes it.  ``packages`` are requirements that the step installs
    beside what it imports, ``artifacts`` files that it keeps.
    """

    image: str | None = None
    pull_policy: PullPolicy | None = None
    install: bool | None = None
    packages: tuple[str, ...] = ()
    cache: bool | None = None
    report: bool | None = None
    limits: Mapping[str, str] = field(default_factory=dict)
    requests: Mapping[str, str] = field(default_factory=dict)
    retry: int = 0
    retry_interval: int | None = None
    retry_factor: float | None = None
    retry_max_interval: int | None = None
    timeout: int | None = None
    artifacts: tuple[Artifact, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    nodes: Mapping[str, str] = field(default_factory=dict)
    tolerations: tuple[Toleration, ...] = ()
    shared_memory: str | None = None
    secrets: tuple[Secret, ...] = ()
    secret_files: tuple[SecretFiles, ...] = ()
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def backoff(self) -> Backoff:
        return Backoff(
            RETRY_INTERVAL if self.retry_interval is None else self.retry_interval,
            RETRY_FACTOR if self.retry_factor is None else self.retry_factor,
            RETRY_MAX_INTERVAL if self.retry_max_interval is None else self.retry_max_interval,
        )


@dataclass(frozen=True)
class Backoff:
    """How long to wait between two tries of a step; ``interval`` and ``longest`` in seconds.

    >>> [Backoff(10, 2.0, 60).pause(number) for number in (1, 2, 3, 4)]
    [10, 20.0, 40.0, 60]
    """

    interval: int
    factor: float
    longest: int

    def pause(self, number: int) -> float:
        """The seconds of pause ``number`` (from 1), which follows the try of that number."""
        pause: float = self.interval
        for _ in range(1, number):
            if pause >= self.longest:  # a power of it might be larger than any number
                break
            pause *= self.factor
        return min(pause, self.longest)


@dataclass(frozen=True)
class Volume:
    """A volume as Kale's notebook metadata describes it; None where nothing is said."""

    type: str
    name: str
    mount_point: str
    size: str | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    storage_class: str | None = None
    access_mode: str | None = None
    snapshot: bool = False
    snapshot_name: str | None = None
    env_variable: str | None = None


@dataclass(frozen=True)
class Configuration:
    """The settings of a pipeline, from notebook metadata, pyproject.toml and flags.

    ``replay`` carries changes of global state (seeds, options, warnings filters) from step
    to step; ``timeout`` (seconds) is the whole pipeline's; ``files`` are globs, relative to
    the notebook's folder, of what travels with every step to the cluster; ``secrets_dir`` is
    the folder of the secrets on this machine.  ``kernels`` are started before their step
    (``warm``) where that is sound, or for it (``cold``).

    ``steps_defaults`` hold where the tags of a step say nothing, ``image_pull_policy`` and
    ``install`` where they say nothing either.  ``packages`` are requirements that every step
    installs beside what it imports, ``package_indexes`` the addresses of the package indexes,
    the first of which takes the place of the usual one; ``trusted_hosts`` are those of them
    whose certificates are not checked.  How to reach the KFP server and as whom: ``host``,
    ``namespace``, ``authentication`` (its kind) and ``ca`` (the file of a certificate
    authority); ``service_account`` is that of the pods.
    """

    name: str
    experiment: str = "Default"
    description: str = ""
    steps_defaults: StepOptions = StepOptions()
    image: str | None = None
    image_pull_policy: PullPolicy | None = None
    image_pull_secrets: tuple[str, ...] = ()
    install: bool = True
    packages: tuple[str, ...] = ()
    package_indexes: tuple[str, ...] = ()
    trusted_hosts: tuple[str, ...] = ()
    cache: bool = True
    replay: bool = True
    timeout: int | None = None
    files: tuple[str, ...] = ()
    host: str | None = None
    namespace: str | None = None
    authentication: str | None = None
    ca: str | None = None
    service_account: str | None = None
    secrets_dir: str | None = None
    kernels: Literal["cold", "warm"] = "warm"
    security_context: Mapping[str, Any] = field(default_factory=dict)
    storage_class: str | None = None
    access_mode: str | None = None
    volumes: tuple[Volume, ...] = ()
    snapshot_volumes: bool = False
    marshal_volume: bool = False
    marshal_volume_size: str | None = None
    marshal_path: str | None = None
