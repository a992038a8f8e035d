"""What a KFP server is sent: the compiled pipeline, and everything that is said about its run."""

from __future__ import annotations

import secrets
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kale_pm.kfp.compiling.compile import compile_pipeline
from kale_pm.kfp.compiling.component import reserved_names
from kale_pm.kfp.parameters import Encoded, encode, kfp_parameters, size_warnings
from kale_pm.kfp.server.schedule import kfp_cron
from kale_pm.kfp.server.upload import version_name
from kale_pm.model import Pipeline
from kale_pm.notebook.values import bind


@dataclass(frozen=True)
class SubmitOptions:
    """How to submit.

    ``parameters`` go by their names in the notebook.  None stands for what the notebook's
    configuration says of ``experiment`` and ``service_account``, for a name that tells when,
    for the server's own ``pipeline_root`` (where artifacts are kept).  ``cron`` makes the
    server start the run again and again.  ``image`` and ``install`` are those of the compiler.
    """

    parameters: Mapping[str, Any] = field(default_factory=dict)
    experiment: str | None = None
    run_name: str | None = None
    service_account: str | None = None
    pipeline_root: str | None = None
    cron: str | None = None
    image: str | None = None
    install: bool = True


@dataclass(frozen=True)
class Prepared:
    """What will be sent: the compiled pipeline, and everything that is said about the run."""

    pipeline: Pipeline
    package: bytes = field(repr=False)
    parameters: Encoded
    experiment: str
    name: str
    mark: str
    cron: str | None
    service_account: str | None
    pipeline_root: str | None
    warnings: tuple[str, ...]

    @property
    def version(self) -> str:
        return version_name(self.package)

    def to_dict(self) -> dict[str, Any]:
        return {
            "pipeline": self.pipeline.name,
            "version": self.version,
            "size": len(self.package),
            "experiment": self.experiment,
            "name": self.name,
            "parameters": dict(self.parameters),
            "service_account": self.service_account,
            "pipeline_root": self.pipeline_root,
            "cron": self.cron,
            "warnings": list(self.warnings),
        }


def prepare(pipeline: Pipeline, options: SubmitOptions) -> Prepared:
    """Compile ``pipeline`` and make up what to send, without a server.

    Raises PipelineError, CompileError, ParameterError, or UsageError for a wrong schedule.
    """
    configuration = pipeline.configuration
    cron = kfp_cron(options.cron) if options.cron is not None else None
    values = bind(pipeline.parameters, options.parameters)
    parameters = encoded(pipeline, {name: values[name] for name in options.parameters})
    package, warnings = _compiled(pipeline, options)
    warnings = (*warnings, *size_warnings(parameters))
    mark = new_mark()
    when = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{mark[-4:]}"
    name = pipeline.name if cron is not None else f"{pipeline.name}-{when}"
    return Prepared(
        pipeline=pipeline,
        package=package,
        parameters=parameters,
        experiment=options.experiment or configuration.experiment,
        name=options.run_name or name,
        mark=mark,
        cron=cron,
        service_account=options.service_account or configuration.service_account,
        pipeline_root=options.pipeline_root,
        warnings=warnings,
    )


def _compiled(pipeline: Pipeline, options: SubmitOptions) -> tuple[bytes, tuple[str, ...]]:
    with tempfile.TemporaryDirectory(prefix="kale-pm-") as folder:
        result = compile_pipeline(
            pipeline,
            Path(folder) / "pipeline.yaml",
            image=options.image,
            install=options.install,
        )
        return result.path.read_bytes(), result.warnings


def encoded(pipeline: Pipeline, values: Mapping[str, Any]) -> Encoded:
    """The values, which are of their parameters' types, by their names in the compiled pipeline.

    Raises ParameterError for one that KFP cannot carry.
    """
    known, _ = kfp_parameters(pipeline, reserved_names(pipeline))
    return {
        known[name].kfp_name: encode(value, known[name].parameter) for name, value in values.items()
    }


def new_mark() -> str:
    """A word that no other run has, and by which it is found again."""
    return f"kale-pm {secrets.token_hex(6)}"
