"""A script as its own command line: ``python script.py``, ``python script.py --kfp``.

The commands are those of ``kale-pm``, of which the script is the notebook.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kale_pm.errors import KalePmError, UsageError
from kale_pm.face import Pipeline, Run
from kale_pm.face.pipeline import standing_for
from kale_pm.sdk.decorators import PipelineFunction
from kale_pm.sdk.definition import define
from kale_pm.sdk.reading import read_pipeline
from kale_pm.sdk.traced import TracedPipeline

_COMMANDS = ("run", "check", "show", "slice", "compile", "submit", "sweep")
_HELP = """\
python {script}              run the pipeline on this machine
python {script} --kfp        run it on a KFP server; with --dry-run nothing is sent
python {script} COMMAND      check, show, slice, compile, sweep, as kale-pm does with a notebook

Each takes the options of that command of kale-pm, such as these (see COMMAND --help):
"""
_called: list[PipelineFunction] = []


def run_as_script(
    function: PipelineFunction, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Run | None:
    """Do with the pipeline what the command line of this process says; the run, if it was one.

    Whatever goes wrong is told, and ends the process.
    """
    from kale_pm.console import prepare, show_error

    _called.append(function)
    prepare()
    try:
        return _carry_out(function, args, kwargs, sys.argv[1:])
    except KalePmError as error:
        show_error(error)
        sys.exit(error.exit_code)


def run_file(path: Path, arguments: Sequence[str]) -> None:
    """Run the script at ``path`` as ``python`` does, with ``arguments`` as its command line.

    A pipeline that it defines and does not call is called; with several of them it is an error.
    """
    from kale_pm.console import prepare, show_error

    prepare()
    sys.argv = [str(path), *arguments]
    sys.path[0] = str(path.parent.resolve())
    main = types.ModuleType("__main__")
    main.__file__ = str(path.resolve())
    sys.modules["__main__"] = main
    try:
        # What this file imports from __future__ is none of the script's business.
        code = compile(path.read_bytes(), str(path), "exec", dont_inherit=True)
        exec(code, main.__dict__)
        if not _called:
            run_as_script(_only_pipeline(path, vars(main)), (), {})
    except KalePmError as error:
        show_error(error)
        sys.exit(error.exit_code)


def _only_pipeline(path: Path, names: Mapping[str, Any]) -> PipelineFunction:
    found = [thing for thing in names.values() if isinstance(thing, PipelineFunction)]
    if not found:
        raise UsageError(
            f"{path} has no pipeline",
            hint="decorate a function with @pipeline of kale_pm.sdk; notebooks are run by "
            f"kale-pm run {path}",
        )
    if len(found) > 1:
        titles = ", ".join(each.function.__name__ for each in found)
        raise UsageError(
            f"{path} has several pipelines and calls none: {titles}",
            hint=f'end it with: if __name__ == "__main__": {found[0].function.__name__}()',
        )
    return found[0]


def _carry_out(
    function: PipelineFunction,
    args: Sequence[Any],
    kwargs: Mapping[str, Any],
    arguments: Sequence[str],
) -> Run | None:
    from kale_pm.console import say

    definition = define(function, args, kwargs)
    path = Path(definition.source.file)
    made: list[TracedPipeline] = []

    def make(strict: bool, settings: Mapping[str, Any]) -> Pipeline:
        made.append(read_pipeline(definition, strict=strict, overrides=settings))
        return made[-1]

    command, rest = _command(arguments)
    if {"-h", "--help"} & {*arguments} and arguments[0] not in _COMMANDS:
        say(_HELP.format(script=path.name))
    with standing_for(path, make):
        _invoke([command, str(path), *rest])
    return next((run for pipeline in made for run in pipeline.runs), None)


def _command(arguments: Sequence[str]) -> tuple[str, list[str]]:
    """The command that the script's arguments mean, and those that are left for it."""
    rest = list(arguments)
    if "--watch" in rest:
        raise UsageError(
            "--watch is for notebooks: what a script defines is known only when it runs",
            hint="run the script again: steps that have not changed are reused",
        )
    if rest and rest[0] in _COMMANDS:
        return rest[0], rest[1:]
    if rest and not rest[0].startswith("-"):
        raise UsageError(
            f"a script has no command '{rest[0]}'",
            hint=f"it has {', '.join(_COMMANDS)}; what is done with runs is done by kale-pm",
        )
    if "--kfp" in rest:
        return "submit", [each for each in rest if each != "--kfp"]
    if "--dry-run" in rest:
        raise UsageError("--dry-run goes with --kfp", hint="without it: --explain")
    return "run", rest


def _invoke(arguments: Sequence[str]) -> None:
    """Carry out a command of ``kale-pm``; what it ends with ends the process, but for success."""
    from kale_pm.cli import app

    try:
        app(list(arguments), prog_name=f"python {Path(sys.argv[0]).name}")
    except SystemExit as end:
        if end.code:
            raise
