"""The DSL file: a plan written down as Python that a person enjoys to read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from textwrap import fill, indent

from kale_pm import __version__
from kale_pm.kfp.compiling.bundle import closing_archive
from kale_pm.kfp.compiling.claims import CLAIMS_TASK, INDENT, naming
from kale_pm.kfp.compiling.component import ANY_TASK, EXIT_TASK, OUTPUTS, RUNTIME_TASK, Component
from kale_pm.kfp.compiling.functions import bundle_name
from kale_pm.kfp.compiling.plan import Plan
from kale_pm.kfp.compiling.python_text import WIDTH, block, call, docstring, literal


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
    return environment.get_template("pipeline.py.j2").render(
        title=plan.pipeline.name,
        notebook=plan.pipeline.path.name,
        version=__version__,
        name=plan.name,
        description=plan.pipeline.configuration.description,
        pipeline_config=list(_pipeline_config(plan)),
        parameters=plan.parameters,
        outputs=OUTPUTS,
        body=_body(plan),
        uses_kubernetes="kubernetes." in _body(plan),
        has_volume=plan.volumes.shared is not None,
        claim_names=naming(plan.volumes.claims),
        closing=plan.closing,
        closing_archive=closing_archive() if plan.closing else "",
        closing_packages=plan.closing_packages,
        functions=tuple({each.name: each for each in plan.functions.values()}.values()),
        bundles={bundle_name(part): plan.bundles[part.step.name] for part in plan.components},
        runtime=plan.runtime,
        shared=plan.shared,
        default=plan.default,
    )


def _pipeline_config(plan: Plan) -> Iterator[str]:
    if timeout := plan.pipeline.configuration.timeout:
        yield f"active_deadline_seconds={timeout}"
    yield from plan.volumes.config


def _body(plan: Plan) -> str:
    """What the pipeline function does: all tasks, in paragraphs, within that of the exit task."""
    variables = {part.step.name: part.task for part in plan.components}
    paragraphs = []
    if plan.shared:
        paragraphs.append([f"{RUNTIME_TASK} = carry_runtime()", *plan.service[RUNTIME_TASK]])
    if plan.volumes.before:
        paragraphs.append([*plan.volumes.before, *plan.service[CLAIMS_TASK]])
    for part in plan.components:
        paragraphs.append([_task(plan, part, variables), *plan.settings[part.step.name]])
    if lines := plan.volumes.for_task(ANY_TASK):
        tasks = ", ".join(part.task for part in plan.components)
        loop = fill(f"for {ANY_TASK} in [{tasks}]:", WIDTH, subsequent_indent=INDENT * 2)
        paragraphs.append([loop, *(indent(line, INDENT) for line in lines)])
    body = _indented(paragraphs)
    if plan.closing is None:
        return body
    first = [*plan.closing.lines, *plan.service[EXIT_TASK]]
    opening = _indented([[*first, f"with dsl.ExitHandler({EXIT_TASK}):"]])
    return f"{opening}\n{indent(body, INDENT)}"


def _indented(paragraphs: list[list[str]]) -> str:
    # The lines after the first of a long call are indented already.
    return "\n\n".join("\n".join(INDENT + line for line in lines) for lines in paragraphs)


def _task(plan: Plan, component: Component, variables: Mapping[str, str]) -> str:
    function = plan.functions[component.step.name]
    own = {"step": literal(component.step.name), "bundle": f"{bundle_name(component)}()"}
    arguments = [f"{name}={own[name]}" for name in function.arguments]
    arguments += [f"p_{p.kfp_name}={p.kfp_name}" for p in component.parameters]
    arguments += [
        f'{name}={variables[step]}.outputs["{output}"]'
        for name, (step, output) in zip(function.inputs, component.inputs.values(), strict=True)
    ]
    if plan.volumes.shared is not None:
        arguments.append(f"volume={plan.volumes.shared.path}")
    if plan.shared:
        arguments.append(f'runtime={RUNTIME_TASK}.outputs["archive"]')
    return call(f"{component.task} = {function.name}", arguments, indent="    ")
