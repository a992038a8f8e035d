"""Tables of Arrow, and frames of polars, which lie in its buffers: large ones are mapped."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from library_cases import PRELUDE, cases

ARROW = cases(
    "pyarrow",
    table=(
        "import pyarrow; v = pyarrow.table({'n': range(100_000)}, metadata={'unit': 'm'})",
        """
        chunk = v.column("n").chunk(0)
        assert v.schema.metadata == {b"unit": b"m"} and v.validate(full=True) is None
        assert is_mapped(chunk.buffers()[1].address)
        """,
    ),
    slice_of_a_table=(
        "import pyarrow; v = pyarrow.table({'n': range(1000), 't': ['x'] * 1000}).slice(10, 5)",
        "assert v.column('n').to_pylist() == [10, 11, 12, 13, 14] and v.num_rows == 5",
    ),
    dictionary=(
        "import pyarrow; v = pyarrow.array(['a', 'b', 'a', None]).dictionary_encode()",
        "assert v.indices.to_pylist() == [0, 1, 0, None] and len(v.dictionary) == 2",
    ),
    schema=(
        """
        import pyarrow
        v = pyarrow.schema([pyarrow.field("n", pyarrow.int8(), nullable=False)], {"k": "v"})
        """,
        "assert not v.field('n').nullable and v.metadata == {b'k': b'v'}",
    ),
    chunks=(
        "import pyarrow; v = pyarrow.chunked_array([[1, 2], [3]])",
        "assert v.num_chunks == 2 and v.to_pylist() == [1, 2, 3]",
    ),
    batch_with_nested_types=(
        """
        import pyarrow
        rows = [{"a": [1, 2], "b": {"c": "x"}}, {"a": None, "b": None}]
        v = pyarrow.RecordBatch.from_pylist(rows)
        """,
        "assert v.to_pylist()[0] == {'a': [1, 2], 'b': {'c': 'x'}} and v.num_rows == 2",
    ),
    scalar_and_buffer=(
        "import pyarrow; v = [pyarrow.scalar(2.5), pyarrow.py_buffer(b'bytes')]",
        "assert v[0].as_py() == 2.5 and v[1].to_pybytes() == b'bytes'",
    ),
)

POLARS = cases(
    "polars",
    frame=(
        """
        import polars
        v = polars.DataFrame({"n": range(100_000), "t": ["x", None] * 50_000},
                             schema_overrides={"n": polars.Int32})
        """,
        """
        import polars
        assert type(v) is polars.DataFrame and v.schema == {"n": polars.Int32, "t": polars.String}
        assert v["n"][-1] == 99_999 and v["t"].null_count() == 50_000 and v["t"][0] == "x"
        """,
    ),
    numbers_are_mapped=(
        "import polars; v = polars.DataFrame({'x': [0.5] * 100_000})",
        "assert is_mapped(address(v['x'].to_numpy(allow_copy=False)))",
    ),
    series=(
        "import polars; v = polars.Series('n', [1.5, None] * 50_000)",
        """
        import polars
        assert type(v) is polars.Series and v.name == "n" and v.null_count() == 50_000
        assert is_mapped(v.to_arrow().buffers()[1].address)
        """,
    ),
    nested_and_categorical=(
        """
        import datetime, polars
        v = polars.DataFrame({
            "list": [[1, 2], []], "struct": [{"a": 1}, {"a": None}],
            "kind": polars.Series(["x", "y"], dtype=polars.Categorical),
            "size": polars.Series(["s", "l"], dtype=polars.Enum(["s", "l"])),
            "day": [datetime.date(2024, 2, 29), None],
            "at": polars.Series([0, 1], dtype=polars.Datetime("us", "Europe/Rome")),
            "sum": polars.Series(["1.50", "2.25"]).cast(polars.Decimal(10, 2)),
            "pair": polars.Series([[1, 2], [3, 4]], dtype=polars.Array(polars.Int8, 2)),
        })
        expected = v.schema
        """,
        """
        import polars
        assert v.dtypes == [
            polars.List(polars.Int64), polars.Struct({"a": polars.Int64}), polars.Categorical,
            polars.Enum(["s", "l"]), polars.Date, polars.Datetime("us", "Europe/Rome"),
            polars.Decimal(10, 2), polars.Array(polars.Int8, 2),
        ]
        assert v.row(0)[:4] == ([1, 2], {"a": 1}, "x", "s") and v["kind"].to_list() == ["x", "y"]
        """,
    ),
    frame_of_objects=(
        "import polars; v = polars.DataFrame([polars.Series('o', [{1}, {2}], polars.Object)])",
        "assert v['o'][0] == {1}",
    ),
    frame_without_rows_or_columns=(
        "import polars; v = [polars.DataFrame(), polars.DataFrame({'a': []}), polars.Series()]",
        "assert [len(each) for each in v] == [0, 0, 0] and v[1].columns == ['a']",
    ),
    frame_of_a_class_of_its_own=(
        """
        import polars
        class Ledger(polars.DataFrame):
            def total(self): return self["sum"].sum()
        v = Ledger({"sum": [1, 2]})
        """,
        "assert type(v).__name__ == 'Ledger' and v.total() == 3",
    ),
    query=(
        """
        import polars
        frame = polars.DataFrame({"n": [1, 2, 3]})
        v = [frame.lazy().filter(polars.col("n") > 1), polars.col("n").sum()]
        """,
        """
        import polars
        assert type(v[0]) is polars.LazyFrame and v[0].collect()["n"].to_list() == [2, 3]
        assert v[0].select(v[1]).collect().item() == 5
        """,
    ),
    namespace=(
        """
        import polars
        @polars.api.register_series_namespace("bank")
        class Bank:
            def __init__(self, series): self.series = series
            def total(self): return self.series.sum()
        v = polars.Series([1, 2])
        """,
        "assert v.bank.total() == 3",
    ),
)

CASES = ARROW | POLARS


@pytest.mark.parametrize("name", CASES)
def test_next_step_has_the_same(name: str, steps: Callable) -> None:
    case = CASES[name]
    steps(PRELUDE, case.needs).hand_over(case.make, case.use)
