"""What is one object in a notebook is one object in every step, and only there.

Each step is a process of its own, and goes through the wrapper that slices have.
"""

from __future__ import annotations

import pytest
from recipes import Recipe, Step

PRELUDE = """
class Model:
    def __init__(self): self.w, self.big = [0], np.zeros(50_000)
"""


@pytest.fixture
def notebook(pipeline: Recipe) -> Recipe:
    """A pipeline whose first step makes two names of one model, an array with a view, a dict."""
    pipeline.prelude = PRELUDE
    pipeline.run(
        "a",
        gives="model1 model2 data view cfg",
        code="""
            model1 = model2 = Model()
            data = np.arange(100_000.)
            view = data[10:90_000]
            cfg = {"a": 1}
        """,
    )
    return pipeline


class TestOneObject:
    def test_a_change_through_one_name_is_seen_through_the_other(self, notebook: Recipe) -> None:
        notebook.run("b", "a", needs="model2", code="model2.w.append('b'); model2.big[0] = 5")
        assert notebook.given("b") == {"model1", "model2"}
        shown = notebook.run(
            "c", "b", needs="model1", code="print(model1.w, model1.big[0], type(model1) is Model)"
        )
        assert shown.printed == "[0, 'b'] 5.0 True"

    def test_two_names_of_one_object_stay_that(self, notebook: Recipe) -> None:
        notebook.run("b", "a", needs="model2", code="model2.w.append('b')")
        shown = notebook.run("c", "b", needs="model1 model2", code="print(model1 is model2)")
        assert shown.printed == "True"

    def test_whoever_loads_one_name_has_the_other_too(self, notebook: Recipe) -> None:
        shown = notebook.run("b", "a", needs="model1", code="print(model2 is model1)")
        assert shown.printed == "True"

    def test_a_new_variable_that_holds_a_loaded_one(self, notebook: Recipe) -> None:
        notebook.run("b", "a", needs="cfg", gives="holder", code="holder = {'cfg': cfg}")
        assert notebook.given("b") == {"holder", "cfg"}
        shown = notebook.run(
            "c", "b", needs="cfg holder", code="print(holder['cfg'] is cfg); cfg['z'] = 2"
        )
        assert shown.printed == "True"
        shown = notebook.run("d", "c", needs="holder", code="print(holder['cfg'])")
        assert shown.printed == "{'a': 1, 'z': 2}"

    def test_rebinding_one_name_leaves_the_old_object_to_the_other(self, notebook: Recipe) -> None:
        notebook.run("b", "a", needs="model2", code="model2.w.append('b')")
        notebook.run(
            "c", "b", needs="model1", gives="model1", code="model1 = Model(); model1.w = ['new']"
        )
        shown = notebook.run(
            "d", "c", needs="model1 model2", code="print(model1.w, model2.w, model1 is model2)"
        )
        assert shown.printed == "['new'] [0, 'b'] False"

    def test_deleting_one_name_leaves_the_object_to_the_other(self, notebook: Recipe) -> None:
        notebook.run("b", "a", needs="model1", code="del model1")
        shown = notebook.run(
            "c", "b a", needs="model1 model2", code="print('model1' in globals(), model2.w)"
        )
        assert shown.printed == "False [0]"

    def test_a_name_bound_to_the_object_of_another(self, notebook: Recipe) -> None:
        """What was two components is one from now on."""
        notebook.run("b", "a", needs="cfg model1", gives="cfg", code="model1.w = cfg['w'] = []")
        notebook.run("c", "b", needs="model2", code="model2.w.append(7)")
        shown = notebook.run("d", "c", needs="cfg", code="print(cfg)")
        assert shown.printed == "{'a': 1, 'w': [7]}"

    def test_parts_that_no_longer_share_go_their_own_ways(self, notebook: Recipe) -> None:
        notebook.run("b", "a", needs="cfg", gives="holder", code="holder = {'cfg': cfg}")
        notebook.run("c", "b", needs="holder", gives="holder", code="holder['cfg'] = dict(cfg)")
        notebook.run("d", "c", needs="holder", code="holder['cfg']['d'] = 1")
        assert notebook.given("d") == {"holder"}
        shown = notebook.run("e", "d c", needs="holder cfg", code="print(holder['cfg'], cfg)")
        assert shown.printed == "{'a': 1, 'd': 1} {'a': 1}"


