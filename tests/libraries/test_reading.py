"""A step that only asks an object something gives nothing, whatever a library notes there."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest


class Case(NamedTuple):
    needs: str  # libraries
    make: str
    ask: str
    use: str


FRAME = 'pandas.DataFrame({"x": range(90)}, index=pandas.date_range("2020", periods=90))'
ROWS = "import numpy; rows = numpy.random.default_rng(0).normal(size=(60, 3))\n"

CASES = {
    "dates of an index": Case(
        "pandas",
        f"v = {FRAME}",
        "v.loc['2020-02']; v.groupby(v.index.month).x.mean(); v.resample('W').sum()",
        f"assert v.equals({FRAME}) and v.loc['2020-02'].x.sum() == sum(range(31, 60))",
    ),
    "dates without their rhythm": Case(
        "pandas",
        "v = pandas.DatetimeIndex(['2020-01-01', '2020-01-03'], tz='Europe/Berlin')",
        "v.hour; v.unit; v.get_loc(v[1]); v.is_unique; v.inferred_freq",
        "assert v.day.tolist() == [1, 3] and str(v.tz) == 'Europe/Berlin' and v.get_loc(v[1]) == 1",
    ),
    "time spans and periods": Case(
        "pandas",
        """
        v = [pandas.Series(pandas.to_timedelta([1, 90], unit="s")),
             pandas.Series(range(24), index=pandas.period_range("2020", periods=24, freq="M"))]
        """,
        "v[0].dt.total_seconds(); v[0].max(); v[1]['2021']; v[1].index.to_timestamp()",
        "assert v[0].dt.seconds.tolist() == [1, 90] and v[1]['2021'].sum() == sum(range(12, 24))",
    ),
    "groups": Case(
        "pandas",
        "v = pandas.DataFrame({'a': ['x', 'y', 'x'], 'b': [3, 4, 5]}).groupby('a')",
        "v.mean(); v.groups; v.indices; list(v); v.get_group('x')",
        "assert v.b.sum().to_dict() == {'x': 8, 'y': 4} and list(v.groups) == ['x', 'y']",
    ),
    "windows": Case(
        "pandas",
        f"v = [{FRAME}.rolling(3), {FRAME}.resample('W'), {FRAME}.ewm(3)]",
        "[each.mean() for each in v]",
        "assert v[0].sum().x.iloc[2] == 3 and v[1].sum().x.sum() == sum(range(90))",
    ),
    "chunks of arrow": Case(
        "pandas pyarrow",
        """
        part = pandas.Series(["a", "b"] * 300, dtype="string[pyarrow]")
        v = [pandas.concat([part, part]), pandas.ArrowDtype(__import__("pyarrow").int64())]
        """,
        "v[0].str.len(); v[0].array.dtype.index_class; v[1].kind; v[1].numpy_dtype",
        "assert v[0].value_counts()['a'] == 600 and v[1].kind == 'i'",
    ),
    "trees of neighbours": Case(
        "sklearn.neighbors",
        ROWS
        + "from sklearn.neighbors import KNeighborsClassifier, KDTree, BallTree\n"
        + "model = KNeighborsClassifier(algorithm='ball_tree').fit(rows, rows[:, 0] > 0)\n"
        + "v = [model, KDTree(rows), BallTree(rows), rows]",
        "v[0].score(v[3], v[3][:, 0] > 0); [tree.query(v[3][:5]) for tree in v[1:3]]",
        "assert [tree.query(v[3][7:8])[1][0][0] for tree in v[1:3]] == [7, 7]",
    ),
    "stop words": Case(
        "sklearn.feature_extraction.text",
        """
        from sklearn.feature_extraction.text import TfidfVectorizer, HashingVectorizer
        texts = ["the cat sat", "dogs run fast"]
        v = [TfidfVectorizer(stop_words=["the"]).fit(texts),
             HashingVectorizer(stop_words="english")]
        """,
        "[each.transform(['the cat']) for each in v]",
        "assert v[0].transform(['the cat']).nnz == v[1].transform(['the cat']).nnz == 1",
    ),
    "labels": Case(
        "sklearn.preprocessing",
        "from sklearn.preprocessing import *; v = MultiLabelBinarizer().fit([['a'], ['b']])",
        "v.transform([['a']])",
        "assert v.transform([['b']]).tolist() == [[0, 1]]",
    ),
    "sparse matrices": Case(
        "scipy.sparse",
        """
        import scipy.sparse
        whole = scipy.sparse.eye_array(6, format="csr")
        v = [whole, whole.tocsc(), whole.tobsr((2, 2)), scipy.sparse.csr_matrix(whole)]
        """,
        "for each in v: each.has_sorted_indices; each.has_canonical_format; each.sum()",
        "assert all(each.sum() == 6 and each.has_canonical_format for each in v)",
    ),
    "triangles": Case(
        "scipy.spatial",
        ROWS + "from scipy.spatial import Delaunay, Voronoi\n"
        "v = [Delaunay(rows[:, :2]), Voronoi(rows[:, :2]), rows[:, :2]]",
        "v[0].find_simplex(v[2]); v[0].transform; v[0].vertex_to_simplex; v[1].ridge_dict",
        "assert (v[0].find_simplex(v[2][:3]) >= 0).all() and v[1].ridge_dict",
    ),
    "graphs": Case(
        "networkx",
        "v = [networkx.path_graph(5), networkx.MultiDiGraph([(1, 2), (2, 3)])]",
        "for g in v: g.nodes; g.edges; g.degree; g.adj; networkx.pagerank(g)",
        """
        v[0].add_edge(4, 0)
        assert v[0].degree[0] == 2 and list(v[1].successors(1)) == [2] and v[1].in_degree[3] == 1
        """,
    ),
    "graph of the notebook's own class": Case(
        "networkx",
        """
        import functools, networkx
        class Roads(networkx.Graph):
            @functools.cached_property
            def length(self): return [1]
        v = Roads([(1, 2)]); v.length.append(2)
        """,
        "v.nodes; v.edges; v.length",
        "assert v.length == [1, 2] and list(v.nodes) == [1, 2]",
    ),
    "data with coordinates": Case(
        "xarray pandas",
        """
        import numpy, pandas, xarray
        days = pandas.date_range("2020", periods=50)
        v = [xarray.Dataset({"t": (("x", "y"), numpy.ones((9, 9)))}, coords={"x": range(9)}),
             xarray.DataArray(numpy.arange(50.0), dims="t", coords={"t": days})]
        """,
        """
        v[0].sel(x=3); v[0].to_dataframe(); v[0].groupby("x").mean(); v[0]._repr_html_()
        v[0].encoding; v[0].t.attrs; v[1].sel(t="2020-02"); v[1].resample(t="ME").mean()
        """,
        "assert v[0].t.sum() == 81 and v[1].sel(t='2020-02-01') == 31",
    ),
    "distributions": Case(
        "torch",
        """
        import torch
        from torch import distributions as d
        v = [d.Categorical(logits=torch.zeros(4)), d.Bernoulli(probs=torch.tensor(0.5)),
             d.MultivariateNormal(torch.zeros(2), torch.eye(2))]
        """,
        "v[0].probs; v[0].entropy(); v[1].logits; v[2].precision_matrix; v[2].covariance_matrix",
        """
        assert v[0].probs.tolist() == [0.25] * 4 and v[1].logits == 0
        assert v[2].log_prob(torch.zeros(2)) < 0
        """,
    ),
    "distribution that learns": Case(
        "torch",
        """
        import torch
        scores = torch.zeros(4, requires_grad=True)
        v = [scores, torch.distributions.Categorical(logits=scores * 1)]
        """,
        "v[1].sample()",
        "assert v[1].entropy() > 1",
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_asking_does_not_change(name: str, steps: Callable) -> None:
    case = CASES[name]
    imports = f"import {case.needs.split()[0].partition('.')[0]}"
    pipeline = steps(imports, case.needs)
    pipeline.run(case.make, gives="v")
    pipeline.run(case.ask, needs="v")
    assert pipeline.given() == []
    pipeline.run(case.use, needs="v")


def test_nobody_hears_of_the_read_only_memory_that_a_tensor_is_compared_in(steps: Callable) -> None:
    pipeline = steps("import torch", "torch")
    pipeline.run(
        """
        import warnings
        warnings.simplefilter("error")
        from kale_pm.runtime.storage.savers.tensors import rebuild_tensor
        assert rebuild_tensor(bytes(8), torch.float32, (2,), (1,), False).tolist() == [0, 0]
        """
    )
