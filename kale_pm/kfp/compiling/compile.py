"""From a pipeline to the file that a KFP server takes.

There is one road: the DSL file is written first, imported, and compiled by KFP's own
compiler.  So what ``--py`` shows is what was compiled.
"""

from __future__ import annotations

import importlib.util
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from kale_pm.errors import CompileError
from kale_pm.kfp.compiling.dsl_source import dsl_source
from kale_pm.kfp.compiling.plan import Plan, plan
from kale_pm.kfp.compiling.sizes import StepSize, argument_size, check_sizes
from kale_pm.model import Pipeline
from kale_pm.runtime.atomic import replacing

MODULE = "kale_pm_compiled_pipeline"


@dataclass(frozen=True)
class CompileResult:
    """What was written.  ``size`` counts the bytes of ``path``, ``sizes`` go by the step."""

    path: Path
    dsl_path: Path | None
    size: int
    warnings: tuple[str, ...]
    sizes: Mapping[str, StepSize]


def compile_pipeline(
    pipeline: Pipeline,
    output: Path,
    *,
    dsl: Path | None = None,
    install: bool = True,
    image: str | None = None,
) -> CompileResult:
    """Compile ``pipeline`` to the YAML file ``output``, and the Python file ``dsl`` if asked.

    ``install`` lets every step install its packages when it starts; without it the image must
    have them, papermill and kfp included.  ``image`` is for steps without an ``image:`` tag.
    Equal input gives equal bytes; existing files are replaced.

    Raises PipelineError if the notebook has errors, CompileError if KFP cannot run it.
    """
    if output.suffix not in (".yaml", ".yml"):
        raise CompileError(
            f"{output}: a compiled pipeline is a YAML file", hint="end the name with .yaml"
        )
    if not pipeline.is_analysed:
        raise CompileError(
            f"{pipeline.path}: its cells are {pipeline.language}, and the pods run Python kernels",
            hint="run it here, or write its steps as cells of a Python notebook with a magic such "
            "as %%bash, in an image that has what they call",
        )
    planned = plan(pipeline, install=install, image=image)
    source = dsl_source(planned)
    package = compile_source(source)
    sizes = _sizes(planned, package)
    warnings = (*planned.warnings, *check_sizes(sizes, len(package)))
    if dsl is not None:
        _write(dsl, source.encode())
    _write(output, package)
    return CompileResult(output, dsl, len(package), warnings, sizes)


def compile_source(source: str) -> bytes:
    """Import the DSL file ``source`` and let KFP compile its ``pipeline``."""
    from kfp import compiler

    with tempfile.TemporaryDirectory(prefix="kale-pm-") as folder:
        file = Path(folder) / f"{MODULE}.py"
        file.write_text(source, encoding="utf-8")
        package = Path(folder) / "pipeline.yaml"
        spec = importlib.util.spec_from_file_location(MODULE, file)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        # KFP reads the source of the functions, and finds it through their module.
        sys.modules[MODULE] = module
        try:
            spec.loader.exec_module(module)
            compiler.Compiler().compile(module.pipeline, str(package))
        finally:
            del sys.modules[MODULE]
        return package.read_bytes()


def _sizes(planned: Plan, package: bytes) -> dict[str, StepSize]:
    import yaml

    # libyaml's loader is many times faster on long strings, where it was built in.
    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    spec = next(yaml.load_all(package, Loader=loader))
    executors = spec["deploymentSpec"]["executors"]
    return {
        part.step.name: StepSize(
            argument=argument_size(executors[f"exec-{part.kfp_name}"]["container"]),
            bundle=len(planned.bundles[part.step.name]),
            runtime=0 if planned.shared else len(planned.runtime),
        )
        for part in planned.components
    }


def _write(path: Path, content: bytes) -> None:
    try:
        with replacing(path) as temporary:
            temporary.write_bytes(content)
    except OSError as error:
        raise CompileError(
            f"cannot write {path}: {error.strerror}", hint="choose another place with -o"
        ) from error
