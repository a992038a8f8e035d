"""The page of a sweep: everything in one file, whatever the trials are called and gave."""

from __future__ import annotations

import base64
import hashlib
import math
import re
import subprocess
import sys
from html.parser import HTMLParser

import pytest

from kale_pm.record import State
from kale_pm.trials import listing, page
from kale_pm.trials.goal import Goal
from kale_pm.trials.page import render_page
from kale_pm.trials.table import TrialRow

HIGHEST = Goal("accuracy", "max")
LINKS = {"report": "../../runs/a.0002/report.html", "train": "train.ipynb", "test": "test.ipynb"}
TRIALS = [
    TrialRow(1, {"lr": 0.1, "kind": "a"}, {"accuracy": 0.7, "loss": 1.25}, seconds=3.14159),
    TrialRow(2, {"lr": 0.01, "kind": "b"}, {"accuracy": 0.9123456789}, run="a.0002", links=LINKS),
    TrialRow(3, {"lr": 1.0, "kind": "a"}, state="failed", error="ValueError: too far\nsecond line"),
    TrialRow(4, {"lr": 1e-05, "kind": "b"}, {"accuracy": math.nan}),
]


class Page(HTMLParser):
    """The elements of a page, the cells of its table, and its text outside of scripts."""

    def __init__(self, source):
        super().__init__()
        self.source = source
        self.elements = []
        self.rows = []
        self.text = ""
        self._within = ""
        self.feed(source)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag == "tr" and dict(attributes).get("id", "").startswith("trial-"):
            self.rows.append([])
        if tag in ("td", "th") and self.rows:
            self.rows[-1].append("")
        self._within = tag

    def handle_endtag(self, tag):
        self._within = ""

    def handle_data(self, data):
        if self._within not in ("script", "style"):
            self.text += data
            if self.rows and self.rows[-1]:
                self.rows[-1][-1] += data

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def ids(self):
        return [attributes["id"] for _, attributes in self.elements if "id" in attributes]


def made(rows=TRIALS, goal=HIGHEST, varied=("lr", "kind"), **more):
    return Page(render_page(rows, title="wine", goal=goal, varied=varied, **more))


def cells(found):
    return [[cell.strip() for cell in row] for row in found.rows]


class TestHeader:
    def test_it_says_what_ran_and_how_it_ended(self):
        found = made(state="failed", facts=["1 min 12 s", "39 step executions"])
        for words in ("wine", "✕ failed", "4 trials: 3 done, 1 failed", "1 min 12 s", "39 step"):
            assert words in " ".join(found.text.split())

    @pytest.mark.parametrize("state", State)
    def test_trials_and_sweeps_may_have_any_state(self, state):
        found = made([TrialRow(1, {"lr": 1}, state=state)], state=state)
        assert f"1 trial: 1 {state.value}" in found.text

    def test_the_values_that_all_trials_share_are_listed(self):
        assert "The same in all trials\nseed7" in made(fixed={"seed": 7}).text


class TestTheBest:
    def test_it_stands_above_everything_else(self):
        source = made().source
        assert source.index("trial 2</a>") < source.index("1 trial failed") < source.index("<svg")
        assert "0.912346" in source

    def test_its_links_are_there(self):
        hrefs = [anchor["href"] for anchor in made().all("a")]
        assert all(hrefs.count(address) == 2 for address in LINKS.values())

    def test_equal_ones_are_counted(self):
        rows = [TrialRow(n, {"lr": n}, {"accuracy": 0.5}) for n in (1, 2, 3)]
        assert "the highest of 3; 2 others are as good" in made(rows).text

    def test_without_one_the_page_says_why_and_which_metrics_there_are(self):
        text = made(goal=Goal("recall", "max")).text
        assert "There is no best trial" in text
        assert "finite number as recall. There are accuracy, loss." in text

    def test_without_a_goal_nothing_is_said(self):
        found = made(goal=None)
        assert "best" not in found.text
        assert [row[0] for row in cells(found)] == ["1", "2", "3", "4"]


class TestWarnings:
    def test_they_stand_above_everything_else(self):
        found = made(warnings=["step a writes '<x>' in every trial", "3 trials"])
        text = " ".join(found.text.split())
        assert "2 warnings step a writes '<x>' in every trial 3 trials The best" in text.replace(
            "★ ", ""
        )

    def test_without_one_nothing_is_said(self):
        assert "arning" not in made().text


class TestFailures:
    def test_each_message_stands_once_with_its_trials(self):
        rows = [TrialRow(n, {}, state="failed", error=f"E: {n % 2}\n...") for n in range(1, 8)]
        text = " ".join(made(rows).text.split())
        assert "7 trials failed" in text
        assert "E: 1trials 1, 3, 5, 7" in text
        assert text.count("E: 0") == 1

    def test_many_different_ones_are_cut(self):
        rows = [TrialRow(n, {}, state="failed", error=f"E{n}") for n in range(50)]
        assert "… and 40 others" in made(rows).text

    def test_a_failure_without_a_message_is_one(self):
        assert "no message" in made([TrialRow(1, {}, state="failed")]).text


