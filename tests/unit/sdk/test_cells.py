"""A step's function as cells: its arguments, its body between blank lines, what it gives."""

from __future__ import annotations

import ast

import pytest

from kale_pm.errors import UsageError


def of_step(found, name="load"):
    return [source for tags, source in found if f"block:{name}" in tags.split()]


def test_arguments_body_and_results_are_cells(script, cells):
    made = script(
        '''
        @step(name="data-loading", retry_count=2)
        def load(rows, scale=2.0):
            """Make the data."""
            # as many as asked for
            numbers = list(range(rows))

            if scale > 1:
                numbers = [number * scale for number in numbers]

            # the sum of all
            total = sum(numbers)
            return numbers, total

        @step
        def show(numbers):
            print(numbers)

        @pipeline
        def small(n=3):
            numbers, total = load(n)
            show(numbers)
        '''
    )
    assert cells(made.small) == [
        ("parameters", "n = 3"),
        ("block:data_loading retry:2", "rows = n\nscale = 2.0"),
        ("block:data_loading", "# as many as asked for\nnumbers = list(range(rows))"),
        (
            "block:data_loading",
            "if scale > 1:\n    numbers = [number * scale for number in numbers]",
        ),
        ("block:data_loading", "# the sum of all\ntotal = sum(numbers)"),
        ("block:data_loading", "data_loading_numbers = numbers\ndata_loading_total = total"),
        ("block:show prev:data_loading", "numbers = data_loading_numbers"),
        ("block:show", "print(numbers)"),
    ]
    assert cells(made.small, "markdown") == [
        ("", "## data-loading\n\nMake the data."),
        ("", "## show"),
    ]


def test_texts_over_several_lines_stay_as_they_are(script, cells):
    made = script(
        '''
        @step
        def load():
            text = """one
          two
            three"""
            other = f"""
              {text}
            end"""
            return text

        @pipeline
        def small():
            load()
        '''
    )
    body = of_step(cells(made.small))[0]
    assert ast.literal_eval(ast.parse(body).body[0].value) == made.load()


def test_a_function_on_one_line(script, cells):
    made = script(
        """
        @step
        def load(n): print(n); return n + 1

        @step
        def other(n): print(n)

        @pipeline
        def small(rows=1):
            other(load(rows))
        """
    )
    assert of_step(cells(made.small), "other")[-1] == "print(n)"
    assert "def load(n): print(n); return n + 1" in of_step(cells(made.small))[0]


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("if rows:\n        return 1\n    return 2", "it returns in the middle"),
        ("for row in [1]:\n        return row", "it returns in the middle"),
        ("return load(rows - 1) if rows else 0", "it calls itself"),
        ("return sorted(locals())", "it looks at its own variables"),
        (
            "def count():\n        nonlocal rows\n        rows += 1\n    count()\n    return rows",
            "a function inside of it changes its variables",
        ),
        ("rows: 'Rows' = 1\n    other: Other = 2\n    return rows", "its hints would be read"),
        ("rows = 1; return rows", "it is written on one line"),
    ],
)
def test_what_cells_cannot_say_stays_a_function(script, cells, body, reason):
    made = script(
        f"""
@step
def load(rows):
    {body}

@pipeline
def small(n=3):
    load(n)
"""
    )
    definition, call = of_step(cells(made.small))
    assert definition == f"# A function, as it was written: {reason}.\ndef load(rows):\n    {body}"
    assert call.partition(" = ")[2] == "load(rows=n)"


def test_decorators_below_ours_belong_to_the_function(script, cells):
    made = script(
        """
        import functools

        @step
        @functools.cache
        def load(rows):
            return rows

        @pipeline
        def small(n=3):
            load(n)
        """
    )
    found = cells(made.small)
    assert found[0] == ("imports", "import functools")
    assert (
        "# A function, as it was written: it is decorated.\n@functools.cache\ndef load"
        in (of_step(found)[0])
    )


def test_decorators_above_ours_see_the_calls_and_not_the_step(script, cells):
    made = script(
        """
        seen = []

        def watched(function):
            def watching(*args):
                seen.append(function)
                return function(*args)
            return watching

        @watched
        @step
        def load(rows):
            return rows

        @pipeline
        def small(n=3):
            load(n)
        """
    )
    assert of_step(cells(made.small)) == ["rows = n", "load_rows = rows"]
    assert len(made.seen) == 1


