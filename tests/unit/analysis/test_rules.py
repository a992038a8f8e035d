"""The rules of the dataflow, each with the notebooks that show it.

``chain`` makes the steps a, b, c... of sources; ``needs`` tells the sources of a variable,
the one whose version is right first, then those to ask if it left the variable alone.
"""

from __future__ import annotations

from typing import Any

import pytest


class TestNeeds:
    """A step needs what it may read before it binds it, and what an ancestor may write."""

    @pytest.mark.parametrize(
        "reading",
        [
            "print(x)",
            "x.append(1)",
            "x += [1]",
            "x[0] = 1",
            "x.part = 1",
            "del x[0]",
            "del x",
            "y = [x for x in x]",
            "if x: pass",
            "if False:\n    x = 1\nprint(x)",
            "for i in []:\n    x = i\nprint(x)",
            "while True:\n    if i: break\n    x = 1\nprint(x)",
            "try:\n    x = int('a')\nexcept ValueError: pass\nprint(x)",
            "try:\n    x = 1\nfinally:\n    print(x)",
            "import contextlib\nwith contextlib.suppress(Exception):\n    x = 1\nprint(x)",
            "match 1:\n    case 2: x = 3\nprint(x)",
            "False and (x := 1)\nprint(x)",
            "5 < 4 < (x := 1)\nprint(x)",
            "[(x := i) for i in []]\nprint(x)",
            "(x := 1) if False else 2\nprint(x)",
            "assert x",
            "class K:\n    x = x",
            "def f(a=x): pass",
            "@x\ndef f(): pass",
            "def f(a: x): pass",
            "f'{1:{x}}'",
            "lambda a=x: a",
            "async with x: pass",
            "print(*x, **x)",
        ],
    )
    def test_of_what_may_be_read_first(self, chain: Any, reading: str) -> None:
        assert chain("x = [1]\ni = 0", reading).needs("b")["x"] == "a"

    @pytest.mark.parametrize(
        "binding",
        [
            "x = 1",
            "x: int = 1",
            "import os as x",
            "from os import path as x",
            "def x(): pass",
            "class x: pass",
            "for x in [1]: print(x)",
            "with open('f') as x: pass",
            "if i:\n    x = 1\nelse:\n    x = 2\nprint(x)",
            "if i:\n    x = 1\nelif j:\n    x = 3\nelse:\n    x = 2\nprint(x)",
            "try:\n    x = 1\nexcept Exception:\n    x = 2\nprint(x)",
            "try:\n    x = 1\nexcept Exception:\n    raise\nprint(x)",
            "try:\n    y = 1\nfinally:\n    x = 2\nprint(x)",
            "try:\n    y = 1\nexcept Exception:\n    x = 3\nelse:\n    x = 2\nprint(x)",
            "while True:\n    x = 1\n    break\nprint(x)",
            "match 1:\n    case 2: x = 1\n    case x: pass\nprint(x)",
            "(a, [b, *x]) = 1, [2, 3]\nprint(x)",
            "(x := 1) and x",
            "if (x := 1): print(x)",
            "globals()['x'] = 1\nprint(x)",
            "exec('x = 1')\nprint(x)",
            "print([x for x in [1]])",
            "print({k: x for k, x in [(1, 2)]})",
            "print(lambda x: x)",
            "def f(x): return x",
            "def f():\n    x = 1\n    return x\nf()",
            "print(y.x, dict(x=1))",
            "x: int",
            "'x'",
            "def f():\n    def g():\n        nonlocal x\n        x = 1\n    x = 2\n    g()\nf()",
            "class K:\n    x = 1\n    y = x",
        ],
    )
    def test_of_nothing_where_it_is_bound_first(self, chain: Any, binding: str) -> None:
        assert "x" not in chain("x = [1]\ni = j = y = 0", binding).needs("b")

    def test_of_names_of_the_prelude_only_where_an_ancestor_writes_them(self, chain: Any) -> None:
        sources = ("print(limits)", "limits['x'] = 1", "print(limits, f, math)")
        found = chain(*sources, functions="import math\nlimits = {}\ndef f(): pass")
        assert found.needs("b") == {}
        assert found.needs("c") == {"limits": "b"}

    def test_of_builtins_only_where_an_ancestor_binds_them(self, chain: Any) -> None:
        assert chain("x = 1", "print(sum([1]))").needs("b") == {}
        assert chain("sum = 1", "print(sum)").needs("b") == {"sum": "a"}
        assert chain("sum = 1", "del sum", "print(sum([1]))").errors == []

    def test_of_parameters_only_where_an_ancestor_binds_them(self, chain: Any) -> None:
        found = chain("print(rate)", "rate = 2", "print(rate)", parameters="rate = 1")
        assert found.needs("b") == {}
        assert found.needs("c") == {"rate": "b"}
        assert found.pipeline.step("a").parameters == ("rate",)


