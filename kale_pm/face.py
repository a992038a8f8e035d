"""The Python face: a pipeline and its runs as objects with verbs.

>>> pipeline = load("wine.ipynb")
>>> run = pipeline.run(trees=200)
>>> run.metrics
{'accuracy': 0.98, 'f1': 0.98}
>>> run["models"]                      # a variable of the last step that set it
>>> run.variables["models"].given_by   # what else is known of it, without loading it
'evaluate'
>>> run.steps["evaluate"].notebook     # the executed notebook
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kale_pm import model
from kale_pm.analysis import understand
from kale_pm.errors import StepFailed, StoreError, UsageError
from kale_pm.events import Listener, ignore
from kale_pm.notebook import read
from kale_pm.notebook.spelling import nearest
from kale_pm.record import RunRecord, State, StepRecord

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from kale_pm.kfp import CompileResult
    from kale_pm.kfp.server.bringing import Lack
    from kale_pm.kfp.submit import ClusterRun, Schedule
    from kale_pm.local import RunOptions, Store
    from kale_pm.local.results.comparison import Comparison
    from kale_pm.local.results.variables import RunVariable, RunVariables


class Pipeline(model.Pipeline):
    """A notebook understood, with what can be done with it."""

    def check(self) -> tuple[model.Problem, ...]:
        """The problems of the notebook, errors first."""
        return self.problems

    def slice(self, step: str) -> NotebookNode:
        """The sub-notebook of one step; KeyError if there is no such step."""
        from kale_pm.slicing import cut

        return cut(self, step)

    def run(
        self,
        *,
        folder: str | Path | None = None,
        jobs: int | None = None,
        kernel: str | None = None,
        fresh: bool = False,
        start: str | None = None,
        only: str | None = None,
        fail_fast: bool = False,
        verify: bool = False,
        listener: Listener = ignore,
        parameters: Mapping[str, Any] | None = None,
        **values: Any,
    ) -> Run:
        """Run the pipeline on this machine; keyword arguments are parameter values.

        ``parameters`` takes values whose names are also options of this method.  The other
        options are those of kale_pm.local.RunOptions.  A failing step raises StepFailed,
        whose ``run`` is the run; what else can be raised is said at kale_pm.local.run_pipeline.
        """
        from kale_pm.local import RunOptions

        options = RunOptions(
            parameters={**(parameters or {}), **values},
            folder=Path(folder) if folder is not None else None,
            jobs=jobs,
            kernel=kernel,
            fresh=fresh,
            start=start,
            only=only,
            fail_fast=fail_fast,
            verify=verify,
        )
        run = self.attempt(options, listener)
        run.check()
        return run

    def attempt(self, options: RunOptions, listener: Listener = ignore) -> Run:
        """As :meth:`run`, but a failing step is told by the run's state, not raised."""
        from kale_pm.local import run_pipeline, store_in
        from kale_pm.report import rendering_ahead

        store = store_in(options.folder or self.folder)
        with rendering_ahead(store.runs, store.fragments, listener) as listening:
            record, folder = run_pipeline(self, options, listening)
        run = Run(record, folder)
        run.write_report()
        return run

    def explain(
        self,
        *,
        folder: str | Path | None = None,
        kernel: str | None = None,
        fresh: bool = False,
        start: str | None = None,
        only: str | None = None,
        parameters: Mapping[str, Any] | None = None,
        **values: Any,
    ) -> Mapping[str, str]:
        """For every step whether :meth:`run`, with the same options, would execute it, and why.

        Nothing is executed, and nothing is written.

        >>> load("wine.ipynb").explain(trees=300)["train"]
        'will run: parameter trees changed: 200 -> 300'
        """
        from kale_pm.local import RunOptions, explain_pipeline

        options = RunOptions(
            parameters={**(parameters or {}), **values},
            folder=Path(folder) if folder is not None else None,
            kernel=kernel,
            fresh=fresh,
            start=start,
            only=only,
        )
        return {name: str(found) for name, found in explain_pipeline(self, options).items()}

    def compile(
        self,
        output: str | Path | None = None,
        *,
        dsl: str | Path | None = None,
        image: str | None = None,
        install: bool = True,
    ) -> CompileResult:
        """Compile for Kubeflow Pipelines; by default beside the notebook, with ``.yaml``.

        ``dsl`` is where to write the pipeline as a Python file, ``image`` the container
        image of the steps, ``install=False`` says that it has all packages already.
        Raises PipelineError or CompileError.
        """
        from kale_pm.kfp import compile_pipeline

        return compile_pipeline(
            self,
            Path(output) if output is not None else self.path.with_suffix(".yaml"),
            dsl=Path(dsl) if dsl is not None else None,
            image=image,
            install=install,
        )

    def submit(
        self,
        host: str | None = None,
        *,
        namespace: str | None = None,
        authentication: str | None = None,
        token_file: str | Path | None = None,
        ca: str | Path | None = None,
        verify: bool = True,
        experiment: str | None = None,
        run_name: str | None = None,
        service_account: str | None = None,
        pipeline_root: str | None = None,
        cron: str | None = None,
        image: str | None = None,
        install: bool = True,
        parameters: Mapping[str, Any] | None = None,
        **values: Any,
    ) -> ClusterRun | Schedule:
        """Run the pipeline on a KFP server; keyword arguments are parameter values.

        What is not given comes from the notebook's configuration.  ``authentication`` is one
        of docs/submit.md, ``ca`` a file of certificates to believe, ``verify=False`` believes
        any; the other options are those of kale_pm.kfp.submit.SubmitOptions.  With ``cron`` a
        schedule is given back, else the run, for which ``wait()`` waits.
        Raises PipelineError, CompileError, UsageError, ServerError or ClusterError.
        """
        from kale_pm.kfp.server.access import Access
        from kale_pm.kfp.submit import SubmitOptions, submit_pipeline

        access = Access(
            host=host,
            namespace=namespace,
            authentication=authentication,
            token_file=Path(token_file) if token_file is not None else None,
            ca=Path(ca) if ca is not None else None,
            verify=verify,
        )
        options = SubmitOptions(
            parameters={**(parameters or {}), **values},
            experiment=experiment,
            run_name=run_name,
            service_account=service_account,
            pipeline_root=pipeline_root,
            cron=cron,
            image=image,
            install=install,
        )
        server = access.settled(self.configuration, self.folder)
        return submit_pipeline(self, server, options)

    def to_dict(self) -> dict[str, Any]:
        """The result of the analysis for a program: what ``check --json`` prints."""
        return {
            "steps": {
                step.name: {
                    "needs": [need.name for need in step.needs],
                    "gives": list(step.gives),
                    "gives_if_changed": list(step.gives_if_changed),
                    "params": list(step.parameters),
                    "from": {n.name: [source.step for source in n.sources] for n in step.needs},
                }
                for step in self.steps
            },
            "edges": [list(edge) for edge in self.edges],
            "implied_edges": [list(edge) for edge in self.implied_edges],
            "aliases": [list(group) for group in self.aliases],
            "error": self.errors[0].code if self.errors else None,
            "problems": [vars(problem) for problem in self.problems],
        }

    def __repr__(self) -> str:
        return f"Pipeline({self.name!r}, steps={[step.name for step in self.steps]})"

    def _repr_html_(self) -> str:
        from kale_pm.report import as_svg

        return as_svg(self.parents, implied=self.implied_edges)


