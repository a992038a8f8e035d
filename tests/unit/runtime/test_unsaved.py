"""A variable that cannot be stored: the statement that made it so, and who wanted it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kale_pm.local.unsaved import with_origin
from kale_pm.model import Cell, Configuration, Need, Pipeline, Source, Step
from kale_pm.record import CellError


def blamed(path: str, *cells: str, variable: str = "cfg") -> CellError:
    """The error of step ``make``, whose cells these are, with its origin."""
    code = tuple(Cell(number, f"c{number}", "code", text) for number, text in enumerate(cells, 3))
    make = Step("make", code, gives=(variable,))
    use = Step("use", (), prev=("make",), needs=(Need(variable, Source("make", variable)),))
    other = Step("other", (), prev=("make",))
    pipeline = Pipeline(Path("n.ipynb"), Configuration("n"), (), (make, use, other))
    text = f"cannot save {path}: a connection belongs to a process\nkeep its address"
    return with_origin(CellError("SaveError", text), pipeline, make)


def test_what_is_known_comes_as_fields() -> None:
    error = blamed("cfg['db']._lock", "cfg = {}", "x = 1\ncfg['db'] = connect()")
    assert (error.variable, error.path, error.needed_by) == ("cfg", "cfg['db']._lock", ("use",))
    assert (error.cell, error.line, error.source) == (4, 2, "cfg['db'] = connect()")
    assert error.evalue.endswith("keep its address (needed by step use)")


def test_fields_that_the_step_itself_filled_in_are_believed() -> None:
    known = CellError("SaveError", "a text of any kind", variable="cfg", path="cfg.db")
    step = Step("make", (Cell(3, "c", "code", "cfg = C()\ncfg.db = 1\ncfg.x = 2"),))
    pipeline = Pipeline(Path("n.ipynb"), Configuration("n"), (), (step,))
    assert with_origin(known, pipeline, step).line == 2


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
        CellError("SaveError", "cannot save cfg: no", cell=2),
        CellError("SaveError", "cannot save the step's variables: no cell ran"),
        CellError("SaveError", "something else"),
    ],
)
def test_other_errors_stay_as_they_are(error: CellError) -> None:
    step = Step("make", (Cell(1, "c", "code", "cfg = 1\nx = 2"),))
    pipeline = Pipeline(Path("n.ipynb"), Configuration("n"), (), (step,))
    assert with_origin(error, pipeline, step) == error


def test_a_cell_that_is_not_python_alone_is_read_all_the_same() -> None:
    assert blamed("cfg", "%matplotlib inline\n!ls\ncfg = connect()").line == 3
