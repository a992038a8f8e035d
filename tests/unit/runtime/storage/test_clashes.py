"""Parallel steps that gave one variable: which counts where they meet, and when none can.

Only what the code of the notebook does not show gets here: the analysis of a pipeline lets
steps that are seen to change one variable follow each other.
"""

from __future__ import annotations

import pytest
from recipes import Recipe
from step_processes import Report


@pytest.fixture
def branches(pipeline: Recipe) -> Recipe:
    """Two parallel steps, x and y, have both changed cfg, which shares rows with other."""
    pipeline.run(
        "a", gives="cfg other free", code="rows = [0]; cfg = {'r': rows}; other = [rows]; free = []"
    )
    pipeline.run("x", "a", needs="cfg free", gives="from_x", code="cfg['x'] = 1; from_x = 1")
    pipeline.run("y", "a", needs="cfg", gives="from_y", code="cfg['y'] = 2; from_y = 2")
    return pipeline


def names_the_clash(refusal: Report, variable: str = "cfg") -> bool:
    """Is it said which steps changed which variable, and both ways out?"""
    message, _, hint = refusal.message.partition("\n")
    return (
        refusal.error == "LoadError"
        and f"'{variable}'" in message
        and all(step in message.replace(",", " ").split() for step in ("x", "y"))
        and "prev:" in hint
        and "copy" in hint
    )


