"""Parameters: what is one, what stays behind, and the values that they take."""

from __future__ import annotations

import itertools
import math
from typing import Any

import pytest

from kale_pm.errors import ParameterError, UsageError
from kale_pm.model import Cell, Parameter
from kale_pm.notebook import (
    bind,
    describe,
    parameter_cells,
    parse_assignment,
    read_parameters,
    split_prelude,
)


def cells(*sources: str) -> list[Cell]:
    return [
        Cell(number, f"c{number}", "code", source, ("parameters",))
        for number, source in enumerate(sources, 1)
    ]


def parameters(*sources: str) -> dict[str, Any]:
    return {parameter.name: parameter for parameter in read_parameters(cells(*sources))}


def only(source: str) -> Parameter:
    (parameter,) = read_parameters(cells(source))
    return parameter


def split(*sources: str) -> tuple[list[tuple[str, str]], str]:
    """The assignments that move to the top, and the source that remains."""
    assignments, kept = split_prelude(cells(*sources))
    return list(assignments), "\n".join(cell.source for cell in kept)


def as_one_kernel(*sources: str) -> dict[str, Any]:
    namespace: dict[str, Any] = {}
    for source in sources:
        exec(source, namespace)
    return {name: value for name, value in namespace.items() if not name.startswith("__")}


class TestReading:
    @pytest.mark.parametrize(
        ("literal", "type_"),
        [
            ("1", "int"),
            ("-3", "int"),
            ("0.1", "float"),
            ("-1e-3", "float"),
            ("True", "bool"),
            ("'text'", "str"),
            ("'a' 'b'", "str"),
            ("[1, 'a', None]", "list"),
            ("[]", "list"),
            ("{'a': {'b': [1.5]}}", "dict"),
            ("None", "any"),
        ],
    )
    def test_literals_are_parameters(self, literal: str, type_: str) -> None:
        parameter = only(f"n = {literal}")
        assert (parameter.name, parameter.type) == ("n", type_)
        assert parameter.default == eval(literal)
        assert parameter.optional == (literal == "None")

    @pytest.mark.parametrize(
        "source",
        [
            "n = m * 2",
            "n = (1, 2)",
            "n = {1}",
            "n = b'x'",
            "n = 1j",
            "n = ...",
            "n = [(1, 2)]",
            "n = {1: 2}",
            "n = f'{m}'",
            "n = [m]",
            "n = set()",
            "n = {**m}",
            "n = m = 1",
            "n, m = 1, 2",
            "n.m = 1",
            "n[0] = 1",
            "n += 1",
            "n: int",
            "if True:\n    n = 1",
            "(n := 1)",
            "import n",
            "# n = 1",
            "",
            "n = (",
        ],
    )
    def test_anything_else_is_not(self, source: str) -> None:
        assert read_parameters(cells(source)) == ()

    @pytest.mark.parametrize(
        ("annotation", "type_", "optional"),
        [
            ("int", "int", False),
            ("float", "float", False),
            ("str", "str", False),
            ("list[int]", "list", False),
            ("List[int]", "list", False),
            ("typing.Dict[str, int]", "dict", False),
            ("Optional[str]", "str", True),
            ("typing.Optional[list[int]]", "list", True),
            ("int | None", "int", True),
            ("None | int", "int", True),
            ("Union[int, None]", "int", True),
            ("'int | None'", "int", True),
            ("int | str", "any", False),
            ("Any", "any", True),
            ("Annotated[float, 'unit']", "float", False),
        ],
    )
    def test_the_annotation_tells_the_type(
        self, annotation: str, type_: str, optional: bool
    ) -> None:
        parameter = only(f"n: {annotation} = 1")
        assert (parameter.type, parameter.optional) == (type_, optional)
        assert parameter.default == 1

    @pytest.mark.parametrize("annotation", ["np.float32", "Path", "'not python ('", "Literal[1]"])
    def test_an_unknown_annotation_leaves_it_to_the_default(self, annotation: str) -> None:
        assert only(f"n: {annotation} = 1").type == "int"

    def test_a_default_of_none_allows_none(self) -> None:
        parameter = only("n: int = None")
        assert (parameter.type, parameter.optional) == ("int", True)

    def test_the_place_is_kept(self) -> None:
        parameter = parameters("a = 1", "%matplotlib inline\n\nb = 2")["b"]
        assert (parameter.cell, parameter.line) == (2, 3)

    def test_the_last_of_equal_names_holds(self) -> None:
        found = parameters("n = 1\nm = 2", "n = 3")
        assert list(found) == ["n", "m"]
        assert (found["n"].default, found["n"].cell) == (3, 2)

    def test_a_parameter_that_is_computed_on_stays_one(self) -> None:
        assert only("n = 1\nn = n * 2").default == 1

    def test_what_a_remaining_statement_binds_above_is_none(self) -> None:
        assert read_parameters(cells("n = compute()\nn = 5")) == ()
        assert read_parameters(cells("from settings import *\nn = 5")) == ()

    def test_untagged_cells_below_a_parameters_cell_belong_to_it(self) -> None:
        tags = [("imports",), ("parameters",), (), ("hide-input",), ("functions",), ()]
        prelude = [Cell(i, "", "code", f"n{i} = 1", tag) for i, tag in enumerate(tags, 1)]
        assert [cell.number for cell in parameter_cells(prelude)] == [2, 3, 4]
        assert [parameter.name for parameter in read_parameters(prelude)] == ["n2", "n3", "n4"]


