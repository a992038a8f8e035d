"""A pipeline as a tagged notebook: prelude, parameters, and the cells of every step."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kale_pm.model import Cell
from kale_pm.notebook.document import Document
from kale_pm.sdk.decorators import OURS, is_pipeline
from kale_pm.sdk.options import option_tags
from kale_pm.sdk.script.traced import Marks
from kale_pm.sdk.source.functions import shown
from kale_pm.sdk.source.modules import ModuleSource
from kale_pm.sdk.source.prelude import prelude_of
from kale_pm.sdk.tracing.call import Call
from kale_pm.sdk.tracing.definition import Definition
from kale_pm.sdk.tracing.links import Links, links_of
from kale_pm.sdk.tracing.proxies import origin_of
from kale_pm.sdk.writing.cells import Draft, Surroundings, cells_of
from kale_pm.sdk.writing.uses import module_of_step, uses_of

KERNELSPEC = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}


@dataclass(frozen=True)
class Written:
    """A pipeline as a notebook: its cells, what was set, and what it returns.

    ``names`` are all that may go from step to step.  ``results`` are the names of the values that
    the pipeline's function returned, with the steps that make them.  ``values`` says in words
    what goes by names that no script has.  ``owners`` are the modules whose code binds the names
    that every step has.
    """

    document: Document
    marks: Marks
    names: frozenset[str]
    results: Mapping[str, str]
    values: Mapping[str, str]
    owners: Mapping[str, ModuleSource]

    def given_by(self, step: str) -> set[str]:
        """What the step makes of that which the whole pipeline gives."""
        return {name for name, owner in self.results.items() if owner == step}


@dataclass(frozen=True)
class _Placed:
    """A cell to be with its tags, and the file that it comes from."""

    tags: tuple[str, ...]
    draft: Draft
    file: str


def write(definition: Definition, *, keep_whole: Mapping[str, str]) -> Written:
    """Write the calls down as a notebook; ``keep_whole``: steps that stay functions, and why."""
    calls = definition.calls
    parameters = frozenset(definition.assignments)
    uses, held = uses_of(definition)
    prelude = prelude_of(uses, ours=OURS, is_pipeline=is_pipeline, taken=parameters)
    taken = {
        *prelude.texts,
        *parameters,
        *(name for each in calls for name in each.step.source.locals | each.step.source.reads),
        *(each.step.source.node.name for each in calls),
    }
    used = [value for each in calls for value in each.values]
    links = links_of(calls, taken, [*used, *definition.results])
    drafts: list[_Placed] = [
        _Placed((piece.role,), Draft(piece.text, marks=piece.marks), piece.file)
        for piece in prelude.pieces
    ]
    if parameters:
        text = "\n".join(definition.assignments.values())
        place = 1 if drafts and drafts[0].tags == ("imports",) else 0
        drafts.insert(place, _Placed(("parameters",), Draft(text), definition.source.file))
    read = frozenset().union(*(each.step.source.reads for each in calls))
    for each in calls:
        around = Surroundings(
            links,
            prelude.texts,
            parameters,
            prelude.late_reads | read,
            lambda thing: held.get(id(thing)),
            prelude.homes.get(module_of_step(each.step).name, ""),
        )
        drafts += _tagged(each, cells_of(each, around, keep_whole.get(each.name, "")))
    return Written(
        _document(definition, drafts),
        Marks({n: (each.file, each.draft.marks) for n, each in enumerate(drafts, 1)}),
        links.names | prelude.texts.keys() | parameters,
        _results(definition, links),
        links.described,
        prelude.owners,
    )


def _results(definition: Definition, links: Links) -> dict[str, str]:
    """The names of the values that the pipeline gives, and the steps that make them."""
    found = {}
    for value in definition.results:
        origin, _ = origin_of(value)
        if isinstance(origin, Call):
            found[links.of(value)] = origin.name
    return found


def _tagged(each: Call, cells: Sequence[Draft]) -> list[_Placed]:
    more = (*(f"prev:{parent.name}" for parent in each.parents), *each.step.tags)
    found = []
    for draft in cells:
        tags = (f"block:{each.name}", *more) if draft.is_code else ()
        more = () if draft.is_code else more
        found.append(_Placed(tags, draft, each.step.source.file))
    return found


def _document(definition: Definition, drafts: Sequence[_Placed]) -> Document:
    cells = tuple(
        Cell(
            number,
            hashlib.blake2b(f"{number} {' '.join(each.tags)}".encode(), digest_size=4).hexdigest(),
            "code" if each.draft.is_code else "markdown",
            each.draft.text,
            each.tags,
        )
        for number, each in enumerate(drafts, 1)
    )
    metadata = {"kale_pm": _settings(definition)}
    return Document(notebook_path(definition), cells, metadata, KERNELSPEC, "python")


def notebook_path(definition: Definition) -> Path:
    """The script; of a session the notebook that it might be, in the working directory.

    Steps work in its folder.  Those of a module in a package have to find the package there: so
    it is named as a module beside it.
    """
    file, package = Path(definition.source.file), definition.source.package
    if not file.is_file() or shown(definition.source.file) == "a cell":
        return Path.cwd() / f"{definition.title}.ipynb"
    if not package:
        return file
    folder = file.resolve().parents[package.count(".") + 1]
    return folder / f"{package}.{file.name}"


def _settings(definition: Definition) -> dict[str, Any]:
    settings = dict(definition.settings)
    defaults = settings.get("steps_defaults")
    if isinstance(defaults, Mapping):
        where = f"{definition.source.place}: steps_defaults"
        settings["steps_defaults"] = list(option_tags(defaults, where))
    if definition.source.documentation:
        settings.setdefault("description", definition.source.documentation)
    return {**settings, "name": definition.title}
