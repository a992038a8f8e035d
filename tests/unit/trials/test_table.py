"""The table of trials for programs: CSV that pandas reads, JSON that every parser reads."""

from __future__ import annotations

import csv
import io
import json
import math

import pytest

from kale_pm.trials.goal import Goal
from kale_pm.trials.table import TrialRow, as_csv, as_json, columns, flat

ROWS = [
    TrialRow(1, {"lr": 0.1, "layers": [32, 8]}, {"accuracy": 0.1 + 0.2}, "done", 1.5, "wine.0001"),
    TrialRow(2, {"lr": 0.01, "layers": [64]}, {"accuracy": math.nan, "note": 'a,"b"'}),
    TrialRow(3, {"lr": 1, "layers": []}, state="failed", error="ValueError: no\nmore"),
]
VARIED = ["lr", "layers"]


def read(text):
    return list(csv.reader(io.StringIO(text)))


class TestColumns:
    def test_they_are_parameters_and_metrics_between_what_all_trials_have(self):
        header = "trial,state,lr,layers,accuracy,note,seconds,run"
        assert as_csv(ROWS, VARIED).splitlines()[0] == header
        assert list(flat(ROWS, VARIED)[0]) == header.split(",")

    def test_a_metric_that_is_called_like_a_parameter_says_so(self):
        names = columns([TrialRow(1, {"lr": 1}, {"lr": 2})], ["lr"])
        assert (names.parameters, names.metrics) == ({"lr": "lr"}, {"lr": "metrics.lr"})

    def test_so_do_names_of_columns_that_all_trials_have(self):
        names = columns([TrialRow(1, {"state": 1}, {"seconds": 2, "state": 3})], ["state"])
        assert names.parameters == {"state": "parameters.state"}
        assert names.metrics == {"seconds": "metrics.seconds", "state": "metrics.state"}

    def test_no_two_columns_ever_have_one_name(self):
        names = columns([TrialRow(1, {}, {"lr": 1, "metrics.lr": 2})], ["lr", "metrics.lr"])
        every = [*names.parameters.values(), *names.metrics.values()]
        assert len(set(every)) == 4

    def test_every_row_has_all_of_them(self):
        first, second, third = flat(ROWS, VARIED)
        assert first["accuracy"] == 0.1 + 0.2
        assert first["note"] is None
        assert second["seconds"] is None
        assert third["accuracy"] is None


class TestCSV:
    def test_numbers_have_all_their_digits(self):
        assert read(as_csv(ROWS, VARIED))[1][4] == "0.30000000000000004"

    def test_what_is_not_finite_is_spelled_as_pandas_reads_it(self):
        rows = [
            TrialRow(i, {}, {"x": value}) for i, value in enumerate((math.nan, math.inf, -math.inf))
        ]
        assert [line[2] for line in read(as_csv(rows, []))[1:]] == ["NaN", "inf", "-inf"]

    def test_lists_are_json_and_missing_values_are_empty(self):
        lines = read(as_csv(ROWS, VARIED))
        assert lines[1][3] == "[32, 8]"
        assert lines[3] == ["3", "failed", "1", "[]", "", "", "", ""]

    def test_texts_may_hold_anything(self):
        rows = [TrialRow(1, {"name": 'a,"b"\nc'}), TrialRow(2, {"name": "half \ud800"})]
        lines = read(as_csv(rows, ["name"]))
        assert lines[1][2] == 'a,"b"\nc'
        assert lines[2][2] == r"half \ud800"

    def test_pandas_gets_the_types_back(self):
        pandas = pytest.importorskip("pandas")
        rows = [
            TrialRow(1, {"lr": 0.1, "deep": True}, {"loss": math.inf}),
            TrialRow(2, {"lr": 1e-05, "deep": False}, {"loss": math.nan}),
        ]
        frame = pandas.read_csv(io.StringIO(as_csv(rows, ["lr", "deep"])), index_col="trial")
        assert frame["lr"].tolist() == [0.1, 1e-05]
        assert frame["deep"].tolist() == [True, False]
        assert frame["loss"].tolist()[0] == math.inf
        assert math.isnan(frame["loss"].tolist()[1])

    def test_no_trials_are_a_header(self):
        assert as_csv([], ["lr"]) == "trial,state,lr,seconds,run\n"


class TestJSON:
    def test_it_is_strict(self):
        def refuse(word):
            raise AssertionError(word)

        content = json.loads(as_json(ROWS, VARIED), parse_constant=refuse)
        assert content["trials"][1]["metrics"] == {"accuracy": "NaN", "note": 'a,"b"'}

    def test_names_stay_what_they_are(self):
        rows = [TrialRow(1, {"lr": 1}, {"lr": 2, "seconds": 3})]
        trial = json.loads(as_json(rows, ["lr"]))["trials"][0]
        assert (trial["parameters"], trial["metrics"]) == ({"lr": 1}, {"lr": 2, "seconds": 3})

    def test_it_tells_the_best_the_goal_and_what_the_caller_knows(self):
        goal = Goal("accuracy", "max")
        content = json.loads(as_json(ROWS, VARIED, goal=goal, facts={"pipeline": "wine"}))
        assert content["pipeline"] == "wine"
        assert content["best"] == 1
        assert content["goal"] == {"metric": "accuracy", "direction": "max"}
        assert content["varied"] == VARIED
        assert content["trials"][2]["error"] == "ValueError: no\nmore"

    def test_there_may_be_no_goal_and_no_best(self):
        assert json.loads(as_json(ROWS, VARIED))["goal"] is None
        assert json.loads(as_json(ROWS, VARIED, goal=Goal("recall", "max")))["best"] is None
