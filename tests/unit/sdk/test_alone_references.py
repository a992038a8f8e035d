"""What a module defines goes to a kernel by its name: there it is what the code there has made.

The kernel is a second module of the same code here.
"""

from __future__ import annotations

import io
import subprocess
import sys
from types import ModuleType

import cloudpickle
import numpy as np
import pytest

from kale_pm.runtime.storage import pickler as runtime
from kale_pm.sdk.alone.references import Pickler, loading
from kale_pm.sdk.source.modules import module_of

CODE = """
import abc
import functools
from collections import OrderedDict, namedtuple
from dataclasses import dataclass
from enum import Enum, Flag, IntEnum, StrEnum
from typing import Generic, NamedTuple, TypeVar

from kale_pm.sdk import step

Item = TypeVar("Item")


class Color(Enum):
    RED = "red"
    BLUE = "blue"


class Level(IntEnum):
    LOW = 1


class Word(StrEnum):
    HELLO = "hello"


class Right(Flag):
    READ = 1
    WRITE = 2


@dataclass(frozen=True)
class House:
    size: int
    color: Color = Color.RED


class Point(NamedTuple):
    x: int


Old = namedtuple("Other", "first second")


class Box(Generic[Item]):
    def __init__(self, content):
        self.content = content


class Trouble(ValueError):
    def __init__(self, text, code):
        super().__init__(text)
        self.code = code

    def __reduce__(self):
        return remade, (self.args[0], self.code)


def remade(text, code):
    return Trouble(text, code)


class Meta(type):
    def __call__(cls, *arguments):
        made = super().__call__()
        made.arguments = arguments
        return made


class Made(metaclass=Meta):
    pass


class Shape(abc.ABC):
    @abc.abstractmethod
    def area(self): ...


class Square(Shape):
    def area(self):
        return 4


class Outer:
    class Kind(Enum):
        FIRST = 1

    class Inner:
        def __init__(self):
            self.kind = Outer.Kind.FIRST


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


MISSING = object()


class Nothing:
    pass


NOTHING = Nothing()


@functools.cache
def cached(number):
    return number


@step
def prepare(number):
    return number


@step
def take(anything):
    return anything


def local():
    class Local(House):
        def doubled(self):
            return twice(self.size)

    return Local


def twice(number):
    return 2 * number


def later(function):
    return lambda number: twice(function(number))


"""


# No step has a pipeline.
DRIVING = """
@pipeline
def small():
    prepare(1)


class Hidden:
    def run(self):
        return small()
"""


@pytest.fixture
def here(script):
    return script(CODE)


@pytest.fixture
def there():
    """The ``__main__`` of a kernel."""
    made = ModuleType("there")
    made.__dict__["__name__"] = "there"
    sys.modules["there"] = made
    exec(CODE, made.__dict__)
    yield made
    del sys.modules["there"]


def module(made):
    return module_of(made.take.function, made.take.source)


def written(value, made):
    stream = io.BytesIO()
    pickler = Pickler(stream, module(made))
    pickler.dump(value)
    return stream.getvalue(), pickler.used


@pytest.fixture
def sent(here, there):
    """``sent(value)`` is what the kernel reads of it."""

    def send(value):
        content, _ = written(value, here)
        return loading(dict.fromkeys(vars(there), vars(there)))(content)

    return send


@pytest.mark.parametrize(
    "path",
    [
        *("Color.RED", "Level.LOW", "Word.HELLO", "Outer.Kind.FIRST"),
        *("House", "Outer", "Outer.Inner", "Old", "Shape", "Square.area"),
        *("remade", "cached", "prepare", "take"),
        *("MISSING", "NOTHING"),
    ],
)
def test_what_has_a_name_is_what_has_it_there(path, here, there, sent):
    def of(made):
        for part in path.split("."):
            made = getattr(made, part)
        return made

    assert sent(of(here)) is of(there)


@pytest.mark.parametrize(
    "text",
    [
        *("House(3, Color.BLUE)", "Point(1)", "Old(1, 2)", "Right.READ | Right.WRITE"),
        *("[House(1), (House(2),)]", "{Color.RED: {House(1)}}", "frozenset([House(1)])"),
        "OrderedDict(first=House(1))",
    ],
)
def test_instances_are_equal_to_those_made_there(text, here, there, sent):
    arrived = sent(eval(text, vars(here)))
    assert arrived == eval(text, vars(there))
    assert arrived != eval(text, vars(here)) or text in ("Point(1)", "Old(1, 2)")


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        *(("Point(1)", "Point"), ("Old(1, 2)", "Old"), ("Box[int](1)", "Box")),
        *(("Trouble('no', 3)", "Trouble"), ("Made(1)", "Made"), ("Square()", "Shape")),
        *(("Outer.Inner()", "Outer"), ("Slotted(1)", "Slotted")),
    ],
)
def test_instances_are_instances_of_the_class_there(text, kind, here, there, sent):
    made = eval(text, vars(here))
    arrived = sent(made)
    expected = getattr(there, kind) if kind != "Outer" else there.Outer.Inner
    assert isinstance(arrived, expected)
    assert type(arrived).__name__ == type(made).__name__
    assert getattr(arrived, "__dict__", {}).keys() == getattr(made, "__dict__", {}).keys()


