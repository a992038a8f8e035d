"""The notebook of a script, run from top to bottom, gives what the plain functions give.

That is stricter than a run, in which every step has names of its own.
"""

from __future__ import annotations

import pytest

SCRIPTS = {
    "names of one step are not those of another": """
        @step
        def one(x):
            y = x + 1
            x = y * 2
            return x, y

        @step
        def two(y, x):
            x, y = y, x
            return x - y

        @pipeline
        def small(x=3, y=5):
            a, b = one(y)
            c, d = one(x)
            return collect(a, b, c, d, two(a, d), two(y=x, x=b))
        """,
    "helpers and variables of one name": """
        total = 10

        def scale(values):
            return [total * value for value in values]

        @step
        def one(values):
            total = sum(values)
            scaled = scale(values)
            return total, scaled

        @step
        def two(scale):
            def total(x):
                return x + 1
            return total(scale)

        @pipeline
        def small(values=[1, 2]):
            total, scaled = one(values)
            return collect(total, scaled, two(total))
        """,
    "functions, classes and loops inside": """
        @step
        def one(n):
            class Counter:
                def __init__(self):
                    self.seen = []

                def see(self, x):
                    self.seen.append(x)
                    return self

            counter = Counter()

            adders = [lambda x, k=k: x + k for k in range(n)]
            for adder in adders:
                counter.see(adder(1))

            def nested(depth):
                return depth if depth < 2 else nested(depth - 1) + nested(depth - 2)

            result = {k: v for k, v in enumerate(counter.seen)}
            if (last := max(result)) > 1:
                result[last] = nested(6)
            return result

        @pipeline
        def small(n=4):
            return collect(one(n))
        """,
    "errors, files and matches": """
        import io

        @step
        def one(items):
            found = []
            for item in items:
                try:
                    value = 10 // item
                except ZeroDivisionError as error:
                    found.append(str(error))
                except TypeError:
                    found.append("type")
                else:
                    found.append(value)
                finally:
                    found.append("|")
            with io.StringIO("a b") as stream:
                words = stream.read().split()
            match items:
                case [first, *rest]:
                    found += rest
                case _:
                    found = None
            return found, words

        @pipeline
        def small(items=[5, 0, "x"]):
            found, words = one(items)
            return collect(found, words)
        """,
    "returns in the middle, recursion and generators": """
        @step
        def one(n):
            if n > 2:
                return "large", n
            for k in range(n):
                if k:
                    return "loop", k
            return "small", 0

        @step
        def two(n):
            return 1 if n < 2 else n * two(n - 1)

        @step
        def three(n):
            def squares():
                for k in range(n):
                    yield k * k
            return list(squares())

        @pipeline
        def small(n=2):
            word, number = one(n)
            other = one(5)
            return collect(word, number, other, two(5), three(n))
        """,
    "the module's own variables": """
        seen = []
        count = 0

        def note(x):
            seen.append(x)
            return len(seen)

        @step
        def one(x):
            global count
            count += x
            return note(x)

        @step
        def two():
            return list(seen), count

        @pipeline
        def small(x=3):
            a = one(x)
            b = one(4)
            seen_, count_ = two()
            return collect(a, b, seen_, count_)
        """,
    "defaults, stars and keywords": """
        FACTOR = 3

        @step
        def one(a, /, b, *more, c=FACTOR * 2, d=None, **named):
            return [a, b, more, c, d, sorted(named.items())]

        @step
        def two(a, b=FACTOR, *, c="x" "y"):
            return a, b, c

        @pipeline
        def small(x=1):
            first, *rest = two(x)
            both = two(rest[0], c=[first, {"x": x}])
            return collect(first, rest, both, one(x, 2), one(x, 2, 3, *rest, d=(x,), e={1, 2}))
        """,
    "texts": '''
        @step
        def one(name):
            text = f"""<{name}>
              {name!r:>8}
            </{name}>"""
            query = r"\\d+ '{}' \\n"
            lines = """a
                b
              c""".splitlines()
            return text + query, lines, "{{x}} %s" % name, b"\\x00"

        @pipeline
        def small(name="it's {x} and \\\\n"):
            return collect(one(name))
        ''',
    "a variable that is a builtin": """
        def largest(values):
            return max(values), len(values)

        @step
        def one(values):
            max = 1
            len, list = 2, 3
            return largest(values), max + len + list

        @pipeline
        def small(values=[4, 2]):
            return collect(one(values))
        """,
    "a variable that is deleted": """
        @step
        def one(n):
            found = n
            del n
            try:
                n
            except UnboundLocalError:
                found += 1
            return found

        @pipeline
        def small(n=3):
            return collect(one(n))
        """,
    "variables that may not be there": """
        @step
        def one(flag, before=None):
            if flag:
                extra = "one"
            try:
                found = extra
            except NameError:
                found = "nothing"
            return found

        @pipeline
        def small(yes=True, no=False):
            first = one(yes)
            return collect(first, one(no, first))
        """,
}


@pytest.mark.parametrize("title", SCRIPTS)
def test_it_is_the_same(title, same):
    same(SCRIPTS[title])
