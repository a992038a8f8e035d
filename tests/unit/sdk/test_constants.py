"""Steps see the constants of their module as they are where the pipeline is called."""

from __future__ import annotations

import ast
import sys

import pytest

from kale_pm.errors import UsageError
from kale_pm.sdk.source.functions import FunctionSource
from kale_pm.sdk.source.modules import module_of

NOTE = "  # as it was when the pipeline was called"


def test_a_cache_that_was_filled_on_the_way(script, cells):
    made = script(
        """
        CACHE = {}

        def cached(x):
            CACHE[x] = 2 * x
            return CACHE[x]

        BASE = cached(4)

        @step
        def use():
            return BASE, CACHE

        @pipeline
        def small():
            use()
        """
    )
    made.CACHE[5] = 10
    assert prelude(cells(made.small)) == [f"CACHE = {{4: 8, 5: 10}}{NOTE}\nBASE = 8{NOTE}"]


def prelude(found):
    return [source for tags, source in found if "block:" not in tags]


def test_what_was_set_before_the_call_is_a_literal_in_the_step(script, cells):
    made = script(
        """
        DATA = "default"
        PATH = DATA + ".csv"
        OPTIONS = {"lr": 1}

        @step
        def use():
            return DATA, PATH, OPTIONS

        @pipeline
        def small():
            OPTIONS["lr"] = 3
            use()
        """
    )
    made.DATA = "other"
    assert prelude(cells(made.small)) == [
        f"DATA = 'other'{NOTE}\nPATH = 'default.csv'{NOTE}\nOPTIONS = {{'lr': 3}}{NOTE}"
    ]


def test_what_the_statements_say_already_stays_as_it_was_written(script, cells):
    made = script(
        """
        import os
        # Of the machine on which the step runs.
        TOKEN = os.environ.get("TOKEN", "none")
        RATE = 0.1
        RATES = [RATE, 2 * RATE]
        RATES.append(3)

        @step
        def use():
            return TOKEN, RATES

        @pipeline
        def small():
            use()
        """
    )
    assert prelude(cells(made.small)) == [
        "import os",
        (
            "# Of the machine on which the step runs.\n"
            'TOKEN = os.environ.get("TOKEN", "none")\n\n\n'
            "RATE = 0.1\nRATES = [RATE, 2 * RATE]\nRATES.append(3)"
        ),
    ]


def test_options_of_the_script_go_along_as_they_were_given(script, cells, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["script.py", "--count", "7", "--out", "made", "-j", "2"])
    made = script(
        """
        import argparse, sys
        from pathlib import Path

        parser = argparse.ArgumentParser()
        parser.add_argument("--count", type=int, default=1)
        parser.add_argument("--out", type=Path)
        args, sys.argv[1:] = parser.parse_known_args()
        COUNT = args.count
        JOBS = int(sys.argv[-1])

        @step
        def use():
            return args.count, COUNT, JOBS

        @pipeline
        def small():
            use()
        """
    )
    assert sys.argv == ["script.py", "-j", "2"]
    assert prelude(cells(made.small)) == [
        "import argparse\nimport pathlib",
        (
            "# As it was when the pipeline was called.\n"
            "args = argparse.Namespace(count=7, out=pathlib.Path('made'))\n\n\n"
            f"COUNT = 7{NOTE}\nJOBS = 2{NOTE}"
        ),
    ]


def test_what_the_machine_says_is_asked_again_where_the_step_runs(script, cells):
    made = script(
        """
        import os
        from pathlib import Path

        HERE = Path(__file__).parent
        WORKERS = os.cpu_count()
        KEYS = {"token": os.environ.get("TOKEN", "none")}

        @step
        def use():
            return HERE, WORKERS, KEYS

        @pipeline
        def small():
            use()
        """
    )
    found = "\n".join(prelude(cells(made.small)))
    assert NOTE not in found
    assert "os.cpu_count()" in found
    assert 'os.environ.get("TOKEN", "none")' in found


def test_what_the_environment_holds_is_written_into_no_notebook(script):
    made = script(
        """
        import os

        KEYS = {"token": os.environ.get("TOKEN", "none")}

        @step
        def use():
            return KEYS

        @pipeline
        def small():
            KEYS["more"] = 1
            use()
        """
    )
    with pytest.raises(UsageError, match="what the environment holds is written into no notebook"):
        made.small.to_pipeline()


