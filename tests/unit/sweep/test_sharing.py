"""The plan of a sweep: each execution once, the first of those that share it as its owner."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kale_pm.analysis import understand
from kale_pm.model import Cell, Parameter, Pipeline, Step
from kale_pm.notebook import read
from kale_pm.settings import Configuration
from kale_pm.sweep import Execution, Plan, Trial, plan_sweep, space_of, trials

WINE = Path(__file__).parents[3] / "examples" / "wine.ipynb"


def pipeline(
    reads: Mapping[str, Sequence[str]], edges: Sequence[tuple[str, str]], language: str = "python"
) -> Pipeline:
    """A pipeline of steps that read parameters."""
    parameters = sorted({name for names in reads.values() for name in names})
    steps = tuple(
        Step(step, (Cell(place, step, "code", "", language=language),), parameters=tuple(names))
        for place, (step, names) in enumerate(reads.items(), 1)
    )
    return Pipeline(
        Path("a.ipynb"),
        Configuration("a"),
        (),
        steps,
        tuple(Parameter(name, "any", None, optional=True) for name in parameters),
        edges=tuple(edges),
        kernelspec={"name": language, "language": language},
    )


def planned(of: Pipeline, **given: Any) -> Plan:
    space = space_of(of.parameters, given)
    found, _ = trials(of.parameters, space)
    return plan_sweep(of, found, space.names)


# load -> clean -> {train, plot} -> select, and count beside them.
BRANCHES = pipeline(
    {"load": [], "clean": ["cut"], "train": ["lr"], "plot": [], "select": [], "count": []},
    [
        ("load", "clean"),
        ("clean", "train"),
        ("clean", "plot"),
        ("train", "select"),
        ("plot", "select"),
    ],
)


def test_what_varies_is_what_the_trials_differ_by() -> None:
    assert planned(BRANCHES, cut=[1, 2], lr=3).varied == ("cut",)
    assert planned(BRANCHES, cut=1, lr=[1, 1.0, True]).varied == ("lr",)
    assert planned(BRANCHES, cut=1).varied == ()


class TestSharing:
    def test_what_no_varied_parameter_reaches_is_executed_once(self) -> None:
        plan = planned(BRANCHES, lr=[1, 2, 3])
        assert plan.by_step == {
            "load": 1, "clean": 1, "train": 3, "plot": 1, "select": 3, "count": 1
        }  # fmt: skip
        assert (plan.count, plan.unshared) == (10, 18)

    def test_what_equal_values_reach_is_executed_once_for_those(self) -> None:
        plan = planned(BRANCHES, cut=[1, 2], lr=[1, 2, 3])
        assert plan.by_step == {
            "load": 1, "clean": 2, "train": 6, "plot": 2, "select": 6, "count": 1
        }  # fmt: skip

    def test_reach_is_told_in_the_order_in_which_the_parameters_vary(self) -> None:
        plan = planned(BRANCHES, lr=[1, 2], cut=[1, 2])
        assert plan.reach == {
            "load": (),
            "clean": ("cut",),
            "train": ("lr", "cut"),
            "plot": ("cut",),
            "select": ("lr", "cut"),
            "count": (),
        }

    def test_an_execution_belongs_to_the_first_trial_that_needs_it(self) -> None:
        plan = planned(BRANCHES, lr=[1, 2], cut=[1, 2])
        assert Execution("load", (1, 2, 3, 4)) in plan.executions
        assert [e for e in plan.executions if e.step == "plot"] == [
            Execution("plot", (1, 3)),
            Execution("plot", (2, 4)),
        ]
        assert [plan.owner(number, "plot") for number in (1, 2, 3, 4)] == [1, 2, 1, 2]

    def test_the_first_trial_is_done_first_and_parents_before_their_children(self) -> None:
        plan = planned(BRANCHES, lr=[1, 2])
        assert [execution.task for execution in plan.executions] == [
            *((1, step) for step in BRANCHES.order),
            (2, "train"),
            (2, "select"),
        ]

    def test_trials_that_share_their_first_steps_come_together(self) -> None:
        plan = planned(BRANCHES, lr=[1, 2], cut=[1, 2])
        order = [execution.task for execution in plan.executions if execution.step != "count"]
        assert order == [
            *((1, step) for step in ("load", "clean", "train", "plot", "select")),
            *((3, step) for step in ("train", "select")),
            *((2, step) for step in ("clean", "train", "plot", "select")),
            *((4, step) for step in ("train", "select")),
        ]

    def test_parents_are_the_executions_that_the_owner_takes(self) -> None:
        plan = planned(BRANCHES, lr=[1, 2], cut=[1, 2])
        assert plan.parents[4, "select"] == ((4, "train"), (2, "plot"))
        assert plan.parents[4, "train"] == ((2, "clean"),)
        assert plan.parents[2, "clean"] == ((1, "load"),)
        assert plan.parents[1, "load"] == ()

    def test_values_are_one_only_if_they_are_of_one_type(self) -> None:
        plan = planned(BRANCHES, cut=[1, 1.0, True, None])
        assert plan.by_step["clean"] == 4

    def test_trials_may_be_planned_again_in_part(self) -> None:
        space = space_of(BRANCHES.parameters, {"lr": [1, 2, 3]})
        found, _ = trials(BRANCHES.parameters, space)
        plan = plan_sweep(BRANCHES, [found[2], found[1]], space.names)
        assert [trial.number for trial in plan.trials] == [2, 3]
        assert plan.owner(3, "load") == 2
        assert plan.by_step["train"] == 2

    def test_one_trial_is_a_run(self) -> None:
        plan = planned(BRANCHES)
        assert plan.count == plan.unshared == 6
        assert plan.warnings == ()

    def test_in_another_language_every_step_depends_on_all(self) -> None:
        bash = pipeline({"load": ["n"], "count": ["n"]}, [("load", "count")], "bash")
        plan = planned(bash, n=[1, 2])
        assert plan.count == plan.unshared == 4

    @pytest.mark.parametrize(
        ("given", "count", "unshared"),
        [
            ({"trees": [50, 100, 200]}, 13, 21),
            ({"trees": [50, 100, 200], "regularisation": [0.1, 1]}, 20, 42),
            ({"seed": [1, 2]}, 13, 14),
            ({"test_size": [0.2, 0.3], "neighbours": range(3, 9, 2)}, 25, 42),
        ],
    )
    def test_the_wine_example(self, given: dict[str, Any], count: int, unshared: int) -> None:
        plan = planned(understand(read(WINE)), **given)
        assert (plan.count, plan.unshared) == (count, unshared)
        assert plan.warnings == ()

    def test_ten_thousand_trials_are_planned_with_a_warning(self) -> None:
        plan = planned(BRANCHES, lr=range(100), cut=range(100))
        assert plan.count == 1 + 100 + 10_000 + 100 + 10_000 + 1
        assert plan.warnings == ("10,000 trials: 20,202 step executions",)


NAMES = ("a", "b", "c")


@st.composite
def pipelines(draw: st.DrawFn) -> Pipeline:
    """Steps in any order of the notebook, with edges that have no cycle."""
    count = draw(st.integers(1, 6))
    steps = [f"s{place}" for place in draw(st.permutations(range(count)))]
    reads = {step: draw(st.lists(st.sampled_from(NAMES), unique=True)) for step in steps}
    possible = [(f"s{i}", f"s{j}") for j in range(count) for i in range(j)]
    edges = draw(st.lists(st.sampled_from(possible), unique=True)) if possible else []
    return pipeline(reads, edges)


@st.composite
def sweeps(draw: st.DrawFn) -> list[Trial]:
    values = st.sampled_from([0, 1, 1.0, True, None, "1", float("nan")])
    found = draw(st.lists(st.tuples(*(values for _ in NAMES)), min_size=1, max_size=12))
    return [
        Trial(number, dict(zip(NAMES, one, strict=True))) for number, one in enumerate(found, 1)
    ]


class TestOfAnyPipeline:
    @settings(deadline=None, max_examples=100)
    @given(of=pipelines(), found=sweeps())
    def test_nothing_is_executed_more_or_less_often_than_it_has_distinct_inputs(
        self, of: Pipeline, found: list[Trial]
    ) -> None:
        plan = plan_sweep(of, found, NAMES)
        distinct = {
            (step.name, inputs(of, step.name, trial)) for step in of.steps for trial in found
        }
        assert plan.count == len(distinct) == sum(plan.by_step.values())

    @settings(deadline=None, max_examples=100)
    @given(of=pipelines(), found=sweeps())
    def test_every_trial_has_every_step_once_from_one_with_the_same_inputs(
        self, of: Pipeline, found: list[Trial]
    ) -> None:
        plan = plan_sweep(of, found, NAMES)
        by_number = {trial.number: trial for trial in found}
        shares = [(number, e.step) for e in plan.executions for number in e.trials]
        assert sorted(shares) == sorted((t.number, s.name) for t in found for s in of.steps)
        for execution in plan.executions:
            assert execution.owner == min(execution.trials)
            for number in execution.trials:
                assert plan.owner(number, execution.step) == execution.owner
                one = inputs(of, execution.step, by_number[number])
                assert one == inputs(of, execution.step, by_number[execution.owner])

    @settings(deadline=None, max_examples=100)
    @given(of=pipelines(), found=sweeps())
    def test_executions_stand_after_those_that_they_wait_for(
        self, of: Pipeline, found: list[Trial]
    ) -> None:
        plan = plan_sweep(of, found, NAMES)
        place = {execution.task: place for place, execution in enumerate(plan.executions)}
        assert plan.parents.keys() == place.keys()
        for (owner, step), parents in plan.parents.items():
            assert [name for _, name in parents] == list(of.parents[step])
            for parent in parents:
                assert place[parent] < place[owner, step]
                assert plan.owner(owner, parent[1]) == parent[0]


def inputs(of: Pipeline, name: str, trial: Trial) -> object:
    """All that the step can see of a trial: its own parameters, and what its parents saw."""
    own = [(known, repr(trial.parameters[known])) for known in sorted(of.step(name).parameters)]
    return (*own, *(inputs(of, parent, trial) for parent in of.parents[name]))