def test_what_they_have_inside_as_well(here, there, sent):
    array = np.array([here.House(1), here.Color.RED, None], dtype=object)
    box = here.Box[here.House]([here.House(2)])

    arrived, boxed = sent((array, box))

    assert list(arrived) == [there.House(1), there.Color.RED, None]
    assert boxed.content == [there.House(2)]
    assert boxed.__orig_class__ == there.Box[there.House]
    assert sent(here.Outer.Inner()).kind is there.Outer.Kind.FIRST
    assert sent(here.Trouble("no", 3)).code == 3


def test_who_reads_it_is_told_what_it_has_to_have(here):
    value = [here.Outer.Kind.FIRST, here.House(1), {"why": here.NOTHING}]
    _, used = written(value, here)
    assert set(used.values()) == {here.Outer, here.House, here.Color, here.NOTHING}
    assert written([1, "text", np.arange(3)], here)[1] == {}


@pytest.fixture
def in_a_kernel(run_main, tmp_path):
    """``in_a_kernel(value, module, text)`` is what ``text`` says there of the value it reads."""

    def read(value, made, text):
        path = tmp_path / "written.pickle"
        path.write_bytes(written(value, made)[0])
        reading = f"arrived = __import__('pickle').load(open({str(path)!r}, 'rb'))"
        return run_main(f"{CODE}\n\n{reading}\nprint({text})").strip()

    return read


def test_what_has_no_name_goes_by_value_with_the_names_that_it_uses(here, in_a_kernel):
    function = here.later(lambda number: number + 1)
    assert in_a_kernel(function, here, "arrived(3)") == "8"

    made = here.local()(3)
    assert in_a_kernel(made, here, "isinstance(arrived, House), arrived.doubled()") == "True 6"


def test_so_does_what_another_definition_has_replaced(here, there, sent):
    old = here.House(1)
    exec("@dataclass\nclass House:\n    rooms: int", vars(here))

    arrived = sent(old)

    assert not isinstance(arrived, there.House)
    assert arrived.size == 1


@pytest.mark.parametrize(
    "code",
    [
        'globals()["Hidden"] = type("Hidden", (), {"__module__": __name__})',
        "if __name__.startswith('script'):\n    class Hidden: ...",
        DRIVING,
    ],
)
def test_and_what_no_code_makes_in_a_kernel(code, script):
    made = script(CODE + "\n\n" + code)
    _, used = written(made.Hidden(), made)
    assert used == {}


class TestOtherModules:
    """A kernel imports what other modules define, if it can."""

    def test_one_beside_the_script(self, write, there):
        write(
            "shapes.py", "class Round:\n    def __init__(self, size):\n        self.size = size\n"
        )
        write("working.py", CODE)
        import shapes
        import working

        content, used = written(shapes.Round(1), working)
        assert b"shapes" in content
        assert b"__init__" not in content
        assert used == {}

    def test_one_that_only_this_process_finds(self, script, tmp_path_factory, monkeypatch):
        folder = tmp_path_factory.mktemp("elsewhere")
        (folder / "fakes.py").write_text("class Fake:\n    def size(self):\n        return 7\n")
        monkeypatch.syspath_prepend(str(folder))
        import fakes

        content, _ = written(fakes.Fake(), script(CODE))

        code = (
            f"import pickle; print(pickle.loads({content!r}).size(), end=' ')\n"
            "import importlib.util; print(importlib.util.find_spec('fakes'))"
        )
        command = [sys.executable, "-W", "ignore", "-c", code]
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        assert done.stdout == "7 None\n"

    def test_one_whose_class_has_a_base_that_the_kernel_makes(self, write, in_a_kernel):
        write("homes.py", CODE)
        write("more.py", "from homes import House\n\n\nclass Hut(House):\n    pass\n")
        import homes
        import more

        text = "isinstance(arrived, House), arrived.size"
        assert in_a_kernel(more.Hut(1), homes, text) == "True 1"


class TestWhatComesBack:
    def test_classes_that_went_by_value_are_those_of_this_process(self, here):
        kind = here.local()
        doubled = kind.doubled
        stream = io.BytesIO()
        runtime.Pickler(stream).dump(kind(3))

        arrived = loading(dict.fromkeys(vars(here), vars(here)))(stream.getvalue())

        assert type(arrived) is kind
        assert kind.doubled is doubled, "nobody has changed it"

    def test_functions_made_there_find_what_the_module_here_has(self, here):
        class Function:
            def __reduce__(self):
                return runtime.make_function, ((lambda: twice(4)).__code__, None)  # noqa: F821

        content = cloudpickle.dumps(Function())
        loads = loading(dict.fromkeys(vars(here), vars(here)))
        assert loads(content)() == 8

    def test_what_the_module_does_not_have_is_told_as_ever(self, here):
        content, _ = written(here.House(1), here)
        with pytest.raises(AttributeError, match="House"):
            loading({})(content)