class TestSources:
    """The source is the ancestor that wrote last; distance and spelling never matter."""

    def test_the_last_binding_wins(self, chain: Any) -> None:
        assert chain("x = 1", "x = 2", "y = 1", "print(x)").needs("d") == {"x": "b"}

    def test_who_may_leave_it_alone_is_followed_by_its_own_sources(self, chain: Any) -> None:
        found = chain("x = []", "if x: x = [1]", "if x: x.append(2)", "print(x)")
        assert found.needs("d") == {"x": "c b a"}

    def test_names_of_every_notebook_follow_where_it_binds_them_itself(self, chain: Any) -> None:
        assert chain("def _(text): return text", "print(_('a'))").needs("b") == {"_": "a"}
        assert chain("x = 1", "print(_, __name__, In)").needs("b") == {}
        assert chain("for _ in range(3): pass", "for _ in range(2): pass").needs("b") == {}

    def test_a_short_way_is_not_a_better_one(self, notebook: Any) -> None:
        found = notebook(
            ("block:zoo", "x = 1"),
            ("block:mid prev:zoo", "x = 2"),
            ("block:abc prev:mid", "y = 1"),
            ("block:end prev:zoo prev:abc", "print(x)"),
        )
        assert found.needs("end") == {"x": "mid"}

    def test_cells_further_down_belong_to_their_step(self, notebook: Any) -> None:
        found = notebook(("block:a", "x = 1"), ("block:b prev:a", "print(x)"), ("block:a", "x = 2"))
        assert found.needs("b") == {"x": "a"}

    def test_a_step_that_does_not_touch_it_neither_needs_nor_gives_it(self, chain: Any) -> None:
        found = chain("x = [1]", "y = 2", "print(x)")
        assert found.needs("b") == {}
        assert found.gives("b") == set()


BRANCHES = (
    ("block:a", "r = {}"),
    ("block:b prev:a", "r['b'] = 1"),
    ("block:c prev:a", "r['c'] = 1"),
)


