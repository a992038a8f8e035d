"""The key of a step: equal keys mean that it would do the same again.

Comments, formatting and line numbers are not part of it, what runs is: the step's code, the
prelude, the values of the parameters it uses, the very versions of the variables and of the
global state it receives, its options, the packages and the interpreter.

Of a language that is not analysed all text counts, comments as well, and the very executions
of the steps above: whatever they have changed, it may use.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from kale_pm.local.cache.code import imported_names, running_code, trees_of
from kale_pm.local.cache.parts import Parts, readable, short
from kale_pm.local.kernels.environment import Environment
from kale_pm.model import Pipeline, Step
from kale_pm.runtime.manifest import FORMAT, Change, Version

KEY_FORMAT = 4


@dataclass(frozen=True)
class Fingerprint:
    """The key of a step, 32 hexadecimal digits, and the parts that it is made of.

    ``trees`` are the code that may run.
    """

    key: str
    parts: Parts
    trees: Sequence[ast.Module] = field(default=(), repr=False, compare=False)


def fingerprint(
    pipeline: Pipeline,
    step: Step,
    *,
    parameters: Mapping[str, Any],
    versions: Mapping[str, Version],
    context: Mapping[str, Change],
    kernel: Sequence[object],
    has: Environment,
    arriving: Collection[str] | None = None,
    after: Mapping[str, str] | None = None,
) -> Fingerprint:
    """What ``step`` would do.

    ``versions`` and ``context`` are what arrives along its edges, ``kernel`` says how its
    kernel is started, ``has`` what the kernel's interpreter has of ``all_imports``, and
    ``arriving`` is that of :func:`running_code`.  ``after`` names the executions of those parents
    of which nobody knows what they have changed.
    """
    after = after or {}
    code = running_code(pipeline, step, arriving)
    inherited = {name: change.value for name, change in context.items()}
    # As text: to JSON the order of a dict would not matter.
    values = {name: repr(parameters[name]) for name in step.parameters}
    needs = {need.name: _component(versions.get(need.name)) for need in step.needs}
    packages = {name: has.packages.get(name) for name in sorted(code.imports)}
    missing = missing_modules(pipeline, has)
    secret = {secret.variable for each in pipeline.steps for secret in each.options.secrets}
    named = _environment(code.variables, secret)
    content = {
        "format": [KEY_FORMAT, FORMAT],
        # The executed notebook that is kept must be this step's, and so are its versions.
        "pipeline": pipeline.name,
        "step": step.name,
        "python": has.python,
        "kernel": kernel,
        "code": code.texts,
        "parameters": values,
        "needs": needs,
        "after": after,
        "metrics": step.metrics,
        "context": inherited if pipeline.configuration.replay else None,
        "options": repr(step.options),
        "packages": packages,
        "missing": missing,
        "environment": named,
    }
    parts = {
        **code.parts,
        "parameters": {name: readable(value) for name, value in values.items()},
        "inputs": {name: short(component) for name, component in needs.items()},
        "after": {name: short(execution) for name, execution in after.items()},
        "packages": {name: version or "" for name, version in packages.items()},
        "python": {"": has.python},
        "kernel": {"": short(repr(kernel))},
        "options": {name: short(repr(value)) for name, value in vars(step.options).items()},
        "environment": {name: _hint(value) for name, value in named.items()},
        "context": {name: short(value) for name, value in inherited.items()},
        "other": {"": short(repr([content["format"], step.metrics, missing]))},
    }
    text = json.dumps(content, sort_keys=True, default=repr)
    key = hashlib.blake2b(text.encode(), digest_size=16).hexdigest()
    return Fingerprint(key, parts, code.trees)


def missing_modules(pipeline: Pipeline, has: Environment) -> list[str]:
    """Modules that the prelude imports and that are neither installed nor beside the notebook.

    Every step would fail.
    """
    if not has.missing:
        return []
    return sorted(
        name
        for name in imported_names(trees_of(pipeline.prelude)) & {*has.missing}
        if not (pipeline.folder / name).is_dir() and not (pipeline.folder / f"{name}.py").is_file()
    )


def all_imports(pipeline: Pipeline) -> set[str]:
    """The top-level names of all modules that any cell of the pipeline imports."""
    cells = [*pipeline.prelude, *(cell for step in pipeline.steps for cell in step.cells)]
    return imported_names(trees_of(cells))


def _environment(names: Iterable[str], secret: Collection[str]) -> dict[str, str | None]:
    """The environment variables of these names, as hashes, without the ``secret`` ones.

    A secret that was renewed gives the same results, and nothing of it gets to the disk.
    """
    return {name: _hash(os.environ.get(name)) for name in names if name not in secret}


def _hash(value: str | None) -> str | None:
    return None if value is None else hashlib.blake2b(value.encode(), digest_size=16).hexdigest()


def _hint(digest: str | None) -> str:
    # Kept by itself, a whole hash would let one try out which value it is of.
    return "" if digest is None else digest[:4]


def _component(version: Version | None) -> str:
    # Of what no step above touched the step sees the prelude's own, of what was deleted nothing.
    return "inherited" if version is None else version.component or "deleted"