class TestNames:
    """Steps share one set of names: what a function calls its own must not reach another one."""

    def test_a_variable_that_is_a_parameter_of_the_pipeline_gets_another_name(self, script, cells):
        made = script(
            """
            @step
            def load(seed):
                rs = int(seed)
                print(f"{rs}", [rs for _ in range(rs)])
                return rs

            @pipeline
            def small(rs=42):
                load(rs)
            """
        )
        assert of_step(cells(made.small)) == [
            "seed = rs",
            'load_rs = int(seed)\nprint(f"{load_rs}", [load_rs for _ in range(load_rs)])',
        ]

    def test_an_argument_that_is_the_parameter_itself_is_not_bound_again(self, script, cells):
        made = script(
            """
            @step
            def load(rows):
                return list(range(rows))

            @pipeline
            def small(rows=42):
                load(rows)
            """
        )
        assert of_step(cells(made.small)) == ["load_result = list(range(rows))"]

    def test_but_it_is_where_the_step_changes_it(self, script, cells):
        made = script(
            """
            @step
            def load(rows):
                rows += 1
                return rows

            @pipeline
            def small(rows=42):
                load(rows)
            """
        )
        assert of_step(cells(made.small))[:2] == ["load_rows = rows", "load_rows += 1"]

    def test_a_variable_that_hides_a_helper_gets_another_name(self, script, cells):
        made = script(
            """
            def clean(data):
                return scale(data)

            def scale(data):
                return data

            @step
            def load():
                scale = 3
                return clean(scale)

            @pipeline
            def small():
                load()
            """
        )
        assert of_step(cells(made.small)) == ["load_scale = 3", "load_result = clean(load_scale)"]

    def test_a_builtin_that_a_helper_uses_is_not_hidden(self, script, cells):
        made = script(
            """
            def clean(data):
                return max(data)

            @step
            def load(data):
                max = clean(data)
                return max

            @pipeline
            def small():
                load([1, 2])
            """
        )
        assert "load_max = clean(data)" in of_step(cells(made.small))

    def test_where_no_other_name_is_possible_it_stays_a_function(self, script, cells):
        made = script(
            """
            def clean(json):
                return json

            def json():
                return 1

            @step
            def load():
                import json
                return clean(json)

            @step
            def other():
                return json()

            @pipeline
            def small():
                load()
                other()
            """
        )
        assert "all steps use the name of one of its variables" in of_step(cells(made.small))[0]

    def test_a_variable_that_is_perhaps_not_set_is_never_another_step_s(self, script):
        made = script(
            """
            @step
            def load(flag):
                found = open
                return 1

            @step
            def use(flag, value):
                if flag:
                    found = 1
                try:
                    print(found)
                except NameError:
                    print("not set")

            @pipeline
            def small(flag=False):
                use(flag, load(flag))
            """
        )
        pipeline = made.small.to_pipeline()
        step = pipeline.step("use")
        assert [need.name for need in step.needs] == ["load_result"]
        assert "# A function, as it was written: it may read" in step.code[0].source


class TestResults:
    def build(self, script, returned, body):
        return script(
            f"""
@step
def load(rows):
    x, y = rows, 2
    return {returned}

@step
def show(*values, **named):
    print(values, named)

@pipeline
def small(n=3):
    {body}
"""
        ).small

    def last(self, script, cells, returned, body):
        found = cells(self.build(script, returned, body))
        return of_step(found)[-1], of_step(found, "show")[0]

    def test_as_one_value(self, script, cells):
        assert self.last(script, cells, "x, y", "show(load(n))") == (
            "load_result = x, y",
            "values = (load_result,)\nnamed = {}",
        )

    def test_in_a_star(self, script, cells):
        body = "first, *rest = load(n); show(first, *rest)"
        assert self.last(script, cells, "x, y, x", body) == (
            "load_x = x\nload_y = y\nload_x_ = x",
            "values = (load_x, load_y, load_x_)\nnamed = {}",
        )

    def test_one_of_one(self, script, cells):
        assert self.last(script, cells, "x,", "(only,) = load(n); show(only)") == (
            "load_x = x",
            "values = (load_x,)\nnamed = {}",
        )

    def test_of_a_variable_that_holds_several(self, script, cells):
        assert self.last(script, cells, "rows", "a, b = load(n); show(b)") == (
            "load_1, load_2 = rows",
            "values = (load_2,)\nnamed = {}",
        )

    def test_both_ways(self, script, cells):
        body = "both = load(n); a, b = both; show(both, b)"
        assert self.last(script, cells, "x, y", body) == (
            "load_result = x, y\nload_x, load_y = load_result",
            "values = (load_result, load_y)\nnamed = {}",
        )

    def test_inside_of_each_other(self, script, cells):
        body = "(a, b), c = load(n); show(b, c)"
        assert self.last(script, cells, "(x, y), y", body) == (
            "load_1 = (x, y)\nload_y = y\nload_1_1, load_1_2 = load_1",
            "values = (load_1_2, load_y)\nnamed = {}",
        )

    def test_in_lists_and_tables(self, script, cells):
        body = "x, y = load(n); show([x, {'y': y}], deep=(x,))"
        assert self.last(script, cells, "x, y", body)[1] == (
            "values = ([load_x, {'y': load_y}],)\nnamed = {'deep': (load_x,)}"
        )

    def test_nothing_is_none(self, script, cells):
        assert self.last(script, cells, "", "show(load(n))") == (
            "load_result = None",
            "values = (load_result,)\nnamed = {}",
        )

    def test_what_nobody_takes_is_worked_out_all_the_same(self, script, cells):
        found = cells(self.build(script, "print(x)", "load(n); show()"))
        assert of_step(found)[-1] == "load_result = print(x)"


