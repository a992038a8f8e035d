"""Files that are beside the notebook and not in a pod: the problem ``local-file``."""

from __future__ import annotations

import ast
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatch
from pathlib import Path, PurePath

from kale_pm.analysis.flow.file_uses import MAY_READ, Kind, Names, Use, file_uses, names_in
from kale_pm.model import Cell, Pipeline, Problem
from kale_pm.notebook.paths import exists, is_file_name
from kale_pm.notebook.source import parse
from kale_pm.notebook.spelling import nearest

# What travels with a step must be small: this much does not fit, however well it packs.
_TOO_LARGE = 1_000_000  # bytes
_MAKES_FILES = re.compile(
    r"\b(?:unzip|gunzip|tar|7z|wget|curl|gdown|git|kaggle|aws|gsutil|cp|mv|ln|mkdir|bash|sh)\b"
)
_CHANGES_FOLDER = re.compile(r"\bchdir\b|^[ \t]*%?(?:cd|pushd)[ \t]", re.MULTILINE)


@dataclass(frozen=True)
class _Seen:
    """A use of a path, and where: ``place`` counts the steps from 0, and is -1 in the prelude."""

    use: Use
    place: int
    cell: int

    @property
    def path(self) -> str:
        return os.path.normpath(self.use.path)


def local_files(pipeline: Pipeline) -> Iterator[Problem]:
    """Literal paths that a step reads and its pod does not have, each once a step."""
    cells = [(-1, cell) for cell in pipeline.prelude]
    cells += [(place, cell) for place, step in enumerate(pipeline.steps) for cell in step.cells]
    cells = [(place, cell) for place, cell in cells if cell.is_code]
    if not any(MAY_READ.search(cell.source) for _, cell in cells):
        return
    if any(_CHANGES_FOLDER.search(cell.source) for _, cell in cells):
        return  # relative to which folder a path is meant, only the run can tell
    seen = _all_uses(cells)
    told: set[tuple[int, str]] = set()
    for index, entry in enumerate(seen):
        if entry.use.kind is not Kind.READS or (entry.place, entry.path) in told:
            continue
        told.add((entry.place, entry.path))
        problem = _problem(pipeline, entry, seen, index)
        if problem is not None:
            yield problem


def _all_uses(cells: list[tuple[int, Cell]]) -> list[_Seen]:
    trees: list[tuple[int, int, ast.AST]] = []
    for place, cell in cells:
        try:
            trees.append((place, cell.number, parse(cell.source)))
        except SyntaxError:
            continue
    seen: list[_Seen] = []
    try:
        names = names_in(tree for _, _, tree in trees)
    except RecursionError:
        names = Names({}, frozenset())
    for place, number, tree in trees:
        try:
            seen += (_Seen(use, place, number) for use in file_uses(tree, names))
        except RecursionError:
            continue
    return seen


def _problem(pipeline: Pipeline, entry: _Seen, seen: list[_Seen], index: int) -> Problem | None:
    path = entry.path
    if path in (".", "..") or "://" in entry.use.path:
        return None
    if path.startswith(("/", "~")) or Path(path).is_absolute():
        return _of_this_machine(pipeline, entry)
    writer = _writer(seen, entry)
    if writer is not None and entry.place >= 0:
        return _of_another_step(pipeline, entry, pipeline.steps[writer].name)
    here = _is_here(pipeline.folder, path)
    if _is_made(seen, index, here) or (entry.use.makes and not here):
        return None
    if not here and _may_be_made_by_shell(seen, entry):
        return None
    if any(_covers(glob, path) for glob in pipeline.configuration.files):
        return None
    where = "is here, but not" if here else "is neither here nor"
    return _warning(
        pipeline,
        entry,
        f"{_reader(pipeline, entry)} '{path}', which {where} in a pod of Kubeflow Pipelines",
        _advice(pipeline.folder, path, here),
    )


def _of_another_step(pipeline: Pipeline, entry: _Seen, other: str) -> Problem:
    own = pipeline.steps[entry.place].name
    message = f"step {own} reads '{entry.path}', which step {other} writes: "
    hint = "keep what is in it in a variable: variables reach the steps that follow"
    if other not in pipeline.ancestors[own]:
        message += f"nothing puts step {other} first, so step {own} may find no file here either; "
        hint = f"add prev:{other} to a cell of step {own}; for the cluster, {hint}"
    message += f"on Kubeflow Pipelines the file stays behind in the pod of step {other}"
    return _warning(pipeline, entry, message, hint)


