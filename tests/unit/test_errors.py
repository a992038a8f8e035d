"""What a user is told survives the way from one process to another."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import pytest

from kale_pm.errors import (
    ClusterError,
    KalePmError,
    NotebookError,
    ParameterError,
    PipelineError,
    SaveError,
    ServerError,
    StepFailed,
)
from kale_pm.model import Problem

PROBLEMS = [Problem("bad-tags", "error", "no such tag", hint="remove it", cell=3)]
# Those that take more than a message.
MADE: dict[type[KalePmError], Callable[[], KalePmError]] = {
    NotebookError: lambda: NotebookError("wine.ipynb", "it is not JSON", hint="save it"),
    PipelineError: lambda: PipelineError("wine.ipynb", PROBLEMS),
    ParameterError: lambda: ParameterError("rate", "it is no number", ["rate", "depth"]),
    SaveError: lambda: SaveError("model._lock", "it is a lock", hint="leave it out"),
    StepFailed: lambda: StepFailed("train", "out of memory", notebook="train.ipynb"),
    ServerError: lambda: ServerError("it is down", hint="start it", status=503),
    ClusterError: lambda: ClusterError("forbidden", status=403),
}


def kinds(kind: type[KalePmError] = KalePmError) -> Iterator[type[KalePmError]]:
    yield kind
    for each in kind.__subclasses__():
        yield from kinds(each)


def made(kind: type[KalePmError]) -> KalePmError:
    make = MADE.get(kind, lambda: kind("it went wrong", hint="mend it\nor leave it"))
    return make()


def fail() -> None:
    raise made(ParameterError)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("kind", dict.fromkeys(kinds()))
def test_every_error_can_be_pickled(kind: type[KalePmError], protocol: int) -> None:
    error = made(kind)
    error.add_note("seen in a pool")
    again = pickle.loads(pickle.dumps(error, protocol))

    assert type(again) is kind
    assert str(again) == str(error)
    assert vars(again) == vars(error)
    assert again.hint == error.hint
    assert again.__notes__[-1] == "seen in a pool"


def test_a_copy_has_fields_of_its_own() -> None:
    error = made(SaveError)
    again = copy.copy(error)
    again.hint = "another"

    assert error.hint == "leave it out"
    assert error.__notes__ == ["→ leave it out"]


def test_a_pool_of_processes_passes_it_on() -> None:
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        passed = pool.submit(fail).exception()

    assert isinstance(passed, ParameterError)
    assert str(passed) == "parameter 'rate': it is no number"