@dataclass(frozen=True)
class RunStep:
    """One step of a run, and where its executed notebook lies (None if it never started)."""

    record: StepRecord
    folder: Path
    stored: RunVariables = field(repr=False)

    @property
    def state(self) -> State:
        return self.record.state

    @property
    def metrics(self) -> Mapping[str, Any]:
        return self.record.metrics

    @property
    def notebook(self) -> Path | None:
        return self.folder / self.record.notebook if self.record.notebook else None

    @property
    def variables(self) -> Mapping[str, RunVariable]:
        """What the step made or changed of the variables that are stored, as it left them."""
        return self.stored.given(self.record.name)

    @property
    def received(self) -> Mapping[str, RunVariable]:
        """What the step was given, as earlier steps left it."""
        return self.stored.received(self.record.name)

    def __getitem__(self, name: str) -> Any:
        """The variable ``name`` as this step left it, if it made or changed it; see Run."""
        return self.stored.load(name, self.record.name)

    @property
    def scraps(self) -> Mapping[str, Any]:
        """What the step's cells stored with ``scrapbook.glue``, by name, decoded."""
        if self.notebook is None:
            return {}
        import scrapbook

        found = scrapbook.read_notebook(str(self.notebook)).scraps
        return {name: scrap.data for name, scrap in found.items()}


