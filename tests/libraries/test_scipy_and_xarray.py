"""What is made of arrays of numpy, and shares them: scipy's matrices, xarray's datasets."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from library_cases import PRELUDE, cases

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

CASES = SCIPY | XARRAY


@pytest.mark.parametrize("name", CASES)
def test_next_step_has_the_same(name: str, steps: Callable) -> None:
    case = CASES[name]
    steps(PRELUDE, case.needs).hand_over(case.make, case.use)