class TestSplitting:
    def test_assignments_and_the_rest(self) -> None:
        source = "n = 1\nimport os\nm = n * 2  # twice\nk: int = 3"
        assignments, rest = split(source)
        assert assignments == [("n", "n = 1"), ("k", "k: int = 3")]
        assert rest == "import os\nm = n * 2  # twice"

    def test_comments_go_with_what_they_describe(self) -> None:
        source = "# All\n\n# the rate\nlr = 0.1  # small\n# twice\nm = lr * 2"
        assignments, rest = split(source)
        assert assignments == [("lr", "# the rate\nlr = 0.1  # small")]
        assert rest == "# All\n\n# twice\nm = lr * 2"

    def test_statements_that_share_a_line(self) -> None:
        assignments, rest = split("é = 'ü'; m = é * 2; k = 3  # all")
        assert assignments == [("é", "é = 'ü'"), ("k", "k = 3")]
        assert rest == "m = é * 2  # all"

    def test_literals_over_several_lines(self) -> None:
        source = "a = [\n    1,  # one\n    2,\n]\nb = ('x'\n     'y')\nc = '''\n# no comment\n'''"
        assignments, rest = split(source)
        assert as_one_kernel(*(text for _, text in assignments)) == as_one_kernel(source)
        assert rest == ""

    def test_magics_stay_as_they_are_written(self) -> None:
        assignments, rest = split("%matplotlib inline\nn = 1\n!ls\nm = 2")
        assert assignments == [("n", "n = 1"), ("m", "m = 2")]
        assert rest == "%matplotlib inline\n!ls"

    def test_a_cell_that_is_indented_as_a_whole(self) -> None:
        assignments, rest = split("    n = 1\n    m = n")
        assert (assignments, rest) == ([("n", "n = 1")], "m = n")

    def test_an_annotation_that_needs_an_import_is_dropped(self) -> None:
        source = "from typing import Optional\nn: Optional[int] = -1\nm: list[int] = []"
        assignments, _ = split(source)
        assert assignments == [("n", "n = -1"), ("m", "m: list[int] = []")]

    def test_comments_alone_are_no_rest(self) -> None:
        assert split("n = 1\n\n# the end") == ([("n", "n = 1")], "")
        assert split("# nothing") == ([], "")

    def test_a_cell_that_does_not_parse_stays(self) -> None:
        assert split("n = (", "m = 1") == ([("m", "m = 1")], "n = (")

    @pytest.mark.parametrize(
        "sources",
        [
            ("n = 1\nm = n * 2\nn = 3",),
            ("n = 1; n = n * 2; k = n",),
            ("n = 1", "m = n + 1", "n = 5", "k = n"),
            ("n = sum([1, 2])\nn = 5",),
            ("xs = []\nxs.append(1)\nxs = [7]\nys = xs",),
            ("def f():\n    return n\nn = 2\nm = f()",),
            ("for i in range(3): pass\ni = 9\nj = i",),
            ("import math as n\nn = 3",),
            ("class A:\n    m = 1\nm = 2\nA = 3",),
            ("f = lambda x=1: x\nx = 2\ny = f()",),
            ("a = 1\na = 2\nb = a",),
        ],
    )
    def test_the_parts_give_what_one_kernel_gives(self, sources: tuple[str, ...]) -> None:
        assignments, rest = split(*sources)
        pieces = [*(source for _, source in assignments), rest]
        one, other = as_one_kernel(*pieces), as_one_kernel(*sources)
        plain = (int, list)
        assert {k: v for k, v in one.items() if isinstance(v, plain)} == {
            k: v for k, v in other.items() if isinstance(v, plain)
        }
        defaults = {name: eval(text.partition("=")[2]) for name, text in assignments}
        assert {p.name: p.default for p in read_parameters(cells(*sources))} == defaults