class TestRivals:
    """Parallel steps that write one variable."""

    def test_bindings_the_last_of_the_notebook_wins(self, notebook: Any) -> None:
        found = notebook(
            ("block:a", "pass"),
            ("block:z prev:a", "x = 1"),
            ("block:b prev:a", "x = 2"),
            ("block:end prev:b prev:z", "y = 1\nprint(x)"),
        )
        assert found.needs("end")["x"].startswith("b")
        problem = found.problem("ambiguous-source")
        assert (problem.step, problem.cell, problem.line) == ("end", 4, 2)
        assert "z and b" in problem.message

    def test_changes_run_one_after_the_other(self, notebook: Any) -> None:
        found = notebook(*BRANCHES, ("block:d prev:b prev:c", "print(r)"))
        assert found.pipeline.implied_edges == (("b", "c"),)
        assert found.needs("d") == {"r": "c"}
        assert (found.problem("serialised").step, found.problem("serialised").cell) == ("c", 3)

    def test_changes_run_in_the_order_of_the_notebook_where_edges_point_upwards(
        self, notebook: Any
    ) -> None:
        found = notebook(
            ("block:start", "x = {}"),
            ("block:a prev:late", "x[0] = 'a'"),
            ("block:b prev:start", "x[0] = 'b'"),
            ("block:join prev:a prev:b", "print(x)"),
            ("block:late prev:start", "y = 1"),
        )
        assert found.pipeline.implied_edges == (("a", "b"),)
        assert found.needs("join")["x"] == "b"

    def test_of_bindings_too_the_last_of_the_notebook_wins_where_edges_point_upwards(
        self, notebook: Any
    ) -> None:
        found = notebook(
            ("block:a prev:late", "x = 'a'"),
            ("block:b", "x = 'b'"),
            ("block:join prev:a prev:b", "print(x)"),
            ("block:late", "y = 1"),
        )
        assert found.needs("join")["x"] == "b"
        assert "b, the last in the notebook" in found.problem("ambiguous-source").message

    def test_never_close_a_cycle(self, notebook: Any) -> None:
        found = notebook(
            ("block:a prev:d", "x[0] = 1"),
            ("block:b prev:start", "x[0] = 2"),
            ("block:c prev:b", "y[0] = 3"),
            ("block:d prev:start", "y[0] = 4"),
            ("block:start", "x = {}; y = {}"),
            ("block:join prev:a prev:c", "print(x, y)"),
        )
        assert found.pipeline.implied_edges
        assert len(found.pipeline.order) == 6

    def test_three_branches(self, notebook: Any) -> None:
        third = ("block:d prev:a", "r['d'] = 1")
        found = notebook(*BRANCHES, third, ("block:e prev:b prev:c prev:d", "print(r)"))
        assert found.pipeline.implied_edges == (("b", "c"), ("c", "d"))
        assert "b, c and d" in found.problem("serialised").message

    def test_without_a_reader_they_stay_parallel(self, notebook: Any) -> None:
        assert notebook(*BRANCHES).pipeline.implied_edges == ()

    def test_an_edge_may_settle_what_was_ambiguous(self, notebook: Any) -> None:
        found = notebook(
            ("block:a", "r = {}"),
            ("block:b prev:a", "r['b'] = x = 1"),
            ("block:c prev:a", "r['c'] = x = 2"),
            ("block:d prev:b prev:c", "print(r, x)"),
        )
        assert "ambiguous-source" not in found.codes

    @pytest.mark.parametrize("branch", ["if p: r = 1", "del r", "r.append(1)", "f()"])
    def test_all_that_may_leave_it_alone_is_a_change(self, notebook: Any, branch: str) -> None:
        found = notebook(
            ("functions", "def f():\n    if p:\n        global r\n        r = 2"),
            ("block:a", "r = []\np = 0"),
            ("block:b prev:a", branch),
            ("block:c prev:a", "r = 3"),
            ("block:d prev:b prev:c", "print(r)"),
        )
        assert found.pipeline.implied_edges == (("b", "c"),)

    def test_strict_makes_them_errors(self, notebook: Any) -> None:
        cells = (*BRANCHES, ("block:d prev:b prev:c", "print(r)"))
        assert notebook(*cells, strict=True).errors == ["conflicting-writes"]


class TestDeletion:
    def test_a_deleted_name_cannot_be_read(self, chain: Any) -> None:
        problem = chain("x = 1", "y = 1\ndel x", "print(x)").problem("deleted-upstream")
        assert "step b (cell 2)" in problem.message
        assert (problem.step, problem.cell, problem.line) == ("c", 3, 1)

    def test_a_conditional_deletion_leaves_its_sources(self, chain: Any) -> None:
        assert chain("x = 1", "if x: del x", "print(x)").needs("c") == {"x": "b a"}

    def test_a_name_of_the_prelude_stays_deleted(self, chain: Any) -> None:
        found = chain("del x", "try: x\nexcept NameError: pass", functions="x = 1")
        assert found.needs("b") == {"x": "a"}
        assert found.watches("a") == {"x"}

    @pytest.mark.parametrize(
        "deletion",
        ["del x", "del (x, y)", "del globals()['x']", "for _ in [1]: pass\ndel [x]"],
    )
    def test_its_forms(self, chain: Any, deletion: str) -> None:
        assert "deleted-upstream" in chain("x = y = 1", deletion, "x").errors

    def test_of_a_part_is_a_change(self, chain: Any) -> None:
        assert chain("x = {1: 2}", "del x[1]", "print(x)").needs("c") == {"x": "b"}


