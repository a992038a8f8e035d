"""IPython's dialect: magics, shell lines, help."""

from __future__ import annotations

from typing import Any

import pytest


@pytest.mark.parametrize(
    "cell",
    [
        "%time print(x)",
        "%timeit x",
        "%timeit -n 10 -r 3 x",
        "%%time\nprint(x)",
        "%%timeit y = 1\nx + y",
        "%%capture out\nprint(x)",
        "%prun x",
        "!echo {x}",
        "!echo {x[0]}",
        "!echo $x",
        "y = !echo {x}",
        "%env NAME=$x",
        "%env NAME={x}",
        "%who_knows x",
        "x?",
        "if 1:\n    %time y = x",
        "def f():\n    y = !echo {x}\n    return y\nf()",
        "%%sql\nselect * from t where a = :x",
        "time print(x)",
    ],
)
def test_reading(chain: Any, cell: str) -> None:
    assert chain("x = [1]", cell).needs("b") == {"x": "a"}


@pytest.mark.parametrize(
    "cell",
    [
        "!echo x $$x $HOME",
        "%%bash\necho $x {x}",
        "%%writefile x.py\nprint(x)",
        "%%html\n<b>{x}</b>",
        "%matplotlib x",
        "%pip install x",
        "'%time x'",
        '"""\n%time x\n"""',
        "%cd x",
    ],
)
def test_not_reading(chain: Any, cell: str) -> None:
    assert chain("x = [1]", cell).needs("b") == {}


@pytest.mark.parametrize(
    "cell",
    [
        "%time y = 1",
        "%%time\ny = 1",
        "%%capture y\nprint(1)",
        "%%capture --no-stderr y\nprint(1)",
        "y = !ls",
        "y = %time 1",
        "%prun -q y = 1",
    ],
)
def test_binding(chain: Any, cell: str) -> None:
    assert chain(cell, "print(y)").needs("b") == {"y": "a"}


def test_timeit_binds_nothing(chain: Any) -> None:
    assert chain("%timeit y = 1", "print(y)").errors == ["undefined-name"]


def test_timeit_changes_for_good(chain: Any) -> None:
    assert chain("x = []", "%timeit x.append(1)", "print(x)").needs("c") == {"x": "b"}


@pytest.mark.parametrize("magic", ["%env A=1", "%cd .."])
def test_global_state(chain: Any, magic: str) -> None:
    problem = chain(magic, "x = 1").problem("global-state")
    assert magic.partition(" ")[0] in problem.message


def test_of_the_prelude(chain: Any) -> None:
    assert chain("x = 1", functions="%matplotlib inline\n%env A=1").codes == []
