"""A script as its own command line: ``python script.py``, ``python script.py --kfp``.

The commands are those of ``kale-pm``, of which the script is the notebook.
"""

from __future__ import annotations

import sys
import types
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from kale_pm.errors import KalePmError, UsageError
from kale_pm.face import Pipeline, Run
from kale_pm.face.pipeline import standing_for
from kale_pm.sdk.decorators import PipelineFunction
from kale_pm.sdk.script.program import end_with, program
from kale_pm.sdk.script.traced import TracedPipeline
from kale_pm.sdk.script.wording import in_words_of_a_script, tell_of_a_script
from kale_pm.sdk.tracing.definition import define
from kale_pm.sdk.writing.document import notebook_path
from kale_pm.sdk.writing.reading import read_pipeline
from kale_pm.terminal.commands import typed_in
from kale_pm.user_frames import traceback_for_users

_FOR_NOTEBOOKS = ("watch", "infer_edges")  # options that mean nothing where code says it all
_COMMANDS = ("run", "check", "show", "slice", "compile", "submit", "sweep")
_HELP = """\
{program}              run the pipeline on this machine
{program} --kfp        run it on a KFP server; with --dry-run nothing is sent
{program} COMMAND      check, show, slice, compile, sweep, as kale-pm does with a notebook

Each takes the options of that command of kale-pm, such as these (see COMMAND --help):
"""
_OWN = (
    "if it is for the script itself: {name}.to_pipeline(...).run() takes no command line, and "
    "python -m kale_pm {path} OPTIONS OF THE PIPELINE -- OPTIONS OF THE SCRIPT parts the two"
)
_called: list[PipelineFunction] = []
_before_the_script_s: list[list[str]] = []  # what ``python -m kale_pm`` was told before ``--``


def run_as_script(
    function: PipelineFunction, args: Sequence[Any], kwargs: Mapping[str, Any]
) -> Run | None:
    """Do with the pipeline what the command line of this process says; the run, if it was one.

    Whatever goes wrong is told, and ends the process; so does ``--help``.
    """
    from kale_pm.console import prepare

    _called.append(function)
    prepare()
    try:
        arguments = _before_the_script_s[-1] if _before_the_script_s else sys.argv[1:]
        return _carry_out(function, args, kwargs, arguments)
    except KalePmError as error:
        tell_of_a_script(error)
        end_with(error)


def run_file(path: Path, arguments: Sequence[str]) -> None:
    """Run the script at ``path`` as ``python`` does, with ``arguments`` as its command line.

    Where ``--`` parts these, what stands before it is for the pipeline, and the script sees only
    what stands behind.  A pipeline that it defines and does not call is called; with several of
    them it is an error.
    """
    if "--" in arguments:
        end = arguments.index("--")
        _before_the_script_s.append(list(arguments[:end]))
        arguments = arguments[end + 1 :]
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
        end_with(error)
    except Exception as error:  # noqa: BLE001 - the script's own, told as Python would tell it
        traceback = traceback_for_users(error)
        sys.excepthook(type(error), error.with_traceback(traceback), traceback)
        sys.exit(1)


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

    own = _OWN.format(name=function.function.__name__, path=sys.argv[0])
    command, rest = _command(arguments, own)
    if {"-h", "--help"} & {*arguments} and arguments[0] not in _COMMANDS:
        say(_HELP.format(program=program()))
    with ExitStack() as stack:
        # A sweep that is tried again asks for what its record names.
        for each in {path.resolve(), notebook_path(definition).resolve()}:
            stack.enter_context(standing_for(each, make))
        stack.enter_context(typed_in(program()))
        _invoke(command, path, rest, own)
    return next((run for pipeline in made for run in pipeline.runs), None)


def _command(arguments: Sequence[str], own: str) -> tuple[str, list[str]]:
    """The command that the script's arguments mean, and those that are left for it.

    ``own`` says what to do about arguments of the script's own.
    """
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
            hint=f"it has {', '.join(_COMMANDS)}; what is done with runs is done by kale-pm\n{own}",
        )
    if "--kfp" in rest:
        return "submit", [each for each in rest if each != "--kfp"]
    if "--dry-run" in rest:
        raise UsageError("--dry-run goes with --kfp", hint="without it: --explain")
    return "run", rest


def _invoke(name: str, path: Path, arguments: Sequence[str], own: str) -> None:
    """Carry out a command of ``kale-pm``, of which the script at ``path`` is the notebook.

    What it ends with ends the process, but for success: then the script goes on, unless nothing
    was carried out (``--help``, what a shell asks to complete a line).
    """
    from typer.main import get_group

    from kale_pm.cli import app
    from kale_pm.console import show_hint

    group = get_group(app)
    command = group.commands[name]
    (notebook,) = [each for each in command.params if each.param_type_name == "argument"]
    assert notebook.name is not None
    assert command.callback is not None
    # Nobody has to name the script once more: so its usage does not ask for it.
    others = (each for each in command.params if each.name not in _FOR_NOTEBOOKS)
    command.params = [each for each in others if each is not notebook]
    documented: list[Any] = [command, *command.params]
    for each in documented:
        each.help = in_words_of_a_script(each.help or "")
    carry_out = partial(command.callback, **{notebook.name: str(path)})
    begun: list[str] = []

    def begin(**options: Any) -> Any:
        begun.append(name)
        return carry_out(**options)

    command.callback = begin
    try:
        group([name, *arguments], prog_name=program())
    except SystemExit as end:
        if getattr(end.__context__, "option_name", None):
            show_hint(own)
        if end.code or not begun:
            raise