class TestMissingNames:
    """An error only where the step fails for certain, and then with the way out."""

    def test_defined_beside(self, notebook: Any) -> None:
        found = notebook(
            ("block:load", "table = 1"),
            ("block:clean prev:load", "rows = 1"),
            ("block:train prev:load", "n = 1\nprint(rows)"),
        )
        problem = found.problem("not-upstream")
        assert problem.is_error
        assert (problem.step, problem.cell, problem.line) == ("train", 3, 2)
        assert problem.message == (
            "'rows' is defined in step clean (cell 2), which step train does not follow"
        )
        assert problem.hint == "add the tag prev:clean to step train"

    def test_defined_above_a_step_that_follows_nothing(self, notebook: Any) -> None:
        found = notebook(
            ("block:a", "x = 1"), ("block:b prev:a", "print(x)"), ("block:c", "print(x)")
        )
        assert found.problem("not-upstream").hint == (
            "add the tag prev:a to step c, or let kale-pm find the edges: --infer-edges"
        )

    def test_defined_below_a_step_that_follows_nothing(self, notebook: Any) -> None:
        found = notebook(
            ("block:c", "print(x)"), ("block:a", "x = 1"), ("block:b prev:a", "print(x)")
        )
        assert found.problem("not-upstream").hint == "add the tag prev:a to step c"

    def test_defined_below_in_a_notebook_whose_edges_are_inferred(self, notebook: Any) -> None:
        hint = (
            notebook(("block:early", "print(later)"), ("block:late", "later = 1"))
            .problem("not-upstream")
            .hint
        )
        assert "move the cell that reads it below step late" in hint
        assert "prev:" not in hint

    def test_imported_beside(self, notebook: Any) -> None:
        found = notebook(
            ("block:a", "x = 1"), ("block:b prev:a", "import os"), ("block:c prev:a", "os.getcwd()")
        )
        assert "import it in a cell tagged imports" in found.problem("not-upstream").hint

    def test_misspelt(self, chain: Any) -> None:
        problem = chain("table = 1", "print(tabel)").problem("undefined-name")
        assert problem.hint == "did you mean 'table'?"

    @pytest.mark.parametrize(
        ("misspelt", "meant"),
        [("pritn", "print"), ("lenn", "len"), ("rats", "rate"), ("limitz", "limit")],
    )
    def test_misspelt_builtins_parameters_and_names_of_the_prelude(
        self, chain: Any, misspelt: str, meant: str
    ) -> None:
        found = chain(f"print({misspelt})", functions="limit = len('a')", parameters="rate = 1")
        assert found.problem("undefined-name").hint == f"did you mean '{meant}'?"

    def test_misspelt_and_of_a_step_that_is_not_followed(self, notebook: Any) -> None:
        found = notebook(
            ("block:a", "model = 1"), ("block:b", "y = 1"), ("block:c prev:b", "print(modle)")
        )
        assert found.problem("undefined-name").hint == (
            "did you mean 'model' of step a? then add prev:a"
        )

    def test_misspelt_in_a_notebook_whose_edges_are_inferred(self, notebook: Any) -> None:
        found = notebook(("block:a", "model = 1"), ("block:b", "print(modle)"))
        assert found.problem("undefined-name").hint == "did you mean 'model' of step a?"

    @pytest.mark.parametrize(
        ("source", "statement"),
        [
            ("os.getcwd()", "import os"),
            ("np.zeros(3)", "import numpy as np"),
            ("plt.plot([1])", "import matplotlib.pyplot as plt"),
        ],
    )
    def test_a_module_that_nobody_imports(self, chain: Any, source: str, statement: str) -> None:
        assert chain(source).problem("undefined-name").hint == (
            f"import it in a cell tagged imports: {statement}"
        )

    @pytest.mark.parametrize(
        "source", ["total += 1", "total += 1\ndel total", "total = (\n total\n)"]
    )
    def test_set_by_the_statement_that_reads_it(self, chain: Any, source: str) -> None:
        problem = chain(source).problem("undefined-name")
        assert problem.message == "'total' has no value yet when this runs"
        assert problem.hint == "give it a value first: total = ..."

    def test_set_too_late_in_the_same_step(self, chain: Any) -> None:
        problem = chain("print(x)\nx = 1").problem("undefined-name")
        assert "step a sets it later (cell 1)" in problem.message
        assert problem.hint == "move the line that sets it above this one"

    def test_set_too_late_in_another_cell_of_the_step(self, notebook: Any) -> None:
        problem = notebook(("block:a", "print(x)"), ("", "x = 1")).problem("undefined-name")
        assert "step a sets it later (cell 2)" in problem.message
        assert problem.hint == "move the cell that sets it above this one"

    def test_set_in_a_later_step(self, chain: Any) -> None:
        problem = chain("print(x)", "x = 1").problem("undefined-name")
        assert "step b sets it (cell 2), but runs later" in problem.message

    def test_read_by_a_function(self, chain: Any) -> None:
        problem = chain("def f():\n    return limit", "y = 1\nf()").problem("undefined-name")
        assert problem.severity == "warning"
        assert problem.message.startswith("'limit', which f reads, is not defined")
        assert (problem.step, problem.line) == ("b", 2)

    @pytest.mark.parametrize(
        "source",
        [
            "if False: x",
            "try:\n    x\nexcept NameError:\n    x = 1",
            "def f(): return x",
            "for _ in []: x",
            "[x for _ in []]",
            "False and x",
            "1 if True else x",
            "class K:\n    def m(self): return x",
            "x = 1\nprint(x)",
            "print(__name__, In, Out, _, get_ipython)",
            "from math import *\nprint(pi)",
            "from nowhere import *\nprint(x)",
            "exec(input())\nprint(x)",
            "globals()['y' * 2] = 1\nprint(x)",
            "globals().update(x=1)\nprint(x)",
            "import __main__\n__main__.x = 1\nprint(x)",
            "import sys\nsys.modules['__main__'].x = 1\nprint(x)",
            "get_ipython().user_ns['x'] = 1\nprint(x)",
            "get_ipython().run_cell('x = 1')\nprint(x)",
            "%run other.py\nprint(x)",
            "%%timeit -n 1 x = 5\nprint(x)",
        ],
    )
    def test_what_may_run_is_never_refused(self, chain: Any, source: str) -> None:
        assert chain(source).errors == []

    def test_what_an_unknown_text_made_comes_from_there(self, chain: Any) -> None:
        found = chain("exec(input())", "y = 1", "print(x)")
        assert found.errors == []
        assert found.needs("c") == {"x": "a"}
        assert found.gives("a") == {"x"}

    def test_in_the_prelude(self, notebook: Any) -> None:
        found = notebook(("block:a", "x = 1"), ("functions", "y = x"))
        problem = found.problem("undefined-name")
        assert problem.is_error
        assert "step a defines it" in problem.message
        assert "move this line into step a" in problem.hint


