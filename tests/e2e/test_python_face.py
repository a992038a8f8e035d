"""``import kale_pm`` in a script: the same verbs, with values and exceptions."""

from __future__ import annotations

import pytest


def said(answer):
    assert answer.code == 0, answer.err
    return answer.out.splitlines()


@pytest.fixture
def rich(notebook):
    """A notebook whose parameters are called like options, with a class of its own."""
    return notebook(
        "rich.ipynb",
        ("parameters", "n: int = 2\njobs: int = 7\nparameters: int = 5"),
        ("functions", "class Thing:\n    pass"),
        ("block:make", "numbers = list(range(n))\nthing = Thing()"),
        ("block:add prev:make", "total = sum(numbers) + jobs + parameters\nprint(thing)"),
        ("metrics", "print(total)"),
    )


def test_a_pipeline_and_its_run_are_objects(rich, python):
    out = said(
        python(
            "import kale_pm\n"
            "pipeline = kale_pm.load('rich.ipynb')\n"
            "print(pipeline, pipeline.check())\n"
            "run = pipeline.run(n=4, jobs=1)\n"
            "print(run.state.value, dict(run.metrics), run['numbers'], run['total'])\n"
            "print(list(run.steps), run.steps['add'].notebook.is_file(), run.report.is_file())\n"
            "print(dict(run.parameters))\n"
            "again = pipeline.run(parameters={'jobs': 1, 'parameters': 0})\n"
            "print(again.metrics['total'], again.steps['make'].state.value)\n"
        )
    )

    assert out == [
        "Pipeline('rich', steps=['make', 'add']) ()",
        "done {'total': 18} [0, 1, 2, 3] 18",
        "['make', 'add'] True True",
        "{'n': 4, 'jobs': 7, 'parameters': 5}",
        "2 done",
    ]


def test_variables_are_there_in_another_process(rich, kale, python):
    assert kale("run", "rich.ipynb").code == 0
    out = said(
        python(
            "from kale_pm.errors import LoadError\n"
            "from kale_pm.face import find_run\n"
            "run = find_run('rich.ipynb')\n"
            "print(run['numbers'])\n"
            "for name in ('thing', 'nothing'):\n"
            "    try:\n"
            "        print(run[name])\n"
            "    except LoadError as error:\n"
            "        print(f'{error} / {error.hint}')\n"
        )
    )

    assert out[0] == "[0, 1]"
    assert "thing" in out[1]
    assert "define the notebook's functions and classes first" in out[1]
    assert "stored 'nothing'" in out[2]
    assert "numbers" in out[2]


def test_a_metric_that_is_not_finite_is_a_float_in_python_and_a_text_in_json(
    notebook, kale, python
):
    notebook("nan.ipynb", ("block:one", "loss = float('nan')"), ("metrics", "print(loss)"))
    assert '"loss": "NaN"' in kale("run", "nan.ipynb", "--json").out

    loss = said(python("from kale_pm import face\nprint(repr(face.find_run().metrics['loss']))"))
    assert loss == ["nan"]


def test_a_failing_step_raises_with_the_whole_run(notebook, python):
    notebook("broken.ipynb", ("block:make", "x = 1"), ("block:fail prev:make", "x / 0"))
    out = said(
        python(
            "import kale_pm\n"
            "from kale_pm.errors import StepFailed\n"
            "try:\n"
            "    kale_pm.run('broken.ipynb')\n"
            "except StepFailed as error:\n"
            "    print(error.step, error.run.state.value, error.run.steps['make'].state.value)\n"
            "    print(error.notebook == str(error.run.steps['fail'].notebook))\n"
        )
    )

    assert out == ["fail failed done", "True"]


def test_wrong_values_are_refused_before_anything_runs(rich, python, tmp_path):
    out = said(
        python(
            "import kale_pm\n"
            "from kale_pm.errors import KalePmError\n"
            "pipeline = kale_pm.load('rich.ipynb')\n"
            "for call in (\n"
            "    lambda: pipeline.run(m=1),\n"
            "    lambda: pipeline.run(n='many'),\n"
            "    lambda: pipeline.run(n=2.5),\n"
            "    lambda: pipeline.run(only='mak'),\n"
            "    lambda: pipeline.run(jobs=0),\n"
            "    lambda: kale_pm.load('rihc.ipynb'),\n"
            "):\n"
            "    try:\n"
            "        call()\n"
            "    except KalePmError as error:\n"
            "        print(type(error).__name__)\n"
        )
    )

    assert out == ["ParameterError"] * 3 + ["UsageError"] * 2 + ["NotebookError"]
    assert not (tmp_path / ".kale-pm").exists()


def test_compile_gives_where_it_wrote(chain, python, tmp_path):
    out = said(
        python(
            "import kale_pm\n"
            "print(kale_pm.compile('chain.ipynb').path)\n"
            "print(kale_pm.load('chain.ipynb').compile('p.yaml', dsl='p.py').dsl_path)\n"
        )
    )

    assert out[-2:] == ["chain.yaml", "p.py"]
    assert (tmp_path / "chain.yaml").is_file()
