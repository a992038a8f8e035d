"""Random small notebooks that run in one kernel, each statement tried out as it is written.

Trying every statement at once tells which names are bound to what, so that the next
statements are about things that exist: aliases, containers in containers, instances of the
notebook's own classes, functions that read and write its globals.
"""

from __future__ import annotations

import contextlib
import io
import os
import random
import re
import sys
import types
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

NAMES = ("a", "b", "c", "d", "e")
NUMBERS = st.integers(0, 9)
Draw = Callable[[Any], Any]

PRELUDE = """\
import os
import random
import math
from contextlib import suppress
from dataclasses import dataclass, field

import numpy as np

registry = {}
limit = 3


class Box:
    size = 2

    def __init__(self, items):
        self.items = items
        self.seen = []

    def put(self, item):
        self.items.append(item)
        return self

    def look(self):
        self.seen.append(limit)
        return len(self.items) * self.size + limit


def remember(key, value):
    registry[key] = value
    return value


def grow(target, item):
    target.append(item)
    return target


def bump():
    global limit
    limit += 1
    return limit


def same(value):
    return value


@dataclass
class Node:
    value: object
    links: list = field(default_factory=list)

    def __iadd__(self, other):
        self.links.append(other)
        return self

    @property
    def total(self):
        self.links.append(0)
        return len(self.links)


def counted(function):
    def inner(*values):
        inner.calls += 1
        return function(*values)
    inner.calls = 0
    return inner
"""


@dataclass
class Notebook:
    """``steps`` are the sources of the steps, ``printed`` what each printed in one kernel."""

    flag: int
    steps: list[str]
    edges: list[tuple[int, int]]
    printed: list[str]

    @property
    def is_chain(self) -> bool:
        """Do the edges order the steps totally?"""
        return all((i, i + 1) in self.edges for i in range(len(self.steps) - 1))

    def cells(self) -> list[tuple[list[str], str]]:
        """(tags, source) of every cell."""
        found = [(["functions"], PRELUDE), (["parameters"], f"flag = {self.flag}")]
        for index, source in enumerate(self.steps):
            tags = [f"block:s{index}"]
            tags += [f"prev:s{parent}" for parent, child in self.edges if child == index]
            found.append((tags, source))
        return found

    def __str__(self) -> str:
        return "\n".join(f"# {' '.join(tags)}\n{source}\n" for tags, source in self.cells()[1:])


@st.composite
def notebooks(draw: Draw, *, chain: bool) -> Notebook:
    """A notebook of two to five steps; ``chain`` orders them totally."""
    flag = draw(st.integers(0, 1))
    kernel = Kernel(flag)
    count = draw(st.integers(2, 5))
    steps, printed = [], []
    for _ in range(count):
        lines: list[str] = []
        text = ""
        for _ in range(draw(st.integers(1, 5))):
            statement = draw(st.sampled_from(STATEMENTS))(draw, kernel)
            if statement is None:
                continue
            ok, said = kernel.run(statement)
            if not ok:
                break
            lines.append(statement)
            text += said
        for statement in [] if kernel.broken else looks(draw, kernel):
            ok, said = kernel.run(statement)
            if ok:
                lines.append(statement)
                text += said
        steps.append("\n".join(lines) or "pass")
        printed.append(text)
        if kernel.broken:
            break
    return Notebook(flag, steps, edges(draw, len(steps), chain), printed)


def edges(draw: Draw, count: int, chain: bool) -> list[tuple[int, int]]:
    found = []
    for child in range(1, count):
        parents = {child - 1} if chain else set()
        parents |= draw(st.sets(st.integers(0, child - 1), max_size=2))
        found += [(parent, child) for parent in sorted(parents)]
    return found