def test_what_looks_like_a_secret_is_read_where_the_step_runs(script, write, cells):
    write("settings.json", '{"db": {"user": "me", "password": "hidden"}, "rate": 1}')
    made = script(
        """
        import json
        from pathlib import Path

        SETTINGS = json.loads(Path(__file__).with_name("settings.json").read_text())
        RATE = SETTINGS["rate"]

        @step
        def use():
            return SETTINGS, RATE

        @pipeline
        def small():
            use()
        """
    )
    found = "\n".join(prelude(cells(made.small)))
    assert "hidden" not in found
    assert "SETTINGS = json.loads(" in found


def test_what_depends_on_the_environment_is_made_where_the_step_runs(script, cells, monkeypatch):
    monkeypatch.setenv("API", "hidden")
    made = script(
        """
        import os

        API = os.environ["API"]
        HEADERS = {"Authorization": f"Bearer {API}"}

        @step
        def use():
            return HEADERS

        @pipeline
        def small():
            use()
        """
    )
    assert "hidden" not in "\n".join(prelude(cells(made.small)))


def test_paths_are_those_of_the_machine_where_the_step_runs(script, cells, tmp_path):
    made = script(
        """
        from pathlib import Path

        ROOT = Path(__file__).resolve().parent
        OUT = ROOT / "out"
        OUT.mkdir(exist_ok=True)
        PATHS = {"raw": ROOT / "raw", "out": OUT}

        @step
        def use():
            return PATHS

        @pipeline
        def small():
            use()
        """
    )
    found = "\n".join(prelude(cells(made.small)))
    assert str(tmp_path) not in found
    assert "OUT.mkdir(exist_ok=True)" in found