class TestBothChanged:
    @pytest.mark.parametrize("parents", ["x y", "y x", "a x y", "x y a"])
    def test_who_needs_the_variable_is_refused(self, branches: Recipe, parents: str) -> None:
        assert names_the_clash(branches.refused("z", parents, needs="cfg"))

    def test_so_is_who_needs_another_variable_of_the_component(self, branches: Recipe) -> None:
        assert names_the_clash(branches.refused("z", "x y", needs="other"), "other")

    def test_who_does_not_need_it_is_not_disturbed(self, branches: Recipe) -> None:
        shown = branches.run(
            "z", "x y a", needs="from_x from_y free", code="print(from_x, from_y, free)"
        )
        assert shown.printed == "1 2 []"

    def test_a_descendant_of_who_did_not_need_it_is_refused(self, branches: Recipe) -> None:
        branches.run("z", "x y", needs="from_x", gives="made", code="made = from_x")
        branches.run("zz", "z", needs="made", code="made")
        assert names_the_clash(branches.refused("last", "zz z a", needs="cfg made"))

    def test_a_step_that_binds_the_name_anew_ends_it(self, branches: Recipe) -> None:
        branches.run("z", "x y", gives="cfg", code="cfg = {'z': 3}")
        shown = branches.run("last", "z", needs="cfg", code="print(cfg)")
        assert shown.printed == "{'z': 3}"

    def test_but_not_for_the_other_names_of_the_component(self, branches: Recipe) -> None:
        branches.run("z", "x y", gives="cfg", code="cfg = {'z': 3}")
        assert names_the_clash(branches.refused("last", "z", needs="other"), "other")

    @pytest.mark.parametrize("parents", ["x2 y2 x y", "x2 y2 a"])
    def test_steps_that_follow_the_branches_carry_it_on(
        self, branches: Recipe, parents: str
    ) -> None:
        branches.run("x2", "x", code="pass")
        branches.run("y2", "y", code="pass")
        assert names_the_clash(branches.refused("z", parents, needs="cfg"))

    def test_a_later_change_in_one_branch_does_not_hide_the_other(self, branches: Recipe) -> None:
        branches.run("x2", "x", needs="cfg", code="cfg['x2'] = 1")
        refusal = branches.refused("z", "x2 y", needs="cfg")
        message = refusal.message.partition("\n")[0].replace(",", " ").split()
        assert {"x2", "y"} <= set(message)

    @pytest.mark.parametrize("parents", ["z y w", "y w z", "w z"])
    def test_it_is_not_forgotten_where_another_knows_one_side_alone(
        self, branches: Recipe, parents: str
    ) -> None:
        branches.run("z", "x y")
        branches.run("w", "y", needs="cfg", code="len(cfg)")
        assert names_the_clash(branches.refused("last", parents, needs="cfg"))

    @pytest.mark.parametrize("parents", ["z y2", "y2 z", "z x y2", "y2 y z a"])
    def test_it_is_not_forgotten_where_one_branch_goes_on(
        self, branches: Recipe, parents: str
    ) -> None:
        """z knows of both; y2 knows of y alone, so that what x did is not in its version."""
        branches.run("z", "x y")
        branches.run("y2", "y", needs="cfg", code="cfg['y2'] = 1")
        refusal = branches.refused("last", parents, needs="cfg")
        assert "x" in refusal.message.partition("\n")[0].replace(",", " ").split()

    @pytest.mark.parametrize("parents", ["x y2", "y2 x", "x y y2"])
    def test_it_is_not_forgotten_where_a_step_gave_one_side_on_as_it_was(
        self, branches: Recipe, parents: str
    ) -> None:
        branches.run("y2", "y", needs="cfg", gives="cfg", code="if not cfg: cfg.clear()")
        refusal = branches.refused("z", parents, needs="cfg")
        assert "x" in refusal.message.partition("\n")[0].replace(",", " ").split()

    def test_one_that_knew_the_other_is_no_clash(self, branches: Recipe) -> None:
        branches.run("w", "x", needs="cfg", code="cfg['w'] = 1")
        shown = branches.run("z", "x w", needs="cfg", code="print(sorted(cfg))")
        assert shown.printed == "['r', 'w', 'x']"
        shown = branches.run("zz", "a w", needs="cfg", code="print(sorted(cfg))")
        assert shown.printed == "['r', 'w', 'x']"

    def test_one_that_bound_the_name_before_the_other_changed_the_old_object(
        self, pipeline: Recipe
    ) -> None:
        """In the notebook the change would have met the new object: nobody made that."""
        pipeline.run("a", gives="cfg", code="cfg = {}")
        pipeline.run("x", "a", gives="cfg", code="cfg = {'x': 1}")
        pipeline.run("y", "a", needs="cfg", code="cfg['y'] = 1")
        assert names_the_clash(pipeline.refused("z", "x y", needs="cfg"))

    def test_three_branches(self, branches: Recipe) -> None:
        branches.run("w", "a", needs="cfg", code="cfg['w'] = 1")
        assert branches.refused("z", "x y w", needs="cfg").error == "LoadError"

    def test_a_change_of_an_array_through_a_view(self, pipeline: Recipe) -> None:
        pipeline.run("a", gives="data view", code="data = np.zeros(9000); view = data[5:]")
        pipeline.run("x", "a", needs="data", code="data[0] = 1")
        pipeline.run("y", "a", needs="view", code="view[-1] = 1")
        assert names_the_clash(pipeline.refused("z", "x y", needs="data"), "data")
        assert names_the_clash(pipeline.refused("zz", "y x", needs="view"), "view")