@dataclass
class Kernel:
    """One kernel: a namespace of its own, in this very process."""

    flag: int
    module: types.ModuleType = field(default_factory=lambda: types.ModuleType("__main__"))
    broken: bool = False
    seeded: bool = False
    random_state: Any = None
    environment: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.run(PRELUDE)
        self.run(f"flag = {self.flag}")

    @property
    def names(self) -> dict[str, Any]:
        return self.module.__dict__

    def run(self, source: str) -> tuple[bool, str]:
        """Did the statement run, and what did it print?

        A statement that failed may have left something behind: nothing more is written then.
        """
        out = io.StringIO()
        self.seeded |= bool(re.search(r"(?<!np\.)random\.seed", source))
        with as_main(self.module), self._own_state(), contextlib.redirect_stdout(out):
            try:
                exec(compile(source, "<notebook>", "exec"), self.names)
            except Exception:
                self.broken = True
                return False, out.getvalue()
        return True, out.getvalue()

    @contextlib.contextmanager
    def _own_state(self) -> Iterator[None]:
        """The kernel's own random stream and environment; hypothesis keeps its own."""
        before, environment = random.getstate(), dict(os.environ)
        if self.random_state is not None:
            random.setstate(self.random_state)
        os.environ.update(self.environment)
        try:
            yield
        finally:
            self.random_state = random.getstate()
            self.environment = {k: v for k, v in os.environ.items() if k == "LAW"}
            random.setstate(before)
            os.environ.clear()
            os.environ.update(environment)

    def variables(self, kind: Any = object) -> list[str]:
        return [
            name
            for name in NAMES
            if name in self.names
            and isinstance(self.names[name], kind)
            and not isinstance(self.names[name], types.FunctionType)
        ]

    def functions(self) -> list[str]:
        return [n for n in NAMES if isinstance(self.names.get(n), types.FunctionType)]

    def callables(self) -> list[str]:
        return [n for n in NAMES if callable(self.names.get(n))]

    def arrays(self) -> list[str]:
        return [n for n in NAMES if type(self.names.get(n)).__name__ == "ndarray"]

    def nodes(self) -> list[str]:
        return [n for n in NAMES if type(self.names.get(n)).__name__ == "Node"]

    def boxes(self) -> list[str]:
        return [n for n in NAMES if type(self.names.get(n)).__name__ in ("Box", "Crate")]


@contextlib.contextmanager
def as_main(module: types.ModuleType) -> Iterator[None]:
    before = sys.modules["__main__"]
    sys.modules["__main__"] = module
    try:
        yield
    finally:
        sys.modules["__main__"] = before


# -- statements: each gives source text, or None where the kernel has nothing to write about ----


def pick(draw: Draw, names: list[str]) -> str | None:
    return draw(st.sampled_from(names)) if names else None


def new_value(draw: Draw, kernel: Kernel) -> str:
    name, number = draw(st.sampled_from(NAMES)), draw(NUMBERS)
    value = draw(
        st.sampled_from(
            [
                "{n}",
                "[{n}]",
                "[]",
                "{{'k': {n}}}",
                "{{}}",
                "({n}, [{n}])",
                "Box([{n}])",
                "flag + {n}",
                "'t{n}'",
                "[[{n}], [{n}]]",
                "set([{n}])",
                "limit + {n}",
                "{n} / 2",
                "None",
            ]
        )
    ).format(n=number)
    return f"{name} = {value}"


def alias(draw: Draw, kernel: Kernel) -> str | None:
    name, other = draw(st.sampled_from(NAMES)), pick(draw, kernel.variables())
    form = draw(
        st.sampled_from(
            [
                "{a} = {b}",
                "{a} = [{b}, {b}]",
                "{a} = {{'k': {b}}}",
                "{a} = ({b}, 1)",
                "{a} = same({b})",
                "{a} = Box([{b}])",
                "{a} = list([{b}])",
                "{a}, e = {b}, {b}",
                "{a} = e = [{b}]",
                "{a} = [x for x in [{b}]]",
                "{a} = {b} if flag else [{b}]",
                "({a} := {b})",
                "{a} = (lambda v: [v])({b})",
                "remember('{a}', {b})",
                "{a} = dict(k={b})",
            ]
        )
    )
    return form.format(a=name, b=other) if other else None


def change_list(draw: Draw, kernel: Kernel) -> str | None:
    name = pick(draw, kernel.variables(list))
    form = draw(
        st.sampled_from(
            [
                "{x}.append({n})",
                "{x} += [{n}]",
                "{x}[:] = [{n}]",
                "{x}.extend([{n}, {n}])",
                "grow({x}, {n})",
                "for _ in range(2):\n    {x}.append({n})",
                "{x}.insert(0, {n})",
                "[{x}.append(i) for i in range(2)]",
                "if flag:\n    {x}.append({n})",
                "for part in {x}:\n    if isinstance(part, list):\n        part.append({n})",
                "with suppress(IndexError):\n    del {x}[0]",
                "{x}.sort(key=str)",
                "{x}.clear()",
            ]
        )
    )
    return form.format(x=name, n=draw(NUMBERS)) if name else None