class TestOrder:
    def test_another_value_than_in_the_notebook(self, notebook: Any) -> None:
        found = notebook(
            ("block:a", "x = 1"),
            ("block:b prev:a", "x = 2"),
            ("block:c prev:a", "print(x)"),
        )
        problem = found.problem("order-differs")
        assert (problem.step, problem.cell) == ("c", 3)
        assert problem.hint == "add the tag prev:b if that value is meant"

    def test_a_builtin_that_a_step_above_hides(self, notebook: Any) -> None:
        found = notebook(
            ("block:a", "list = [1]"),
            ("block:b", "print(list)"),
            ("block:c prev:a", "print(list)"),
        )
        problem = found.problem("order-differs")
        assert (problem.step, problem.cell) == ("b", 2)
        assert "would read 'list' as step a leaves it" in problem.message

    def test_a_builtin_that_is_back_is_fine(self, notebook: Any) -> None:
        found = notebook(
            ("block:a", "list = [1]\ndel list"),
            ("block:b", "print(list)"),
            ("block:c prev:a", "print(list)"),
        )
        assert "order-differs" not in found.codes

    def test_names_that_ipython_sets_anew_do_not_matter(self, notebook: Any) -> None:
        found = notebook(
            ("block:a", "_ = 1"), ("block:b", "print(_)"), ("block:c prev:a", "print(_)")
        )
        assert "order-differs" not in found.codes

    def test_a_step_above_the_one_that_it_follows(self, notebook: Any) -> None:
        found = notebook(
            ("block:train prev:load", "print(df, rows)"), ("block:load", "df = rows = 1")
        )
        problem = found.problem("order-differs")
        assert (problem.step, problem.cell, problem.line) == ("train", 1, 1)
        assert problem.message == (
            "step train reads 'df' above the cells of step load that set it: "
            "run from top to bottom, the notebook would fail"
        )

    @pytest.mark.parametrize(
        "source", ["if input(): print(df)", "from nowhere import *\nprint(df)"]
    )
    def test_a_step_above_the_one_that_it_follows_which_might_do_without(
        self, notebook: Any, source: str
    ) -> None:
        found = notebook(("block:train prev:load", source), ("block:load", "df = 1"))
        assert "order-differs" not in found.codes

    def test_a_step_that_its_edges_put_before_another_which_stands_above_it(
        self, notebook: Any
    ) -> None:
        found = notebook(
            ("block:a prev:b", "x = 1"),
            ("block:b", "x = 2"),
            ("block:c prev:a", "print(x)"),
        )
        problem = found.problem("order-differs")
        assert (problem.step, problem.cell) == ("c", 3)
        assert (
            "as step b leaves it; here step a changes it in between, in cell 1" in problem.message
        )

    def test_a_cell_further_down_of_a_step_that_runs_before(self, notebook: Any) -> None:
        found = notebook(
            ("block:a", "x = 1"),
            ("block:b prev:a", "print(x)"),
            ("block:a", "x = 2"),
        )
        problem = found.problem("order-differs")
        assert (problem.step, problem.cell) == ("b", 2)
        assert (
            "as step a leaves it; here step a changes it in between, in cell 3" in problem.message
        )

    def test_a_cell_in_between_of_a_step_that_runs_afterwards(self, notebook: Any) -> None:
        found = notebook(
            ("block:a", "x = [1]"),
            ("block:b prev:a", "x.append(2)"),
            ("block:a", "print(x)"),
            ("block:b", "print(x)"),
        )
        assert (found.problem("order-differs").step, found.problem("order-differs").cell) == (
            "a",
            3,
        )

    def test_a_name_of_the_prelude_that_a_step_below_has_changed_before(
        self, notebook: Any
    ) -> None:
        found = notebook(
            ("functions", "x = [1]"), ("block:a prev:b", "print(x)"), ("block:b", "x.append(2)")
        )
        assert "as it was before the first step" in found.problem("order-differs").message

    @pytest.mark.parametrize(
        "source", ["try:\n    x\nexcept NameError:\n    x = 0", "if flag: x = 1\nprint(x)"]
    )
    def test_a_value_that_the_notebook_would_have_and_the_step_may_do_without(
        self, notebook: Any, source: str
    ) -> None:
        found = notebook(
            ("parameters", "flag = 0"),
            ("block:a", "print(flag)"),
            ("block:b", "x = 1"),
            ("block:c prev:a", source),
        )
        assert found.problem("order-differs").hint == "add the tag prev:b if that value is meant"

    def test_scattered_cells_that_agree_are_fine(self, notebook: Any) -> None:
        found = notebook(
            ("block:a", "x = 1"),
            ("block:b prev:a", "y = x"),
            ("block:a", "z = x + 1"),
            ("block:b", "print(x, y, z)"),
        )
        assert found.codes == []

    def test_a_prelude_cell_below_the_steps(self, notebook: Any) -> None:
        found = notebook(("block:a", "x = 1"), ("functions", "x = 2"), ("block:b prev:a", "x"))
        assert (found.problem("order-differs").cell, found.problem("order-differs").line) == (2, 1)

    @pytest.mark.parametrize(
        ("source", "verb"), [("x.clear()", "changed"), ("y = len(x)", "read"), ("x = []", "set")]
    )
    def test_a_prelude_cell_below_a_step_that_changes_what_it_uses(
        self, notebook: Any, source: str, verb: str
    ) -> None:
        found = notebook(
            ("functions", "x = []"),
            ("block:a", "x.append(1)"),
            ("functions", source),
            ("block:b prev:a", "print(x)"),
        )
        problem = found.problem("order-differs")
        assert problem.cell == 3
        assert problem.message.startswith(f"'x' is {verb} here, below step a")

    def test_of_helpers_below_the_steps_does_not_matter(self, notebook: Any) -> None:
        found = notebook(
            ("block:a", "x = 1"), ("functions", "def f(): return x"), ("block:b prev:a", "f()")
        )
        assert found.codes == []