class TestNoClash:
    def test_equal_content(self, pipeline: Recipe) -> None:
        pipeline.run("a", gives="cfg", code="cfg = {}")
        for name in ("x", "y"):
            pipeline.run(name, "a", needs="cfg", code="cfg['n'] = 1")
        assert pipeline.run("z", "x y", needs="cfg", code="print(cfg)").printed == "{'n': 1}"

    @pytest.mark.parametrize("parents", ["x y", "y x"])
    def test_of_two_that_bound_the_name_the_later_counts(
        self, pipeline: Recipe, parents: str
    ) -> None:
        pipeline.run("a", gives="cfg", code="cfg = 0")
        pipeline.run("x", "a", gives="cfg", code="cfg = ['x']")
        pipeline.run("y", "a", gives="cfg", code="cfg = ['y']")
        assert pipeline.run("z", parents, needs="cfg", code="print(cfg)").printed == "['y']"

    def test_of_two_that_bound_a_name_nobody_had_the_later_counts(self, pipeline: Recipe) -> None:
        pipeline.run("x", gives="cfg", code="cfg = ['x']")
        pipeline.run("y", gives="cfg", code="cfg = ['y']")
        assert pipeline.run("z", "y x", needs="cfg", code="print(cfg)").printed == "['y']"

    def test_of_two_that_read_and_then_bound_the_name_the_later_counts(
        self, pipeline: Recipe
    ) -> None:
        pipeline.run("a", gives="cfg", code="cfg = [0]")
        pipeline.run("x", "a", needs="cfg", gives="cfg", code="cfg = [*cfg, 'x']")
        pipeline.run("y", "a", needs="cfg", gives="cfg", code="cfg = [*cfg, 'y']")
        assert pipeline.run("z", "x y", needs="cfg", code="print(cfg)").printed == "[0, 'y']"

    @pytest.mark.parametrize("first", ["travelled", "bound"])
    def test_what_a_step_bound_counts_more_than_what_only_travelled_along(
        self, pipeline: Recipe, first: str
    ) -> None:
        pipeline.run("a", gives="cfg other", code="cfg = [0]; other = {'cfg': cfg}")
        steps = {
            "travelled": {"needs": "other", "code": "other['x'] = 1"},
            "bound": {"gives": "cfg", "code": "cfg = ['bound']"},
        }
        second = next(name for name in steps if name != first)
        for name in (first, second):
            pipeline.run(name, "a", **steps[name])
        assert pipeline.given("travelled") == {"cfg", "other"}
        shown = pipeline.run(
            "z", "travelled bound", needs="cfg other", code="print(cfg, sorted(other))"
        )
        assert shown.printed == "['bound'] ['cfg', 'x']"

    def test_a_change_that_a_later_step_took_back(self, pipeline: Recipe) -> None:
        pipeline.run("a", gives="cfg", code="cfg = {}")
        pipeline.run("x", "a", needs="cfg", code="cfg['x'] = 1")
        pipeline.run("w", "x", needs="cfg", code="del cfg['x']")
        shown = pipeline.run("z", "a x w", needs="cfg", code="print(cfg)")
        assert shown.printed == "{}"

    def test_a_step_that_only_read_is_none(self, pipeline: Recipe) -> None:
        pipeline.run("a", gives="cfg", code="cfg = {}")
        pipeline.run("x", "a", needs="cfg", code="cfg['x'] = 1")
        pipeline.run("y", "a", needs="cfg", code="len(cfg)")
        assert pipeline.run("z", "y x", needs="cfg", code="print(cfg)").printed == "{'x': 1}"

    @pytest.mark.parametrize("changing", ["x", "y"])
    def test_a_step_that_gave_it_as_it_was_is_none(self, pipeline: Recipe, changing: str) -> None:
        """As where the analysis sees a change that stands in a branch not taken."""
        pipeline.run("a", gives="cfg", code="cfg = {}")
        for name in ("x", "y"):
            if name == changing:
                pipeline.run(name, "a", needs="cfg", code="cfg['changed'] = 1")
            else:
                pipeline.run(name, "a", needs="cfg", gives="cfg", code="if cfg: cfg.clear()")
        shown = pipeline.run("z", "x y", needs="cfg", code="print(cfg)")
        assert shown.printed == "{'changed': 1}"

    def test_a_step_that_gave_as_it_was_what_another_had_bound_anew(self, pipeline: Recipe) -> None:
        pipeline.run("a", gives="cfg", code="cfg = {}")
        pipeline.run("x", "a", needs="cfg", code="cfg['x'] = 1")
        pipeline.run("y", "a", gives="cfg", code="cfg = {'y': 1}")
        pipeline.run("y2", "y", needs="cfg", gives="cfg", code="if not cfg: cfg.clear()")
        shown = pipeline.run("z", "x y2", needs="cfg", code="print(cfg)")
        assert shown.printed == "{'y': 1}"

    def test_one_that_bound_the_name_to_an_equal_object_after_the_other_had_changed_it(
        self, pipeline: Recipe
    ) -> None:
        """That is a new object all the same, and what the notebook has in the end."""
        pipeline.run("a", gives="cfg", code="cfg = {}")
        pipeline.run("x", "a", needs="cfg", code="cfg['x'] = 1")
        pipeline.run("y", "a", needs="cfg", gives="cfg", code="cfg = {}")
        assert pipeline.run("z", "x y", needs="cfg", code="print(cfg)").printed == "{}"

    @pytest.mark.parametrize("first", ["x", "y"])
    def test_a_step_that_gave_it_as_it_was_beside_one_that_bound_it(
        self, pipeline: Recipe, first: str
    ) -> None:
        pipeline.run("a", gives="cfg", code="cfg = {}")
        for name in sorted("xy", key=first.__ne__):
            code = "cfg = {'x': 1}" if name == "x" else "if cfg: cfg.clear()"
            pipeline.run(name, "a", needs="cfg", gives="cfg", code=code)
        shown = pipeline.run("z", "x y", needs="cfg", code="print(cfg)")
        assert shown.printed == "{'x': 1}"

    def test_a_change_does_not_get_younger_where_a_step_gives_it_as_it_was(
        self, pipeline: Recipe
    ) -> None:
        pipeline.run("a", gives="cfg", code="cfg = {}")
        pipeline.run("x", "a", needs="cfg", code="cfg['x'] = 1")
        pipeline.run("y", "a", gives="cfg", code="cfg = {'y': 1}")
        pipeline.run("x2", "x", needs="cfg", gives="cfg", code="if not cfg: cfg.clear()")
        pipeline.run("y2", "y", needs="cfg", code="cfg['y2'] = 1")
        shown = pipeline.run("z", "x2 y2", needs="cfg", code="print(cfg)")
        assert shown.printed == "{'y': 1, 'y2': 1}"

    def test_one_that_bound_the_name_after_the_other_had_changed_it(self, pipeline: Recipe) -> None:
        pipeline.run("a", gives="cfg", code="cfg = {}")
        pipeline.run("x", "a", needs="cfg", code="cfg['x'] = 1")
        pipeline.run("y", "a", gives="cfg", code="cfg = {'y': 1}")
        assert pipeline.run("z", "y x", needs="cfg", code="print(cfg)").printed == "{'y': 1}"

    @pytest.mark.parametrize("first", ["changed", "bound"])
    def test_a_branch_that_bound_the_name_later_and_then_changed_the_new_object(
        self, pipeline: Recipe, first: str
    ) -> None:
        """What the notebook has after all of them is what that branch has."""
        pipeline.run("a", gives="cfg", code="cfg = {}")
        if first == "changed":
            pipeline.run("x", "a", needs="cfg", code="cfg['x'] = 1")
        else:
            pipeline.run("x", "a", gives="cfg", code="cfg = {'x': 1}")
        pipeline.run("y", "a", gives="cfg", code="cfg = {'y': 1}")
        pipeline.run("y2", "y", needs="cfg", code="cfg['y2'] = 1")
        shown = pipeline.run("z", "x y2 y", needs="cfg", code="print(cfg)")
        assert shown.printed == "{'y': 1, 'y2': 1}"

    def test_the_meeting_of_branches_that_met_before(self, pipeline: Recipe) -> None:
        """A diamond below a diamond: what both sides inherit is one version."""
        pipeline.run("a", gives="cfg", code="cfg = {}")
        pipeline.run("x", "a", needs="cfg", code="cfg['x'] = 1")
        pipeline.run("y", "a")
        pipeline.run("m", "x y", needs="cfg", code="cfg['m'] = 1")
        pipeline.run("p", "m")
        pipeline.run("q", "m x")
        shown = pipeline.run("z", "p q m x y a", needs="cfg", code="print(cfg)")
        assert shown.printed == "{'x': 1, 'm': 1}"
