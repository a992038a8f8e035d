"""Frames of pandas: their types, their metadata, and their data mapped from the file."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from library_cases import PRELUDE, cases

CASES = cases(
    "pandas",
    large_frame=(
        "import pandas; v = pandas.DataFrame({'a': range(100_000), 'b': 0.5})",
        """
        assert is_mapped(address(v["a"].to_numpy())) and v.a.sum() == 4999950000
        v.loc[0, "b"] = 2
        assert v.b[0] == 2 and v.b[1] == 0.5
        """,
    ),
    frames_that_copy_on_write=(
        """
        import pandas
        whole = pandas.DataFrame({"a": range(50_000)})
        v = [whole, whole[:], whole["a"]]
        """,
        """
        v[0].loc[0, "a"] = -1
        assert v[1]["a"][0] == 0 and v[2][0] == 0
        """,
    ),
    categories=(
        """
        import pandas
        v = pandas.Series(["s", "l", None], dtype=pandas.CategoricalDtype(["s", "m", "l"], True))
        """,
        "assert v.cat.ordered and v.max() == 'l' and v.cat.categories.tolist() == ['s', 'm', 'l']",
    ),
    time_zones=(
        "import pandas; v = pandas.date_range('2024-03-30', periods=3, tz='Europe/Berlin')",
        "assert str(v.tz) == 'Europe/Berlin' and v.freqstr == 'D' and v[2].utcoffset().seconds > 0",
    ),
    several_levels=(
        """
        import pandas
        rows = pandas.MultiIndex.from_product([["x", "y"], [1, 2]], names=["k", "n"])
        v = pandas.DataFrame({("a", "b"): [1, 2, 3, 4]}, index=rows)
        """,
        "assert v.loc[('y', 1), ('a', 'b')] == 3 and v.columns.nlevels == 2",
    ),
    numbers_with_gaps=(
        "import pandas; v = pandas.array([1, None, 3], dtype='Int64')",
        "import pandas; assert v[1] is pandas.NA and v.dtype == 'Int64' and v.sum() == 4",
    ),
    texts_in_arrow=(
        "import pandas; v = pandas.Series(['a', None, 'c'], dtype='string[pyarrow]')",
        "assert v.dtype.storage == 'pyarrow' and v.isna().tolist() == [False, True, False]",
    ),
    numbers_in_arrow=(
        "import pandas; v = pandas.Series(range(100_000), dtype='int64[pyarrow]')",
        """
        chunk = v.array.__arrow_array__().chunk(0)
        assert v.sum() == 4999950000 and is_mapped(chunk.buffers()[1].address)
        """,
    ),
    periods_and_intervals=(
        """
        import pandas
        v = [pandas.period_range("2024-01", periods=3, freq="M"),
             pandas.interval_range(0, 3), pandas.Timedelta(hours=2)]
        """,
        "assert v[0].freqstr == 'M' and v[1][0].right == 1 and v[2].seconds == 7200",
    ),
    sparse=(
        """
        import pandas
        v = pandas.Series(pandas.arrays.SparseArray([0.0, 0, 5], fill_value=0))
        """,
        "assert v.sparse.npoints == 1 and v.sparse.fill_value == 0 and v.sum() == 5",
    ),
    attributes_and_flags=(
        """
        import pandas
        v = pandas.DataFrame({"a": [1]}).set_flags(allows_duplicate_labels=False)
        v.attrs["unit"] = "m"
        """,
        "assert v.attrs == {'unit': 'm'} and not v.flags.allows_duplicate_labels",
    ),
    subclass_with_metadata=(
        """
        import pandas
        class Track(pandas.DataFrame):
            _metadata = ["crs"]
            @property
            def _constructor(self): return Track
        v = Track({"x": [1, 2]})
        v.crs = "EPSG:4326"
        """,
        "Track = type(v); assert v.crs == 'EPSG:4326' and v[v.x > 1].crs == 'EPSG:4326'",
    ),
    frame_in_two_places=(
        "import pandas; f = pandas.DataFrame({'a': [1]}); v = {'train': f, 'all': [f]}",
        "v['train']['b'] = 2; assert list(v['all'][0]) == ['a', 'b']",
    ),
    groups=(
        "import pandas; v = pandas.DataFrame({'k': [1, 1, 2], 'n': [1, 2, 3]}).groupby('k')",
        "assert v.n.sum().tolist() == [3, 3]",
    ),
)


@pytest.mark.parametrize("name", CASES)
def test_next_step_has_the_same(name: str, steps: Callable) -> None:
    case = CASES[name]
    steps(PRELUDE, case.needs).hand_over(case.make, case.use)
