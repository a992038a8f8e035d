"""Who writes a script is told of scripts: nothing speaks of cells and tags."""

from __future__ import annotations

import ast
import pickle
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

import kale_pm
from kale_pm.errors import StepFailed, UsageError
from kale_pm.events import OfTrial, StepFinished, Warned
from kale_pm.face import Run
from kale_pm.record import CellError, Place, RunRecord, State, StepRecord
from kale_pm.sdk.options import WORDS, _example, option_tags
from kale_pm.sdk.script.traced import Marks, TracedRun
from kale_pm.sdk.script.wording import PHRASES, hearing_of_a_script, in_words_of_a_script

STRANGE = re.compile(r"\b(tag|tags|tagged|cells?|notebook|NOTEBOOK|prelude)\b|prev:|block:")
LATER = """
@step
def load():
    numbers = [1]
    return numbers

@step
def later(x):
    print(x)
"""
WRITING = """
@step
def load():
    print(open("table.csv").read())

@step
def write():
    open("table.csv", "w").write("a")
"""


def problems(script, text, call="later(load())", head=""):
    body = f"\n@pipeline{head}\ndef small():\n    {call}\n"
    return script(text + body).small.to_pipeline().problems


@pytest.mark.parametrize(
    ("text", "call", "message", "hint"),
    [
        (
            LATER.replace("numbers = [1]", "numbers = random.seed(1)") + "\nimport random\n",
            "later(load())",
            "random.seed changes global state in step load",
            "set it at the top of the script",
        ),
        (
            LATER.replace("numbers = [1]", "numbers = json.extra = 1") + "\nimport json\n",
            "later(load())",
            "the change of json.extra stays in step load",
            "make the change at the top of the script",
        ),
        (
            LATER.replace("[1]", "Kind.size = 1").replace("print(x)", "print(x, Kind)")
            + "\nclass Kind:\n    pass\n",
            "later(load())",
            "the top of the script defines 'Kind' anew",
            "keep what changes in a variable",
        ),
        (
            LATER + "\n@step\ndef change(x):\n    x.append(2)\n",
            "x = load(); change(x); later(x)",
            "called as plain functions, the steps would read what step 'load' gives as step change",
            "let it come after step change, with .after(...)",
        ),
        (
            LATER.replace("[1]", "unknown"),
            "later(load())",
            "'unknown' is not defined",
            "make it a parameter of the step",
        ),
        (
            LATER.replace("    return numbers", ""),
            "load(); later(1)",
            "nobody sees what step load does",
            "or do not call the step",
        ),
        (
            "@step(retry=1, retry_count=2)\ndef load():\n    print(1)\n",
            "load()",
            "two values for retry: 1 and 2",
            "keep one of them",
        ),
        (
            "@step(env={'PASSWORD': 'correct horse'})\ndef load():\n    print(1)\n",
            "load()",
            "'PASSWORD' of env looks like a secret",
            'write secrets={"PASSWORD": "NAME:KEY"}',
        ),
        (
            "@step\ndef load():\n    import no_such_package\n    print(no_such_package)\n",
            "load()",
            "nor is there such a module beside the script",
            "pip install no_such_package",
        ),
        (
            WRITING,
            "write(); load()",
            "which step write writes",
            "let step load come after step write, with .after(...)",
        ),
    ],
)
def test_a_problem_of_a_script(script, text, call, message, hint):
    found = problems(script, text, call)

    assert any(message in each.message and hint in each.hint for each in found), found
    for each in found:
        assert not STRANGE.search(f"{each.message}\n{each.hint}")
        assert re.match(r"script_\d+\.py:\d+: ", each.message)


@pytest.mark.parametrize(
    ("word", "value", "advice"),
    [
        ("retry", "x", "write retry=3"),
        ("timeout", 0, 'write timeout="2m"'),
        ("limits", {"memory": "lots"}, 'write limits={"cpu": "2"}'),
        ("secrets", {"TOKEN": "vault"}, 'write secrets={"TOKEN": "vault:key"}'),
        ("pull_policy", "maybe", 'write pull_policy="Always"'),
        ("shared_memory", "much", 'write shared_memory="2Gi"'),
        ("artifacts", {"a": "../x"}, "leaves the script's folder"),
    ],
)
def test_an_option_that_cannot_be_used(word, value, advice):
    with pytest.raises(UsageError) as caught:
        option_tags({word: value}, "step 'load'")
    assert advice in caught.value.hint


