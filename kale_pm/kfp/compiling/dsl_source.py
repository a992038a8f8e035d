"""The DSL file: a plan written down as Python that a person enjoys to read."""

from __future__ import annotations

from collections.abc import Mapping

from kale_pm import __version__
from kale_pm.kfp.compiling.component import OUTPUTS, RUNTIME_TASK, Component, describe
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
    environment.filters.update(
        block=block, call=call, describe=describe, docstring=docstring, literal=literal
    )
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
        bundles=plan.bundles,
        runtime=plan.runtime,
        shared=plan.shared,
        runtime_task=RUNTIME_TASK,
        default_image=plan.default_image,
        images=plan.images,
        packages=plan.packages,
        install=plan.install,
    )


def _tasks(plan: Plan) -> dict[str, str]:
    """The call that makes the task of each step."""
    variables = {part.step.name: part.task for part in plan.components}
    return {part.step.name: _task(part, variables, plan.shared) for part in plan.components}


def _task(component: Component, variables: Mapping[str, str], shared: bool) -> str:
    arguments = [f"p_{p.kfp_name}={p.kfp_name}" for p in component.parameters]
    arguments += [
        f'{name}={variables[step]}.outputs["{output}"]'
        for name, (step, output) in component.inputs.items()
    ]
    if shared:
        arguments.append(f'runtime={RUNTIME_TASK}.outputs["archive"]')
    return call(f"{component.task} = {component.function}", arguments, indent="    ")
