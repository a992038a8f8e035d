"""Functions and classes: what they read and change counts where they are called."""

from __future__ import annotations

from typing import Any

import pytest


class TestReads:
    """Free variables are read by the step that calls or hands on the code, late bound."""

    @pytest.mark.parametrize(
        ("defined", "used"),
        [
            ("def f(): return late", "f()"),
            ("def f(): return g()\ndef g(): return late", "f()"),
            ("def f(n): return late if n == 0 else f(n - 1)", "f(1)"),
            ("def f(n): return n or g(n)\ndef g(n): return f(n - late)", "f(1)"),
            ("f = lambda: late", "f()"),
            ("fs = {'a': [lambda: late]}", "fs['a'][0]()"),
            ("def f(g=lambda: late): return g()", "f()"),
            ("from functools import partial\ndef g(a): return a + late\nf = partial(g, 1)", "f()"),
            ("def f(): yield late", "list(f())"),
            ("async def f(): return late", "await f()"),
            ("def make():\n    def f(): return late\n    return f\nf = make()", "f()"),
            ("def make(): return lambda: late\nf = make()", "f()"),
            ("def wrap(g): return lambda: g()\nf = wrap(lambda: late)", "f()"),
            (
                (
                    "def wrap(*gs):\n    def f(): return gs[0]()\n    return f\n"
                    "def g(): return late\nf = wrap(g)"
                ),
                "f()",
            ),
            ("def deco(g):\n    def f(): return late\n    return f\n@deco\ndef f(): pass", "f()"),
            ("if 1:\n    def f(): return late\nelse:\n    def f(): pass", "f()"),
            ("def f(): return late", "list(map(f, [1]))"),
            ("def f(): return late", "x = [f]"),
            ("class K:\n    def m(self): return late\nf = K()", "f.m()"),
            ("class K:\n    def m(self): return late\nf = [K()]", "print(f)"),
            ("class K:\n    def __call__(self): return late\nf = K()", "f()"),
            ("class K:\n    @property\n    def p(self): return late\nf = K()", "f.p"),
            ("class K:\n    p = lambda self: late\nf = K()", "f.p()"),
            ("class K:\n    def m(self): return late\nclass L(K): pass\nf = L()", "f.m()"),
            (
                (
                    "class K:\n    def m(self): return late\n"
                    "class L(K):\n    def m(self): return super().m()\nf = L()"
                ),
                "f.m()",
            ),
            ("class K:\n    def __init__(self): self.g = lambda: late\nf = K()", "f.g()"),
            ("class K: pass\nf = K()\nf.g = lambda: late", "f.g()"),
            ("class K:\n    def on(self, g): self.g = g\nf = K()\nf.on(lambda: late)", "f.g()"),
            (
                (
                    "def make():\n    class K:\n        def m(self): return late\n    return K\n"
                    "f = make()"
                ),
                "f().m()",
            ),
            (
                ("class M(type):\n    def __call__(self): return late\nclass f(metaclass=M): pass"),
                "f()",
            ),
            ("f = {}\ndef put(name): f[name] = lambda: late\nput('a')", "f['a']()"),
            (
                (
                    "f = {}\ndef register(g):\n    f[g.__name__] = g\n    return g\n"
                    "@register\ndef g(): return late"
                ),
                "f['g']()",
            ),
            (
                (
                    "f = []\ndef register(name):\n    def add(g): f.append(g)\n    return add\n"
                    "@register('a')\ndef g(): return late"
                ),
                "f[0]()",
            ),
            (
                (
                    "from dataclasses import dataclass\n@dataclass\nclass K:\n    x: int = 1\n"
                    "    def m(self): return late\nf = K()"
                ),
                "f.m()",
            ),
        ],
    )
    def test_where_it_is_used(self, chain: Any, defined: str, used: str) -> None:
        found = chain(defined, "late = 1", used)
        assert found.needs("a") == {}
        assert found.needs("c")["late"] == "b"

    @pytest.mark.parametrize(
        "used",
        [
            "sorted([1], key=lambda x: late)",
            "(lambda: late)()",
            "print(f(lambda: late))",
            "df.apply(lambda row: row + late)",
            "[late for _ in [1]]",
        ],
    )
    def test_of_a_lambda_that_is_handed_over(self, chain: Any, used: str) -> None:
        assert chain("late = df = 1\ndef f(g): return g()", used).needs("b")["late"] == "a"

    @pytest.mark.parametrize(
        "defined",
        [
            "def f(): return late",
            "f = lambda: late",
            "class f:\n    def m(self): return late",
            "def f():\n    def g(): return late\n    return g",
            "fs = dict(f=lambda: late)",
        ],
    )
    def test_of_a_definition_nothing_is_needed(self, chain: Any, defined: str) -> None:
        assert chain("late = 1", defined).needs("b") == {}

    def test_what_sorts_is_not_kept(self, chain: Any) -> None:
        found = chain("k = 1\nx = [1]", "y = sorted(x, key=lambda v: v * k)", "print(y)")
        assert found.needs("c") == {"y": "b"}

    @pytest.mark.parametrize(
        "function",
        [
            "def f():\n    late = 1\n    return late",
            "def f(late): return late",
            "def f():\n    def g(): return late\n    late = 1\n    return g()",
            "def f():\n    late = 1\n    def g():\n        nonlocal late\n        late = 2",
            "def f(): return [late for late in [1]]",
            "def f():\n    import os as late\n    return late",
            "def f():\n    for late in [1]: pass\n    return late",
            "def f(): return x.late",
            "def f(): return 'late'",
            "def f():\n    x: late = 1",
        ],
    )
    def test_of_local_names_nothing_is_needed(self, chain: Any, function: str) -> None:
        assert "late" not in chain("late = x = 1", f"{function}\nf(1)").needs("b")

    def test_a_class_body_is_no_scope_for_what_is_inside(self, chain: Any) -> None:
        body = "class K:\n    late = [1]\n    def m(self): return late\nK().m()"
        assert chain("late = 1", body).needs("b") == {"late": "a"}
        body = "class K:\n    late = [1]\n    x = [late for _ in late]"
        assert chain("late = 1", body).needs("b") == {"late": "a"}
        assert chain("late = 1", "class K:\n    late = [1]\n    x = late").needs("b") == {}


