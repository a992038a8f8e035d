"""Read a notebook file into cells: ``.ipynb`` as JSON, ``.py`` and ``.md`` through jupytext.

The format's own JSON is read here rather than through nbformat: of each cell only its kind,
source, id and tags matter, and nbformat invents another random id at every reading of a file
that has none, where equal files must give equal cells.  The file itself is never written.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kale_pm.errors import NotebookError
from kale_pm.model import PYTHON, Cell, CellKind
from kale_pm.notebook.spelling import nearest

_GOOD_ID = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_TEXT_SUFFIXES = (".py", ".md")
_TAG_LIST = 'write them as a list of texts, such as tags=["block:NAME", "prev:NAME"]'
_SAVE_AGAIN = "open it in Jupyter and save it again"


@dataclass(frozen=True)
class Document:
    """A notebook as its file says it.

    ``kernelspec`` is the notebook's own metadata, possibly empty; ``language`` is that of every
    cell, in lower case.  Lines of a cell's source end in a line feed alone, whatever ended them
    in the file.
    """

    path: Path
    cells: tuple[Cell, ...]
    metadata: Mapping[str, Any]
    kernelspec: Mapping[str, str]
    language: str


def read_document(path: Path) -> Document:
    """Read the notebook at ``path``: nbformat 4.0 to 4.5, or a text notebook with jupytext.

    Raises NotebookError where there is no such file, or none that can be read as a notebook
    with at least one code cell.
    """
    path = Path(path)
    text = _text(path)
    if path.suffix.lower() in _TEXT_SUFFIXES:
        return _document(path, _from_jupytext(path, text))
    return _document(path, _from_json(path, text))


def _text(path: Path) -> str:
    try:
        return path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise NotebookError(path, "there is no such file", hint=_similar(path)) from None
    except IsADirectoryError:
        hint = "name a notebook" + (f" in it, such as {found}" if (found := _any(path)) else "")
        raise NotebookError(path, "it is a folder", hint=hint) from None
    except UnicodeDecodeError:
        hint = "save it again as UTF-8"
        raise NotebookError(path, "it is not UTF-8 text", hint=hint) from None
    except PermissionError:
        hint = "allow yourself to read it"
        raise NotebookError(path, "no permission to read it", hint=hint) from None
    except OSError as error:
        reason = f"it cannot be read: {error.strerror or error}"
        raise NotebookError(path, reason, hint="check the path") from None


def _similar(path: Path) -> str:
    try:
        stems = {other.stem: other for other in path.parent.iterdir() if other.is_file()}
    except OSError:
        return f"there is no folder {path.parent} either"
    near = nearest(path.stem, stems)
    return f"did you mean {stems[near]}?" if near else "check the path"


def _any(folder: Path) -> Path | None:
    return min(folder.glob("*.ipynb"), default=None)


def _from_json(path: Path, text: str) -> dict[str, Any]:
    if not text.strip():
        raise NotebookError(path, "the file is empty", hint=_SAVE_AGAIN)
    try:
        content = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise NotebookError(path, f"it is not JSON: {error}", hint=_SAVE_AGAIN) from None
    if not isinstance(content, dict) or not isinstance(content.get("nbformat"), int):
        raise _not_a_notebook(path, "'nbformat' is missing")
    major = content["nbformat"]
    if major < 4:
        command = f"jupyter nbconvert --to notebook --nbformat 4 --inplace {path}"
        reason = f"it is in format {major} of long ago, not in format 4"
        raise NotebookError(path, reason, hint=f"convert it: {command}")
    if major > 4:
        reason = f"it is in format {major}, which is newer than the format 4 that kale-pm reads"
        raise NotebookError(path, reason, hint="save it in format 4")
    return content


def _from_jupytext(path: Path, text: str) -> dict[str, Any]:
    try:
        import jupytext
    except ImportError:
        raise NotebookError(
            path,
            f"reading a {path.suffix} notebook needs jupytext, which is not installed",
            hint='pip install "kale-pm[jupytext]"',
        ) from None
    try:
        content = jupytext.reads(text, fmt=path.suffix.lower().lstrip("."))
    # jupytext has no family of errors: a bad header surfaces as whatever its parsers raise.
    except Exception as error:  # noqa: BLE001
        reason = f"jupytext cannot read it: {error}"
        if "['tags']" in str(error):
            raise NotebookError(path, "the tags of a cell are no list", hint=_TAG_LIST) from None
        raise NotebookError(path, reason, hint="check its header and cell markers") from None
    for cell in content.cells:
        # jupytext draws ids at random.
        cell.pop("id", None)
    plain: dict[str, Any] = json.loads(json.dumps(content, default=str))
    return plain


def _document(path: Path, content: Mapping[str, Any]) -> Document:
    raw_cells = content.get("cells")
    if not isinstance(raw_cells, list):
        raise _not_a_notebook(path, "it has no list of cells")
    metadata = content.get("metadata") or {}
    if not isinstance(metadata, dict):
        raise _not_a_notebook(path, "its metadata are no object")
    kernelspec = _texts(metadata.get("kernelspec"))
    language = _language(_texts(metadata.get("language_info")), kernelspec)
    cells = _cells(path, raw_cells, language)
    if not any(cell.is_code for cell in cells):
        hint = "add a code cell and tag it block:NAME"
        raise NotebookError(path, "it has no code cell", hint=hint)
    return Document(path, cells, metadata, kernelspec, language)


def _language(language_info: Mapping[str, str], kernelspec: Mapping[str, str]) -> str:
    named = (language_info.get("name") or kernelspec.get("language") or PYTHON).lower()
    return PYTHON if named.startswith(("python", "ipython")) else named


def _cells(path: Path, raw_cells: list[Any], language: str) -> tuple[Cell, ...]:
    for number, raw in enumerate(raw_cells, 1):
        if not isinstance(raw, dict) or not isinstance(raw.get("cell_type"), str):
            raise _not_a_notebook(path, f"cell {number} has no type")
    sources = [_source(path, number, raw) for number, raw in enumerate(raw_cells, 1)]
    ids = _ids([raw.get("id") for raw in raw_cells], sources)
    return tuple(
        Cell(number, id_, _kind(raw["cell_type"]), source, _tags(path, number, raw), language)
        for number, (raw, id_, source) in enumerate(zip(raw_cells, ids, sources, strict=True), 1)
    )


def _source(path: Path, number: int, raw: Mapping[str, Any]) -> str:
    source = raw.get("source", "")
    if isinstance(source, list) and all(isinstance(line, str) for line in source):
        source = "".join(source)
    if not isinstance(source, str):
        raise _not_a_notebook(path, f"the source of cell {number} is no text")
    return source.replace("\r\n", "\n").replace("\r", "\n")


def _ids(given: list[Any], sources: list[str]) -> list[str]:
    """The good ids as they are (of equal ones the first), the others made from the cells."""
    seen: set[str] = set()
    good: list[str | None] = []
    for id_ in given:
        keep = isinstance(id_, str) and bool(_GOOD_ID.fullmatch(id_)) and id_ not in seen
        good.append(id_ if keep else None)
        if keep:
            seen.add(id_)
    ids = []
    for index, (id_, source) in enumerate(zip(good, sources, strict=True)):
        made, salt = id_, 0
        while made is None or (id_ is None and made in seen):
            text = f"{index}:{salt}:{source}".encode("utf-8", "surrogatepass")
            made, salt = hashlib.blake2b(text, digest_size=4).hexdigest(), salt + 1
        seen.add(made)
        ids.append(made)
    return ids


def _kind(cell_type: str) -> CellKind:
    if cell_type == "code":
        return "code"
    return "markdown" if cell_type == "markdown" else "raw"


def _tags(path: Path, number: int, raw: Mapping[str, Any]) -> tuple[str, ...]:
    metadata = raw.get("metadata")
    if not isinstance(metadata, dict):
        return ()
    tags = metadata.get("tags") or []
    unread = metadata.get("incorrectly_encoded_metadata")  # so jupytext keeps what it cannot read
    if isinstance(unread, str) and "tags" in unread:
        reason = f"the tags of cell {number} cannot be read: {unread}"
        raise NotebookError(path, reason, hint=_TAG_LIST)
    if isinstance(tags, str):
        tags = [tags] if re.search(r"[,\s]", tags.strip()) is None else None
    if not isinstance(tags, list):
        raise NotebookError(path, f"the tags of cell {number} are no list", hint=_TAG_LIST)
    return tuple(tag.strip() for tag in tags if isinstance(tag, str) and tag.strip())


def _texts(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        return {}
    return {str(key): text for key, text in value.items() if isinstance(text, str)}


def _not_a_notebook(path: Path, what: str) -> NotebookError:
    return NotebookError(path, f"it is not a notebook: {what}", hint=_SAVE_AGAIN)
