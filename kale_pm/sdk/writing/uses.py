"""What the steps of a pipeline use of which module."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

from kale_pm.errors import UsageError
from kale_pm.sdk.decorators import StepFunction
from kale_pm.sdk.source.evidence import Evidence
from kale_pm.sdk.source.modules import ModuleSource, module_of
from kale_pm.sdk.source.prelude import Use
from kale_pm.sdk.tracing.call import Call
from kale_pm.sdk.tracing.definition import Definition
from kale_pm.sdk.tracing.moment import plain_constants
from kale_pm.sdk.tracing.proxies import Value


def module_of_step(step: StepFunction[..., Any]) -> ModuleSource:
    return module_of(inspect.unwrap(step.function), step.source)


def uses_of(definition: Definition) -> tuple[list[Use], dict[int, str]]:
    """What is used of which module, the pipeline's own first; and what arguments are by name.

    The names go by the ids of functions, classes and other things that a literal cannot say.
    """
    home = definition.module
    modules = {home.name: home}
    names: dict[str, set[str]] = {home.name: set()}
    texts: dict[str, dict[str, frozenset[str]]] = {home.name: {}}
    lines: dict[str, dict[str, int]] = {home.name: {}}
    for step in dict.fromkeys(call.step for call in definition.calls):
        module = module_of_step(step)
        modules.setdefault(module.name, module)
        source = step.source
        enclosing = inspect.unwrap(step.function).__code__.co_freevars
        own = {source.node.name, *enclosing}
        names.setdefault(module.name, set()).update(source.reads - own)
        _refuse_changes_between(definition.calls, step, module)
        lines.setdefault(module.name, {})[source.node.name] = source.first_line
        known = texts.setdefault(module.name, {})
        known[source.node.name] = known.get(source.node.name, frozenset()) | {source.text}
    held: dict[int, str] = {}
    for thing in _things(definition.calls):
        name = next((key for key, value in home.names.items() if value is thing), None)
        if name is not None:
            held[id(thing)] = name
            names[home.name].add(name)
    used = [
        Use(module, frozenset(names[name]), texts[name], lines[name])
        for name, module in modules.items()
    ]
    return [use for use in used if use.names or use.steps], held


def _refuse_changes_between(
    calls: Sequence[Call], step: StepFunction[..., Any], module: ModuleSource
) -> None:
    """Raise UsageError for a variable that was something else when the step was called."""
    now = plain_constants(step.function)
    read = Evidence(module, lambda _: False).reached(step.source.reads)
    for each in calls:
        if each.step is step:
            for name in sorted(read & each.constants.keys() & now.keys()):
                if each.constants[name] != now[name]:
                    raise UsageError(
                        f"{each.place}: '{name}', which step '{step.title}' uses, is "
                        f"{each.constants[name]} at this call, and {now[name]} after it: steps "
                        f"share one module, as it is in the end",
                        hint=f"give it as an argument of '{step.title}'",
                    )


def _things(calls: Sequence[Call]) -> list[object]:
    """Arguments that are no plain values, but perhaps held by the pipeline's module."""
    found = []
    for each in calls:
        for value in each.arguments.values():
            entries = value if isinstance(value, (list, tuple, set)) else [value]
            found += [
                entry
                for entry in entries
                if not isinstance(entry, (Value, str, bytes, int, float, dict, list, type(None)))
            ]
    return found
