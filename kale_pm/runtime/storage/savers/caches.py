"""Savers for objects in which a library keeps what it has computed: that stays behind.

Otherwise a step that only asks an object something would have changed it.
"""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Collection
from typing import Any

from kale_pm.runtime.storage import instances
from kale_pm.runtime.storage.savers.registry import Reduced, saver

_PROTOCOL = 5


def reduce_without(obj: Any, names: Collection[str], **others: Any) -> Reduced:
    """What pickle would store of the object, without the attributes ``names``.

    ``others`` take the place of attributes of that name, where the object has them.
    """
    attributes = vars(obj)
    if not any(name in attributes for name in (*names, *others)):
        return instances.reduce(obj) if instances.needs_help(type(obj)) else NotImplemented
    reduced = obj.__reduce_ex__(_PROTOCOL)
    if not isinstance(reduced, tuple) or len(reduced) < 3 or not reduced[2]:
        return reduced  # made again by its class
    make, arguments, state, *rest = reduced
    *before, attributes = state if isinstance(state, tuple) else (state,)
    kept = {name: value for name, value in attributes.items() if name not in names}
    kept.update((name, value) for name, value in others.items() if name in kept)
    if before:
        return make, arguments, (*before, kept) if kept else tuple(before), *rest
    return make, arguments, kept or None, *rest


@saver(
    "pandas._libs.arrays.NDArrayBacked",
    "pandas.api.extensions.ExtensionArray",
    "pandas.api.extensions.ExtensionDtype",
    "pandas.core.arrays.base.ExtensionArray",
    "pandas.core.base.SelectionMixin",
    "pandas.core.dtypes.base.ExtensionDtype",
    "pandas.core.groupby.grouper.Grouping",
    "pandas.core.groupby.ops.BaseGrouper",
)
def save_pandas(obj: Any) -> Reduced:
    """What is computed for a property is in a dictionary of the object."""
    cache = getattr(obj, "__dict__", {}).get("_cache")
    if type(cache) is not dict:
        return instances.reduce(obj) if instances.needs_help(type(obj)) else NotImplemented
    kept = {name: value for name, value in cache.items() if not _is_cached(type(obj), name)}
    return reduce_without(obj, (), _cache=kept) if kept else reduce_without(obj, ("_cache",))


def _is_cached(kind: type, name: Any) -> bool:
    from pandas._libs import properties

    computed: Any = vars(properties)["CachedProperty"]
    return isinstance(name, str) and isinstance(getattr(kind, name, None), computed)


@saver("scipy.sparse._compressed._cs_matrix")
def _save_sparse(matrix: Any) -> Reduced:
    return reduce_without(matrix, ("_has_canonical_format", "_has_sorted_indices"))


@saver("scipy.spatial._qhull.Delaunay")
def _save_triangulation(triangles: Any) -> Reduced:
    computed = ("_transform", "_vertex_to_simplex", "_vertex_neighbor_vertices")
    return reduce_without(triangles, (), **dict.fromkeys(computed))


@saver("scipy.spatial._qhull.Voronoi")
def _save_diagram(diagram: Any) -> Reduced:
    return reduce_without(diagram, (), _ridge_dict=None)


@saver("sklearn.feature_extraction.text._VectorizerMixin")
def _save_vectorizer(vectorizer: Any) -> Reduced:
    """It remembers by their address which stop words it has checked."""
    return reduce_without(vectorizer, ("_stop_words_id",))


@saver("sklearn.preprocessing._label.MultiLabelBinarizer")
def _save_binarizer(binarizer: Any) -> Reduced:
    return reduce_without(binarizer, (), _cached_dict=None)


@saver(
    *(
        f"sklearn.neighbors._{module}.BinaryTree{size}"
        for module in ("kd_tree", "ball_tree")
        for size in ("", "32", "64")
    )
)
def _save_tree(tree: Any) -> Reduced:
    """It counts how its queries went: trims, leaves, splits and calls."""
    make, arguments, state, *rest = tree.__reduce__()
    return make, arguments, (*state[:7], 0, 0, 0, 0, *state[11:]), *rest


@saver("networkx.classes.graph.Graph")
def _save_graph(graph: Any) -> Reduced:
    return reduce_without(graph, _views(type(graph)))


def _views(kind: type) -> frozenset[str]:
    """The properties that networkx itself, not a subclass of the notebook, computes once."""
    return frozenset(
        name
        for base in kind.__mro__
        if base.__module__.partition(".")[0] == "networkx"
        for name, value in vars(base).items()
        if isinstance(value, functools.cached_property)
    )


@saver("torch.distributions.distribution.Distribution")
def _settle_distribution(distribution: Any) -> Reduced:
    """Nobody can tell which parameter was given and which was computed: all are computed."""
    from torch.distributions.utils import lazy_property

    if not any(getattr(value, "requires_grad", False) for value in vars(distribution).values()):
        for base in type(distribution).__mro__:
            for name, value in vars(base).items():
                if isinstance(value, lazy_property):
                    with contextlib.suppress(Exception):  # then nobody else can ask for it either
                        getattr(distribution, name)
    return reduce_without(distribution, ())
