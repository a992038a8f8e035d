"""Trials as files: CSV with the parameters' names on top, JSON, JSON lines."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from kale_pm.errors import UsageError
from kale_pm.notebook.spelling import nearest

_RIGHT_NAME = "name it .csv, .tsv, .json, .jsonl or .ndjson, as what it is"
_DELIMITERS = ",;\t"


class Row(dict[str, Any]):
    """The values that somebody has for one trial, by name; ``place`` says where they stand.

    ``is_spelled`` says that texts spell values, as on the command line, for want of another way.
    """

    def __init__(self, values: Mapping[str, Any], place: str, *, is_spelled: bool = False) -> None:
        super().__init__(values)
        self.place = place
        self.is_spelled = is_spelled


def read_trials(path: Path) -> tuple[Mapping[str, Any], ...]:
    """The trials in a file, by the ending of its name, each a :class:`Row`; at least one.

    CSV has the parameters' names in its first line, and columns between commas, semicolons or
    tabs; an empty cell stands for the default.  JSON is a list of objects, JSON lines have one
    in each line.  Values are texts in CSV and as they are in JSON.

    Raises UsageError, which names the place, for a file that is not there or not like this.
    """
    text = _text(path)
    match path.suffix.lower():
        case ".csv" | ".tsv":
            rows = tuple(_of_csv(path, text))
        case ".json":
            rows = tuple(_of_json(path, text))
        case ".jsonl" | ".ndjson":
            rows = tuple(_of_lines(path, text))
        case "":
            raise UsageError(f"{path}: its name has no ending", hint=_RIGHT_NAME)
        case suffix:
            reason = f"{path}: a file of trials cannot end in {suffix}"
            raise UsageError(reason, hint=_RIGHT_NAME)
    if not rows:
        raise UsageError(f"{path}: there is no trial in it", hint="add a line for each trial")
    return rows


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8-sig")
    except FileNotFoundError:
        raise UsageError(f"{path}: there is no such file", hint=_similar(path)) from None
    except IsADirectoryError:
        raise UsageError(f"{path}: it is a folder", hint="name the file of trials in it") from None
    except UnicodeDecodeError as error:
        reason = f"{path}: byte {error.start + 1} is no UTF-8"
        raise UsageError(reason, hint="save it again as UTF-8") from None
    except (OSError, ValueError) as error:
        raise UsageError(f"{path}: it cannot be read: {error}", hint="check the path") from None


def _similar(path: Path) -> str:
    try:
        names = [other.name for other in path.parent.iterdir()]
    except OSError:
        return f"there is no folder {path.parent} either"
    near = nearest(path.name, names)
    return f"did you mean {path.parent / near}?" if near else "check the path"


def _of_csv(path: Path, text: str) -> Iterator[Row]:
    lines = list(io.StringIO(text, newline=""))
    first = next((line for line in lines if line.strip()), "")
    delimiter = next((sign for sign in _DELIMITERS if sign in first), ",")
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    names: list[str] | None = None
    try:
        for cells in reader:
            place = f"{path}, line {reader.line_num}"
            # Of one column, "" is an empty cell: so those write it who make such files.
            if len(cells) < 2 and not lines[reader.line_num - 1].strip():
                continue
            if names is None:
                names = _header(cells, place)
            elif len(cells) != len(names):
                reason = f"{place}: it has {_counted(len(cells))}, and the first {len(names)}"
                raise UsageError(reason, hint='put a value that has commas in quotes: "[1, 2]"')
            else:
                filled = zip(names, cells, strict=True)
                values = {name: cell for name, cell in filled if cell}
                yield Row(values, place, is_spelled=True)
    except csv.Error as error:
        hint = 'a cell in quotes ends with them, and has its own twice: "a ""b"" c"'
        raise UsageError(f"{path}, line {reader.line_num}: {error}", hint=hint) from None


def _counted(cells: int) -> str:
    return f"{cells} cell" if cells == 1 else f"{cells} cells"


def _header(cells: list[str], place: str) -> list[str]:
    names = [cell.strip() for cell in cells]
    for column, name in enumerate(names, 1):
        if not name:
            hint = "the first line has the parameters' names"
            raise UsageError(f"{place}: column {column} has no name", hint=hint)
        if name in names[: column - 1]:
            hint = "leave one of the columns out"
            raise UsageError(f"{place}: '{name}' stands there twice", hint=hint)
    return names


def _of_json(path: Path, text: str) -> Iterator[Row]:
    content = _parsed(text, str(path))
    if not isinstance(content, list):
        hint = 'write [{"depth": 3}, {"depth": 5}]'
        raise UsageError(f"{path}: it is no list of objects", hint=hint)
    for number, entry in enumerate(content, 1):
        yield _object(entry, f"{path}, trial {number}")


def _of_lines(path: Path, text: str) -> Iterator[Row]:
    # By \n alone: a text of JSON may hold other signs that end lines elsewhere.
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            place = f"{path}, line {number}"
            yield _object(_parsed(line, place), place)


def _parsed(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{place}: it is no JSON: {error}", hint="check it there") from None


def _object(entry: object, place: str) -> Row:
    if not isinstance(entry, dict):
        hint = 'a trial is an object: {"depth": 3}'
        raise UsageError(f"{place}: {json.dumps(entry)} is no object", hint=hint)
    return Row(entry, place)