@dataclass(frozen=True, repr=False)
class Run:
    """One execution of a pipeline on this machine."""

    record: RunRecord
    folder: Path

    def __repr__(self) -> str:
        return f"Run({self.id!r}, {self.state.value})"

    @property
    def id(self) -> str:
        return self.record.id

    @property
    def state(self) -> State:
        return self.record.state

    @property
    def metrics(self) -> Mapping[str, Any]:
        return self.record.metrics

    @property
    def parameters(self) -> Mapping[str, Any]:
        return self.record.parameters

    @property
    def report(self) -> Path:
        return self.folder / "report.html"

    @cached_property
    def steps(self) -> Mapping[str, RunStep]:
        return {
            name: RunStep(step, self.folder, self._stored)
            for name, step in self.record.steps.items()
        }

    def step(self, name: str) -> RunStep:
        """The step of this name; UsageError, with a near name, where the run has none."""
        if name not in self.steps:
            near = nearest(name, self.steps)
            raise UsageError(
                f"run {self.id} has no step '{name}'",
                hint=f"did you mean '{near}'?" if near else "steps: " + ", ".join(self.steps),
            )
        return self.steps[name]

    @property
    def variables(self) -> Mapping[str, RunVariable]:
        """What is known of every variable that is stored, as the run left it; loads none.

        Raises LoadError where a manifest of the run is missing or damaged.
        """
        return self._stored.final()

    @cached_property
    def _stored(self) -> RunVariables:
        from kale_pm.local.results.variables import RunVariables

        return RunVariables(self.folder, self.record)

    def __getitem__(self, name: str) -> Any:
        """The variable or metric ``name`` as the run left it.

        Of the variables only those that a later step needs are stored.  Large arrays are
        mapped from their file: they cost nothing until they are touched, and what is written
        to them never reaches the file.  Raises LoadError if there is none of this name, if two
        steps side by side have changed it, or if this process lacks what it is made of;
        PackError if its file is damaged.
        """
        stored = self.variables.get(name)
        if name in self.metrics and (stored is None or stored.kind in ("unsaved", "deleted")):
            return self.metrics[name]
        return self._stored.load(name)

    def diff(self, other: Run) -> Comparison:
        """What differs from this run to the ``other``: values, code, variables, how it ended."""
        from kale_pm.local.results.comparison import compare_runs

        return compare_runs(self.record, self.folder, other.record, other.folder)

    def to_dict(self) -> dict[str, Any]:
        """The record for a program: what ``run --json`` and ``report --json`` print."""
        content = json.loads((self.folder / "run.json").read_text(encoding="utf-8"))
        return {**content, "state": self.state.value, "folder": str(self.folder)}

    @property
    def failures(self) -> list[StepFailed]:
        """What went wrong, one error for each failed step."""
        from kale_pm.local import failures

        found = failures(self.record, self.folder)
        for error in found:
            error.run = self
        return found

    def check(self) -> None:
        """Raise the first of the failures, if there are any."""
        for error in self.failures:
            raise error

    def write_report(self) -> Path:
        """Write ``report.html``, one page that shows the whole run; its path.

        Raises StoreError if the folder of the run cannot be written.
        """
        from kale_pm.local import Store
        from kale_pm.report import write_report

        store = Store(self.folder.parent.parent)
        try:
            return write_report(
                self.record,
                self.folder,
                fragments=store.fragments,
                implied=self.record.implied_edges,
            )
        except OSError as error:
            raise StoreError(
                f"cannot write {self.report}: {error.strerror}",
                hint="make room there, then: kale-pm report",
            ) from error


@dataclass(frozen=True, repr=False)
class FetchedRun(Run):
    """A run on a KFP server, as far as it could be brought here.

    ``lacks`` says, for each step, what of it is not to be had.
    """

    lacks: Mapping[str, tuple[Lack, ...]] = field(default_factory=dict)


def load(
    path: str | Path,
    *,
    infer_edges: bool = False,
    strict: bool = False,
    **settings: Any,
) -> Pipeline:
    """Read and understand a tagged notebook.

    ``infer_edges`` lets single steps without a ``prev:`` follow their data, ``strict`` makes
    every warning an error, ``settings`` override those of the notebook's metadata.  Problems
    are collected, not raised: see ``Pipeline.check``.  Raises NotebookError where the file
    is no notebook or has no step.
    """
    pipeline = understand(read(Path(path), settings), infer=infer_edges, strict=strict)
    return Pipeline(**{name: getattr(pipeline, name) for name in pipeline.__dataclass_fields__})


def run(path: str | Path, **parameters: Any) -> Run:
    """Run a notebook on this machine; see :meth:`Pipeline.run`."""
    return load(path).run(**parameters)


def compile(path: str | Path, output: str | Path | None = None, **options: Any) -> CompileResult:  # noqa: A001
    """Compile a notebook for Kubeflow Pipelines; see :meth:`Pipeline.compile`."""
    return load(path).compile(output, **options)