class TestInferredEdges:
    def edges(self, notebook: Any, *sources: str, functions: str = "") -> set[str]:
        cells = [("functions", functions), *zip("abcd", sources, strict=False)]
        tagged = [(t if t == "functions" else f"block:{t}", s) for t, s in cells if s]
        found = notebook(*tagged)
        assert found.problem("inferred-edges").severity == "note"
        return {f"{first}{second}" for first, second in found.pipeline.implied_edges}

    def test_follow_the_last_writer_above(self, notebook: Any) -> None:
        assert self.edges(notebook, "x = 1", "y = x", "z = 1", "print(y)") == {"ab", "bd"}

    def test_follow_changes(self, notebook: Any) -> None:
        assert self.edges(notebook, "x = []", "x.append(1)", "print(x)") == {"ab", "bc"}

    def test_follow_who_deletes(self, notebook: Any) -> None:
        found = notebook(
            ("block:a", "x = 1"), ("block:b", "print(x)\ndel x"), ("block:c", "print(x)")
        )
        assert found.errors == ["deleted-upstream"]
        assert set(found.pipeline.implied_edges) == {("a", "b"), ("b", "c")}

    def test_of_a_builtin_that_is_back_there_are_none(self, notebook: Any) -> None:
        assert self.edges(notebook, "sum = 1", "del sum", "print(sum([1]))") == {"ab"}

    def test_follow_what_unknown_code_may_have_changed(self, notebook: Any) -> None:
        assert "bc" in self.edges(notebook, "x = []", "x.learn(1)", "print(x)")

    def test_do_not_follow_who_only_shares(self, notebook: Any) -> None:
        found = self.edges(notebook, "x = [1]", "y = x[0]", "z = x[1]", "print(y, z)")
        assert found == {"ab", "ac", "bd", "cd"}

    def test_follow_changes_of_the_prelude(self, notebook: Any) -> None:
        edges = self.edges(notebook, "seen.append(1)", "print(seen)", functions="seen = []")
        assert edges == {"ab"}

    def test_leave_steps_without_data_alone(self, notebook: Any) -> None:
        assert self.edges(notebook, "x = 1", "y = 2", "z = 3") == set()

    def test_can_be_asked_for_single_steps(self, notebook: Any) -> None:
        cells = [("block:a", "x = 1"), ("block:b prev:a", "y = x"), ("block:c", "print(y)")]
        assert notebook(*cells).errors == ["not-upstream"]
        assert notebook(*cells, infer=True).pipeline.implied_edges == (("b", "c"),)


