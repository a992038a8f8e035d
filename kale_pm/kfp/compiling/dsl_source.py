"""The DSL file: a plan written down as Python that a person enjoys to read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from inspect import getsource
from textwrap import fill, indent

from kale_pm import __version__
from kale_pm.kfp.compiling.bundle import closing_archive, selecting_archive
from kale_pm.kfp.compiling.claims import CLAIMS_TASK, INDENT, naming
from kale_pm.kfp.compiling.component import ANY_TASK, EXIT_TASK, OUTPUTS, RUNTIME_TASK, Component
from kale_pm.kfp.compiling.folding import fold, rename_steps
from kale_pm.kfp.compiling.functions import bundle_name
from kale_pm.kfp.compiling.loop import ITEM, ITEMS, LAST_FUNCTION, LAST_TASK, Loop
from kale_pm.kfp.compiling.package import heading
from kale_pm.kfp.compiling.parts import Part
from kale_pm.kfp.compiling.plan import Plan
from kale_pm.kfp.compiling.python_text import (
    WIDTH,
    block,
    call,
    docstring,
    literal,
    printable,
    table,
)
from kale_pm.trials.collected import METRICS, PARAMETER

# The expression for an artifact, by the step that gives it and its output.
Source = Callable[[str, str], str]
_RUNTIME = f'{RUNTIME_TASK}.outputs["archive"]'


def dsl_source(plan: Plan) -> str:
    """The source of a module whose ``pipeline`` is the compiled function of the plan."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("kale_pm.kfp", "compiling"),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        autoescape=False,
    )
    environment.filters.update(block=block, call=call, docstring=docstring, literal=literal)
    description = printable(plan.pipeline.configuration.description)
    body = _body(plan)
    parts = [_part_source(plan, part) for part in plan.parts]
    tasks = [body, *(part.body for part in parts)]
    return environment.get_template("pipeline.py.j2").render(
        title=plan.pipeline.name,
        notebook=plan.pipeline.path.name,
        version=__version__,
        name=plan.name,
        description=description,
        pipeline_config=list(_pipeline_config(plan)),
        parameters=plan.parameters,
        outputs=OUTPUTS,
        body=body,
        parts=parts,
        folded=plan.folded,
        fold=f"{getsource(fold)}\n\n{getsource(rename_steps)}".rstrip(),
        heading=heading(plan.name, description),
        experiment=plan.pipeline.configuration.experiment,
        uses_kubernetes=any("kubernetes." in text for text in tasks),
        has_volume=plan.volumes.shared is not None,
        claim_names=naming(plan.volumes.claims),
        closing=plan.closing,
        closing_archive=closing_archive() if plan.closing else "",
        closing_packages=plan.closing_packages,
        sweep=plan.loop,
        items=map(table, plan.loop.items) if plan.loop else (),
        looped={plan.functions[step].name for step in plan.loop.keys} if plan.loop else (),
        selecting_archive=selecting_archive() if plan.loop else "",
        components=plan.components,
        functions=tuple({each.name: each for each in plan.functions.values()}.values()),
        bundles={bundle_name(each): plan.bundles[each.step.name] for each in plan.components},
        runtime=plan.runtime,
        shared=plan.shared,
        default=plan.default,
    )


@dataclass(frozen=True)
class PartSource:
    """A part as the template writes it: ``arguments`` with their types, ``outputs`` by name."""

    part: Part
    arguments: tuple[str, ...]
    outputs: tuple[str, ...]
    body: str


def _pipeline_config(plan: Plan) -> Iterator[str]:
    if timeout := plan.pipeline.configuration.timeout:
        yield f"active_deadline_seconds={timeout}"
    yield from plan.volumes.config


def _body(plan: Plan) -> str:
    """What the pipeline function does: all tasks, in paragraphs, within that of the exit task."""
    paragraphs = []
    if plan.shared:
        paragraphs.append([f"{RUNTIME_TASK} = carry_runtime()", *plan.service[RUNTIME_TASK]])
    if plan.volumes.before:
        paragraphs.append([*plan.volumes.before, *plan.service[CLAIMS_TASK]])
    if plan.loop is not None:
        return _swept_body(plan, plan.loop, paragraphs)
    if plan.parts:
        paragraphs += _part_calls(plan)
    else:
        paragraphs += _tasks(plan, plan.components, _outputs_of(plan.components), _RUNTIME)
    body = _indented(paragraphs)
    if plan.closing is None:
        return body
    first = [*plan.closing.lines, *plan.service[EXIT_TASK]]
    opening = _indented([[*first, f"with dsl.ExitHandler({EXIT_TASK}):"]])
    return f"{opening}\n{indent(body, INDENT)}"


