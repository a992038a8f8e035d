"""The nouns of a pipeline: what the notebook says, before anything runs.

A :class:`Pipeline` is made in two strides.  ``kale_pm.notebook`` reads cells and tags into
it; ``kale_pm.analysis`` then fills in what flows between the steps.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import Any, Literal

CellKind = Literal["code", "markdown", "raw"]
ParameterType = Literal["bool", "int", "float", "str", "list", "dict", "any"]
Severity = Literal["error", "warning", "note"]
PullPolicy = Literal["Always", "IfNotPresent", "Never"]
TaintEffect = Literal["NoSchedule", "PreferNoSchedule", "NoExecute"]

PYTHON = "python"

# The pauses between two tries of a step, where no tag says anything else.
RETRY_INTERVAL = 10  # seconds
RETRY_FACTOR = 2.0
RETRY_MAX_INTERVAL = 600  # seconds


@dataclass(frozen=True)
class Cell:
    """One cell of the source notebook.

    ``number`` counts all cells of the notebook from 1, as editors show it; ``language`` is in
    lower case.
    """

    number: int
    id: str
    kind: CellKind
    source: str
    tags: tuple[str, ...] = ()
    language: str = PYTHON

    @property
    def is_code(self) -> bool:
        return self.kind == "code"

    @property
    def is_python(self) -> bool:
        return self.language == PYTHON


@dataclass(frozen=True)
class Parameter:
    """A pipeline parameter: a literal assignment in a ``parameters`` cell.

    ``optional`` allows None; ``cell`` and ``line`` (both from 1) say where it stands.
    """

    name: str
    type: ParameterType
    default: Any
    optional: bool = False
    cell: int = 0
    line: int = 0


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
class Source:
    """The version of a variable that one step leaves behind."""

    step: str
    name: str


@dataclass(frozen=True)
class Need:
    """A variable that a step receives.

    ``source`` is the right version; where that step may leave the variable alone, the
    ``fallbacks`` follow in the order in which they are to be asked.
    """

    name: str
    source: Source
    fallbacks: tuple[Source, ...] = ()

    @property
    def sources(self) -> tuple[Source, ...]:
        return (self.source, *self.fallbacks)


@dataclass(frozen=True)
class Step:
    """The cells of one step, and what flows in and out of them.

    ``gives`` are what later steps take from here; ``stores`` are those of them that are stored
    even when the run shows no change, because a later step asks nobody else.
    ``gives_if_changed`` may change in code that nobody can look into.  ``watch`` names
    variables of the prelude that the step may change.  ``metrics`` are the names that the
    step records when it is done.
    """

    name: str
    cells: tuple[Cell, ...]
    prev: tuple[str, ...] = ()
    options: StepOptions = StepOptions()
    needs: tuple[Need, ...] = ()
    gives: tuple[str, ...] = ()
    stores: tuple[str, ...] = ()
    gives_if_changed: tuple[str, ...] = ()
    watch: tuple[str, ...] = ()
    parameters: tuple[str, ...] = ()
    metrics: tuple[str, ...] = ()

    @property
    def code(self) -> tuple[Cell, ...]:
        return tuple(cell for cell in self.cells if cell.is_code)

    @property
    def input_steps(self) -> tuple[str, ...]:
        """The steps that may be the source of one of the needs."""
        names = (source.step for need in self.needs for source in need.sources)
        return tuple(dict.fromkeys(names))


@dataclass(frozen=True)
class Problem:
    """Something that ``check`` found; the codes are documented in docs/problems.md."""

    code: str
    severity: Severity
    message: str
    hint: str = ""
    step: str | None = None
    cell: int | None = None
    line: int | None = None

    @property
    def is_error(self) -> bool:
        return self.severity == "error"


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


@dataclass(frozen=True)
class Pipeline:
    """A notebook understood: its prelude, its steps in notebook order, and what flows.

    ``edges`` are those of the ``prev:`` tags as (parent, child); ``implied_edges`` were added
    by the analysis.  ``kernelspec`` is the notebook's own metadata, possibly empty for one of
    Python, and else with name and language.
    """

    path: Path
    configuration: Configuration
    prelude: tuple[Cell, ...]
    steps: tuple[Step, ...]
    parameters: tuple[Parameter, ...] = ()
    metrics: tuple[str, ...] = ()
    edges: tuple[tuple[str, str], ...] = ()
    implied_edges: tuple[tuple[str, str], ...] = ()
    aliases: tuple[tuple[str, ...], ...] = ()
    problems: tuple[Problem, ...] = ()
    kernelspec: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return self.configuration.name

    @property
    def folder(self) -> Path:
        """The folder of the notebook: every step's working directory."""
        return self.path.parent

    @property
    def language(self) -> str:
        """The language of the cells, in its own spelling."""
        return PYTHON if self.is_analysed else self.kernelspec["language"]

    @cached_property
    def is_analysed(self) -> bool:
        """Whether the code can be read, so that variables flow between the steps: Python alone."""
        return all(cell.is_python for step in self.steps for cell in step.cells)

    @property
    def errors(self) -> tuple[Problem, ...]:
        return tuple(problem for problem in self.problems if problem.is_error)

    @cached_property
    def _by_name(self) -> dict[str, Step]:
        return {step.name: step for step in self.steps}

    def step(self, name: str) -> Step:
        """The step of this name; KeyError if there is none."""
        return self._by_name[name]

    @cached_property
    def parents(self) -> Mapping[str, tuple[str, ...]]:
        """Step name -> the steps that must be done before it, in notebook order."""
        known: dict[str, set[str]] = {step.name: set() for step in self.steps}
        for parent, child in (*self.edges, *self.implied_edges):
            known[child].add(parent)
        return {
            child: tuple(step.name for step in self.steps if step.name in parents)
            if parents
            else ()
            for child, parents in known.items()
        }

    @cached_property
    def ancestors(self) -> Mapping[str, frozenset[str]]:
        """Step name -> all steps that must be done before it: its parents, theirs, and so on."""
        return {name: frozenset(self._above(name)) for name in self.parents}

    def users(self, name: str) -> dict[str, tuple[str, ...]]:
        """Variable -> the steps that may need it from the step ``name``."""
        return dict(self._users.get(name, {}))

    @cached_property
    def _users(self) -> Mapping[str, Mapping[str, tuple[str, ...]]]:
        found: dict[str, dict[str, tuple[str, ...]]] = {}
        for step in self.steps:
            for need in step.needs:
                for name in {source.step for source in need.sources}:
                    users = found.setdefault(name, {})
                    users[need.name] = (*users.get(need.name, ()), step.name)
        return found

    def _above(self, name: str) -> set[str]:
        found: set[str] = set()
        waiting = [name]
        while waiting:
            new = set(self.parents[waiting.pop()]) - found
            found |= new
            waiting += new
        return found

    @cached_property
    def order(self) -> tuple[str, ...]:
        """All step names, parents first; where edges leave it open, in notebook order."""
        return topological_order([step.name for step in self.steps], self.parents)


def topological_order(names: list[str], parents: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Sort ``names`` so that parents come first, staying as near to the given order as possible.

    Steps on a cycle are left out: callers compare lengths to find one.

    >>> topological_order(["c", "a", "b"], {"c": ("b",), "a": (), "b": ("a",)})
    ('a', 'b', 'c')
    """
    position = {name: index for index, name in enumerate(names)}
    waiting = {name: len(parents[name]) for name in names}
    children: dict[str, list[str]] = {name: [] for name in names}
    for child in names:
        for parent in parents[child]:
            children[parent].append(child)
    ready = [position[name] for name in names if not waiting[name]]
    heapq.heapify(ready)
    order = []
    while ready:
        name = names[heapq.heappop(ready)]
        order.append(name)
        for child in children[name]:
            waiting[child] -= 1
            if not waiting[child]:
                heapq.heappush(ready, position[child])
    return tuple(order)
