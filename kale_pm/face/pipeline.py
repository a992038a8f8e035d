"""A notebook understood, as an object with verbs; and the same verbs as functions of its path."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kale_pm import model
from kale_pm.analysis import understand
from kale_pm.errors import NotebookError
from kale_pm.events import Listener, ignore
from kale_pm.face.counts import count_or_none
from kale_pm.face.paths import path_of
from kale_pm.face.runs import Run
from kale_pm.face.sweeping import SweepVerbs
from kale_pm.notebook import read

if TYPE_CHECKING:
    from nbformat import NotebookNode

    from kale_pm.kfp import CompileResult
    from kale_pm.kfp.cluster_run import ClusterRun, Schedule
    from kale_pm.local import RunOptions


class Pipeline(SweepVerbs):
    """A notebook understood, with what can be done with it."""

    def check(self) -> tuple[model.Problem, ...]:
        """The problems of the notebook, errors first."""
        return self.problems

    @property
    def check_command(self) -> str:
        """What shows the problems in a terminal."""
        return f"kale-pm check {self.path}"

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
            folder=path_of(folder),
            jobs=count_or_none("jobs", jobs),
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
            folder=path_of(folder),
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
            path_of(output) or self.path.with_suffix(".yaml"),
            dsl=path_of(dsl),
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
        any; the other options are those of kale_pm.kfp.submission.SubmitOptions.  With ``cron`` a
        schedule is given back, else the run, for which ``wait()`` waits.
        Raises PipelineError, CompileError, UsageError, ServerError or ClusterError.
        """
        from kale_pm.kfp.server.access import Access
        from kale_pm.kfp.submission import SubmitOptions
        from kale_pm.kfp.submit import submit_pipeline

        access = Access(
            host=host,
            namespace=namespace,
            authentication=authentication,
            token_file=path_of(token_file),
            ca=path_of(ca),
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


Maker = Callable[[bool, Mapping[str, Any]], Pipeline]
_makers: dict[Path, Maker] = {}


@contextmanager
def standing_for(path: Path, make: Maker) -> Iterator[None]:
    """Within, :func:`load` of ``path`` gives what ``make(strict, settings)`` makes.

    A script that runs defines its pipeline itself: reading its file would tell nothing.
    """
    _makers[path.resolve()] = make
    try:
        yield
    finally:
        del _makers[path.resolve()]


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
    make = _makers.get(Path(path).resolve()) if _makers else None
    if make is not None:
        return make(strict, settings)
    try:
        outlined = read(Path(path), settings)
    except NotebookError as error:
        raise _about_script(Path(path)) or error from None
    pipeline = understand(outlined, infer=infer_edges, strict=strict)
    return Pipeline(**{name: getattr(pipeline, name) for name in pipeline.__dataclass_fields__})


def _about_script(path: Path) -> NotebookError | None:
    """What to say of a file that is no notebook, but a script: the way to run it."""
    if path.suffix != ".py" or not path.is_file():
        return None
    if "kale_pm.sdk" not in path.read_text(encoding="utf-8", errors="replace"):
        return None
    names, folder = [path.stem], path.resolve().parent
    while (folder / "__init__.py").is_file():
        names, folder = [folder.name, *names], folder.parent
    started = f"python -m {'.'.join(names)}" if len(names) > 1 else f"python {path}"
    return NotebookError(path, "it is a script, not a notebook", hint=f"run it: {started}")


def run(path: str | Path, **parameters: Any) -> Run:
    """Run a notebook on this machine; see :meth:`Pipeline.run`."""
    return load(path).run(**parameters)


def compile(path: str | Path, output: str | Path | None = None, **options: Any) -> CompileResult:  # noqa: A001
    """Compile a notebook for Kubeflow Pipelines; see :meth:`Pipeline.compile`."""
    return load(path).compile(output, **options)