@pytest.mark.parametrize("word", sorted(WORDS))
def test_what_an_option_is_advised_to_be_can_be_used(word):
    assert option_tags({word: ast.literal_eval(_example(word))}, "step 'load'")


def test_a_setting_that_belongs_to_the_command_line(script):
    (problem,) = problems(script, LATER, head="(katib_run=True)")
    assert problem.hint == "run it once for each value, with -p NAME=VALUE, or use sweep"


def _texts(node: ast.AST) -> Iterator[str]:
    for each in ast.walk(node):
        if isinstance(each, ast.JoinedStr):
            yield "".join(
                part.value if isinstance(part, ast.Constant) else "{}" for part in each.values
            )
        elif isinstance(each, ast.Constant) and isinstance(each.value, str):
            yield each.value


def test_every_phrase_is_one_that_kale_pm_uses():
    root = Path(kale_pm.__file__).parent
    files = (path for path in root.rglob("*.py") if not path.is_relative_to(root / "sdk"))
    said = "\n".join(
        text for path in files for text in _texts(ast.parse(path.read_text(encoding="utf-8")))
    )
    # What is filled in there may be any word, a number, or both.
    told = [said.replace("{}", filling) for filling in ("name", "1", "a:1")]
    unused = [phrase for phrase in PHRASES if not any(re.search(phrase, text) for text in told)]
    assert not unused


def test_what_is_said_of_files_and_servers_stays():
    for text in (
        "look at /runs/1/notebooks/load.ipynb",
        "run in a notebook server of the cluster",
        "it is a script, not a notebook",
        "step load: cell 2, line 3",
    ):
        assert in_words_of_a_script(text) == text


class TestFailures:
    """Of a failure nothing changes that the step's own code says."""

    @pytest.fixture
    def failure(self, tmp_path):
        """What a run tells of an error, and what is heard of it meanwhile."""

        def tell(**parts) -> tuple[StepFailed, CellError]:
            error = CellError(**parts)
            step = StepRecord("load", State.FAILED, error=error, notebook="load.ipynb")
            record = RunRecord("small-1", "small", "script.py", State.FAILED, {}, {"load": step}, 0)
            marks = Marks({2: ("script.py", ((1, 12),))})
            (found,) = TracedRun.of(Run(record, tmp_path), marks, pickle.loads).failures
            events = []
            hearing_of_a_script(events.append)(
                OfTrial(1, StepFinished("load", State.FAILED, 1.0, error=error))
            )
            return found, events[0].event.error

        return tell

    def test_a_timeout(self, failure):
        found, heard = failure(
            ename="CellTimeoutError",
            evalue="the step took longer than its timeout of 2 seconds",
            hint="give it more time, in a tag of the step: timeout:SECONDS",
        )
        assert found.message.startswith("step load: before its own code, or after it\n")
        assert str(found) == found.message
        assert "give it more time, with @step(timeout=SECONDS)" in found.hint
        assert heard.hint == "give it more time, with @step(timeout=SECONDS)"

    def test_an_exit(self, failure):
        said = "the cell called sys.exit(1): the rest of the step did not run"
        found, heard = failure(ename="SystemExit", evalue=said, cell=2, line=1)
        assert "SystemExit: the step called sys.exit(1)" in found.message
        assert heard.evalue.startswith("the step called")
        assert "script.py:12" in found.hint

    def test_an_exception_of_the_step_s_own(self, failure):
        said = "the notebook is gone, and so is the cell tagged imports"
        found, heard = failure(ename="ValueError", evalue=said, cell=2, line=1)
        assert said in found.message
        assert heard.evalue == said

    def test_a_function_that_its_step_calls_as_a_whole(self, failure):
        places = (Place(9, 1), Place(2, 3, "load"))
        found, _ = failure(ename="ValueError", evalue="no", cell=9, line=1, places=places)
        assert "it is script.py:14" in found.hint


def test_what_is_warned_of_while_it_runs():
    events = []
    hearing_of_a_script(events.append)(Warned("it is kept beside the notebook", "load"))
    assert events == [Warned("it is kept beside the script", "load")]


def test_what_a_sweep_warns_of(script):
    made = script("""
        @step
        def load(n):
            open("table.csv", "w").write(str(n))

        @pipeline
        def small(n=1):
            load(n)
    """)
    plan = made.small.to_pipeline().plan_sweep(n=[1, 2])
    (warning,) = plan.warnings
    assert warning.startswith("step load writes 'table.csv' in every trial")
