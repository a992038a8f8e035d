"""What the steps use of their modules stands in the prelude, and nothing else does."""

from __future__ import annotations

from importlib import import_module

import pytest

from kale_pm.errors import UsageError


def prelude(found):
    return [(tags, source) for tags, source in found if "block:" not in tags]


def test_imports_and_helpers_that_the_steps_use_in_their_order(script, cells):
    made = script(
        '''
        """A module."""
        import json
        import math
        import os, sys
        from pathlib import Path, PurePath

        # How many there are.
        LIMIT = 3
        UNUSED = os.getcwd()


        class Row:
            """One of many."""


        def unused():
            return json.dumps(UNUSED)


        def helper(x):
            return math.sqrt(x) + LIMIT


        @step
        def load():
            return helper(2), Path(), Row()


        @pipeline
        def small():
            load()
        '''
    )
    assert prelude(cells(made.small)) == [
        ("imports", "import math\nfrom pathlib import Path"),
        (
            "functions",
            (
                '# How many there are.\nLIMIT = 3\n\n\nclass Row:\n    """One of many."""\n\n\n'
                "def helper(x):\n    return math.sqrt(x) + LIMIT"
            ),
        ),
    ]


def test_what_sets_a_module_up_belongs_to_it(script, cells):
    made = script(
        """
        import sys
        import warnings
        sys.path.insert(0, "lib")
        import random

        warnings.filterwarnings("ignore")
        random.seed(3)
        TABLE = {}
        TABLE["a"] = 1
        print("loading")
        notes = []
        notes.append("of no step")

        @step
        def load():
            return TABLE

        @pipeline
        def small():
            load()

        def main():
            return small()

        sys.exit if len(sys.argv) > 99 else None
        if __name__ == "__main__":
            main()
        """
    )
    found = prelude(cells(made.small))
    assert found == [
        ("imports", "import sys\nimport warnings"),
        ("functions", 'sys.path.insert(0, "lib")'),
        ("imports", "import random"),
        (
            "functions",
            'warnings.filterwarnings("ignore")\nrandom.seed(3)\nTABLE = {}\nTABLE["a"] = 1',
        ),
    ]


def test_what_the_script_prints_is_no_part_of_a_step_that_prints(script, cells):
    made = script(
        """
        print("loading")

        @step
        def load():
            print("loaded")

        @pipeline
        def small():
            load()
        """
    )
    assert prelude(cells(made.small)) == []


def test_what_drives_the_pipeline_is_no_part_of_it(script, cells):
    made = script(
        """
        import atexit

        @step
        def load():
            return 1

        @pipeline
        def small():
            load()

        def later():
            small()

        atexit.register(later)
        atexit.unregister(later)
        """
    )
    assert prelude(cells(made.small)) == []


def test_a_step_that_uses_the_pipeline(script):
    made = script(
        """
        @step
        def load():
            return small()

        @pipeline
        def small():
            load()
        """
    )
    with pytest.raises(UsageError, match="a step uses the pipeline 'small'"):
        made.small.to_pipeline()


def test_a_name_in_a_query_is_a_use(script, cells):
    made = script(
        """
        LIMIT = 3

        @step
        def load(frame):
            return frame.query("age > @LIMIT")

        @pipeline
        def small():
            load(1)
        """
    )
    assert prelude(cells(made.small)) == [("functions", "LIMIT = 3")]


def test_file_is_the_script(script, cells):
    made = script(
        """
        from pathlib import Path

        @step
        def load():
            return Path(__file__).parent

        @pipeline
        def small():
            load()
        """
    )
    assert ("functions", f'__file__ = "{made.__name__}.py"') in prelude(cells(made.small))


def test_a_parameter_with_the_name_of_a_helper(script):
    made = script(
        """
        def rows():
            return 1

        @step
        def load():
            return rows()

        @pipeline
        def small(rows=1):
            load()
        """
    )
    with pytest.raises(UsageError, match="parameter 'rows' has the name of something that a step"):
        made.small.to_pipeline()


