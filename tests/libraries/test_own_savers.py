"""Savers that a notebook brings along, in a cell that every step runs."""

from __future__ import annotations

from collections.abc import Callable

import pytest

PRELUDE = """
    import sqlite3
    import kale_pm

    class Client:
        def __init__(self, address):
            self.address, self.rows = address, (row for row in "ab")

    class Special(Client): pass

    @kale_pm.saver("__main__.Client")
    def save_client(client):
        return type(client), (client.address,)

    @kale_pm.saver("sqlite3.Connection")
    def save_connection(connection):
        return sqlite3.connect, (connection.execute("pragma database_list").fetchone()[2],)
"""


def test_it_serves_subclasses_at_any_depth_in_every_step(steps: Callable) -> None:
    pipeline = steps(PRELUDE)
    pipeline.run("client = Special('x'); v = {'all': [(client,)], 'one': client}", gives="v")
    pipeline.run(
        "assert v['all'][0][0] is v['one'] and type(v['one']) is Special\nv['two'] = Client('y')",
        needs="v",
        gives="v",
    )
    pipeline.run("assert (v['one'].address, v['two'].address) == ('x', 'y')", needs="v")


def test_it_serves_classes_of_libraries(steps: Callable) -> None:
    pipeline = steps(PRELUDE)
    pipeline.run("v = [sqlite3.connect('file.db')]; v[0].execute('create table t (n)')", gives="v")
    pipeline.run("assert v[0].execute('select count(*) from t').fetchone() == (0,)", needs="v")


def test_it_may_be_made_in_a_step(steps: Callable) -> None:
    pipeline = steps("import kale_pm")
    pipeline.run(
        """
        class Lazy:
            def __init__(self, n): self.n, self.rest = n, (i for i in range(n))
        @kale_pm.saver("__main__.Lazy")
        def save_lazy(lazy): return Lazy, (lazy.n,)
        v = Lazy(3)
        """,
        gives="v",
    )
    pipeline.run("assert list(v.rest) == [0, 1, 2]", needs="v")


def test_it_takes_the_place_of_ours(steps: Callable) -> None:
    pipeline = steps(
        """
        import threading, kale_pm
        @kale_pm.saver("_thread.lock")
        def save_lock(lock): return str, ("a lock was here",)
        """
    )
    pipeline.run("v = [threading.Lock()]", gives="v")
    pipeline.run("assert v == ['a lock was here']", needs="v")


def test_it_may_leave_an_object_to_pickle(steps: Callable) -> None:
    pipeline = steps(
        """
        import kale_pm
        class Point:
            def __init__(self, x): self.x = x
        @kale_pm.saver("__main__.Point")
        def save_point(point): return NotImplemented
        """
    )
    pipeline.run("v = Point(3)", gives="v")
    pipeline.run("assert type(v) is Point and v.x == 3", needs="v")


FAILURES = {
    "raise ValueError('no address')": "save_client raised ValueError: no address",
    "return client.address": "save_client returned str, not (function, arguments)",
    "return None": "save_client returned NoneType, not (function, arguments)",
    "return (Client,)": "save_client returned tuple, not (function, arguments)",
    "return 'x', ('y',)": "save_client must return a function and a tuple of arguments",
    "return Client, client.address": "save_client must return a function and a tuple of arguments",
    "return Client, (client,)": "save_client returned the object itself among the arguments",
}


@pytest.mark.parametrize("body", FAILURES)
def test_one_that_fails_is_named(body: str, steps: Callable) -> None:
    pipeline = steps(PRELUDE.replace("return type(client), (client.address,)", body))
    text = pipeline.refuse("v = {'clients': [Client('x')]}")
    assert text.startswith("cannot save v['clients'][0]: ")
    assert FAILURES[body] in text


def test_one_whose_object_cannot_be_made_again_is_found_when_it_is_stored(
    steps: Callable,
) -> None:
    pipeline = steps(PRELUDE.replace("(client.address,)", "(client.address, 'too many')"))
    assert "Client.__init__" in pipeline.refuse("v = [Client('x')]")


def test_one_that_fails_for_a_known_kind_of_object_is_named(steps: Callable) -> None:
    pipeline = steps(PRELUDE.replace("return sqlite3.connect,", "return 3 +"))
    text = pipeline.refuse("v = [1, sqlite3.connect(':memory:')]")
    assert text.startswith("cannot save v[1]: its saver save_connection raised TypeError")