def change_dict(draw: Draw, kernel: Kernel) -> str | None:
    name = pick(draw, [*kernel.variables(dict), "registry"])
    other = pick(draw, kernel.variables()) or "0"
    form = draw(
        st.sampled_from(
            [
                "{x}['k'] = {n}",
                "{x}['m'] = {o}",
                "{x}.update(j={n})",
                "{x}.setdefault('k', []) ",
                "{x}.pop('k', None)",
                "for key in list({x}):\n    {x}[key] = {n}",
                "if isinstance({x}.get('k'), list):\n    {x}['k'].append({n})",
            ]
        )
    )
    return form.format(x=name, n=draw(NUMBERS), o=other) if name else None


def change_box(draw: Draw, kernel: Kernel) -> str | None:
    name = pick(draw, kernel.boxes())
    form = draw(
        st.sampled_from(
            [
                "{x}.put({n})",
                "{x}.items = [{n}]",
                "{x}.extra = {n}",
                "print({x}.look())",
                "{x}.items.append({n})",
                "{x}.put({n}).put({n})",
                "{x}.size = {n}",
                "{x}.items = list({x}.items)",
                "setattr({x}, 'items', [{n}])",
                "vars({x})['items'].append({n})",
            ]
        )
    )
    return form.format(x=name, n=draw(NUMBERS)) if name else None


def change_number(draw: Draw, kernel: Kernel) -> str | None:
    name = pick(draw, [*kernel.variables((int, float)), "limit"])
    form = draw(
        st.sampled_from(
            [
                "{x} += {n}",
                "{x} = {x} * 2",
                "for {x} in range({n}):\n    pass",
                "while {x} > 5:\n    {x} -= 3",
                "if {x} > 4:\n    {x} = {n}\nelse:\n    {x} = 0",
                "if {x} > 4:\n    {x} = {n}",
                "try:\n    {x} = {x} / ({n} - 4)\nexcept ZeroDivisionError:\n    pass",
                "bump()",
                "{x} = bump()",
                "exec('{x} = {n}')",
                "globals()['{x}'] = {n}",
            ]
        )
    )
    return form.format(x=name, n=draw(NUMBERS)) if name else None


def make_function(draw: Draw, kernel: Kernel) -> str | None:
    name, other = draw(st.sampled_from(NAMES)), pick(draw, kernel.variables())
    form = draw(
        st.sampled_from(
            [
                "def {f}(v=1):\n    return [v, {o}]",
                "def {f}(v=1):\n    return limit",
                "def {f}(v=1):\n    registry['{f}'] = v\n    return registry",
                "{f} = lambda v=1: [{o}, v]",
                "def {f}(v=1):\n    def inner():\n        return {o}\n    return inner()",
                "def {f}(v=1):\n    global limit\n    limit = v if isinstance(v, int) else 1\n    return limit",
                "def make(q):\n    def inner(v=1):\n        return [q, v]\n    return inner\n{f} = make({o})",
                "class Crate(Box):\n    def look(self):\n        return super().look() + 1\n{f} = Crate([1])",
            ]
        )
    )
    return form.format(f=name, o=other) if other and other != name else None


def call_function(draw: Draw, kernel: Kernel) -> str | None:
    function = pick(draw, kernel.functions())
    name, argument = draw(st.sampled_from(NAMES)), pick(draw, kernel.variables()) or "2"
    form = draw(
        st.sampled_from(
            [
                "print({f}({v}))",
                "{x} = {f}({v})",
                "{f}()",
                "{x} = [{f}]",
                "{x} = list(map({f}, [1]))",
                "if flag:\n    {x} = {f}({v})",
                "{x} = {{'call': {f}}}",
            ]
        )
    )
    return form.format(f=function, x=name, v=argument) if function else None


def remove(draw: Draw, kernel: Kernel) -> str | None:
    name = pick(draw, kernel.variables())
    form = draw(
        st.sampled_from(
            [
                "del {x}",
                "if flag:\n    del {x}",
                "{x} = None\ndel {x}",
                "try:\n    {x}\nexcept NameError:\n    {x} = 0",
            ]
        )
    )
    return form.format(x=name) if name else None


def maybe_define(draw: Draw, kernel: Kernel) -> str:
    name, number = draw(st.sampled_from(NAMES)), draw(NUMBERS)
    form = draw(
        st.sampled_from(
            [
                "if flag:\n    {x} = [{n}]",
                "if not flag:\n    {x} = {n}\nelse:\n    {x} = [{n}]",
                "for i in range(flag):\n    {x} = i",
                "try:\n    1 / flag\n    {x} = {n}\nexcept ZeroDivisionError:\n    pass",
                "match flag:\n    case 1:\n        {x} = 'one'\n    case other:\n        {x} = other",
                "with suppress(ZeroDivisionError):\n    {x} = {n} / flag",
                "while True:\n    {x} = {n}\n    break",
            ]
        )
    )
    return form.format(x=name, n=number)


