"""Pictures of trials: legal SVG, a line for each trial, and nothing that a name could break."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from itertools import pairwise

import pytest

from kale_pm.trials.drawing import style
from kale_pm.trials.gallery import gallery, lines
from kale_pm.trials.goal import Goal
from kale_pm.trials.selection import MOST, SHADES, select
from kale_pm.trials.table import TrialRow

SVG = "{http://www.w3.org/2000/svg}"
HIGHEST = Goal("accuracy", "max")


def trial(number, accuracy, **more):
    parameters = {"lr": 10 ** -(number % 4), "depth": number % 3}
    metrics = {} if accuracy is None else {"accuracy": accuracy, "loss": 2 - accuracy}
    return TrialRow(number, parameters, metrics, **more)


TRIALS = [trial(number, number / 10) for number in range(1, 6)]


def drawn(rows, goal=HIGHEST, varied=("lr", "depth"), **more):
    return ElementTree.fromstring(lines(rows, goal=goal, varied=varied, **more))


def paths(picture):
    """Trial -> the classes and the points of its line."""
    return {
        int(link.get("href").removeprefix("#trial-")): (
            link.find(f"{SVG}path").get("class"),
            link.find(f"{SVG}path").get("d"),
        )
        for link in picture.iter(f"{SVG}a")
    }


def names(picture):
    """What the axes are called, from the left to the right."""
    return [text.text for text in picture.iter(f"{SVG}text") if text.get("class") == "name"]


def panels(rows, goal=HIGHEST, varied=("lr", "depth")):
    """The pictures of dots, by what stands at their ends."""
    found = re.findall(r"<svg.*?</svg>", "".join(gallery(rows, goal, varied, ())), re.DOTALL)
    elements = map(ElementTree.fromstring, found[1:])
    return {element.get("aria-label"): element for element in elements}


def dots(panel):
    return {link.get("href"): link.find(f"{SVG}circle") for link in panel.iter(f"{SVG}a")}


class TestLines:
    def test_every_trial_has_one_that_leads_to_its_row(self):
        assert set(paths(drawn(TRIALS))) == {1, 2, 3, 4, 5}

    def test_the_parameters_come_first_and_the_goal_last(self):
        assert names(drawn(TRIALS)) == ["lr", "depth", "loss", "accuracy"]
        assert names(drawn(TRIALS, goal=None)) == ["lr", "depth", "accuracy", "loss"]

    def test_a_line_tells_its_trial(self):
        titles = [title.text for title in drawn(TRIALS).iter(f"{SVG}title")]
        assert "trial 3\nlr 0.001\ndepth 0\nloss 1.7\naccuracy 0.3" in titles

    def test_the_goal_says_which_end_is_better(self):
        assert "higher is better" in "".join(drawn(TRIALS).itertext())
        assert "lower is better" in "".join(drawn(TRIALS, Goal("loss", "min")).itertext())

    def test_shades_go_by_rank_and_the_best_lies_on_top(self):
        kinds = {number: kind for number, (kind, _) in paths(drawn(TRIALS)).items()}
        assert kinds[5] == f"shade-{SHADES - 1} best"
        assert kinds[1] == "shade-0"
        assert list(kinds) == [1, 2, 3, 4, 5]

    def test_where_the_best_one_cannot_be_drawn_no_other_is_shown_as_it(self):
        found = select([*TRIALS, trial(6, 2**1100)], HIGHEST, ["accuracy"])
        assert not any("best" in kind for kind in found.kinds.values())

    def test_equal_trials_have_one_shade(self):
        rows = [trial(1, 0.5), trial(2, 0.5), trial(3, 0.1), trial(4, 0.9)]
        kinds = {number: kind for number, (kind, _) in paths(drawn(rows)).items()}
        assert kinds[1] == kinds[2] != kinds[3]

    def test_without_a_goal_there_is_one_shade(self):
        assert {kind for kind, _ in paths(drawn(TRIALS, goal=None)).values()} == {"plain"}

    def test_better_values_lie_higher(self):
        ends = {n: float(d.rpartition(",")[2]) for n, (_, d) in paths(drawn(TRIALS)).items()}
        assert sorted(ends, key=ends.get) == [5, 4, 3, 2, 1]

    def test_a_trial_that_failed_ends_at_its_parameters(self):
        rows = [*TRIALS, trial(6, None, state="failed")]
        kind, failed = paths(drawn(rows))[6]
        _, done = paths(drawn(rows))[5]
        assert kind == "failed"
        assert (failed.count("C"), done.count("C")) == (1, 3)

    def test_a_metric_that_some_trials_lack_makes_no_gap(self):
        rows = [*TRIALS, TrialRow(6, {"lr": 1, "depth": 1}, {"accuracy": 0.9})]
        assert names(drawn(rows)) == ["lr", "depth", "accuracy"]

    def test_a_metric_that_never_changes_is_no_axis(self):
        rows = [TrialRow(n, {"lr": n}, {"accuracy": n, "rows": 178}) for n in (1, 2)]
        assert names(drawn(rows, varied=["lr"])) == ["lr", "accuracy"]

    def test_what_has_no_value_of_the_goal_is_counted(self):
        rows = [*TRIALS, trial(6, float("nan")), trial(7, None)]
        assert set(paths(drawn(rows))) == {1, 2, 3, 4, 5}
        page = "".join(gallery(rows, HIGHEST, ["lr"], ()))
        assert "Not drawn: 2 trials with no finite accuracy." in page

    def test_a_goal_that_nobody_reached_leaves_the_other_metrics(self):
        picture = drawn(TRIALS, Goal("recall", "max"))
        assert names(picture) == ["lr", "depth", "accuracy", "loss"]
        assert len(paths(picture)) == 5

    @pytest.mark.parametrize(
        ("rows", "varied"),
        [([], ["lr"]), ([trial(1, None)], ["lr"]), (TRIALS, []), (TRIALS, ["absent"])],
    )
    def test_there_may_be_nothing_to_draw(self, rows, varied):
        assert lines(rows, goal=HIGHEST, varied=varied) == ""
        assert not list(gallery(rows, HIGHEST, varied, ()))

    def test_one_trial_is_a_picture_too(self):
        assert paths(drawn([trial(1, 0.5)]))[1][0] == f"shade-{SHADES - 1} best"

    def test_axes_are_logarithmic_where_that_is_said(self):
        rows = [TrialRow(n, {"lr": lr}, {"accuracy": n}) for n, lr in enumerate((1, 2, 4), 1)]
        level = {}
        for way in ((), ("lr",)):
            found = paths(drawn(rows, varied=["lr"], logarithmic=way))[2][1]
            level[way] = float(re.match(r"M[\d.]+,([\d.]+)", found)[1])
        assert level[("lr",)] < level[()]


class TestManyTrials:
    ROWS = [trial(number, number / 20_000) for number in range(1, 10_001)]

    def test_no_more_than_a_thousand_lines_are_drawn_and_that_is_said(self):
        found = paths(drawn(self.ROWS))
        assert len(found) <= MOST
        page = "".join(gallery(self.ROWS, HIGHEST, ["lr", "depth"], ()))
        assert f"{len(found):,} of 10,000 trials are drawn" in page

    def test_they_are_the_best_and_an_even_choice_of_the_others(self):
        found = sorted(paths(drawn(self.ROWS)), reverse=True)
        assert found[:100] == list(range(10_000, 9_900, -1))
        steps = {one - other for one, other in pairwise(found[100:])}
        assert len(steps) == 1
        assert found[-1] < 20

    def test_dots_are_limited_in_all_pictures_together(self):
        names = [f"p{index}" for index in range(20)]
        rows = [
            TrialRow(n, dict.fromkeys(names, n), {"accuracy": n, "loss": n}) for n in range(1, 1001)
        ]
        found = panels(rows, varied=names)
        assert len(found) == 40
        assert all(0 < len(dots(panel)) <= 150 for panel in found.values())
        assert all("#trial-1000" in dots(panel) for panel in found.values())


class TestDots:
    def test_every_metric_stands_against_every_parameter(self):
        assert set(panels(TRIALS)) == {
            f"{metric} against {parameter}: 5 trials"
            for metric in ("accuracy", "loss")
            for parameter in ("lr", "depth")
        }

    def test_only_those_of_the_goal_are_open(self):
        sections = list(gallery(TRIALS, Goal("loss", "min"), ["lr"], ()))
        assert [" open" in part for part in sections[1:]] == [True, False]
        assert "<code>loss</code> against" in sections[1]

    def test_a_dot_stands_where_its_values_are(self):
        rows = [TrialRow(n, {"lr": n}, {"accuracy": n * n}) for n in (1, 2, 3)]
        (panel,) = panels(rows, varied=["lr"]).values()
        xs = [float(dot.get("cx")) for dot in dots(panel).values()]
        ys = [float(dot.get("cy")) for dot in dots(panel).values()]
        assert xs == sorted(xs)
        assert ys == sorted(ys, reverse=True)

    def test_in_a_crowd_dots_of_one_value_stand_side_by_side(self):
        rows = [TrialRow(n, {"kind": "a"}, {"accuracy": 0.5}) for n in range(1, 101)]
        (panel,) = panels(rows, varied=["kind"]).values()
        assert len({dot.get("cx") for dot in dots(panel).values()}) > 50

    def test_what_is_without_a_picture_is_named(self):
        metrics = {f"m{index}": index for index in range(9)}
        rows = [TrialRow(1, {"lr": 1}, metrics)]
        page = "".join(gallery(rows, None, ["lr"], ()))
        assert "Without a picture: <code>m6</code>, <code>m7</code>, <code>m8</code>." in page


class TestNamesAndValues:
    EVIL = '</title><script>alert("1")</script>&amp;\x00\x1b[31m\u202e\ud800'

    def test_no_text_breaks_the_picture(self):
        rows = [
            TrialRow(n, {self.EVIL: self.EVIL * n, "x": n}, {self.EVIL: n, "accuracy": n})
            for n in (1, 2, 3)
        ]
        picture = lines(rows, goal=HIGHEST, varied=[self.EVIL, "x"])
        assert "<script" not in picture
        assert picture.encode("utf-8")
        ElementTree.fromstring(picture)
        assert panels(rows, varied=[self.EVIL, "x"])

    def test_long_names_and_values_are_shortened_and_told_whole(self):
        name = "a_parameter_with_a_name_that_is_much_too_long"
        varied = [name, *"abcdefgh"]
        rows = [TrialRow(n, dict.fromkeys(varied, name * n), {"accuracy": n}) for n in (1, 2)]
        picture = drawn(rows, varied=varied)
        assert max(map(len, names(picture))) < 20
        texts = [text for text in picture.iter(f"{SVG}text") if "…" in text.text]
        assert {text.find(f"{SVG}title").text for text in texts} == {name, name * 2}

    def test_a_metric_that_is_called_like_a_parameter_says_so(self):
        rows = [TrialRow(n, {"lr": n}, {"lr": n * n}) for n in (1, 2)]
        assert names(drawn(rows, Goal("lr", "max"), ["lr"])) == ["lr", "metrics.lr"]


class TestStyle:
    def test_every_kind_of_line_has_a_colour_in_light_and_in_dark(self):
        light, dark = style().split("prefers-color-scheme: dark")
        for shade in range(SHADES):
            assert f".shade-{shade} {{" in dark
            assert f"--shade-{shade}: #" in light
            assert f"--shade-{shade}: #" in dark

    def test_the_picture_that_stands_alone_carries_it(self):
        assert style() in lines(TRIALS, goal=None, varied=["lr"])

    def test_many_axes_make_it_wider(self):
        many = {f"p{index}": index for index in range(30)}
        rows = [TrialRow(n, many, {"accuracy": n}) for n in (1, 2)]
        assert float(drawn(rows, varied=list(many)).get("width")) > 3000


def test_a_selection_of_few_trials_is_all_of_them():
    selection = select(TRIALS, HIGHEST, ["accuracy"])
    assert selection.fewer(5) == selection.rows
    assert [row.number for row in selection.fewer(2)][-1] == 5


class TestManyMetrics:
    """Seven that are always the same stand before three that vary; the last is the goal's."""

    METRICS = (*(f"same{number}" for number in range(7)), "one", "two", "accuracy")

    def rows(self):
        return [
            TrialRow(
                number,
                {"lr": number},
                {name: 1 if name.startswith("same") else number * 0.1 for name in self.METRICS},
            )
            for number in (1, 2, 3)
        ]

    def test_what_varies_is_drawn_before_what_is_the_same(self):
        drawn_ones = [label.partition(" ")[0] for label in panels(self.rows(), varied=("lr",))]
        assert drawn_ones == ["accuracy", "one", "two", "same0", "same1", "same2"]
        text = "".join(gallery(self.rows(), HIGHEST, ("lr",), ()))
        assert "Without a picture: <code>same3</code>, <code>same4</code>" in text

    def test_without_a_goal_it_is_so_too(self):
        assert names(drawn(self.rows(), None, ("lr",)))[:4] == ["lr", "one", "two", "accuracy"]

    def test_the_lines_say_which_metrics_they_leave_out(self):
        rows = [
            TrialRow(number, {"lr": number}, dict.fromkeys("abcde", number)) for number in (1, 2, 3)
        ]
        text = "".join(gallery(rows, Goal("e", "max"), ("lr",), ()))
        assert names(drawn(rows, Goal("e", "max"), ("lr",))) == ["lr", "a", "b", "c", "e"]
        assert "without <code>d</code></span>" in text
        assert "without" not in "".join(gallery(self.rows(), HIGHEST, ("lr",), ()))
