"""What is saved and loaded: data of many kinds, made anew by the process that needs them.

It imports nothing of kale-pm, for the peer's environment has only Kale.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

Array = Any  # numpy.ndarray
Limits = Literal["buffers", "objects"]

TINY = 1e-4  # a scale for warming up


def _nothing(_: Any) -> Iterable[Array]:
    return ()


@dataclass(frozen=True)
class Payload:
    """One value.  ``make`` takes a scale and a folder to keep in what takes long to make.

    ``arrays`` gives the memory that a load may leave on disk.  ``size`` is in bytes of memory
    at scale 1; ``limits`` says which of kale-pm's limits the payload is judged by.
    """

    title: str
    make: Callable[[float, Path], Any]
    size: int
    limits: Limits
    needs: tuple[str, ...] = ("numpy",)
    arrays: Callable[[Any], Iterable[Array]] = _nothing

    def touch(self, value: Any) -> None:
        """Read the arrays, every byte but the odd ones at their ends."""
        for array in self.arrays(value):
            data = array.reshape(-1).view("u1")
            data[: data.size // 8 * 8].view("i8").sum()


@dataclass
class Model:
    """A class of the notebook that holds large data."""

    weights: Array
    settings: dict[str, Any]


def _random() -> Any:
    import numpy

    return numpy.random.default_rng(0)


# -- one value --------------------------------------------------------------------------------


def _array(scale: float, _: Path) -> Any:
    return _random().random(_count(125_000_000, scale))


def _frame(scale: float, _: Path) -> Any:
    import pandas

    random, rows = _random(), _count(10_000_000, scale)
    names = pandas.array([f"customer {i:05}{'x' * (i % 12)}" for i in range(5000)], dtype="str")
    columns: dict[str, Any] = {f"float{i}": random.random(rows) for i in range(6)}
    columns |= {f"int{i}": random.integers(0, 1000, rows) for i in range(2)}
    columns |= {f"text{i}": names.take(random.integers(0, len(names), rows)) for i in range(2)}
    return pandas.DataFrame(columns)


def _frame_arrays(frame: Any) -> Iterable[Array]:
    for name in frame.columns:
        if name.startswith("text"):
            yield from _buffers(frame[name].array.__arrow_array__())
        else:
            yield frame[name].to_numpy()


def _table(scale: float, folder: Path) -> Any:
    import pyarrow

    return pyarrow.Table.from_pandas(_frame(scale, folder), preserve_index=False)


def _table_arrays(table: Any) -> Iterable[Array]:
    for column in table.columns:
        yield from _buffers(column)


def _buffers(column: Any) -> Iterable[Array]:
    """The memory of an arrow array, or of one in chunks."""
    import numpy

    for chunk in getattr(column, "chunks", [column]):
        for buffer in chunk.buffers():
            if buffer is not None:
                yield numpy.frombuffer(buffer, "u1")


def _state(scale: float, _: Path) -> Any:
    import torch

    torch.manual_seed(0)
    width = max(1, round(2800 * scale**0.5))
    layers = (torch.nn.Linear(width, width) for _ in range(16))
    return torch.nn.Sequential(*layers).state_dict()


def _sparse(scale: float, _: Path) -> Any:
    import numpy
    import scipy.sparse

    random, rows, columns = _random(), _count(1_000_000, scale), 200_000
    values = random.random(rows * 40)
    places = random.integers(0, columns, rows * 40, dtype="i4")
    starts = numpy.arange(0, rows * 40 + 1, 40, dtype="i4")
    return scipy.sparse.csr_matrix((values, places, starts), shape=(rows, columns))


def _arrays(scale: float, _: Path) -> Any:
    random = _random()
    return {f"array{i}": random.random(12_500) for i in range(_count(10_000, scale))}


def _dicts(scale: float, _: Path) -> Any:
    return [{"id": i, "name": f"n{i}", "value": i / 2} for i in range(_count(1_000_000, scale))]


def _ints(scale: float, _: Path) -> Any:
    return list(range(1000, 1000 + _count(5_000_000, scale)))


def _forest(scale: float, folder: Path) -> Any:
    import sklearn
    from sklearn.ensemble import RandomForestRegressor

    kept = folder / f"forest-{sklearn.__version__}-{scale}.pickle"
    if not kept.exists():
        random, trees = _random(), _count(60, scale)
        inputs = random.random((min(40_000, _count(4_000_000, scale)), 8))
        targets = inputs[:, 0] + random.random(len(inputs))
        forest = RandomForestRegressor(trees, n_jobs=2, random_state=0).fit(inputs, targets)
        kept.write_bytes(pickle.dumps(forest, protocol=5))
    return pickle.loads(kept.read_bytes())


def _images(scale: float, _: Path) -> Any:
    from PIL import Image

    random = _random()
    return [
        Image.fromarray(random.integers(0, 255, (1024, 1024, 3), dtype="u1"))
        for _ in range(_count(60, scale))
    ]


def _count(full: int, scale: float) -> int:
    return max(1, round(full * scale))


def _sparse_arrays(matrix: Any) -> Iterable[Array]:
    return matrix.data, matrix.indices, matrix.indptr


PAYLOADS: dict[str, Payload] = {
    "array": Payload(
        "array of floats, 1 GB", _array, 1_000_000_000, "buffers", arrays=lambda x: [x]
    ),
    "frame": Payload(
        "DataFrame, 1.1 GB",
        _frame,
        1_200_000_000,
        "buffers",
        needs=("pandas", "pyarrow"),
        arrays=_frame_arrays,
    ),
    "table": Payload(
        "arrow table, 1.1 GB",
        _table,
        1_200_000_000,
        "buffers",
        needs=("pandas", "pyarrow"),
        arrays=_table_arrays,
    ),
    "state": Payload(
        "torch state_dict, 500 MB",
        _state,
        502_000_000,
        "buffers",
        needs=("torch",),
        arrays=lambda state: (tensor.numpy() for tensor in state.values()),
    ),
    "sparse": Payload(
        "sparse matrix, 480 MB",
        _sparse,
        484_000_000,
        "buffers",
        needs=("scipy",),
        arrays=_sparse_arrays,
    ),
    "arrays": Payload(
        "10,000 arrays of 100 kB", _arrays, 1_000_000_000, "objects", arrays=dict.values
    ),
    "dicts": Payload("1M small dicts", _dicts, 330_000_000, "objects", needs=()),
    "ints": Payload("5M ints", _ints, 200_000_000, "objects", needs=()),
    "forest": Payload(
        "random forest, 60 trees", _forest, 230_000_000, "buffers", needs=("sklearn",)
    ),
    "images": Payload("60 PIL images, 190 MB", _images, 190_000_000, "objects", needs=("PIL",)),
}


# -- many variables ---------------------------------------------------------------------------


@dataclass(frozen=True)
class Variables:
    """The variables of one step; ``size`` as of a Payload."""

    title: str
    make: Callable[[float], dict[str, Any]]
    size: int
    needs: tuple[str, ...] = ()


def _mixed(scale: float) -> dict[str, Any]:
    """50 variables: 4 models that share their weights, arrays, frames, records, scalars."""
    import pandas

    random = _random()
    weights = random.random(_count(25_000_000, scale))
    found: dict[str, Any] = {"weights": weights}
    found |= {f"model{i}": Model(weights, {"depth": i}) for i in range(4)}
    found |= {f"array{i}": random.random(_count(1_500_000, scale)) for i in range(10)}
    found |= {
        f"frame{i}": pandas.DataFrame(random.random((_count(500_000, scale), 3)), columns=[*"abc"])
        for i in range(10)
    }
    found |= {f"records{i}": _dicts(0.15 * scale, Path()) for i in range(8)}
    return found | {f"scalar{i}": i / 7 for i in range(17)}


def _one_list(scale: float) -> dict[str, Any]:
    return {"records": _dicts(scale, Path())}


def _two_lists(scale: float) -> dict[str, Any]:
    return {name: _dicts(scale, Path()) for name in ("before", "after")}


def _ints_and_scalar(scale: float) -> dict[str, Any]:
    return {"numbers": _ints(scale, Path()), "scalar": 1.5}


def _only_arrays(scale: float) -> dict[str, Any]:
    random = _random()
    return {f"array{i}": random.random(_count(2_500_000, scale)) for i in range(40)}


VARIABLES: dict[str, Variables] = {
    "mixed": Variables("50 variables, mixed", _mixed, 1_000_000_000, ("numpy", "pandas")),
    "list": Variables("a list of 1M small dicts", _one_list, 330_000_000),
    "lists": Variables("2 lists of 1M small dicts", _two_lists, 660_000_000),
    "scalar": Variables("5M ints and a scalar", _ints_and_scalar, 200_000_000),
    "arrays": Variables("40 arrays, 800 MB", _only_arrays, 800_000_000, ("numpy",)),
}