def global_state(draw: Draw, kernel: Kernel) -> str:
    form = draw(
        st.sampled_from(
            [
                "random.seed({n})",
                "random.seed({n})\nprint(random.random())",
                "os.environ['LAW'] = '{n}'",
                "print(os.environ.get('LAW'))",
                "print(random.random())" if kernel.seeded else "pass",
            ]
        )
    )
    return form.format(n=draw(NUMBERS))


def unpack(draw: Draw, kernel: Kernel) -> str | None:
    one, two = draw(st.sampled_from(NAMES)), draw(st.sampled_from(NAMES))
    other = pick(draw, kernel.variables())
    form = draw(
        st.sampled_from(
            [
                "{a}, {b} = {o}, [{o}]",
                "{a}, *{b} = [{o}, {n}, {n}]",
                "[{a}, {b}] = [[{n}], {o}]",
                "for {a}, {b} in [({n}, {o})]:\n    pass",
                "{a} = [{b} := [{n}], {o}]",
                "{a} = {{'p': [{o}]}}['p']",
                "{a} = [[y] for y in [{o}] if (last := y) is not None]",
                "{a} = sorted([{n}, 3], key=lambda v: v + limit)",
                "{a} = {o} or [{n}]",
                "{a} = {o} and [{n}]",
            ]
        )
    )
    return form.format(a=one, b=two, o=other, n=draw(NUMBERS)) if other and one != two else None


def make_class(draw: Draw, kernel: Kernel) -> str | None:
    name, other = draw(st.sampled_from(NAMES)), pick(draw, kernel.variables())
    form = draw(
        st.sampled_from(
            [
                "class Tally:\n    seen = []\n    def __call__(self, v=1):\n        self.seen.append(v)\n        return len(self.seen)\n{x} = Tally()",
                "class Holder:\n    def __init__(self, v):\n        self.v = v\n    def __call__(self, v=1):\n        return [self.v, v]\n{x} = Holder({o})",
                "class Count:\n    made = 0\n    def __init__(self):\n        type(self).made += 1\n    def __call__(self, v=1):\n        return self.made\n{x} = Count()",
                "class Own(Box):\n    def put(self, item):\n        registry['own'] = item\n        return super().put(item)\n{x} = Own([{n}]).put({n})",
                "{x} = Node({o})",
                "{x} = Node({n}, [{o}])",
            ]
        )
    )
    return form.format(x=name, o=other, n=draw(NUMBERS)) if other and other != name else None


def make_closure(draw: Draw, kernel: Kernel) -> str | None:
    name, other = draw(st.sampled_from(NAMES)), pick(draw, kernel.variables())
    form = draw(
        st.sampled_from(
            [
                "def counter():\n    count = 0\n    def inner(v=1):\n        nonlocal count\n        count += 1\n        return count\n    return inner\n{f} = counter()",
                "def keeper(kept):\n    def inner(v=1):\n        kept.append(v)\n        return len(kept)\n    return inner\n{f} = keeper([{o}])",
                "def {f}(v=1, memory=[]):\n    memory.append(v)\n    return len(memory)",
                "@counted\ndef {f}(v=1):\n    return [{o}]",
                "def {f}(v=1):\n    {f}.last = v\n    return v",
                "def {f}(v=1):\n    return grow([], {o})",
                "def {f}(v=1):\n    from math import floor\n    return [floor(2.5), {o}]",
                "def {f}(v=1):\n    try:\n        return {o}[0]\n    except Exception:\n        return limit",
            ]
        )
    )
    return form.format(f=name, o=other) if other and other != name else None


def use_callable(draw: Draw, kernel: Kernel) -> str | None:
    name, other = pick(draw, kernel.callables()), draw(st.sampled_from(NAMES))
    form = draw(
        st.sampled_from(
            [
                "print({f}())",
                "{x} = {f}({n})",
                "{x} = [{f}, {f}]",
                "print([g() for g in [{f}, {f}]])",
                "if callable({f}):\n    {f}({n})",
            ]
        )
    )
    return form.format(f=name, x=other, n=draw(NUMBERS)) if name and name != other else None