def _swept_body(plan: Plan, loop: Loop, paragraphs: list[list[str]]) -> str:
    """What the trials share, the loop over them, and the last step; there is no exit task."""
    source = _outputs_of(plan.components)
    before = [each for each in plan.components if each.step.name not in loop.keys]
    inside = [each for each in plan.components if each.step.name in loop.keys]
    if before:
        paragraphs += _tasks(plan, before, source, _RUNTIME)
    items = [f"items={ITEMS}", 'name="trials"', f"parallelism={loop.parallelism}"]
    opening = f"{INDENT}with {call('dsl.ParallelFor', items)} as {ITEM}:"
    body = indent(_indented(_tasks(plan, inside, source, _RUNTIME, loop.value)), INDENT)
    arguments = [f"{PARAMETER}{p.kfp_name}={p.kfp_name}" for p in loop.fixed]
    for component in plan.components:
        step = component.step.name
        summary = source(step, "summary")
        given = f"dsl.Collected({summary})" if step in loop.keys else summary
        arguments.append(f"{METRICS}{step}={given}")
    last = [
        call(f"{LAST_TASK} = {LAST_FUNCTION}", arguments, INDENT),
        call(f"{LAST_TASK}.set_caching_options", [literal(plan.pipeline.configuration.cache)]),
        *plan.service[LAST_TASK],
    ]
    parts = [_indented(paragraphs), f"{opening}\n{body}", _indented([last])]
    return "\n\n".join(filter(None, parts))


def _part_source(plan: Plan, part: Part) -> PartSource:
    """The function of a part.

    Its parameters are prefixed as those of steps are, so that none is called like an artifact.
    """
    own = _outputs_of(part.components)
    taken = {source: name for name, source in part.takes.items()}

    def source(step: str, output: str) -> str:
        return taken.get((step, output)) or own(step, output)

    paragraphs = _tasks(plan, part.components, source, "runtime", parameter="p_{}".format)
    if part.gives:
        outputs = [f"{name}={own(*origin)}" for name, origin in part.gives.items()]
        paragraphs.append([call(f"return {part.outputs}", outputs, INDENT)])
    body = _indented(paragraphs)
    for claim in plan.volumes.claims:
        body = body.replace(claim.name, claim.variable)
    arguments = [f"{claim.variable}: str" for claim in plan.volumes.claims]
    arguments += [f"p_{p.kfp_name}: {p.type}" for p in part.parameters]
    arguments = arguments or ["part: int"]
    arguments += [f"{name}: dsl.Input[dsl.Artifact]" for name in (*part.takes, "runtime")]
    return PartSource(part, tuple(arguments), tuple(part.gives), body)


def _part_calls(plan: Plan) -> Iterator[list[str]]:
    tasks = {each.step.name: part.task for part in plan.parts for each in part.components}
    for part in plan.parts:
        arguments = [f"{claim.variable}={claim.name}" for claim in plan.volumes.claims]
        arguments += [f"p_{p.kfp_name}={p.kfp_name}" for p in part.parameters]
        # Without any parameter kfp.local would bring it no artifact either.
        arguments = arguments or [f"part={part.number}"]
        arguments += [
            f'{name}={tasks[step]}.outputs["{name}"]' for name, (step, _) in part.takes.items()
        ]
        arguments.append(f"runtime={_RUNTIME}")
        yield [
            call(f"{part.task} = {part.function}", arguments, INDENT),
            call(f"{part.task}.set_display_name", [literal(part.title)]),
        ]


def _outputs_of(components: Sequence[Component]) -> Source:
    variables = {component.step.name: component.task for component in components}
    return lambda step, output: f'{variables[step]}.outputs["{output}"]'


def _tasks(
    plan: Plan,
    components: Sequence[Component],
    source: Source,
    runtime: str,
    parameter: Callable[[str], str] = str,
) -> list[list[str]]:
    """The tasks with their settings, a paragraph each.

    ``runtime`` is the expression for the carried runtime, ``parameter`` gives that for a
    parameter of the pipeline.
    """
    paragraphs = []
    for component in components:
        arguments = list(_arguments(plan, component, source, parameter))
        if plan.shared:
            arguments.append(f"runtime={runtime}")
        step = component.step.name
        task = call(f"{component.task} = {plan.functions[step].name}", arguments, INDENT)
        paragraphs.append([task, *plan.settings[step]])
    if lines := plan.volumes.for_task(ANY_TASK):
        tasks = ", ".join(component.task for component in components)
        loop = fill(f"for {ANY_TASK} in [{tasks}]:", WIDTH, subsequent_indent=INDENT * 2)
        paragraphs.append([loop, *(indent(line, INDENT) for line in lines)])
    return paragraphs


def _arguments(
    plan: Plan, component: Component, source: Source, parameter: Callable[[str], str]
) -> Iterator[str]:
    function = plan.functions[component.step.name]
    own = {"step": literal(component.step.name), "bundle": f"{bundle_name(component)}()"}
    yield from (f"{name}={own[name]}" for name in function.arguments)
    yield from (f"p_{p.kfp_name}={parameter(p.kfp_name)}" for p in component.parameters)
    if plan.loop is not None and component.step.name in plan.loop.keys:
        yield f"trial={ITEM}.{plan.loop.keys[component.step.name]}"
    for name, (step, output) in zip(function.inputs, component.inputs.values(), strict=True):
        yield f"{name}={source(step, output)}"
    if plan.volumes.shared is not None:
        yield f"volume={plan.volumes.shared.path}"


def _indented(paragraphs: list[list[str]]) -> str:
    # The lines after the first of a long call are indented already.
    return "\n\n".join("\n".join(INDENT + line for line in lines) for lines in paragraphs)