class TestSplittingThePrelude:
    def test_what_remains_keeps_its_place(self) -> None:
        counter = itertools.count(1)

        def cell(source: str, tag: str) -> Cell:
            return Cell(number := next(counter), f"c{number}", "code", source, (tag,))

        prelude = [
            cell("import os", "imports"),
            cell("n = 1\nm = n * 2", "parameters"),
            cell("def f(x=m): return x + n", "functions"),
            cell("k = 3", "parameters"),
            cell("total = f() + k", "parameters"),
        ]
        assignments, kept = split_prelude(prelude)
        assert assignments == (("n", "n = 1"), ("k", "k = 3"))
        assert [(cell.number, cell.source) for cell in kept] == [
            (1, "import os"),
            (2, "m = n * 2"),
            (3, "def f(x=m): return x + n"),
            (5, "total = f() + k"),
        ]

    def test_a_cell_in_between_that_reads_a_name_keeps_the_next_assignment_below(self) -> None:
        prelude = [
            Cell(1, "a", "code", "n = 1", ("parameters",)),
            Cell(2, "b", "code", "LIMIT = n * 10", ("functions",)),
            Cell(3, "c", "code", "n = 2", ("parameters",)),
        ]
        assignments, kept = split_prelude(prelude)
        assert assignments == (("n", "n = 1"),)
        assert [cell.source for cell in kept] == ["LIMIT = n * 10", "n = 2"]
        assert [parameter.default for parameter in read_parameters(prelude)] == [1]

    def test_cells_above_the_first_parameters_do_not_matter(self) -> None:
        prelude = [
            Cell(1, "a", "code", "from settings import *\nSEED = 1", ("imports",)),
            Cell(2, "b", "code", "SEED = 2", ("parameters",)),
        ]
        assert [parameter.default for parameter in read_parameters(prelude)] == [2]


def parameter(type_: Any, default: Any = None, optional: bool = False) -> Parameter:
    return Parameter("p", type_, default, optional)


def convert(given: Parameter, text: str) -> object:
    """The value that ``-p p=text`` gives."""
    return bind([given], {"p": text})["p"]