def fetch(
    name: str,
    step: str | None = None,
    *,
    host: str | None = None,
    namespace: str | None = None,
    authentication: str | None = None,
    token_file: str | Path | None = None,
    ca: str | Path | None = None,
    verify: bool = True,
    notebook: str | Path | None = None,
    folder: str | Path | None = None,
    variables: bool = False,
) -> FetchedRun:
    """Bring a run here from a KFP server, however far it is, or only one step of it.

    ``name`` is the run's id or the address of its page.  It becomes a run as those of this
    machine are, of the same id; what an earlier fetch has brought stays.  The server is said as
    for :meth:`Pipeline.submit`.  What is left out the ``notebook`` says, if it is given, and
    ``.kale-pm`` lies beside it; else that is looked for as for :func:`find_run`.  ``folder``
    is where it shall lie instead.  With ``variables`` their values come too.

    Raises ServerError, UsageError, StoreError, or NotebookError where the notebook cannot be
    read.
    """
    from kale_pm.kfp.server.access import Access
    from kale_pm.kfp.server.bringing import Places
    from kale_pm.kfp.server.fetch import fetch_run, named_run
    from kale_pm.local import read_run
    from kale_pm.local.store import write_run

    run_id, named_host = named_run(name)
    source = read(Path(notebook)) if notebook is not None else None
    access = Access(
        host=host or named_host,
        namespace=namespace,
        authentication=authentication,
        token_file=_path(token_file),
        ca=_path(ca),
        verify=verify,
    )
    server = access.settled(
        source.configuration if source else None, source.folder if source else None
    )
    store = _store_for(_path(folder), source)
    store.prepare()
    target = store.runs / run_id
    try:
        before = read_run(target)
    except StoreError:
        before = None
    try:
        fetched = fetch_run(
            server.connect(),
            run_id,
            Places(target, store.packs),
            step=step,
            variables=variables,
            before=before,
        )
    except OSError as error:
        raise StoreError(
            f"cannot write to {target}: {error.strerror or error}", hint="make room there"
        ) from error
    path = source.path if source else store.folder.parent / f"{fetched.record.pipeline}.ipynb"
    record = replace(fetched.record, notebook=str(path.resolve()))
    write_run(record, target)
    run = FetchedRun(record, target, fetched.lacks)
    run.write_report()
    return run


def _store_for(folder: Path | None, source: model.Pipeline | None) -> Store:
    from kale_pm.local import find_store, store_in

    if folder is None and source is not None:
        folder = source.folder
    if folder is not None:
        return store_in(folder)
    try:
        return find_store(Path())
    except StoreError:
        return store_in(Path())


def find_run(name: str = "latest", *, near: str | Path | None = None) -> Run:
    """A run by its id, ``latest``, its folder, or the notebook whose newest run is meant.

    ``near`` is where the search for ``.kale-pm`` starts: by default the notebook's folder,
    or the working directory.  Raises StoreError if there is no such run, or it is damaged,
    NotebookError where the notebook cannot be read.
    """
    from kale_pm.local import find_store, read_run

    path = Path(name)
    if (path / "run.json").exists():
        return Run(read_run(path.resolve()), path.resolve())
    if path.suffix == ".ipynb" or path.is_file():
        pipeline = read(path).name
        try:
            folder = find_store(Path(near or path.parent)).find_run(f"latest-{pipeline}")
        except StoreError as error:
            raise StoreError(
                f"{path} has no run", hint=f"run it first: kale-pm run {path}"
            ) from error
    else:
        folder = find_store(Path(near or ".")).find_run(name)
    return Run(read_run(folder), folder)


def find_runs(where: str | Path | None = None, *, near: str | Path | None = None) -> list[Run]:
    """All runs of a notebook or of a folder (default: the working directory), newest first.

    ``near`` is where the search for ``.kale-pm`` starts: by default ``where``.  Runs that
    cannot be read are left out.  Raises StoreError if there is no ``.kale-pm``, NotebookError
    where the notebook cannot be read.
    """
    from kale_pm.local.results.history import locate, read_history

    store, pipeline = locate(_path(where), _path(near))
    return [Run(past.record, past.folder) for past in read_history(store, pipeline).runs]


def _path(path: str | Path | None) -> Path | None:
    return None if path is None else Path(path)


__all__ = [
    "FetchedRun",
    "Pipeline",
    "Run",
    "RunStep",
    "compile",
    "fetch",
    "find_run",
    "find_runs",
    "load",
    "run",
]