def bound_method(draw: Draw, kernel: Kernel) -> str | None:
    box, name = pick(draw, kernel.boxes()), draw(st.sampled_from(NAMES))
    form = draw(
        st.sampled_from(
            ["{x} = {b}.put", "{x} = {b}.items", "{x} = [{b}, {b}.items]", "{x} = {b}.put({n})"]
        )
    )
    return form.format(b=box, x=name, n=draw(NUMBERS)) if box and box != name else None


def change_node(draw: Draw, kernel: Kernel) -> str | None:
    node, other = pick(draw, kernel.nodes()), pick(draw, kernel.variables())
    form = draw(
        st.sampled_from(
            [
                "{x} += {n}",
                "{x}.value = {o}",
                "{x}.links.append({o})",
                "print({x}.total)",
                "{x}.links, {x}.value = [{n}], {x}.links",
                "del {x}.links[:]",
            ]
        )
    )
    return form.format(x=node, o=other, n=draw(NUMBERS)) if node and other != node else None


def array(draw: Draw, kernel: Kernel) -> str | None:
    name, other = draw(st.sampled_from(NAMES)), pick(draw, kernel.arrays())
    if other is None or draw(st.integers(0, 3)) == 0:
        return f"{name} = np.arange(4)"
    form = draw(
        st.sampled_from(
            [
                "{x} = {o}[1:]",
                "{x} = {o}.copy()",
                "{x} = {o}.reshape(-1, 1)",
                "{x} = {o} + 1",
                "{x} = np.asarray({o})",
                "{x} = {{'k': {o}[::2]}}",
                "{o}[0] = {n}",
                "{o} += 1",
                "np.add({o}, {n}, out={o})",
                "{o}.fill({n})",
                "{o}[{o} > 2] = {n}",
                "np.random.seed({n})\n{x} = np.random.randint(0, 9, 3)",
                "{x} = np.random.default_rng({n})\nprint({x}.integers(9))",
            ]
        )
    )
    return form.format(x=name, o=other, n=draw(NUMBERS))


def use_generator(draw: Draw, kernel: Kernel) -> str | None:
    names = [n for n in NAMES if type(kernel.names.get(n)).__name__ == "Generator"]
    name = pick(draw, names)
    return f"print({name}.integers(9))" if name else None


def imported(draw: Draw, kernel: Kernel) -> str:
    form = draw(
        st.sampled_from(
            [
                "import collections\n{x} = collections.Counter([{n}, {n}])",
                "from collections import deque\n{x} = deque([{n}], 2)\n{x}.append({n})",
                "import collections as tools, itertools\n{x} = list(itertools.chain([{n}], [1]))",
                "from math import *\n{x} = floor({n} / 2)",
                "import os.path as paths\n{x} = paths.join('a', '{n}')",
                "{x} = iter([{n}, 2, 3])\nnext({x})",
            ]
        )
    )
    return form.format(x=draw(st.sampled_from(NAMES)), n=draw(NUMBERS))


STATEMENTS = (
    new_value, new_value, alias, alias, alias, change_list, change_list, change_dict, change_box,
    change_number, make_function, call_function, call_function, remove, maybe_define, global_state,
    unpack, make_class, make_closure, use_callable, use_callable, bound_method, change_node, array,
    array, use_generator, imported,
)  # fmt: skip


def looks(draw: Draw, kernel: Kernel) -> list[str]:
    """Prints that would show a lost value, a lost alias, a stale version."""
    found = []
    for name in draw(st.sets(st.sampled_from(NAMES), max_size=3)):
        value = kernel.names.get(name)
        if name not in kernel.names or isinstance(value, types.FunctionType):
            continue
        if name in kernel.nodes():
            found.append(f"print('{name}', len({name}.links))")
        elif name in kernel.boxes():
            found.append(f"print('{name}', {name}.items, {name}.seen, {name}.look())")
        elif not has_address(value):
            found.append(f"print('{name}', {name})")
    pairs = [
        (one, two)
        for one in kernel.variables((list, dict, np.ndarray))
        for two in kernel.variables((list, dict, np.ndarray))
        if one < two
    ]
    if pairs and draw(st.booleans()):
        one, two = draw(st.sampled_from(pairs))
        found.append(f"print({one} is {two})")
        if one in kernel.arrays() and two in kernel.arrays():
            found.append(f"print(np.shares_memory({one}, {two}))")
    if draw(st.booleans()) and not has_address(kernel.names.get("registry")):
        found.append("print(registry, limit)")
    return found


def has_address(value: Any) -> bool:
    try:
        return " at 0x" in repr(value)
    except RecursionError:  # a Counter that holds itself cannot be shown at all
        return True
