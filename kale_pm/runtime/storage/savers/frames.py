"""Savers for pandas, polars and xarray."""

from __future__ import annotations

import functools
from typing import Any

from kale_pm.runtime.storage.savers.arrays import is_small, reduce_memory
from kale_pm.runtime.storage.savers.caches import save_pandas
from kale_pm.runtime.storage.savers.registry import Reduced, saver


@saver("pandas.core.internals.blocks.Block")
def _save_block(block: Any) -> Reduced:
    """Frames that share a block until one of them writes are independent of each other.

    Loaded as views of one segment they would lose that: pandas no longer knows who shares.
    """
    rebuild, (values, *rest) = block.__reduce__()
    if _copies_on_write() and block.refs.has_reference():
        import numpy

        is_large_array = type(values) is numpy.ndarray and not is_small(values)
        if is_large_array and not values.dtype.hasobject and values.size:
            values = _Independent(values)
        else:
            values = values.copy()
    return rebuild, (values, *rest)


class _Independent:
    """Stands for an array in the stream; its memory is stored for itself."""

    def __init__(self, array: Any) -> None:
        self.array = array

    def __reduce__(self) -> Reduced:
        return reduce_memory(self.array, apart=True)


@functools.cache
def _pandas_generation() -> int:
    import pandas

    return int(pandas.__version__.partition(".")[0])


def _copies_on_write() -> bool:
    if _pandas_generation() >= 3:
        return True
    import pandas

    return pandas.get_option("mode.copy_on_write") is True


@saver("pandas.arrays.ArrowExtensionArray", "pandas.core.arrays.arrow.array.ArrowExtensionArray")
def _save_arrow_array(array: Any) -> Reduced:
    """Texts and others that lie in one piece: pandas would copy them once more."""
    chunks = array._pa_array
    if chunks.num_chunks != 1:
        return save_pandas(array)
    state = {name: value for name, value in vars(array).items() if name != "_cache"}
    return rebuild_arrow_array, (type(array),), {**state, "_pa_array": chunks.chunk(0)}


def rebuild_arrow_array(kind: Any) -> Any:
    return kind.__new__(kind)


@saver("polars.series.series.Series")
def _save_polars_series(series: Any) -> Reduced:
    import polars

    if series.dtype == polars.Object:
        return rebuild_polars_objects, (series.name, series.to_list())
    return rebuild_polars_series, (polars.DataFrame([series]),)


def rebuild_polars_objects(name: str, values: list[Any]) -> Any:
    import polars

    return polars.Series(name, values, dtype=polars.Object)


def rebuild_polars_series(frame: Any) -> Any:
    return frame.to_series()


@saver("polars.dataframe.frame.DataFrame")
def _save_polars_frame(frame: Any) -> Reduced:
    """As an arrow table, whose memory is lent; polars itself would copy it twice."""
    import polars

    if type(frame) is not polars.DataFrame:
        attributes = {name: value for name, value in vars(frame).items() if name != "_df"}
        plain = polars.DataFrame._from_pydf(frame._df)
        made = rebuild_polars_subclass, (plain, type(frame))
        return (*made, attributes, None, None, fill_polars_subclass) if attributes else made
    if any(dtype == polars.Object for dtype in frame.dtypes):
        return polars.DataFrame, (frame.get_columns(),)
    try:
        table = frame.to_arrow(compat_level=polars.CompatLevel.newest())
        if polars.from_arrow(table.slice(0, 0)).schema != frame.schema:
            return NotImplemented
    except (ImportError, AttributeError, TypeError, ValueError, polars.exceptions.PolarsError):
        return NotImplemented  # pyarrow is missing, or has no such type
    return rebuild_polars_frame, (table,)


def rebuild_polars_frame(table: Any) -> Any:
    import polars

    return polars.from_arrow(table)


def rebuild_polars_subclass(frame: Any, kind: Any) -> Any:
    return kind._from_pydf(frame._df)


def fill_polars_subclass(frame: Any, attributes: dict[str, Any]) -> None:
    vars(frame).update(attributes)


@saver(
    "xarray.core.common.AttrAccessMixin",
    "xarray.core.variable.Variable",
    "xarray.namedarray.core.NamedArray",
)
def _settle_xarray(data: Any) -> Reduced:
    """Whoever asks for the attributes creates the empty ones; pickle itself asks for some."""
    _ = data.attrs, data.encoding
    return NotImplemented