class TestArrays:
    @pytest.mark.parametrize("code", ["v", "{'v': v}"])
    def test_a_write_protection_that_the_code_does_not_show(
        self, pipeline: Recipe, code: str
    ) -> None:
        pipeline.run("a", gives="held v", code=f"v = np.arange(10_000.); held = {code}")
        pipeline.run("b", "a", needs="v", code="v.flags.writeable = False")
        shown = pipeline.run("c", "b", needs="v", code="print(v.flags.writeable)")
        assert shown.printed == "False"

    def test_what_is_written_to_a_view_is_seen_in_its_base(self, notebook: Recipe) -> None:
        notebook.run("v", "a", needs="view", code="view[0] = -1")
        assert notebook.given("v") == {"data", "view"}
        assert notebook.run("w", "v", needs="data", code="print(data[10])").printed == "-1.0"

    def test_the_file_never_sees_what_a_step_writes(self, notebook: Recipe) -> None:
        before = notebook.pack("a", "data").read_bytes()
        notebook.run("v", "a", needs="data cfg", code="data[:] = 0; cfg['a'] = 9")
        assert notebook.pack("a", "data").read_bytes() == before

    def test_views_of_views_over_four_steps(self, notebook: Recipe) -> None:
        notebook.run("b", "a", needs="view", gives="odd", code="odd = view[1:80_001:2]")
        notebook.run(
            "c", "b", needs="odd", gives="turned", code="turned = odd[::-1].reshape(2, -1)"
        )
        notebook.run("d", "c", needs="turned", code="turned[-1, -1] = -7")
        assert notebook.given("d") == {"data", "view", "odd", "turned"}
        shown = notebook.run("e", "d", needs="data odd", code="print(data[11], odd[0])")
        assert shown.printed == "-7.0 -7.0"

    def test_views_that_overlap_although_their_base_is_gone(self, pipeline: Recipe) -> None:
        pipeline.run(
            "a",
            gives="left right",
            code="base = np.zeros(9000); left, right = base[:5000], base[4000:]",
        )
        pipeline.run("b", "a", needs="left", code="left[4500] = 1")
        assert pipeline.given("b") == {"left", "right"}
        assert pipeline.run("c", "b", needs="right", code="print(right[500])").printed == "1.0"

    def test_an_array_of_objects_holds_the_very_objects(self, pipeline: Recipe) -> None:
        pipeline.run(
            "a", gives="rows first", code="first = [1]; rows = np.array([first, 2], object)"
        )
        pipeline.run("b", "a", needs="first", code="first.append(3)")
        assert pipeline.run("c", "b", needs="rows", code="print(rows[0])").printed == "[1, 3]"

    def test_a_masked_array_and_its_data(self, pipeline: Recipe) -> None:
        pipeline.run(
            "a", gives="masked data", code="data = np.zeros(3000); masked = np.ma.array(data)"
        )
        pipeline.run("b", "a", needs="data", code="data[0] = 7")
        shown = pipeline.run("c", "b a", needs="masked", code="print(masked[0])")
        assert shown.printed == "7.0"

    def test_a_frame_that_uses_the_memory_of_an_array(self, pipeline: Recipe) -> None:
        pytest.importorskip("pandas")
        pipeline.run(
            "a",
            gives="data frame",
            code="""
                import pandas as pd
                data = np.zeros((3000, 2))
                frame = pd.DataFrame(data, columns=["x", "y"], copy=False)
            """,
        )
        pipeline.run("b", "a", needs="data", code="data[5, 1] = 8")
        assert pipeline.given("b") == {"data", "frame"}
        shown = pipeline.run("c", "b", needs="frame", code="print(frame['y'].iloc[5])")
        assert shown.printed == "8.0"

    def test_a_frame_with_a_copy_of_an_array_does_not_follow_it(self, pipeline: Recipe) -> None:
        pytest.importorskip("pandas")
        pipeline.run(
            "a",
            gives="data frame",
            code="""
                import pandas as pd
                data = np.zeros((3000, 2))
                frame = pd.DataFrame(data, columns=["x", "y"], copy=True)
            """,
        )
        pipeline.run("b", "a", needs="data", code="data[5, 1] = 8")
        assert pipeline.given("b") == {"data"}
        shown = pipeline.run("c", "b a", needs="frame", code="print(frame['y'].iloc[5])")
        assert shown.printed == "0.0"