def _of_this_machine(pipeline: Pipeline, entry: _Seen) -> Problem | None:
    """Absolute paths, where they are certainly somebody's own data."""
    path = Path.home() / entry.path[2:] if entry.path.startswith("~/") else Path(entry.path)
    below_home = path.is_relative_to(Path.home()) and path != Path.home()
    mounts = (volume.mount_point for volume in pipeline.configuration.volumes)
    if not below_home or not exists(path) or any(path.is_relative_to(mount) for mount in mounts):
        return None
    if not (path.is_dir() or is_file_name(path.name)):
        return None
    return _warning(
        pipeline,
        entry,
        f"{_reader(pipeline, entry)} '{entry.path}', which is in the home folder of this machine "
        f"alone",
        "move it beside the notebook and read it by a relative path, or read it from a volume",
    )


def _warning(pipeline: Pipeline, entry: _Seen, message: str, hint: str) -> Problem:
    step = pipeline.steps[entry.place].name if entry.place >= 0 else None
    return Problem(
        "local-file", "warning", message, hint, step=step, cell=entry.cell, line=entry.use.line
    )


def _reader(pipeline: Pipeline, entry: _Seen) -> str:
    if entry.place < 0:
        return "the prelude, which every step runs, reads"
    return f"step {pipeline.steps[entry.place].name} reads"


def _advice(folder: Path, path: str, here: bool) -> str:
    if not here:
        near = _near(folder / path)
        return f"did you mean '{near}' in that folder?" if near else "check the path"
    if path.startswith(".."):
        return "move it into the notebook's folder and name it in 'files' of the configuration"
    if _size(folder / path) > _TOO_LARGE:
        return "it is too large to travel with a step: read it from a volume or by its URL"
    return f'add files = ["{path}"] to [tool.kale-pm] in pyproject.toml, or read it from a volume'


def _near(path: Path) -> str:
    """The name in the same folder that is most like that of ``path``; empty if none is."""
    try:
        names = [other.name for other in path.parent.iterdir()]
    except (OSError, ValueError):
        return ""
    return nearest(path.name, names) or ""


def _writer(seen: list[_Seen], entry: _Seen) -> int | None:
    """The last step above that writes the file, if the reading step itself does not."""
    places = [
        other.place
        for other in seen
        if other.use.kind is Kind.WRITES
        and other.place <= entry.place
        and _names(other, entry.path)
    ]
    if not places or entry.place in places or -1 in places:
        return None
    return max(places)


def _names(other: _Seen, path: str) -> bool:
    if not other.use.exact:
        return re.search(rf"(?<![\w/]){re.escape(path)}(?!\w)", other.use.path) is not None
    # numpy.save and its like add the suffix themselves.
    return other.path in (path, PurePath(path).with_suffix("").as_posix())


def _is_made(seen: list[_Seen], index: int, here: bool) -> bool:
    """May the prelude or the step itself have made the file before it reads it?"""
    entry = seen[index]
    name = PurePath(entry.path).name
    above = {str(parent) for parent in PurePath(entry.path).parents} - {"."}
    for other in seen[:index]:
        if other.place not in (-1, entry.place) or other.use.kind is Kind.READS:
            continue
        if _names(other, entry.path) or (not other.use.exact and name in other.use.path):
            return True
        # An archive may have been unpacked there.
        if not here and other.use.exact and other.path in (name, *above):
            return True
    return False


def _may_be_made_by_shell(seen: list[_Seen], entry: _Seen) -> bool:
    """Is there a command above, or in the same cell, that makes files of any name?"""
    return any(
        not other.use.exact
        and (other.place == -1 or other.cell <= entry.cell)
        and _MAKES_FILES.search(other.use.path)
        for other in seen
    )


def _covers(glob: str, path: str) -> bool:
    """Whether a glob of ``files`` names ``path``, a folder around it, or something in it."""
    glob = os.path.normpath(glob)
    return (
        fnmatch(path, glob)
        or fnmatch(f"./{path}", glob)
        or path.startswith(f"{glob}/")
        or glob.startswith(f"{path}/")
    )


def _is_here(folder: Path, path: str) -> bool:
    if not set("*?[") & set(path):
        return exists(folder / path)
    if "**" in path:
        return True  # to look through all folders may take long
    try:
        return any(True for _ in folder.glob(path))
    except (OSError, ValueError, NotImplementedError):
        return False


def _size(path: Path) -> int:
    try:
        return path.stat().st_size if path.is_file() else 0
    except (OSError, ValueError):
        return 0
