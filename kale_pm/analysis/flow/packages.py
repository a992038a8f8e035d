"""Imports that nothing here provides: no package, no module beside the notebook, no pip line."""

from __future__ import annotations

import pkgutil
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kale_pm.analysis.flow.provided import DISTRIBUTIONS, Provided, provided
from kale_pm.model import Cell, Pipeline, Problem
from kale_pm.notebook.imports import Import, imports_of, is_found, local_files
from kale_pm.notebook.requirements import requirement_name
from kale_pm.notebook.source import parse
from kale_pm.notebook.spelling import nearest
from kale_pm.settings import StepOptions


@dataclass(frozen=True)
class _Lack:
    """A module that is not there; ``file`` is the helper module that imports it, if any."""

    top: str
    file: str = ""


_UNKNOWN = _Lack("")
_SIMPLE = re.compile(
    r"\s*(?:from\s+(\w+)[\w.]*\s+import\s[^;]*|import\s+(\w+)[\w.]*(?:\s+as\s+\w+)?)\s*"
)


def missing_packages(pipeline: Pipeline) -> Iterator[Problem]:
    """Imports that fail here for certain, each module once.

    Where the notebook installs packages or looks for modules in a way that cannot be read,
    nothing is certain and nothing is said; nor of what the setting ``packages`` may bring, or
    those of the step.
    """
    named = {step.name: _named(pipeline, step.options) for step in pipeline.steps}
    named_for_all = _named(pipeline, pipeline.configuration.steps_defaults)
    cells: list[tuple[str | None, Cell]] = [(None, cell) for cell in pipeline.prelude]
    cells += [(step.name, cell) for step in pipeline.steps for cell in step.code]
    lacks: dict[str, _Lack | None] = {}
    first: dict[_Lack, tuple[str | None, int, int]] = {}
    for step, cell in cells:
        if not cell.is_code or not _may_lack(cell.source, lacks):
            continue
        for found in _imports(cell.source):
            if found.top not in lacks:
                lacks[found.top] = _lack(found.top, pipeline.folder, set())
            lack = lacks[found.top]
            if lack is None or found.optional or lack in first:
                continue
            if not named.get(step or "", named_for_all).has(lack.top):
                first[lack] = (step, cell.number, found.line)
    if not first:
        return
    brought = provided((cell.source for _, cell in cells if cell.is_code), pipeline.folder, lacks)
    known = [*sys.stdlib_module_names, *(module.name for module in pkgutil.iter_modules())]
    for lack, (step, number, line) in first.items():
        if brought is not None and not brought.has(lack.top):
            yield _problem(lack, _advice(lack.top, known), step, number, line)


def _named(pipeline: Pipeline, options: StepOptions) -> Provided:
    """What requirements, those of the settings and of a step, may bring."""
    requirements = (*pipeline.configuration.packages, *options.packages)
    return Provided(frozenset(map(requirement_name, requirements)), (), frozenset())


def _may_lack(source: str, lacks: Mapping[str, _Lack | None]) -> bool:
    """Is there any import but of modules that are known to be there?

    To read the syntax of every cell once more takes longer than all else that is done here.
    """
    for line in source.split("\n") if "import" in source else ():
        if "import" in line:
            simple = _SIMPLE.fullmatch(line)
            if simple is None or lacks.get(simple[1] or simple[2], _UNKNOWN) is not None:
                return True
    return False


def _imports(source: str) -> list[Import]:
    try:
        return list(imports_of(parse(source)))
    except (SyntaxError, RecursionError):
        return []


def _lack(top: str, folder: Path, seen: set[str]) -> _Lack | None:
    """What is missing to import ``top``: itself, or something that a helper module imports."""
    if not _is_beside(top, folder):
        return None if is_found(top) else _Lack(top)
    # Of a package only what surely runs: who imports its other modules is another question.
    for file in sorted(local_files(top, folder) & {f"{top}.py", f"{top}/__init__.py"} - seen):
        seen.add(file)
        for found in _imports((folder / file).read_text(encoding="utf-8", errors="replace")):
            lack = None if found.optional else _lack(found.top, folder, seen)
            if lack is not None:
                return _Lack(lack.top, lack.file or file)
    return None


def _is_beside(top: str, folder: Path) -> bool:
    compiled = (path.suffix in (".so", ".pyd") for path in folder.glob(f"{top}.*"))
    return bool(local_files(top, folder)) or (folder / top).is_dir() or any(compiled)


def _advice(top: str, known: Sequence[str]) -> str:
    if top in DISTRIBUTIONS:
        return f"pip install {DISTRIBUTIONS[top]}"
    near = nearest(top, known)
    return f"did you mean '{near}'? If not, pip install {top}" if near else f"pip install {top}"


def _problem(lack: _Lack, advice: str, step: str | None, cell: int, line: int) -> Problem:
    importer = f", which {lack.file} imports" if lack.file else ""
    return Problem(
        "missing-package",
        "warning",
        f"this environment has no package '{lack.top}'{importer}, nor is there such a module "
        f"beside the notebook",
        hint=f"{advice}; if the notebook's kernel has an environment of its own, run kale-pm there",
        step=step,
        cell=cell,
        line=line,
    )