class TestConverting:
    @pytest.mark.parametrize(
        ("type_", "text", "value"),
        [
            ("str", "a=b", "a=b"),
            ("str", "null", "null"),
            ("str", "", ""),
            ("str", "7", "7"),
            ("bool", "true", True),
            ("bool", "False", False),
            ("int", "-7", -7),
            ("int", "12345678901234567890", 12345678901234567890),
            ("float", "3", 3.0),
            ("float", "1e-3", 0.001),
            ("float", "-inf", -math.inf),
            ("list", "[1, 2.5, null]", [1, 2.5, None]),
            ("dict", '{"a": [true]}', {"a": [True]}),
            ("any", "[1]", [1]),
            ("any", "null", None),
            ("any", "plain text", "plain text"),
        ],
    )
    def test_texts(self, type_: str, text: str, value: object) -> None:
        result = convert(parameter(type_), text)
        assert result == value
        assert type(result) is type(value)

    def test_not_a_number(self) -> None:
        assert math.isnan(convert(parameter("float"), "nan"))

    @pytest.mark.parametrize("type_", ["str", "bool", "int", "float", "list", "dict"])
    def test_null_is_none_only_where_none_may_be(self, type_: str) -> None:
        assert convert(parameter(type_, optional=True), "null") is None
        if type_ != "str":
            with pytest.raises(ParameterError):
                convert(parameter(type_), "null")

    @pytest.mark.parametrize("type_", ["bool", "int", "float", "list", "dict"])
    def test_how_none_is_written_is_told(self, type_: str) -> None:
        with pytest.raises(ParameterError, match="None is written null"):
            convert(parameter(type_, optional=True), "None")
        with pytest.raises(ParameterError) as caught:
            convert(parameter(type_), "None")
        assert "null" not in caught.value.message

    @pytest.mark.parametrize(
        ("type_", "text"),
        [
            ("bool", "1"),
            ("bool", "yes"),
            ("int", "1.5"),
            ("int", "1e3"),
            ("int", ""),
            ("int", "9" * 5000),
            ("float", "much"),
            ("list", "1, 2"),
            ("list", "{}"),
            ("dict", "[]"),
            ("dict", "{'a': 1}"),
        ],
    )
    def test_texts_that_do_not_fit(self, type_: str, text: str) -> None:
        with pytest.raises(ParameterError) as caught:
            convert(parameter(type_, 0), text)
        assert "parameter 'p'" in caught.value.message
        assert f"p: {type_} = 0" in caught.value.hint


class TestBinding:
    KNOWN = (
        Parameter("lr", "float", 0.1),
        Parameter("n", "int", 3, optional=True),
        Parameter("names", "list", ["a"]),
    )

    def test_every_parameter_gets_a_value(self) -> None:
        assert bind(self.KNOWN, {}) == {"lr": 0.1, "n": 3, "names": ["a"]}
        assert bind(self.KNOWN, {"n": "7"}) == {"lr": 0.1, "n": 7, "names": ["a"]}

    def test_defaults_are_copies(self) -> None:
        bound = bind(self.KNOWN, {})["names"]
        assert isinstance(bound, list)
        bound.append("b")
        assert bind(self.KNOWN, {})["names"] == ["a"]

    def test_python_values(self) -> None:
        bound = bind(self.KNOWN, {"lr": 1, "n": None, "names": ("a", 1)})
        assert bound == {"lr": 1.0, "n": None, "names": ["a", 1]}
        assert type(bound["lr"]) is float

    def test_scalars_of_numpy(self) -> None:
        numpy = pytest.importorskip("numpy")
        bound = bind(self.KNOWN, {"lr": numpy.float32(0.5), "n": numpy.int64(4)})
        assert (type(bound["lr"]), type(bound["n"])) == (float, int)

    @pytest.mark.parametrize(
        "given",
        [
            {"lr": True},
            {"lr": None},
            {"n": 1.0},
            {"n": True},
            {"n": [1]},
            {"names": {"a": 1}},
            {"names": [object()]},
            {"names": [{1: 2}]},
        ],
    )
    def test_python_values_of_another_type(self, given: dict[str, object]) -> None:
        with pytest.raises(ParameterError):
            bind(self.KNOWN, given)

    def test_an_unknown_name_lists_what_there_is(self) -> None:
        with pytest.raises(ParameterError) as caught:
            bind(self.KNOWN, {"rate": "1"})
        assert caught.value.name == "rate"
        assert caught.value.known == ("lr: float = 0.1", "n: int | None = 3", "names: list = ['a']")

    def test_a_notebook_without_parameters(self) -> None:
        with pytest.raises(ParameterError) as caught:
            bind((), {"rate": "1"})
        assert "none" in caught.value.hint


def test_an_assignment_splits_at_the_first_equals_sign() -> None:
    assert parse_assignment("query=a=b") == ("query", "a=b")
    assert parse_assignment("text=") == ("text", "")
    assert parse_assignment("text= a ") == ("text", " a ")


@pytest.mark.parametrize("text", ["lr", "", "=1", " =1"])
def test_an_assignment_without_name_or_sign(text: str) -> None:
    with pytest.raises(UsageError) as caught:
        parse_assignment(text)
    assert "name=value" in caught.value.hint


def test_describing() -> None:
    assert describe(Parameter("n", "any", None, optional=True)) == "n: any = None"
