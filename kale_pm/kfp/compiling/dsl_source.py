"""The DSL file: a plan written down as Python that a person enjoys to read."""

from __future__ import annotations

from collections.abc import Mapping

from kale_pm import __version__
from kale_pm.kfp.compiling.component import OUTPUTS, RUNTIME_TASK, Component
from kale_pm.kfp.compiling.functions import bundle_name
from kale_pm.kfp.compiling.plan import Plan
from kale_pm.kfp.compiling.python_text import block, call, docstring, literal


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
    configuration = plan.pipeline.configuration
    return environment.get_template("pipeline.py.j2").render(
        title=plan.pipeline.name,
        notebook=plan.pipeline.path.name,
        version=__version__,
        name=plan.name,
        description=configuration.description,
        timeout=configuration.timeout,
        parameters=plan.parameters,
        components=plan.components,
        outputs=OUTPUTS,
        tasks=_tasks(plan),
        settings=plan.settings,
        uses_kubernetes=any(
            line.startswith("kubernetes.") for lines in plan.settings.values() for line in lines
        ),
        functions=tuple({each.name: each for each in plan.functions.values()}.values()),
        bundles={bundle_name(part): plan.bundles[part.step.name] for part in plan.components},
        runtime=plan.runtime,
        shared=plan.shared,
        runtime_task=RUNTIME_TASK,
        default=plan.default,
    )


def _tasks(plan: Plan) -> dict[str, str]:
    """The call that makes the task of each step."""
    variables = {part.step.name: part.task for part in plan.components}
    return {part.step.name: _task(plan, part, variables) for part in plan.components}


def _task(plan: Plan, component: Component, variables: Mapping[str, str]) -> str:
    function = plan.functions[component.step.name]
    own = {"step": literal(component.step.name), "bundle": f"{bundle_name(component)}()"}
    arguments = [f"{name}={own[name]}" for name in function.arguments]
    arguments += [f"p_{p.kfp_name}={p.kfp_name}" for p in component.parameters]
    arguments += [
        f'{name}={variables[step]}.outputs["{output}"]'
        for name, (step, output) in zip(function.inputs, component.inputs.values(), strict=True)
    ]
    if plan.shared:
        arguments.append(f'runtime={RUNTIME_TASK}.outputs["archive"]')
    return call(f"{component.task} = {function.name}", arguments, indent="    ")
