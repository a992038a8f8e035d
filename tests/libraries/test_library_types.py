"""Objects of libraries: the same type, the same values, shared where they were shared.

Where a library keeps its data in buffers, a large one is mapped from the file, not copied.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

PRELUDE = """
    import os

    def is_mapped(address):
        if not os.path.exists("/proc/self/maps"):
            return True  # this system does not tell
        with open("/proc/self/maps") as lines:
            for line in lines:
                low, _, high = line.split()[0].partition("-")
                if int(low, 16) <= address < int(high, 16):
                    return line.rstrip().endswith(".pack")
        return False

    def address(array):
        return array.__array_interface__["data"][0]
"""


class Case(NamedTuple):
    make: str
    use: str
    needs: str  # libraries


def cases(needs: str, **pairs: tuple[str, str]) -> dict[str, Case]:
    library = needs.split(maxsplit=1)[0].partition(".")[0]
    return {
        f"{library}: {name.replace('_', ' ')}": Case(make, use, needs)
        for name, (make, use) in pairs.items()
    }


NUMPY = cases(
    "numpy",
    large_array=(
        "import numpy; v = numpy.arange(100_000.0)",
        """
        assert is_mapped(address(v)) and v[-1] == 99_999 and v.flags.writeable
        v[0] = 7
        assert v[0] == 7
        """,
    ),
    views=(
        """
        import numpy
        whole = numpy.arange(100_000.0).reshape(100, 1000)
        v = [whole, whole[3:5], whole.T, whole[::-1, ::2], whole.ravel()]
        """,
        """
        v[0][4, 0] = -1
        assert v[1][1, 0] == v[2][0, 4] == v[3][95, 0] == v[4][4000] == -1
        assert not v[2].flags.c_contiguous and v[3].strides == (-8000, 16)
        """,
    ),
    view_without_its_owner=(
        """
        import numpy
        v = numpy.arange(100_000.0)[1000:90_000:2]
        """,
        "assert v[1] == 1002 and len(v) == 44_500 and is_mapped(address(v))",
    ),
    columns_first=(
        "import numpy; v = numpy.asfortranarray(numpy.arange(40_000.0).reshape(200, 200))",
        "assert v.flags.f_contiguous and v[1, 0] == 200 and is_mapped(address(v))",
    ),
    small_array_and_its_view=(
        "import numpy; owner = numpy.arange(6); v = [owner, owner[::2]]",
        "v[0][2] = 50; assert v[1].tolist() == [0, 50, 4]",
    ),
    records=(
        "import numpy; v = numpy.zeros(20_000, dtype=[('at', 'M8[s]'), ('x', 'f4', (2,))])",
        "v['x'][3] = 1; assert v[3]['x'].sum() == 2 and v.dtype.names == ('at', 'x')",
    ),
    record_array=(
        "import numpy; v = numpy.rec.array([(1, 2.5)], dtype=[('n', 'i4'), ('x', 'f8')])",
        "import numpy; assert type(v) is numpy.recarray and v.x[0] == 2.5",
    ),
    dates_and_spans=(
        """
        import numpy
        v = [numpy.array(["2024-02-29", "NaT"], "M8[D]"), numpy.array([90], "m8[s]")]
        """,
        """
        import numpy
        assert v[0].dtype == "M8[D]" and numpy.isnat(v[0][1]) and v[1][0].item().seconds == 90
        """,
    ),
    objects=(
        """
        import numpy
        part = [1]
        v = [numpy.array([part, None, 2], dtype=object), part]
        """,
        "v[1].append(2); assert v[0][0] == [1, 2] and v[0].dtype == object",
    ),
    texts=(
        "import numpy; v = numpy.array(['a', 'long']), numpy.array([b'x'])",
        "assert v[0].dtype == '<U4' and v[1].tolist() == [b'x']",
    ),
    variable_length_texts=(
        """
        import numpy
        v = numpy.array(["a", "a long text"], dtype=numpy.dtypes.StringDType())
        """,
        """
        import numpy
        assert v.dtype == numpy.dtypes.StringDType() and v.tolist() == ["a", "a long text"]
        """,
    ),
    masked=(
        """
        import numpy
        v = numpy.ma.masked_less(numpy.arange(20_000.0), 5)
        v.fill_value = -1
        """,
        "assert v.mask.sum() == 5 and v.fill_value == -1 and v.filled()[0] == -1",
    ),
    masked_array_over_other_arrays=(
        """
        import numpy
        data, mask = numpy.zeros(5), numpy.zeros(5, bool)
        large = numpy.zeros(5000)
        v = [data, mask, numpy.ma.MaskedArray(data, mask, copy=False, hard_mask=True),
             large, numpy.ma.MaskedArray(large, fill_value=3)]
        """,
        """
        import numpy
        v[0][1], v[1][2], v[3][7] = 5, True, 6
        assert v[2].tolist() == [0, 5, None, 0, 0] and v[2].hardmask
        assert v[4][7] == 6 and v[4].fill_value == 3 and v[4].mask is numpy.ma.nomask
        v[4][8] = numpy.ma.masked
        assert v[4].mask.sum() == 1
        """,
    ),
    small_subclass_over_an_array=(
        """
        import numpy
        class Wave(numpy.ndarray): pass
        data = numpy.zeros(5)
        v = [data, data.view(Wave), data.view(Wave)[1:]]
        """,
        "v[0][1] = 5; assert v[1][1] == 5 and v[2][0] == 5 and type(v[2]) is type(v[1])",
    ),
    file_of_numbers=(
        """
        import numpy
        v = numpy.memmap("numbers", dtype="i4", mode="w+", shape=(5000,))
        v[:] = 3
        """,
        "assert v.sum() == 15_000 and v.dtype == 'i4'",
    ),
    read_only=(
        """
        import numpy
        v = [numpy.arange(3), numpy.arange(100_000)]
        for array in v: array.flags.writeable = False
        """,
        "assert not any(array.flags.writeable for array in v)",
    ),
    without_dimensions=(
        "import numpy; v = numpy.array(2.5)",
        "assert v.shape == () and v == 2.5; v[...] = 3; assert v == 3",
    ),
    without_elements=(
        "import numpy; v = numpy.empty((3, 0), dtype='f4', order='F')",
        "assert v.shape == (3, 0) and v.dtype == 'f4'",
    ),
    broadcast=(
        "import numpy; v = numpy.broadcast_to(numpy.arange(3), (1000, 3))",
        "assert v.shape == (1000, 3) and v.strides[0] == 0 and v[999].tolist() == [0, 1, 2]",
    ),
    swapped_bytes=(
        "import numpy; v = numpy.arange(2000, dtype='>i4')",
        "assert v.dtype == '>i4' and v[1999] == 1999",
    ),
    subclass_with_attribute_in_its_class=(
        """
        import numpy
        class Wave(numpy.ndarray):
            rate = 44_100
        v = numpy.zeros(50_000).view(Wave)
        """,
        "assert v.rate == 44_100 and type(v + 1) is type(v) and is_mapped(address(v))",
    ),
    subclass_with_attributes_of_its_instances=(
        """
        import numpy
        class Wave(numpy.ndarray):
            def __array_finalize__(self, other): self.rate = getattr(other, "rate", 1)
        whole = numpy.zeros(50_000)
        wave = whole.view(Wave)
        wave.rate = 8_000
        v = [whole, wave]
        """,
        """
        v[0][3] = 1
        assert v[1].rate == v[1][2:].rate == 8_000 and v[1][3] == 1
        """,
    ),
    matrix=(
        "import numpy; v = numpy.matrix([[1, 2], [3, 4]])",
        "import numpy; assert type(v) is numpy.matrix and (v * v)[0, 0] == 7",
    ),
    generator_of_random_numbers=(
        "import numpy; g = numpy.random.default_rng(3); v = [g, g.bit_generator]",
        "assert v[0].bit_generator is v[1]",
    ),
    functions_and_types=(
        "import numpy; v = [numpy.log, numpy.float32, numpy.dtype('f4'), numpy.newaxis]",
        "import numpy; assert v[0] is numpy.log and v[1] is numpy.float32 and v[2] == 'f4'",
    ),
)

PANDAS = cases(
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

SCIPY = cases(
    "scipy.sparse",
    compressed_rows=(
        """
        import scipy.sparse
        v = scipy.sparse.random(2000, 2000, density=0.02, format="csr", random_state=0)
        """,
        """
        import scipy.sparse
        assert type(v) is scipy.sparse.csr_matrix and v.nnz == 80_000 and is_mapped(address(v.data))
        v.data[0] = 1
        """,
    ),
    other_formats=(
        """
        import numpy, scipy.sparse
        whole = numpy.diag([1.0, 2, 3])
        v = [scipy.sparse.csc_matrix(whole), scipy.sparse.coo_matrix(whole),
             scipy.sparse.csr_array(whole), scipy.sparse.lil_array(whole),
             scipy.sparse.dok_array(whole), scipy.sparse.dia_array(whole)]
        """,
        """
        kinds = "csc_matrix coo_matrix csr_array lil_array dok_array dia_array".split()
        assert [type(each).__name__ for each in v] == kinds
        assert all(each.toarray().sum() == 6 for each in v)
        """,
    ),
    matrix_over_an_array_of_the_notebook=(
        """
        import numpy, scipy.sparse
        data = numpy.ones(10_000)
        v = [data, scipy.sparse.csr_array((data, (range(10_000), range(10_000))))]
        v[1].data = data
        """,
        "v[0][0] = 5; assert v[1].data[0] == 5",
    ),
    functions=(
        """
        from scipy import interpolate, spatial, stats
        v = [interpolate.CubicSpline([0, 1, 2], [0, 1, 4]), stats.norm(1, 2),
             spatial.KDTree([[0, 0], [5, 5]])]
        """,
        "assert v[0](2) == 4 and v[1].mean() == 1 and v[2].query([4, 4])[1] == 1",
    ),
)

LEARN = cases(
    "sklearn.pipeline sklearn.ensemble sklearn.compose sklearn.preprocessing",
    pipeline=(
        """
        import numpy
        from sklearn.ensemble import RandomForestClassifier
        from sklearn.pipeline import Pipeline
        from sklearn.preprocessing import StandardScaler
        rows = numpy.random.default_rng(0).normal(size=(500, 4))
        forest = RandomForestClassifier(20, random_state=0)
        model = Pipeline([("scale", StandardScaler()), ("forest", forest)])
        model.fit(rows, rows[:, 0] > 0)
        v = [model, forest, rows, model.predict_proba(rows)]
        """,
        """
        assert v[0].named_steps["forest"] is v[1]
        assert (v[0].predict_proba(v[2]) == v[3]).all()
        """,
    ),
    columns=(
        """
        import pandas
        from sklearn.compose import make_column_selector, make_column_transformer
        from sklearn.preprocessing import FunctionTransformer, OneHotEncoder
        table = pandas.DataFrame({"n": [1.0, 2], "k": ["a", "b"]})
        v = make_column_transformer(
            (OneHotEncoder(), make_column_selector(dtype_exclude="number")),
            (FunctionTransformer(lambda column: column * 2), ["n"]),
        ).fit(table)
        """,
        """
        import pandas
        assert v.transform(pandas.DataFrame({"n": [3.0], "k": ["b"]})).tolist() == [[0, 1, 6]]
        """,
    ),
    search=(
        """
        import numpy
        from sklearn.linear_model import Ridge
        from sklearn.model_selection import GridSearchCV
        rows = numpy.arange(20.0).reshape(-1, 1)
        v = GridSearchCV(Ridge(), {"alpha": [0.1, 10]}, cv=2).fit(rows, rows[:, 0])
        """,
        "assert v.best_params_ == {'alpha': 0.1} and v.best_estimator_.coef_.shape == (1,)",
    ),
)

BOOSTING = cases(
    "xgboost sklearn.base",
    booster=(
        """
        import numpy, xgboost
        rows = numpy.arange(40.0).reshape(20, 2)
        data = xgboost.DMatrix(rows, label=rows[:, 0] > 20)
        booster = xgboost.train({"objective": "binary:logistic", "nthread": 1}, data, 5)
        booster.set_attr(kept="yes")
        v = {"all": [booster], "best": booster, "rows": rows, "scores": booster.predict(data)}
        """,
        """
        import xgboost
        assert v["all"][0] is v["best"] and v["best"].attr("kept") == "yes"
        assert (v["best"].predict(xgboost.DMatrix(v["rows"])) == v["scores"]).all()
        """,
    ),
    classifier=(
        """
        import numpy, xgboost
        rows = numpy.arange(40.0).reshape(20, 2)
        model = xgboost.XGBClassifier(n_estimators=3, n_jobs=1).fit(rows, rows[:, 0] > 20)
        v = [model, rows, model.predict(rows)]
        """,
        "assert (v[0].predict(v[1]) == v[2]).all() and v[0].get_params()['n_estimators'] == 3",
    ),
) | cases(
    "lightgbm",
    booster=(
        """
        import lightgbm, numpy
        rows = numpy.random.default_rng(0).normal(size=(100, 2))
        data = lightgbm.Dataset(rows, rows[:, 0])
        booster = lightgbm.train({"verbose": -1, "num_threads": 1}, data, 5)
        v = {"all": [booster], "best": booster, "rows": rows, "scores": booster.predict(rows)}
        """,
        """
        assert v["all"][0] is v["best"] and v["best"].num_trees() == 5
        assert (v["best"].predict(v["rows"]) == v["scores"]).all()
        """,
    ),
    regressor=(
        """
        import lightgbm, numpy
        rows = numpy.random.default_rng(0).normal(size=(100, 2))
        model = lightgbm.LGBMRegressor(n_estimators=3, n_jobs=1, verbose=-1).fit(rows, rows[:, 0])
        v = [model, rows, model.predict(rows)]
        """,
        "assert (v[0].predict(v[1]) == v[2]).all() and v[0].n_features_ == 2",
    ),
)

PICTURES = cases(
    "PIL.Image",
    image=(
        """
        from PIL import Image
        v = Image.new("RGBA", (40, 30), (1, 2, 3, 4))
        v.info["author"] = "ada"
        """,
        """
        assert v.size == (40, 30) and v.getpixel((9, 9)) == (1, 2, 3, 4)
        assert v.info == {"author": "ada"}
        """,
    ),
    palette=(
        """
        from PIL import Image
        v = Image.new("P", (2, 2), 1)
        v.putpalette([0, 0, 0, 250, 0, 0])
        """,
        "assert v.mode == 'P' and v.convert('RGB').getpixel((0, 0)) == (250, 0, 0)",
    ),
    opened_file=(
        """
        from PIL import Image
        Image.new("L", (4, 4), 9).save("grey.png")
        v = Image.open("grey.png")
        """,
        "assert v.format == 'PNG' and v.getpixel((0, 0)) == 9",
    ),
) | cases(
    "matplotlib.figure matplotlib.pyplot",
    figure_and_axes=(
        """
        from matplotlib import pyplot
        figure, axes = pyplot.subplots(1, 2)
        line, = axes[1].plot([1, 2, 3], label="mine")
        v = {"figure": figure, "axes": axes, "line": line}
        pyplot.close(figure)  # as a notebook does after the cell
        """,
        """
        import io
        assert v["figure"].axes[1] is v["axes"][1] and v["line"].axes is v["axes"][1]
        v["axes"][0].set_title("later")
        v["line"].set_ydata([3, 2, 1])
        v["figure"].savefig(io.BytesIO(), format="png")
        assert v["figure"].axes[0].get_title() == "later"
        """,
    ),
    figure_with_pictures_and_three_dimensions=(
        """
        import numpy
        from matplotlib.figure import Figure
        v = Figure()
        v.add_subplot(121).imshow(numpy.eye(3), cmap="gray")
        v.add_subplot(122, projection="3d").plot([1], [2], [3])
        v.colorbar(v.axes[0].images[0])
        """,
        """
        import io
        v.savefig(io.BytesIO(), format="png")
        assert len(v.axes) == 3 and v.axes[0].images[0].get_array().shape == (3, 3)
        """,
    ),
)

XARRAY = cases(
    "xarray",
    dataset=(
        """
        import numpy, xarray
        v = xarray.Dataset(
            {"t": (("x", "y"), numpy.arange(40_000.0).reshape(200, 200), {"unit": "K"})},
            coords={"x": range(200), "when": ("x", numpy.arange(200).astype("M8[D]"))},
            attrs={"source": "probe"},
        )
        """,
        """
        import xarray
        assert type(v) is xarray.Dataset and v.t.attrs == {"unit": "K"} and v.source == "probe"
        assert float(v.t.sel(x=1).isel(y=2)) == 202 and is_mapped(address(v.t.values))
        """,
    ),
    array_over_an_array=(
        """
        import numpy, xarray
        data = numpy.zeros((3, 4))
        v = [data, xarray.DataArray(data, dims=("a", "b"), name="zero")]
        """,
        "v[0][1, 1] = 5; assert v[1].sum() == 5 and v[1].name == 'zero'",
    ),
    accessor=(
        """
        import xarray
        @xarray.register_dataset_accessor("census")
        class Census:
            def __init__(self, data): self.data = data
            def count(self): return len(self.data)
        v = xarray.Dataset({"a": 1, "b": 2})
        """,
        "assert v.census.count() == 2",
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

TORCH = cases(
    "torch",
    large_tensor=(
        "import torch; v = torch.arange(100_000.0)",
        "assert is_mapped(v.data_ptr()) and v[-1] == 99_999; v[0] = 1",
    ),
    module=(
        """
        import torch
        v = torch.nn.Sequential(torch.nn.Linear(200, 100), torch.nn.BatchNorm1d(100)).eval()
        v[0].weight.requires_grad_(False)
        v.register_buffer("steps", torch.tensor(3))
        v[0].register_forward_hook(lambda module, given, result: result + 1)
        """,
        """
        import torch
        assert not v.training and not v[0].weight.requires_grad and v[0].bias.requires_grad
        assert type(v[0].weight) is torch.nn.Parameter and v.steps == 3
        assert set(v.state_dict()) >= {"steps", "0.weight", "1.running_mean"}
        assert is_mapped(v[0].weight.data_ptr()) and len(v[0]._forward_hooks) == 1
        """,
    ),
    state_of_a_module=(
        """
        import torch
        model = torch.nn.Linear(100, 100)
        v = [model, model.state_dict()]
        """,
        """
        import torch
        with torch.no_grad(): v[0].weight[0, 0] = 42
        assert v[1]["weight"][0, 0] == 42 and list(v[1]) == ["weight", "bias"]
        assert v[1]._metadata[""] == {"version": 1}
        """,
    ),
    shared_memory=(
        """
        import torch
        whole = torch.zeros(200, 100)
        v = [whole, whole[3], whole.t(), whole.view(-1), whole.detach()]
        """,
        """
        v[0][3, 1] = 7
        assert v[1][1] == v[2][1, 3] == v[3][301] == v[4][3, 1] == 7
        assert v[2].stride() == (1, 100)
        """,
    ),
    small_tensors_that_share=(
        """
        import torch
        whole = torch.zeros(6)
        v = [whole, whole[2:4], whole.view(2, 3)]
        """,
        "v[0][3] = 7; assert v[1][1] == v[2][1, 0] == 7",
    ),
    tied_weights=(
        """
        import torch
        class Tied(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.into = torch.nn.Embedding(50, 20)
                self.out = torch.nn.Linear(20, 50)
                self.out.weight = self.into.weight
        v = Tied()
        """,
        "assert v.out.weight is v.into.weight and len(list(v.parameters())) == 2",
    ),
    parameter_over_shared_data=(
        """
        import torch
        data = torch.zeros(50, 50)
        v = [data, torch.nn.Parameter(data), torch.nn.Parameter(data[0], requires_grad=False)]
        """,
        """
        import torch
        v[0][0, 0] = 9
        assert v[1][0, 0] == 9 and v[2][0] == 9 and not v[2].requires_grad
        assert [type(each) for each in v[1:]] == [torch.nn.Parameter] * 2
        """,
    ),
    optimizer_with_its_model=(
        """
        import torch
        model = torch.nn.Linear(30, 30)
        optimizer = torch.optim.Adam(model.parameters(), lr=0.5)
        schedule = torch.optim.lr_scheduler.StepLR(optimizer, 1)
        model(torch.ones(1, 30)).sum().backward()
        optimizer.step(); schedule.step()
        v = {"model": model, "optimizer": optimizer, "schedule": schedule}
        """,
        """
        import torch
        model, optimizer = v["model"], v["optimizer"]
        assert v["schedule"].optimizer is optimizer
        assert set(optimizer.state) == set(model.parameters())
        assert optimizer.param_groups[0]["lr"] == 0.05
        assert model.weight.grad is not None and model.weight.grad[0, 0] == 1
        before = model.weight.detach().clone()
        optimizer.step()
        assert not torch.equal(before, model.weight)
        """,
    ),
    gradients=(
        """
        import torch
        leaf = torch.ones(2000, requires_grad=True)
        (leaf * 2).sum().backward()
        v = leaf
        """,
        "assert v.requires_grad and v.is_leaf and v.grad is not None and v.grad[7] == 2",
    ),
    kinds_of_numbers=(
        """
        import torch
        v = [torch.ones(3000, dtype=torch.bfloat16), torch.ones(5, dtype=torch.float8_e4m3fn),
             torch.tensor([1 + 2j]), torch.tensor([True]), torch.ones(2, dtype=torch.half),
             torch.tensor(5), torch.empty(0, 3), torch.tensor([1 + 2j]).conj()]
        """,
        """
        import torch
        kinds = [torch.bfloat16, torch.float8_e4m3fn, torch.complex64, torch.bool, torch.half]
        assert [each.dtype for each in v[:5]] == kinds and v[0].float().sum() == 3000
        assert v[5].shape == () and v[6].shape == (0, 3) and v[7].resolve_conj()[0] == 1 - 2j
        """,
    ),
    sparse=(
        """
        import torch
        eye = torch.eye(3)
        v = [eye.to_sparse(), eye.to_sparse_csr()]
        """,
        """
        import torch
        assert [each.layout for each in v] == [torch.sparse_coo, torch.sparse_csr]
        assert all(each.to_dense().trace() == 3 for each in v)
        """,
    ),
    quantized=(
        """
        import torch
        v = torch.quantize_per_tensor(torch.tensor([0.5, 1.0]), 0.5, 0, torch.qint8)
        """,
        "assert v.is_quantized and v.dequantize().tolist() == [0.5, 1.0]",
    ),
    expanded=(
        "import torch; v = torch.arange(3).expand(1000, 3)",
        "assert v.stride() == (0, 1) and v[999].tolist() == [0, 1, 2]",
    ),
    part_of_a_large_tensor=(
        """
        import os, torch
        v = torch.zeros(4_000_000)[5:10]
        """,
        """
        import glob, os
        assert v.shape == (5,)
        assert max(os.path.getsize(pack) for pack in glob.glob("*.pack")) < 100_000
        """,
    ),
    tensor_over_an_array=(
        """
        import numpy, torch
        array = numpy.zeros(5000)
        v = [array, torch.from_numpy(array)]
        """,
        "v[0][5] = 8; assert v[1][5] == 8",
    ),
    tensor_class_of_the_notebook=(
        """
        import torch
        class Named(torch.Tensor): pass
        v = torch.ones(3).as_subclass(Named)
        v.title = "mine"
        """,
        "assert type(v).__name__ == 'Named' and v.title == 'mine' and v.sum() == 3",
    ),
    attributes_of_a_tensor=(
        "import torch; v = torch.ones(3); v.title = 'mine'",
        "assert v.title == 'mine' and v.sum() == 3",
    ),
    data_and_generator=(
        """
        import torch
        from torch.utils.data import DataLoader, TensorDataset
        source = torch.Generator().manual_seed(3)
        data = TensorDataset(torch.arange(8.0))
        v = [DataLoader(data, batch_size=4, shuffle=True, generator=source), data, source,
             torch.device("cpu"), torch.float32, torch.Size([2])]
        """,
        """
        import torch
        assert v[0].dataset is v[1] and v[0].generator is v[2]
        assert sorted(torch.cat([part for part, in v[0]]).tolist()) == list(range(8))
        assert v[2].initial_seed() == 3 and v[3:] == [torch.device("cpu"), torch.float32, (2,)]
        """,
    ),
    result_with_a_history=(
        """
        import torch
        leaf = torch.ones(3, requires_grad=True)
        v = {"losses": [(leaf * 2).sum().detach()]}
        """,
        "assert v['losses'][0] == 6",
    ),
)

KERAS = cases(
    "keras torch",
    model_in_a_dictionary_in_a_dataclass=(
        """
        import dataclasses, keras, numpy
        @dataclasses.dataclass
        class Trial:
            models: dict
        model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
        rows = numpy.ones((4, 3), "f4")
        v = [Trial({"net": model}), model, rows, model.predict(rows, verbose=0)]
        """,
        """
        import keras
        assert v[0].models["net"] is v[1] and type(v[1]) is keras.Sequential
        assert (v[1].predict(v[2], verbose=0) == v[3]).all()
        """,
    ),
    compiled_model_with_its_optimizer=(
        """
        import keras, numpy
        v = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)])
        v.compile(keras.optimizers.Adam(0.5), loss="mse", metrics=["mae"])
        v.fit(numpy.ones((8, 3)), numpy.ones(8), epochs=2, verbose=0)
        """,
        """
        import numpy
        assert v.compiled and float(v.optimizer.learning_rate.numpy()) == 0.5
        steps = int(v.optimizer.iterations.numpy())
        assert steps == 2 and any(float(abs(w.numpy()).sum()) for w in v.optimizer.variables[2:])
        v.fit(numpy.ones((8, 3)), numpy.ones(8), verbose=0)
        assert int(v.optimizer.iterations.numpy()) == 3
        """,
    ),
    layer_alone=(
        """
        import keras, numpy
        layer = keras.layers.Dense(2)
        rows = numpy.ones((1, 3), "f4")
        v = [layer, rows, layer(rows).detach().numpy()]
        """,
        """
        import keras
        assert type(v[0]) is keras.layers.Dense
        assert (v[0](v[1]).detach().numpy() == v[2]).all()
        """,
    ),
    layer_of_a_model=(
        """
        import keras
        model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
        v = [model.layers[0], model]
        """,
        """
        import numpy
        v[0].set_weights([numpy.zeros((3, 2)), numpy.ones(2)])
        assert v[1].predict(numpy.ones((1, 3)), verbose=0).tolist() == [[1, 1]]
        """,
    ),
    layer_class_of_the_notebook=(
        """
        import keras, numpy
        class Scale(keras.layers.Layer):
            def __init__(self, factor=2, **rest):
                super().__init__(**rest)
                self.factor = factor
            def build(self, shape):
                self.offset = self.add_weight(shape=(1,), initializer="ones", name="offset")
            def call(self, rows): return rows * self.factor + self.offset
            def get_config(self): return {**super().get_config(), "factor": self.factor}
        v = keras.Sequential([keras.layers.Input((3,)), Scale(5)])
        """,
        """
        import numpy
        assert v.predict(numpy.ones((1, 3)), verbose=0).tolist() == [[6, 6, 6]]
        """,
    ),
    model_class_of_the_notebook=(
        """
        import keras, numpy
        class Net(keras.Model):
            def __init__(self, units):
                super().__init__()
                self.dense = keras.layers.Dense(units)
                self.seen = []
            def call(self, rows): return self.dense(rows)
        v = Net(2)
        v.seen.append("rows")
        expected = v(numpy.ones((1, 3), "f4")).detach().numpy()
        v = [v, expected]
        """,
        """
        import numpy
        assert v[0].seen == ["rows"]
        assert (v[0](numpy.ones((1, 3), "f4")).detach().numpy() == v[1]).all()
        """,
    ),
    functional_model_that_is_saved_and_cloned=(
        """
        import keras
        first = keras.Input((3,), name="first")
        shared = keras.layers.Dense(3, name="shared")
        output = keras.layers.Add()([shared(first), shared(shared(first))])
        v = keras.Model(first, keras.layers.Dropout(0.5)(output))
        """,
        """
        import keras, numpy
        rows = numpy.ones((2, 3), "f4")
        v.save("again.keras")
        for again in (keras.models.load_model("again.keras"), keras.models.clone_model(v)):
            again.set_weights(v.get_weights())
            assert (again.predict(rows, verbose=0) == v.predict(rows, verbose=0)).all()
        assert keras.Model(v.inputs, v.layers[-2].output).predict(rows, verbose=0).shape == (2, 3)
        """,
    ),
    attributes_that_are_set_later=(
        """
        import keras
        v = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(2)])
        v.notes = ["first"]
        """,
        """
        import keras
        v.notes.append("second")
        v.add(keras.layers.Dense(5))
        assert v.notes == ["first", "second"] and v.output_shape == (None, 5)
        assert len(v.weights) == 4 and len(v.trainable_variables) == 4
        """,
    ),
    training_goes_on=(
        """
        import keras, numpy
        stop = keras.callbacks.EarlyStopping(patience=2)
        model = keras.Sequential([keras.layers.Input((3,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        history = model.fit(numpy.ones((8, 3)), numpy.ones(8), validation_split=0.5, verbose=0,
                            callbacks=[stop])
        v = {"history": history, "model": model}
        """,
        """
        assert len(v["history"].history["loss"]) == 1 and v["history"].model is v["model"]
        """,
    ),
)

CASES = {
    **NUMPY,
    **PANDAS,
    **ARROW,
    **SCIPY,
    **LEARN,
    **BOOSTING,
    **PICTURES,
    **XARRAY,
    **POLARS,
    **TORCH,
    **KERAS,
}


@pytest.mark.parametrize("name", CASES)
def test_next_step_has_the_same(name: str, steps: Callable) -> None:
    case = CASES[name]
    pipeline = steps(PRELUDE, case.needs)
    pipeline.run(case.make, gives="v")
    pipeline.run("", needs="v")
    assert pipeline.given() == []  # having it does not change it
    pipeline.run(case.use, needs="v")


def test_models_of_tensorflow_travel_as_archives(steps: Callable) -> None:
    pipeline = steps("import keras; keras.config.backend = lambda: 'tensorflow'", "keras torch")
    pipeline.run(
        """
        import numpy
        class Twice(keras.layers.Layer):
            def call(self, rows): return rows * 2
        model = keras.Sequential([keras.layers.Input((3,)), Twice(), keras.layers.Dense(2)])
        model.compile("adam", "mse")
        rows = numpy.ones((4, 3), "f4")
        v = {"models": [model], "rows": rows, "scores": model.predict(rows, verbose=0)}
        """,
        gives="v",
    )
    pipeline.run("", needs="v")
    assert pipeline.given() == []
    pipeline.run(
        """
        model = v["models"][0]
        assert (model.predict(v["rows"], verbose=0) == v["scores"]).all() and model.compiled
        """,
        needs="v",
    )


def test_tensors_of_a_device_share_its_memory_and_come_back_where_there_is_none(
    steps: Callable,
) -> None:
    """The device is made up: tensors say that they are elsewhere when they are stored."""
    pipeline = steps(PRELUDE, "torch")
    pipeline.run(
        """
        import torch
        from kale_pm.runtime.storage.savers import tensors
        whole = torch.arange(6.0)
        v = [whole, whole[2:4].requires_grad_(), whole.view(2, 3)]
        lend = tensors._reduce_memory
        def reduce(tensor):
            is_bytes = tensor.dtype == torch.uint8
            return lend(tensor) if is_bytes else tensors._reduce_on_device(tensor)
        tensors._reduce_memory = reduce
        """,
        gives="v",
    )
    pipeline.run(
        """
        v[0][3] = 7
        assert v[1].tolist() == [2, 7] and v[2].tolist() == [[0, 1, 2], [7, 4, 5]]
        assert v[1].requires_grad and v[0].device.type == "cpu"
        from kale_pm.runtime.storage.savers.tensors import rebuild_storage
        import torch
        missing = rebuild_storage(torch.arange(8, dtype=torch.uint8), "cuda:7")
        assert missing.tolist() == list(range(8)) and missing.device.type == "cpu"
        """,
        needs="v",
    )


def test_tensors_come_back_to_their_gpu(steps: Callable) -> None:
    pipeline = steps("import torch", "torch")
    try:
        pipeline.run("torch.zeros(1, device='cuda')")
    except AssertionError:
        pytest.skip("there is no GPU")
    pipeline.run("v = torch.zeros(5, device='cuda'); v = [v, v[1:]]", gives="v")
    pipeline.run("v[0][1] = 3; assert v[1][0] == 3 and v[0].device.type == 'cuda'", needs="v")


def test_result_of_torch_comes_without_its_history_and_says_so(steps: Callable) -> None:
    pipeline = steps("import torch", "torch")
    pipeline.run("w = torch.ones(3, requires_grad=True); v = [(w * 2).sum(), w]", gives="v")
    assert "does not require grad" in pipeline.fail("v[0].backward()")
    pipeline.run("assert v[0] == 6 and v[1].requires_grad", needs="v")
