"""A variable that cannot be stored: the statement that made it so, and who wanted it."""

from __future__ import annotations

import pytest

from kale_pm.record import CellError
from kale_pm.runtime.execution.unsaved import with_origin


def blamed(path: str, *cells: str, variable: str = "cfg") -> CellError:
    """The error of a step whose cells these are, with its origin; step ``use`` needs it."""
    text = f"cannot save {path}: a connection belongs to a process\nkeep its address"
    error = CellError("SaveError", text, variable=variable, path=path)
    return with_origin(error, [*enumerate(cells, 3)], {variable: ["use"]})


def test_what_is_known_comes_as_fields() -> None:
    error = blamed("cfg['db']._lock", "cfg = {}", "x = 1\ncfg['db'] = connect()")
    assert (error.variable, error.path, error.needed_by) == ("cfg", "cfg['db']._lock", ("use",))
    assert (error.cell, error.line, error.source) == (4, 2, "cfg['db'] = connect()")
    assert error.evalue.endswith("keep its address (needed by step use)")


def test_the_lines_around_the_statement_are_shown() -> None:
    (place,) = blamed("cfg", "import db\ncfg = db.connect()\nn = 1\nm = 2").places
    assert (place.cell, place.line, place.first) == (3, 2, 1)
    assert place.lines == ("import db", "cfg = db.connect()", "n = 1")


@pytest.mark.parametrize(
    ("path", "code", "line"),
    [
        ("cfg", "cfg = 1\ncfg = connect()\nprint(cfg)", 2),
        ("cfg", "if True:\n    cfg = 1\nelse:\n    pass\nx = 1\ncfg = connect()", 6),
        ("cfg", "cfg = connect()\nfor x in rows:\n    y = x", 1),
        ("cfg", "cfg = connect()\ncfg.update(1)", 1),
        ("cfg", "cfg = connect()\ncfg.timeout = 3", 1),
        ("cfg", "cfg = connect()\ndef f():\n    cfg = 1", 1),
        ("cfg", "cfg = connect()\nrows = [cfg for cfg in range(3)]", 1),
        ("cfg", "with open(x) as cfg:\n    pass", 1),
        ("cfg (its variable x)", "import os\ndef cfg():\n    return x", 2),
        ("cfg['db']", "cfg = {}\ncfg['db'] = connect()\ncfg['n'] = 3", 2),
        ("cfg['db']", "cfg['db'] = connect()\ncfg['dbs'] = 1\nprint(cfg['db'])", 1),
        ("cfg['db']", "cfg = {}\ncfg[name] = connect()\nx = cfg", 2),
        ("cfg['a'].rows[2]", "cfg = f()\ncfg['a'].rows = g()\ncfg['a'].n = 3", 2),
        ("cfg[0]", "cfg = []\ncfg.append(connect())\nprint(cfg)", 2),
        ("cfg['a'][0]", "cfg = {'a': []}\ncfg['a'].append(connect())\ncfg['b'].append(1)", 2),
        ("cfg['db']", "x = 1\nfill(cfg)\ny = 2", 2),
    ],
)
def test_the_statement_that_brought_the_culprit_in_is_blamed(
    path: str, code: str, line: int
) -> None:
    error = blamed(path, code)
    assert (error.cell, error.line) == (3, line)
    assert error.source == code.splitlines()[line - 1].strip()


def test_the_later_of_two_cells_is_blamed() -> None:
    assert blamed("cfg", "cfg = connect()", "cfg = connect()", "x = 1").cell == 4


@pytest.mark.parametrize(
    "error",
    [
        CellError("ValueError", "cannot save cfg: no"),
        CellError("SaveError", "cannot save cfg: no", cell=2, variable="cfg", path="cfg"),
        CellError("SaveError", "cannot save the step's variables: no cell ran"),
    ],
)
def test_other_errors_stay_as_they_are(error: CellError) -> None:
    assert with_origin(error, [(1, "cfg = 1\nx = 2")], {}) == error


def test_a_cell_that_is_not_python_alone_is_read_all_the_same() -> None:
    assert blamed("cfg", "%matplotlib inline\n!ls\ncfg = connect()").line == 3
