"""Objects of Python itself that plain pickle cannot store, or stores as something else."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import pytest

PRELUDE = """
    import abc, collections, contextvars, dataclasses, enum, functools, gzip, io, itertools
    import operator, os, random, re, struct, sys, threading, types, typing, weakref, zipfile

    class Account:
        made = 0
        def __init__(self, owner): self.owner = owner
        def close(self): return f"{self.owner} left"
"""


class Case(NamedTuple):
    make: str
    use: str


SINGLE = {
    "ellipsis and NotImplemented": Case(
        "v = [..., NotImplemented, type(None)]",
        "assert v[0] is ... and v[1] is NotImplemented and v[2] is type(None)",
    ),
    "missing default of a dataclass": Case(
        "v = [dataclasses.MISSING, dataclasses.KW_ONLY]",
        "assert v[0] is dataclasses.MISSING and v[1] is dataclasses.KW_ONLY",
    ),
    "what the interpreter tells about itself": Case(
        "v = {'version': sys.version_info, 'floats': sys.float_info, 'flags': sys.flags}",
        "assert v['version'] is sys.version_info and v['flags'] is sys.flags",
    ),
    "environment of the process": Case(
        "os.environ['PASSWORD'] = 'secret'; v = [os.environ]",
        "assert v[0] is os.environ and 'PASSWORD' not in os.environ",
    ),
    "standard streams": Case(
        "v = [sys.__stderr__, sys.__stdout__]; sys.stderr, sys.stdout = v",
        "assert v[0] is sys.stderr and v[1] is sys.stdout",
    ),
}
DESCRIPTORS = {
    "property": Case(
        """
        class Box:
            @property
            def size(self): return 3
        v = vars(Box)["size"], Box
        """,
        "assert v[0].__get__(v[1]()) == 3 and vars(v[1])['size'] is v[0]",
    ),
    "static and class methods": Case(
        "v = [staticmethod(len), classmethod(print)]",
        "assert [type(each) for each in v] == [staticmethod, classmethod] and v[0].__func__ is len",
    ),
    "methods of built-in types": Case(
        "v = [str.upper, int.__add__, vars(dict)['fromkeys'], (5).__add__, 'x'.join]",
        """
        assert v[0] is str.upper and v[1] is int.__add__ and v[2] is vars(dict)["fromkeys"]
        assert v[3](1) == 6 and v[4]("ab") == "axb"
        """,
    ),
    "attributes of built-in types": Case(
        "v = [types.FunctionType.__code__, vars(type)['__dict__'], types.FunctionType.__closure__]",
        "assert v[0] is types.FunctionType.__code__ and v[1] is vars(type)['__dict__']",
    ),
    "slot of a class": Case(
        """
        class Cell: __slots__ = ("value",)
        v = [Cell(), Cell]
        v[0].value = 4
        """,
        "assert v[0].value == 4",
    ),
    "cached property": Case(
        """
        class Box:
            count = 0
            @functools.cached_property
            def size(self):
                self.count += 1
                return 3
        v = Box()
        v.size
        """,
        "assert v.size == 3 and v.count == 1",
    ),
}
CODE = {
    "cell and code": Case(
        "v = [types.CellType(3), (lambda x: x + 1).__code__]",
        "assert v[0].cell_contents == 3 and types.FunctionType(v[1], {})(1) == 2",
    ),
    "function that depends on the type": Case(
        """
        @functools.singledispatch
        def name(value): return "any"
        @name.register
        def _(value: int): return "int"
        v = name
        """,
        """
        assert v(3) == "int" and v("x") == "any"
        v.register(str, lambda value: "str")
        assert v("x") == "str"
        """,
    ),
    "cache over a function of a library": Case(
        "v = functools.lru_cache(maxsize=2)(operator.neg)",
        "assert v(3) == -3 and v.cache_info().maxsize == 2",
    ),
    "context manager, coroutine function, generator function": Case(
        """
        import contextlib
        @contextlib.contextmanager
        def opened(): yield "inside"
        async def later(): return 3
        def numbers(): yield 1
        v = opened, later, numbers
        """,
        """
        import asyncio
        with v[0]() as where: assert where == "inside"
        assert asyncio.run(v[1]()) == 3 and list(v[2]()) == [1]
        """,
    ),
    "parameters of types": Case(
        """
        Given = typing.ParamSpec("Given")
        Number = typing.NewType("Number", int)
        def call(function: typing.Callable[Given, Number]) -> typing.Callable[Given, Number]:
            return function
        v = call, Given, Number
        """,
        """
        hints = v[0].__annotations__
        assert hints["function"] == hints["return"] == typing.Callable[v[1], v[2]]
        assert v[2](3) == 3 and v[2].__supertype__ is int
        """,
    ),
    "empty context": Case("v = contextvars.Context()", "assert v.run(int) == 0"),
}
ITERATORS = {
    "iterators at their place": Case(
        """
        v = [iter([1, 2, 3]), iter({"a": 1, "b": 2}), itertools.count(5), zip("ab", "cd"),
             enumerate("xy"), map(str, [1, 2])]
        for each in v: next(each)
        """,
        """
        assert next(v[0]) == 2 and next(v[1]) == "b" and next(v[2]) == 6
        assert next(v[3]) == ("b", "d") and next(v[4]) == (1, "y") and next(v[5]) == "2"
        """,
    ),
    "pattern and what it found": Case(
        "v = [re.search('(b+)(c)?', 'abb'), re.match('a', 'ab'), re.fullmatch('a|ab', 'ab')]",
        """
        assert v[0].groups() == ("bb", None) and v[0].span() == (1, 3) and v[1].string == "ab"
        assert v[2].group() == "ab"
        """,
    ),
    "layout of bytes": Case(
        "v = struct.Struct('<ih')", "assert v.unpack(v.pack(7, 8)) == (7, 8) and v.size == 6"
    ),
    "random numbers": Case(
        "v = [random.Random(5), random.SystemRandom()]; v[0].random()",
        "same = random.Random(5); same.random(); assert v[0].random() == same.random()",
    ),
    "collections": Case(
        """
        v = [collections.deque([1, 2], 2), collections.ChainMap({"a": 1}, {"b": 2}),
             collections.defaultdict(lambda: 7), types.SimpleNamespace(a=1)]
        """,
        "v[0].append(3); assert list(v[0]) == [2, 3] and v[1]['b'] == 2 and v[2]['x'] == 7",
    ),
}
REFERENCES = {
    "weak containers": Case(
        """
        ada = Account("ada")
        v = [ada, weakref.WeakValueDictionary(a=ada), weakref.WeakKeyDictionary({ada: 1}),
             weakref.WeakSet([ada])]
        """,
        """
        assert v[1]["a"] is v[0] and v[2][v[0]] == 1 and v[0] in v[3]
        del v[0]
        assert not v[0] and not v[1] and not v[2]
        """,
    ),
    "weak method": Case(
        "ada = Account('ada'); v = [ada, weakref.WeakMethod(ada.close)]",
        "assert v[1]()() == 'ada left' and v[1]().__self__ is v[0]",
    ),
}
FILES = {
    "text file": Case(
        """
        with open("poem", "w", encoding="utf-16") as file: file.write("één\\ntwee\\n")
        v = open("poem", encoding="utf-16")
        v.readline()
        """,
        """
        assert type(v) is io.TextIOWrapper and v.name == "poem" and v.encoding == "utf-16"
        assert v.read() == "twee\\n" and v.seek(0) == 0 and v.readline() == "één\\n"
        """,
    ),
    "text file that keeps its ends of lines": Case(
        """
        with open("table", "wb") as file: file.write(b"a\\r\\nb\\r\\n")
        v = open("table", newline="")
        """,
        "assert v.read() == 'a\\r\\nb\\r\\n'",
    ),
    "text file within a loop over its lines": Case(
        """
        with open("poem", "w", encoding="utf-8") as file: file.write("één\\ntwee\\ndrie\\n")
        v = open("poem", encoding="utf-8")
        for line in v: break
        """,
        "assert next(v) == 'twee\\n' and v.read() == 'drie\\n'",
    ),
    "binary files": Case(
        """
        with open("bytes", "wb") as file: file.write(b"0123456789")
        v = [open("bytes", "rb"), open("bytes", "rb", buffering=0)]
        for each in v: each.seek(4)
        """,
        """
        assert [type(each) for each in v] == [io.BufferedReader, io.FileIO]
        assert [each.read(2) for each in v] == [b"45", b"45"]
        """,
    ),
    "closed files": Case(
        """
        with open("poem", "w") as file: file.write("whole")
        class Log: pass
        v = Log()
        v.file = file
        """,
        """
        assert v.file.closed and v.file.name == "poem" and v.file.mode == "w"
        assert open("poem").read() == "whole"
        """,
    ),
    "archives that are read": Case(
        """
        with zipfile.ZipFile("a.zip", "w") as file: file.writestr("inner", "text")
        v = zipfile.ZipFile("a.zip")
        """,
        "assert v.read('inner') == b'text'",
    ),
    "files in memory": Case(
        "v = [io.StringIO('one two'), io.BytesIO(b'12')]; v[0].read(4)",
        "assert v[0].read() == 'two' and v[1].read() == b'12'",
    ),
}
CASES = {**SINGLE, **DESCRIPTORS, **CODE, **ITERATORS, **REFERENCES, **FILES}

WRITTEN = {
    "text": "v = [open('kept', 'a')]",
    "text that is also read": "v = [open('kept', 'r+')]",
    "bytes": "v = [open('kept', 'ab')]",
    "bytes that are also read": "v = [open('kept', 'rb+')]",
    "bytes without a buffer": "v = [open('kept', 'ab', buffering=0)]",
    "archive": "v = [zipfile.ZipFile('kept', 'a')]",
    "compressed": "v = [gzip.open('kept', 'ab')]",
    "handler of a logger": "import logging; v = [logging.FileHandler('kept')]",
    "temporary": "import tempfile; v = [tempfile.NamedTemporaryFile()]",
}


@pytest.mark.parametrize("name", CASES)
def test_next_step_has_the_same(name: str, steps: Callable) -> None:
    pipeline = steps(PRELUDE)
    pipeline.run(CASES[name].make, gives="v")
    pipeline.run(CASES[name].use, needs="v")


@pytest.mark.parametrize("name", WRITTEN)
def test_file_that_is_written_is_refused_and_stays_whole(name: str, steps: Callable) -> None:
    pipeline = steps(PRELUDE)
    kept = pipeline.folder / "kept"
    kept.write_bytes(b"whole")
    text = pipeline.refuse(WRITTEN[name])
    assert text.startswith(("cannot save v[0]: an open file", "cannot save v[0]."))
    assert "an open file belongs to a process\nkeep its path, and open it in each step" in text
    assert kept.read_bytes().startswith(b"whole")


@pytest.mark.parametrize("after", ["os.remove('old')", "os.rename('new', 'old')", "os.chdir('/')"])
def test_file_that_is_no_longer_there_is_refused(after: str, steps: Callable) -> None:
    pipeline = steps(PRELUDE)
    for name in ("old", "new"):
        (pipeline.folder / name).write_text("text")
    text = pipeline.refuse(f"v = open('old'); {after}")
    assert text.startswith("cannot save v: an open file belongs to a process")


def test_dill_is_asked_about_one_object_at_a_time(steps: Callable) -> None:
    """Never about a container: it is slow on many objects, and opens files for writing."""
    pipeline = steps(
        """
        import contextvars, dill
        asked = []
        def watched(obj, *rest, original=dill.dumps, **options):
            asked.append(type(obj).__name__)
            return original(obj, *rest, **options)
        dill.dumps = watched
        """
    )
    pipeline.run("v = {'all': [contextvars.Context(), lambda x: x, object()]}", gives="v")
    pipeline.run("kale_pm.runtime.save('v'); assert set(asked) == {'Context'}", needs="v")


def test_thread_is_refused_whether_it_runs_or_not(steps: Callable) -> None:
    pipeline = steps(PRELUDE)
    for run in ("", "v.start(); v.join()"):
        text = pipeline.refuse(f"v = threading.Thread(target=str)\n{run}")
        assert text.startswith("cannot save v: a lock or thread belongs to a process")
