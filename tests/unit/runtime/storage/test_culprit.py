"""The message after a failed save leads to the object that is to blame."""

from __future__ import annotations

import os
import socket
import sqlite3
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kale_pm.errors import SaveError
from kale_pm.runtime.storage.pack.writer import write_pack


class Thing:
    def __init__(self, **attributes):
        self.__dict__.update(attributes)


class Broken:
    def __reduce__(self):
        raise ValueError("not today")


def save(folder, **variables) -> SaveError:
    with pytest.raises(SaveError) as caught:
        write_pack(folder, [variables], frozenset())
    return caught.value


@pytest.fixture
def handle():
    with socket.socket() as handle:
        yield handle


def test_path_through_attributes_and_lists(tmp_path, handle):
    callbacks = [Thing(), Thing(), Thing(_link=handle)]
    error = save(tmp_path, data=[1, 2], model=Thing(name="m", callbacks=callbacks))
    assert error.path == "model.callbacks[2]._link"
    assert str(error).startswith("cannot save model.callbacks[2]._link: a connection")
    assert "connect in each step" in error.hint


def test_path_through_dictionaries_and_tuples(tmp_path, handle):
    assert save(tmp_path, cfg={"db": (1, {2: handle})}).path == "cfg['db'][1][2]"


def test_path_into_a_set(tmp_path):
    assert "the element" in save(tmp_path, s={1, Broken()}).path


def test_path_into_a_closure_and_a_default(tmp_path, handle):
    assert save(tmp_path, f=[lambda: handle]).path == "f[0] (its variable handle)"
    assert save(tmp_path, f=lambda x=handle: x).path == "f (a default value)"


def test_path_into_frames_and_arrays_of_objects(tmp_path, handle):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame({"a": [1, 2], "h": [None, handle]}, index=["x", "y"])
    assert save(tmp_path, df=frame).path == "df['h']['y']"
    array = frame["h"].to_numpy(dtype=object)
    assert save(tmp_path, array=array).path == "array[1]"


def test_only_the_failing_variable_is_named(tmp_path):
    assert save(tmp_path, a=[1], b=(x for x in "a"), c=[2]).path == "b"


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda: (x for x in "ab"), "a generator cannot be stored half-way"),
        (lambda: sqlite3.connect(":memory:"), "a connection belongs to a process"),
        (lambda: Path(os.devnull).open("w"), "an open file belongs to a process"),  # noqa: SIM115
        (lambda: Path(os.devnull).open("rb"), "an open file belongs to a process"),  # noqa: SIM115
        (lambda: ThreadPoolExecutor(1), "a pool belongs to a process"),
        (lambda: threading.Thread(target=print), "a lock or thread belongs to a process"),
        (threading.local, "a lock or thread belongs to a process"),
        (sys._getframe, "it belongs to running code"),
    ],
)
def test_each_kind_has_its_reason_and_advice(tmp_path, make, reason):
    value = make()
    if isinstance(value, threading.Thread):
        value.start()
        value.join()
    error = save(tmp_path, v=[value])
    assert error.reason == reason
    assert error.hint


def test_an_object_whose_own_code_fails(tmp_path):
    error = save(tmp_path, x={"a": [Broken()]})
    assert error.path == "x['a'][0]"
    assert error.reason == f"{__name__}.Broken: ValueError: not today"
    assert "kale_pm.saver" in error.hint


def test_objects_nested_too_deeply(tmp_path):
    chain: list = []
    for _ in range(100_000):
        chain = [chain]
    error = save(tmp_path, fine=1, chain=chain)
    assert error.path == "chain"
    assert error.reason == "its objects are nested too deeply"
    assert "flatten" in error.hint


def test_the_search_is_quick_in_large_data(tmp_path, handle):
    rows = [{"id": number, "text": str(number)} for number in range(50_000)]
    rows[40_000]["text"] = handle
    start = time.monotonic()
    assert save(tmp_path, rows=rows).path == "rows[40000]['text']"
    assert time.monotonic() - start < 5


def test_the_original_error_stays_at_hand(tmp_path, handle):
    assert isinstance(save(tmp_path, v=handle).__cause__, TypeError)


def test_an_object_that_answers_everything_is_gone_through_without_asking_it(run_main):
    code = """
        from kale_pm.errors import SaveError
        from kale_pm.runtime.storage.dump import fingerprint

        class Recorder:
            def __init__(self, part): self.part = part
            def __getattr__(self, name): return lambda *_: self

        class Table(dict):
            def __setitem__(self, key, value): raise TypeError

        def attempt(value):
            try:
                fingerprint({"it": value}, frozenset())
            except SaveError as error:
                print(error.path)

        attempt([Recorder({"rows": (x for x in "a")})])
        attempt(Table(rows=(x for x in "a")))
    """
    assert run_main(code).splitlines() == ["it[0].part['rows']", "it['rows']"]