class TestModules:
    @pytest.fixture
    def project(self, write):
        write("settings.py", "LIMIT = 3\n")
        write(
            "project/__init__.py",
            "",
        )
        write("project/tools.py", "def double(x):\n    return 2 * x\n")
        write(
            "project/loading.py",
            """
            from __future__ import annotations

            from kale_pm.sdk import step
            from .tools import double
            from settings import LIMIT

            def clean(x):
                return double(x) + LIMIT

            @step(name="load")
            def load(n):
                return clean(n)
            """,
        )
        return write

    def test_steps_of_other_modules_bring_what_they_use(self, project, script, cells):
        made = script(
            """
            from project.loading import load

            @step
            def show(x):
                print(x)

            @pipeline
            def small():
                show(load(1))
            """
        )
        assert prelude(cells(made.small)) == [
            (
                "imports",
                (
                    "from __future__ import annotations\nfrom project.tools import double\n"
                    "from settings import LIMIT"
                ),
            ),
            ("functions", "def clean(x):\n    return double(x) + LIMIT"),
        ]

    def test_equal_helpers_of_two_modules_stand_there_once(self, project, script, cells):
        made = script(
            """
            from project.loading import load
            from settings import LIMIT

            @step
            def show(x):
                print(x, LIMIT)

            @pipeline
            def small():
                show(load(1))
            """
        )
        text = "\n".join(source for _, source in prelude(cells(made.small)))
        assert text.count("from settings import LIMIT") == 1

    def test_names_that_clash_do_not_mix(self, project, script, cells):
        made = script(
            '''
            from project.loading import load

            def clean(x):
                """Another one."""
                return x

            @step
            def show(x):
                print(clean(x))

            @pipeline
            def small():
                show(load(1))
            '''
        )
        found = cells(made.small)
        assert found == [
            ("imports", "from __future__ import annotations"),
            ("functions", 'def clean(x):\n    """Another one."""\n    return x'),
            (
                "functions",
                (
                    "def module_project_loading():\n"
                    '    """loading.py: other modules use some of its names for other things.'
                    '"""\n\n'
                    "    from project.tools import double\n\n"
                    "    from settings import LIMIT\n\n"
                    "    def clean(x):\n        return double(x) + LIMIT\n\n"
                    "    def load(n):\n        return clean(n)\n\n"
                    '    return {"load": load}'
                ),
            ),
            ("block:load", 'load_result = module_project_loading()["load"](n=1)'),
            ("block:show prev:load", "x = load_result"),
            ("block:show", "print(clean(x))"),
        ]
        code = "\n".join(source for tags, source in found if "block:show" not in tags)
        names: dict[str, object] = {}
        exec(code, names)
        assert names["load_result"] == 5

    def test_an_import_that_leads_nowhere(self, write, script):
        write("loose.py", "from kale_pm.sdk import step\n\n@step\ndef load():\n    return tool()\n")
        module = import_module("loose")
        module.tool = len
        made = script(
            """
            from loose import load

            @pipeline
            def small():
                load()
            """
        )
        problems = made.small.to_pipeline().problems
        assert [(each.code, each.line) for each in problems] == [("undefined-name", None)]
        assert problems[0].message.startswith("loose.py:5: ")


def test_relative_imports_inside_of_functions_name_their_package(script, write, outcome):
    write("project/__init__.py", "")
    write("project/helpers.py", "LIMIT = 3\n")
    write(
        "project/steps.py",
        """
        from kale_pm.sdk import step

        try:
            from . import missing
        except ImportError:
            missing = None

        def limited(n):
            from .helpers import LIMIT
            return n + LIMIT

        @step
        def one(n):
            größe = 1; from . import helpers; from .helpers import LIMIT

            return limited(n) + helpers.LIMIT * LIMIT * größe, missing
        """,
    )
    made = script(
        """
        from project.steps import one

        @pipeline
        def small(n=2):
            one(n)
        """
    )
    names = outcome(made.small)
    assert (names["one_1"], names["one_missing"]) == made.one(2) == (14, None)
