"""What several commands do."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kale_pm.console import say, show_refusal, show_warning
from kale_pm.errors import ClusterError, DamagedRecord, KalePmError, StoreError, UsageError

if TYPE_CHECKING:
    from kale_pm.face import Pipeline, Run, Sweep
    from kale_pm.kfp.server.access import Access
    from kale_pm.sweep import Plan

INTERRUPTED = 130  # the exit code of what a signal cut short


def load_pipeline(notebook: Path, strict: bool = False, infer_edges: bool = False) -> Pipeline:
    from kale_pm.face import load

    return load(notebook, strict=strict, infer_edges=infer_edges)


def refuse_errors(pipeline: Pipeline, codes: set[str] | None = None) -> None:
    """End with exit code 1 if the pipeline has errors, of ``codes`` if there are any."""
    errors = [problem for problem in pipeline.errors if codes is None or problem.code in codes]
    if errors:
        show_refusal(pipeline, errors)
        raise typer.Exit(1)


def given_parameters(texts: Iterable[str] | None) -> dict[str, str]:
    """The values of ``-p NAME=VALUE``, by name.  Raises UsageError."""
    from kale_pm.notebook import parse_assignment

    return dict(parse_assignment(text) for text in texts or ())


def chosen_run(name: str, folder: Path | None) -> Run:
    """The run of this name; of a sweep the trial that ``SWEEP:best`` or ``SWEEP:7`` names.

    Raises StoreError if there is none or it is damaged, UsageError for a sweep as a whole or a
    number that no trial has.
    """
    from kale_pm.face import find_run, find_sweep

    sweep_name, colon, trial = name.rpartition(":")
    if colon and (trial == "best" or trial.isdecimal()):
        sweep = find_sweep(sweep_name, near=folder)
        return (sweep.best if trial == "best" else sweep.trial(int(trial))).run
    try:
        return find_run(name, near=folder)
    except StoreError:
        of_trial = _of_trial(name, folder)
        if of_trial is not None:
            return of_trial
        found = sweep_called(name, folder)
        if found is None:
            raise
    which = f"{name}:best" if found.goal is not None else f"{name}:1"
    raise UsageError(
        f"{name} is a sweep, not a run", hint=f"name one of its trials: {which}, {found.id}.0001"
    )


def _of_trial(name: str, folder: Path | None) -> Run | None:
    """The newest run of the trial that ``SWEEP.0007`` names; None where SWEEP is none.

    Raises UsageError for a number that no trial has, StoreError for a trial without a run.
    """
    sweep_name, dot, number = name.rpartition(".")
    sweep = sweep_called(sweep_name, folder) if dot and number.isdecimal() else None
    return sweep.trial(int(number)).run if sweep else None


def sweep_called(name: str, folder: Path | None) -> Sweep | None:
    """The sweep of this name, if there is one.  Raises DamagedRecord where nobody can read it."""
    from kale_pm.face import find_sweep

    try:
        return find_sweep(name, near=folder)
    except DamagedRecord:
        raise
    except KalePmError:
        return None


def image_of_steps(pipeline: Pipeline, named: str | None) -> str | None:
    """The image that the option ``named`` or the settings name, else this notebook server's own.

    None leaves it to the compiler.  That it is the server's is told, and so is a server that
    may not be asked.
    """
    from kale_pm.kfp.cluster.notebook_server import notebook_server

    if named or pipeline.configuration.image:
        return named or pipeline.configuration.image
    try:
        server = notebook_server(os.environ)
    except ClusterError as error:
        show_warning(f"{error}; so the steps start from a stock image: name one with --image")
        return None
    if server is None:
        return None
    say(f"image {server.image}  (this notebook server's)")
    return server.image


def are_certificates_checked(ca: Path | None, insecure: bool) -> bool:
    """What ``--ca`` and ``--insecure`` ask for.  Raises UsageError where they are both given."""
    if insecure and ca is not None:
        raise UsageError("--insecure believes any certificate, --ca only some: choose one")
    return not insecure


def server_access(
    host: str | None,
    namespace: str | None,
    authentication: str | None,
    *,
    token_file: Path | None,
    ca: Path | None,
    insecure: bool,
) -> Access:
    """What the options say of the server.  Raises UsageError as are_certificates_checked does."""
    from kale_pm.kfp.server.access import Access

    verify = are_certificates_checked(ca, insecure)
    return Access(host, namespace, authentication, token_file, ca, verify)


def described(plan: Plan) -> dict[str, object]:
    """The trials of a plan for a program."""
    return {
        "trials": [
            {"number": trial.number, "parameters": trial.parameters} for trial in plan.trials
        ],
        "varied": plan.varied,
    }


class Warnings:
    """Warnings as they come, each once: printed for people, kept for a program."""

    def __init__(self, as_json: bool) -> None:
        self.texts: list[str] = []
        self._is_quiet = as_json

    def add(self, *texts: str) -> None:
        for text in texts:
            if text not in self.texts:
                self.texts.append(text)
                if not self._is_quiet:
                    show_warning(text)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """What cannot be written in the block is an error of the user's choice of a place."""
    try:
        yield
    except OSError as error:
        raise UsageError(
            f"cannot write {error.filename or path}: {error.strerror}", hint="choose another place"
        ) from error