class TestTable:
    def test_it_goes_by_rank(self):
        assert [row[0] for row in cells(made())] == ["★ 2", "1", "3", "4"]

    def test_it_says_by_what_it_is_sorted(self):
        heads = [head for head in made().all("th") if "aria-sort" in head]
        assert [head["aria-sort"] for head in heads] == ["descending"]
        lowest = made(goal=Goal("loss", "min")).all("th")
        assert [head["aria-sort"] for head in lowest if "aria-sort" in head] == ["ascending"]

    def test_decimal_points_of_a_metric_stand_below_each_other(self):
        assert [row[4] for row in cells(made())] == ["0.912346", "0.700000", "", "nan"]

    def test_parameters_are_as_they_were_given(self):
        assert [row[2] for row in cells(made())] == ["0.01", "0.1", "1", "1e-5"]

    def test_cells_keep_the_whole_value_for_sorting(self):
        values = [cell.get("data-value") for cell in made().all("td")]
        assert "0.9123456789" in values
        assert "1e-05" in values

    def test_what_a_trial_lacks_is_an_empty_cell(self):
        assert cells(made())[2][3:6] == ["a", "", ""]

    def test_a_column_that_nobody_fills_is_left_out(self):
        rows = [TrialRow(1, {"lr": 1}, {"accuracy": 1})]
        found = made(rows, varied=["lr"])
        assert cells(found) == [["★ 1", "✓ done", "1", "1"]]
        assert "seconds" not in found.text

    def test_a_metric_that_is_called_like_a_parameter_says_so(self):
        rows = [TrialRow(1, {"lr": 1}, {"lr": 2})]
        assert "metrics.lr" in made(rows, varied=["lr"]).text

    def test_notes_stand_below_it(self):
        source = made(notes=["kale-pm report a.0003 <makes> one"]).source
        assert source.index("</table>") < source.index("a.0003 &lt;makes&gt; one")

    def test_no_trials_are_a_page(self):
        assert "There are no trials." in made([]).text


class TestManyTrials:
    def test_what_is_left_out_is_said(self, monkeypatch):
        monkeypatch.setattr(page, "MOST_LISTED", 20)
        monkeypatch.setattr(page, "MOST_LINKED", 10)
        monkeypatch.setattr(listing, "MOST_LINKED", 10)
        rows = [
            TrialRow(n, {"lr": n}, {"accuracy": n}, links={"report": "r.html"})
            for n in range(1, 41)
        ]
        found = made(rows)
        assert [row[0] for row in cells(found)][:2] == ["★ 40", "39"]
        assert len(found.rows) == 20
        assert "The best 20 of 40 trials are listed." in found.text
        assert "Links stand at the first 10 trials" in found.text
        assert sum(a["href"] == "r.html" for a in found.all("a")) == 11

    def test_ten_thousand_make_a_page_of_a_few_megabytes(self):
        rows = [
            TrialRow(n, {"lr": n / 7, "kind": "abc"[n % 3]}, {"accuracy": n / 70_000}, seconds=n)
            for n in range(1, 10_001)
        ]
        found = render_page(rows, title="wine", goal=HIGHEST, varied=["lr", "kind"])
        assert found.count('<tr id="trial-') == 10_000
        assert len(found) < 5_000_000


class TestSafety:
    EVIL = '</script><script>alert(1)</script><b title="x\'y">&amp;\x00\x1b[31m\u202e\ud800'

    def evil_page(self):
        row = TrialRow(
            1,
            {self.EVIL: self.EVIL},
            {self.EVIL: self.EVIL, "accuracy": 1},
            state="done",
            run=self.EVIL,
            links={self.EVIL: self.EVIL},
        )
        failed = TrialRow(2, {self.EVIL: 1}, state="failed", error=self.EVIL)
        other = TrialRow(3, {self.EVIL: [self.EVIL]}, state=self.EVIL)
        return Page(
            render_page(
                [row, failed, other],
                title=self.EVIL,
                goal=HIGHEST,
                varied=[self.EVIL],
                state=self.EVIL,
                facts=[self.EVIL],
                fixed={self.EVIL: self.EVIL},
                notes=[self.EVIL],
            )
        )

    def test_no_text_becomes_markup(self):
        found = self.evil_page()
        assert len(found.all("script")) == 1
        assert not [attributes for attributes in found.all("b") if attributes]
        assert found.source.encode("utf-8")

    def test_only_the_script_of_the_page_may_run(self):
        source = made().source
        (script,) = re.findall(r"<script>(.*?)</script>", source, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', source)
        assert f"script-src 'sha256-{digest}';" in policy
        assert "default-src 'none'" in policy

    def test_nothing_is_fetched(self):
        assert not re.search(r"(src|href)=\"https?:|url\(|@import", made().source)


class TestPage:
    def test_every_link_within_it_has_its_target(self):
        found = made()
        targets = [a["href"][1:] for a in found.all("a") if a["href"].startswith("#")]
        assert targets
        assert set(targets) <= set(found.ids())
        assert len(found.ids()) == len(set(found.ids()))

    def test_it_is_the_same_for_the_same_trials(self):
        assert made().source == made().source

    def test_it_is_for_light_and_for_dark(self):
        sheet = made().source.partition("<style>")[2].partition("</style>")[0]
        for colour in ("text", "link", "star", "winner", "ink"):
            values = re.findall(rf"--{colour}: (#\w+)", sheet)
            assert len(set(values)) == 2, colour

    def test_making_it_needs_the_standard_library_only(self):
        program = (
            "import sys, kale_pm.trials.page as page\n"
            "page.render_page([], title='a', goal=None, varied=[])\n"
            "tops = {name.partition('.')[0] for name in sys.modules}\n"
            "others = tops - sys.stdlib_module_names - {'kale_pm', '__main__'}\n"
            "print(sorted(name for name in others if not name.startswith('_')))"
        )
        done = subprocess.run(
            [sys.executable, "-c", program], check=True, stdout=subprocess.PIPE, text=True
        )
        assert done.stdout.strip() == "[]"