class TestMetrics:
    def owner(self, found: Any, name: str) -> list[str]:
        return [step.name for step in found.pipeline.steps if name in step.metrics]

    def test_belong_to_the_last_step_that_writes_them(self, notebook: Any) -> None:
        found = notebook(
            ("block:a", "score = 1"),
            ("block:b prev:a", "score += 1"),
            ("block:c prev:b", "print(score)"),
            ("metrics", "print(score)"),
        )
        assert self.owner(found, "score") == ["b"]

    def test_a_change_writes_too(self, notebook: Any) -> None:
        found = notebook(
            ("block:a", "scores = {}"), ("block:b prev:a", "scores['x'] = 1"), ("metrics", "scores")
        )
        assert self.owner(found, "scores") == ["b"]

    def test_that_nobody_sets_are_a_warning(self, notebook: Any) -> None:
        problem = notebook(("block:a", "x = 1"), ("metrics", "score")).problem("undefined-name")
        assert problem.severity == "warning"
        assert "'score'" in problem.message


class TestParameters:
    @pytest.mark.parametrize(
        "change", ["rate = 2", "rate += 1", "for rate in [1]: pass", "f()", "rates.append(1)"]
    )
    def test_changed_ones_become_data(self, chain: Any, change: str) -> None:
        found = chain(
            change,
            "print(rate, rates)",
            parameters="rate = 1\nrates = [1]",
            functions="def f():\n    global rate\n    rate = 2",
        )
        name = "rates" if "rates" in change else "rate"
        assert found.needs("b") == {name: "a"}
        assert name in found.watches("a")

    def test_that_only_the_prelude_reads_belong_to_every_step(self, chain: Any) -> None:
        found = chain("x = 1", "print(double)", parameters="rate = 1\ndouble = rate * 2")
        assert [step.parameters for step in found.pipeline.steps] == [("rate",), ("rate",)]

    def test_read_by_functions_belong_to_the_callers(self, chain: Any) -> None:
        found = chain("x = 1", "f()", parameters="rate = 1", functions="def f():\n    return rate")
        assert [step.parameters for step in found.pipeline.steps] == [(), ("rate",)]

    def test_unused(self, chain: Any) -> None:
        problem = chain("x = 1", parameters="rate = 1").problem("unused-parameter")
        assert (problem.cell, problem.line) == (1, 1)