class TestGraphs:
    """Chains of several steps, each of which touches another end of one graph."""

    def test_a_dict_in_a_list_in_an_object(self, pipeline: Recipe) -> None:
        pipeline.prelude = "class Box: pass"
        pipeline.run("a", gives="inner", code="inner = {'n': 0}")
        pipeline.run("b", "a", needs="inner", gives="rows", code="rows = [inner, inner]")
        pipeline.run("c", "b", needs="rows", gives="box", code="box = Box(); box.rows = rows")
        pipeline.run("d", "c", needs="box", code="box.rows[1]['n'] += 1; box.rows.append(box)")
        assert pipeline.given("d") == {"inner", "rows", "box"}
        shown = pipeline.run(
            "e",
            "d",
            needs="inner rows box",
            code="print(inner, rows[0] is rows[1] is inner, box.rows is rows, rows[2] is box)",
        )
        assert shown.printed == "{'n': 1} True True True"

    def test_functions_that_share_a_cell(self, pipeline: Recipe) -> None:
        pipeline.run(
            "a",
            gives="add total",
            code="""
                def account():
                    sum = 0
                    def add(n):
                        nonlocal sum
                        sum += n
                    def total():
                        return sum
                    return add, total
                add, total = account()
            """,
        )
        pipeline.run("b", "a", needs="add", code="add(5)")
        assert pipeline.given("b") == {"add", "total"}
        shown = pipeline.run("c", "b", needs="total add", code="add(1); print(total())")
        assert shown.printed == "6"

    def test_a_bound_method_and_its_object(self, pipeline: Recipe) -> None:
        pipeline.prelude = """
            class Counter:
                n = 0
                def count(self): self.n += 1
        """
        pipeline.run("a", gives="counter count", code="counter = Counter(); count = counter.count")
        pipeline.run("b", "a", needs="count", code="count(); count()")
        assert pipeline.given("b") == {"counter", "count"}
        shown = pipeline.run(
            "c", "b", needs="counter count", code="print(counter.n, count.__self__ is counter)"
        )
        assert shown.printed == "2 True"

    def test_a_bound_method_of_a_list(self, pipeline: Recipe) -> None:
        pipeline.run("a", gives="rows append", code="rows = []; append = rows.append")
        pipeline.run("b", "a", needs="append", code="append(1)")
        assert pipeline.run("c", "b", needs="rows", code="print(rows)").printed == "[1]"

    def test_a_list_that_a_partial_and_an_iterator_and_a_default_hold(
        self, pipeline: Recipe
    ) -> None:
        pipeline.run(
            "a",
            gives="rows call each add",
            code="""
                from functools import partial
                rows = [1]
                call, each = partial(len, rows), iter(rows)
                def add(x, to=rows): to.append(x)
            """,
        )
        pipeline.run("b", "a", needs="add", code="add(2)")
        assert pipeline.given("b") == {"rows", "call", "each", "add"}
        shown = pipeline.run("c", "b", needs="rows call each", code="print(call(), list(each))")
        assert shown.printed == "2 [1, 2]"

    def test_a_ring_of_three_variables(self, pipeline: Recipe) -> None:
        pipeline.run("a", gives="x y z", code="x, y, z = [], [], []; x.append(y); y.append(z)")
        pipeline.run("b", "a", needs="z x", code="z.append(x)")
        pipeline.run("c", "b", needs="y", code="y.append('here')")
        shown = pipeline.run("d", "c", needs="x z", code="print(z[0] is x, x[0][1], x[0][0] is z)")
        assert shown.printed == "True here True"

    def test_equal_values_are_not_one_object(self, pipeline: Recipe) -> None:
        """Text, numbers, tuples of them, dates: two variables that hold them are independent."""
        pipeline.run(
            "a",
            gives="one two",
            code="""
                import datetime
                key = ("x" * 50, 10 ** 30, datetime.date(2020, 1, 1))
                one, two = {"key": key}, {"key": key}
            """,
        )
        pipeline.run("b", "a", needs="one", code="one['n'] = 1")
        assert pipeline.given("b") == {"one"}