@pytest.mark.parametrize(
    "statement",
    [
        "shutil.rmtree('out', ignore_errors=True)",
        "notify('started')",
        "with open('params.json', 'w') as file:\n            file.write(str(shutil.which('a')))",
    ],
)
def test_what_reaches_out_is_done_once_and_not_in_every_step(
    statement, script, cells, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    made = script(
        f"""
        import shutil
        from unittest.mock import Mock

        client = Mock()

        def notify(text):
            shutil.which(text)
            client.post(text)

        {statement}

        @step
        def use():
            return shutil.which("python")

        @pipeline
        def small():
            use()
        """
    )
    assert prelude(cells(made.small)) == ["import shutil"]


def test_what_data_gave_needs_no_data_in_the_step(script, cells):
    made = script(
        """
        class Table:
            def __init__(self, rows):
                self.rows = rows
            def count(self):
                return len(self.rows)

        raw = Table([1, 2])
        COUNT = raw.count()

        @step
        def use():
            return COUNT

        @pipeline
        def small():
            use()
        """
    )
    assert prelude(cells(made.small)) == [f"COUNT = 2{NOTE}"]


@pytest.mark.parametrize(
    "code",
    [
        "table = collections.Counter('ab')\n    table['c'] = 3",
        "table = Settings.load()\n    table.rate = 3",
        "for each in PATTERNS:\n        each.match('a')",
        "copied = TABLE.copy()\n    copied['a'] = 1",
    ],
)
def test_what_main_makes_and_changes_for_itself_is_not_what_steps_use(code, script, outcome):
    made = script(
        f"""
        import collections
        import re

        PATTERNS = [re.compile("a")]
        TABLE = {{"len": len}}

        class Settings:
            @classmethod
            def load(cls):
                return cls()

        @step
        def use():
            found = collections.Counter("a"), Settings().__class__, PATTERNS, sorted(TABLE)
            return found

        @pipeline
        def small():
            use()

        if __name__ == "__main__":
            {code.replace(chr(10), chr(10) + "        ")}
        """
    )
    assert outcome(made.small)["use_found"][3] == ["len"]


def test_an_import_that_was_bound_to_something_else(script, write, outcome):
    write("settings.py", "RATE = 1\nTABLE = {}\n")
    made = script(
        """
        from settings import RATE

        def set_up():
            global RATE
            RATE = 5

        set_up()

        @step
        def use():
            found = RATE
            return found

        @pipeline
        def small():
            use()
        """
    )
    assert outcome(made.small)["use_found"] == 5


@pytest.mark.parametrize("change", ["settings.RATE = 5", "settings.TABLE['a'] = 1"])
def test_a_module_that_only_the_pipeline_changes(change, script, write):
    write("settings.py", "RATE = 1\nTABLE = {}\n")
    made = script(
        f"""
        import settings

        @step
        def use():
            return settings.RATE, settings.TABLE

        @pipeline
        def small():
            {change}
            use()
        """
    )
    with pytest.raises(UsageError, match=r":\d+: 'settings', which a step uses, is changed here"):
        made.small.to_pipeline()


def test_what_is_something_else_at_another_call(script):
    made = script(
        """
        SIZE = 1

        def size():
            return SIZE

        @step
        def use():
            return size()

        @pipeline
        def small():
            global SIZE
            use()
            SIZE = 2
            use()
        """
    )
    with pytest.raises(UsageError, match="'SIZE', which step 'use' uses, is 1 at this call, and 2"):
        made.small.to_pipeline()


def test_what_the_script_does_with_a_class_is_no_part_of_a_step(script, cells):
    made = script(
        """
        from operator import index

        class House:
            kind = 1

        @step
        def use(house):
            return House

        @pipeline
        def small():
            use(1)

        seen = index(House.kind)
        alone = 0 and use.run(House)
        """
    )
    assert prelude(cells(made.small)) == ["class House:\n    kind = 1"]


def test_a_loop_at_the_top_that_runs_pipelines_is_no_part_of_a_step(script, outcome):
    made = script(
        """
        from contextlib import suppress

        @step
        def use():
            found = SIZE
            return found

        @pipeline
        def small():
            use()

        for SIZE in (1, 2):
            if SIZE > 2:
                small()
        """
    )
    assert outcome(made.small)["use_found"] == 2


def test_steps_that_are_made_in_a_loop_can_use_its_variable(script, outcome):
    made = script(
        """
        for number in (1, 2):
            @step
            def use():
                found = number
                return found

        @pipeline
        def small():
            use()
        """
    )
    assert outcome(made.small)["use_found"] == 2


@pytest.mark.parametrize("default", ["D", "Holder.day"])
def test_a_default_whose_name_means_something_else_now(default, script):
    made = script(
        f"""
        class Day:
            pass

        class Holder:
            day = Day()

        D = Day()

        @step
        def use(x={default}):
            return x

        D = Holder.day = Day()

        @pipeline
        def small():
            use()
        """
    )
    with pytest.raises(UsageError, match=r"the default of 'x' was .* as it was then"):
        made.small.to_pipeline()


def test_a_value_that_no_literal_can_say_and_that_a_step_would_not_have(script):
    made = script(
        """
        MADE = {"len": len}

        @step
        def use():
            return sorted(MADE)

        @pipeline
        def small():
            MADE["max"] = max
            use()
        """
    )
    with pytest.raises(UsageError, match=r":\d+: 'MADE', which a step uses, is changed") as told:
        made.small.to_pipeline()
    assert "make it a parameter of the pipeline" in str(told.value.hint)


def test_options_that_no_literal_can_say(script, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["script.py"])
    made = script(
        """
        import argparse

        class Options:
            def __init__(self, given):
                self.given = given

        def read():
            return Options(argparse.ArgumentParser().parse_args())

        options = read()

        @step
        def use():
            return options.given

        @pipeline
        def small():
            use()
        """
    )
    with pytest.raises(UsageError, match="'options', which a step uses, comes from the command"):
        made.small.to_pipeline()


def test_what_only_reads_an_object_does_not_keep_it_from_the_steps(script, cells):
    made = script(
        """
        import logging

        log = logging.getLogger("small")

        @step
        def use():
            log.info("used")

        @pipeline
        def small():
            log.info("made")
            use()

        if __name__ == "__main__":
            log.info("started")
        """
    )
    assert prelude(cells(made.small)) == [
        "import logging",
        'log = logging.getLogger("small")',
    ]


def test_cells_that_add_to_a_variable_need_the_one_that_sets_it():
    cells = ["RATE = 1", "RATE = make()", "RATE += 1", "def use():\n    return RATE"]
    names = {"__name__": "__main__", "In": cells, "make": object}
    exec(compile(cells[-1], "<cell>", "exec"), names)
    source = FunctionSource("<cell>", cells[-1], ast.parse(cells[-1]).body[0])
    module = module_of(names["use"], source)
    assert [each.text for each in module.statements] == cells[1:]


def test_a_long_value_is_made_again_instead(script, cells):
    made = script(
        """
        TABLE = {}
        for number in range(5000):
            TABLE[number] = number

        @step
        def use():
            return len(TABLE)

        @pipeline
        def small():
            use()
        """
    )
    assert prelude(cells(made.small)) == [
        "TABLE = {}\n\n\nfor number in range(5000):\n    TABLE[number] = number"
    ]