def test_a_function_that_is_kept_is_called_as_it_was(script, cells):
    made = script(
        """
        @step
        def load(first, /, second, *more, third, **rest):
            if first:
                return 1
            return 2

        @pipeline
        def small(n=1):
            load(n, 2, 3, 4, third=5, fourth=6)
            load(n, second=2, third=3)
        """
    )
    found = cells(made.small)
    assert of_step(found)[1] == "load_result = load(n, 2, 3, 4, third=5, fourth=6)"
    assert of_step(found, "load_2")[1] == "load_2_result = load(n, second=2, third=3)"


def test_a_function_whose_name_means_something_else_gets_another_one(script, cells):
    made = script(
        """
        @step(name="loading")
        def rows(number):
            if number:
                return 1
            return 2

        @pipeline
        def small(rows_=1, rows=2):
            globals()["rows"](rows)
        """
    )
    made.small.function.__globals__["rows"] = made.rows
    definition, call = of_step(cells(made.small), "loading")
    assert "def loading_function(number):\n    if number:\n        return 1" in definition
    assert call == "loading_result = loading_function(number=rows)"


def test_a_literal_of_the_function_around_goes_along(script, cells):
    made = script(
        """
        def make(limit):
            @step
            def load():
                return limit + 1
            return load

        load = make(3)

        @pipeline
        def small():
            load()
        """
    )
    assert of_step(cells(made.small)) == ["limit = 3", "load_result = limit + 1"]


def test_functions_and_classes_of_the_script_are_arguments(script, cells):
    made = script(
        """
        def double(x):
            return 2 * x

        @step
        def load(function, values):
            return list(map(function, values))

        @pipeline
        def small():
            load(double, [1, 2])
        """
    )
    assert of_step(cells(made.small))[0] == "function = double\nvalues = [1, 2]"
    assert ("functions", "def double(x):\n    return 2 * x") in cells(made.small)


def test_a_step_that_another_step_calls_is_a_function_there(script, cells):
    made = script(
        """
        @step(name="clean")
        def clean(rows):
            return rows

        @step
        def load(rows):
            return clean(rows)

        @pipeline
        def small():
            clean(load([1]))
        """
    )
    found = cells(made.small)
    assert found[0] == ("functions", "def clean(rows):\n    return rows")
    assert of_step(found)[-1] == "load_result = clean(rows)"


def test_values_that_a_pipeline_returns_are_stored(script):
    made = script(
        """
        @step
        def load(n):
            return n, 2

        @pipeline
        def small(n=1):
            first, second = load(n)
            return second
        """
    )
    assert made.small.to_pipeline().step("load").stores == ("load_2",)


def test_a_result_that_is_no_expression_of_one_line(script, cells):
    made = script(
        """
        @step
        def load(n):
            return (
                n
                + 1
            )

        @pipeline
        def small(n=1):
            load(n)
        """
    )
    (source,) = of_step(cells(made.small))
    assert ast.unparse(ast.parse(source)) == "load_result = n + 1"


def test_the_notebook_is_the_same_each_time(script, tmp_path):
    made = script(
        """
        @step
        def load(values):
            return values

        @pipeline
        def small():
            load({"b", "a", "c"})
        """
    )
    one, other = tmp_path / "one.ipynb", tmp_path / "other.ipynb"
    made.small.write_notebook(one)
    made.small.write_notebook(other)
    assert one.read_bytes() == other.read_bytes()
    assert "values = {'a', 'b', 'c'}" in one.read_text()


def test_metric_comes_from_the_runtime_which_travels(script, cells):
    made = script(
        """
        @step
        def load():
            metric("rows", 3)

        @pipeline
        def small():
            load()
        """
    )
    assert cells(made.small)[0] == ("imports", "from kale_pm import metric")


def test_the_sdk_itself_is_no_part_of_a_step(script):
    made = script(
        """
        from kale_pm import sdk

        @step
        def load():
            sdk.metric("rows", 3)

        @pipeline
        def small():
            load()
        """
    )
    with pytest.raises(UsageError, match="itself, which does not travel"):
        made.small.to_pipeline()