class TestSiblings:
    def test_a_sibling_of_the_step_that_writes_sees_nothing_of_it(self, notebook: Recipe) -> None:
        notebook.run("v", "a", needs="view model1", code="view[0] = -1; model1.big[0] = 5")
        shown = notebook.run("w", "a", needs="data model2", code="print(data[10], model2.big[0])")
        assert shown.printed == "10.0 0.0"

    def test_siblings_that_write_at_the_same_time(self, notebook: Recipe) -> None:
        code = "cfg['{0}'] = 1; data[0] = {1}; print(sorted(cfg), data[0])"
        steps = [Step(f"s{n}", "a", "cfg data", code=code.format(f"s{n}", n + 1)) for n in range(4)]
        reports = notebook.together(*steps)
        assert [r.printed for r in reports] == [f"['a', 's{n}'] {n + 1}.0" for n in range(4)]
        for n in range(4):
            shown = notebook.run(f"t{n}", f"s{n}", needs="cfg data", code="print(cfg, data[0])")
            assert shown.printed == f"{{'a': 1, 's{n}': 1}} {n + 1}.0"

    def test_a_step_that_only_reads_stores_nothing_of_what_it_read(self, notebook: Recipe) -> None:
        before = notebook.pack("a", "data").read_bytes()
        notebook.run(
            "r", "a", needs="data cfg model1", gives="total", code="total = float(data.sum())"
        )
        assert notebook.given("r") == {"total"}
        assert notebook.pack("a", "data").read_bytes() == before

    @pytest.mark.parametrize("parents", ["x y", "y x"])
    def test_where_branches_meet_the_one_that_changed_counts(
        self, notebook: Recipe, parents: str
    ) -> None:
        notebook.run("x", "a", needs="cfg", code="cfg['x'] = 1")
        notebook.run("y", "a", needs="cfg", gives="y", code="y = cfg['a'] + 1")
        shown = notebook.run("z", parents, needs="cfg y", code="print(cfg, y)")
        assert shown.printed == "{'a': 1, 'x': 1} 2"

    def test_branches_that_change_different_components_of_one_step(self, notebook: Recipe) -> None:
        notebook.run("x", "a", needs="cfg data", code="cfg['x'] = data.size")
        notebook.run("y", "a", needs="data cfg", code="data[10] = -1")
        assert (notebook.given("x"), notebook.given("y")) == ({"cfg"}, {"data", "view"})
        shown = notebook.run(
            "z", "x y a", needs="cfg view model1", code="print(cfg, view[0], model1.w)"
        )
        assert shown.printed == "{'a': 1, 'x': 100000} -1.0 [0]"

    def test_objects_of_one_class_that_two_branches_changed(self, pipeline: Recipe) -> None:
        pipeline.run(
            "a", gives="one two", code="class Late: pass\none, two = Late(), Late(); one.x = 0"
        )
        pipeline.run("x", "a", needs="one", code="one.x = 1")
        pipeline.run("y", "a", needs="two", code="two.x = 2")
        shown = pipeline.run(
            "z", "x y", needs="one two", code="print(type(one) is type(two), one.x, two.x)"
        )
        assert shown.printed == "True 1 2"

    def test_what_two_branches_made_of_one_object_is_two_objects(self, notebook: Recipe) -> None:
        """Each has its own copy of what only it has changed: no branch knows of the other."""
        notebook.run("x", "a", needs="cfg", gives="left", code="left = [dict(cfg)]")
        notebook.run("y", "a", needs="cfg", gives="right", code="right = [dict(cfg)]")
        notebook.run("z", "x y", needs="left right", code="left[0]['z'] = 1")
        assert notebook.given("z") == {"left"}