class TestWrites:
    """What code binds and changes is written by the step that calls it."""

    @pytest.mark.parametrize(
        "body",
        [
            "x.append(1)",
            "x[0] = 1",
            "global x\n    x += [1]",
            "global x\n    x = 1",
            "global x\n    if x: x = 1",
            "global x\n    del x\n    x = 1",
            "def g(): x.append(1)\n    g()",
            "for i in x: i.append(1)",
            "globals()['x'] = 1",
            "y = x\n    y.append(1)",
            "x.part.append(1)",
            "g(x)\ndef g(a): a.append(1)",
            "return x.append(1)",
            "yield x.append(1)",
            "try:\n        return 1\n    finally:\n        x.append(1)",
        ],
    )
    def test_of_a_function(self, chain: Any, body: str) -> None:
        found = chain(f"x = [[1]]\ndef f():\n    {body}", "list(f())", "print(x)")
        assert found.needs("a") == {}
        assert found.needs("c")["x"].startswith("b")

    @pytest.mark.parametrize(
        "call",
        [
            "f(x)",
            "f(l=x)",
            "f(*[x])",
            "f(**{'l': x})",
            "y = f(x)",
            "h(x)",
            "k.m(x)",
            "k.s(x)",
            "(lambda l: l.append(1))(x)",
            "f(x[0])",
            "f(x if 1 else 2)",
        ],
    )
    def test_of_a_parameter(self, chain: Any, call: str) -> None:
        functions = (
            "def f(l): l.append(1)\ndef h(l): f(l)\n"
            "class K:\n    def m(self, l): f(l)\n    @staticmethod\n    def s(l): l.append(1)\n"
            "k = K()"
        )
        assert chain("x = [[1]]", call, "print(x)", functions=functions).needs("c") == {"x": "b a"}

    def test_a_parameter_that_is_only_read_is_not_written(self, chain: Any) -> None:
        found = chain("x = [1]", "f(x)", "print(x)", functions="def f(l): return len(l) + l[0]")
        assert found.needs("c") == {"x": "a"}

    @pytest.mark.parametrize(
        "method",
        [
            "self.items.append(1)",
            "self.count = 1",
            "self.count += 1",
            "self.helper()",
            "setattr(self, 'count', 1)",
            "self.__dict__['count'] = 1",
            "super().m()",
        ],
    )
    def test_of_an_object_by_its_methods(self, chain: Any, method: str) -> None:
        functions = (
            "class Base:\n    def m(self): self.count = 1\n"
            f"class K(Base):\n    def m(self): {method}\n    def helper(self): self.count = 1"
        )
        assert chain("x = K()", "x.m()", "print(x)", functions=functions).needs("c")["x"] == "b a"

    def test_a_call_that_may_return_early_may_bind(self, chain: Any) -> None:
        function = "x = 1\ndef f(n):\n    global x\n    if n: return\n    x = 2"
        assert chain(function, "f(1)", "print(x)").needs("c") == {"x": "b a"}

    def test_a_generator_binds_only_when_it_runs(self, chain: Any) -> None:
        function = "x = 1\ndef f():\n    global x\n    x = 2\n    yield"
        assert chain(function, "f()", "print(x)").needs("c") == {"x": "b a"}

    def test_a_closure_that_counts_changes_itself(self, chain: Any) -> None:
        inner = "    n = 0\n    def f():\n        nonlocal n\n        n += 1\n    return f"
        found = chain(f"n = 7\ndef make():\n{inner}\nf = make()", "f()", "f()\nprint(n)")
        assert found.needs("c") == {"f": "b a", "n": "a"}

    def test_a_default_that_grows_changes_its_function(self, chain: Any) -> None:
        found = chain("def f(x, seen=[]): seen.append(x)", "f(1)", "f(2)")
        assert found.needs("c") == {"f": "b a"}

    def test_the_own_version_of_the_prelude_never_passes_for_the_current_one(
        self, chain: Any
    ) -> None:
        found = chain("x = 2", "if 0: x = 3", "print(x)", functions="x = 1")
        assert found.needs("b") == {"x": "a"}
        assert found.needs("c") == {"x": "b a"}

    def test_objects_of_the_prelude_are_watched(self, chain: Any) -> None:
        functions = "class K:\n    def m(self): self.x = 1\nk = K()\nk2 = k\nlog = []"
        found = chain("k.m()", "log.append(1)", "print(k, log)", functions=functions)
        assert found.watches("a") == {"k"}
        assert found.watches("b") == {"log"}
        assert found.needs("c") == {"k": "a", "log": "b"}
