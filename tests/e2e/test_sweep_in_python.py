"""``pipeline.sweep`` in a script or a notebook."""

from __future__ import annotations

import pytest


@pytest.fixture
def tune(notebook):
    """``depth`` reaches the model, ``lr`` only its score."""
    return notebook(
        "tune.ipynb",
        ("parameters", "lr: float = 0.1\ndepth: int = 3\nbest: int = 1"),
        ("block:train", "if depth == 0:\n    raise ValueError('too flat')\nmodel = [depth] * 10"),
        ("block:score prev:train", "print(model)\naccuracy = best - lr - abs(depth - 5) / 100"),
        ("metrics", "print(accuracy)"),
    )


def said(answer):
    assert answer.code == 0, answer.err
    return answer.out.splitlines()


def test_a_sweep_its_trials_and_the_best_of_them(tune, python):
    out = said(
        python(
            "import kale_pm\n"
            "pipeline = kale_pm.load('tune.ipynb')\n"
            "plan = pipeline.plan_sweep(lr=[0.1, 0.2], depth=range(3, 9, 2))\n"
            "print(plan.count, plan.unshared, dict(plan.by_step))\n"
            "sweep = pipeline.sweep(lr=[0.2, 0.1], depth=range(3, 9, 2), best='accuracy:max')\n"
            "print(sweep.state.value, len(sweep.trials), sweep.report.is_file())\n"
            "print(sweep.best, sweep.best.run['model'][0], sweep.best.run.parameters['lr'])\n"
            "print(sweep.best_by('accuracy:min').number, sweep.trial(2).metrics['accuracy'])\n"
            "print(sweep.trials[0].run.report.is_file(), sweep.results.read_text().count(','))\n"
            "frame = sweep.frame()\n"
            "print(frame.loc[5, 'accuracy'], list(frame.columns), frame.index.name)\n"
            "again = kale_pm.find_sweep('tune.ipynb')\n"
            "print(again.record == sweep.record, again.to_dict()['best'])\n"
            "html = sweep._repr_html_()\n"
            "print('★ 5' in html, '<svg' in html, '<script' in html)\n"
        )
    )

    assert out == [
        "9 12 {'train': 3, 'score': 6}",
        "done 6 True",
        "SweepTrial(5, {'lr': 0.1, 'depth': 5}, done) 5 0.1",
        "1 0.8",
        "True 42",
        "0.9 ['state', 'lr', 'depth', 'accuracy', 'seconds', 'run'] trial",
        "True 5",
        "True True False",
    ]


def test_values_come_from_ranges_files_lists_and_frames(tune, python, tmp_path):
    (tmp_path / "trials.csv").write_text("depth\n3\n5\n")
    out = said(
        python(
            "import kale_pm, numpy, pandas\n"
            "from kale_pm.errors import KalePmError\n"
            "plan = kale_pm.load('tune.ipynb').plan_sweep\n"
            "def told(name, *arguments, **options):\n"
            "    print([trial.parameters[name] for trial in plan(*arguments, **options).trials])\n"
            "told('lr', lr=kale_pm.Range(0.001, 0.1, 3, log=True))\n"
            "told('depth', depth=numpy.arange(2, 5))\n"
            "told('depth', trials='trials.csv')\n"
            "told('depth', trials=[{'depth': 7}, {'depth': 9}], lr=0.5)\n"
            "told('lr', trials=pandas.DataFrame({'lr': [0.5, 0.25]}))\n"
            "told('best', parameters={'best': [3, 4]})\n"
            "drawn = plan(lr=kale_pm.Range(0, 1), random=4, seed=3)\n"
            "print(len(drawn.trials), drawn == plan(lr=kale_pm.Range(0, 1), random=4, seed=3))\n"
            "wrong = [{}, {'lrr': [1]}, {'depth': []}, {'depth': ['x']}, {'trials': 'no.csv'}]\n"
            "for given in wrong:\n"
            "    try:\n"
            "        plan(**given)\n"
            "    except KalePmError as error:\n"
            "        print(error)\n"
        )
    )

    assert out[:7] == [
        "[0.001, 0.01, 0.1]",
        "[2, 3, 4]",
        "[3, 5]",
        "[7, 9]",
        "[0.5, 0.25]",
        "[3, 4]",
        "4 True",
    ]
    assert [line.partition(":")[0] for line in out[7:]] == [
        "nothing varies",
        "parameter 'lrr'",
        "parameter 'depth'",
        "parameter 'depth'",
        "no.csv",
    ]


def test_a_failing_trial_is_no_exception_and_can_be_tried_again(tune, notebook, python):
    out = said(
        python(
            "import kale_pm\n"
            "from kale_pm.errors import KalePmError, UsageError\n"
            "from kale_pm.events import OfTrial, StepStarted\n"
            "def told(call):\n"
            "    try:\n"
            "        print(call())\n"
            "    except KalePmError as error:\n"
            "        print(f'{type(error).__name__}: {error} / {error.hint}')\n"
            "sweep = kale_pm.load('tune.ipynb').sweep(depth=[0, 3], reports=0)\n"
            "print(sweep.state.value, [(f.number, f.error) for f in sweep.failures])\n"
            "told(lambda: sweep.best)\n"
            "told(lambda: sweep.best_by('acuracy:max'))\n"
            "told(lambda: sweep.trial(3))\n"
            "print(sweep.trials[1].run.report.exists())\n"
            "text = open('tune.ipynb').read()\n"
            "open('tune.ipynb', 'w').write(text.replace('depth == 0', 'depth == -1'))\n"
            "begun = []\n"
            "def hear(event):\n"
            "    if isinstance(event, OfTrial) and isinstance(event.event, StepStarted):\n"
            "        begun.append((event.number, event.event.step))\n"
            "again = sweep.retry(listener=hear)\n"
            "print(again.id == sweep.id, again.state.value, begun)\n"
            "print(again.trial(1).run.id.endswith('.0001r2'), again.frame().state.tolist())\n"
            "told(again.retry)\n"
        )
    )

    assert out[0] == "failed [(1, 'train: ValueError: too flat')]"
    assert out[1].startswith("UsageError: sweep tune-")
    assert "has no goal / say what is the best: sweep.best_by('accuracy:max')" in out[1]
    assert out[2] == (
        "KalePmError: no trial that is done has a finite number as 'acuracy'"
        " / did you mean 'accuracy'? metrics: accuracy"
    )
    assert out[3].endswith("has no trial 3 / trials: 1 to 2")
    assert out[4] == "False"
    assert out[5] == "True done [(1, 'train'), (1, 'score')]"
    assert out[6] == "True ['done', 'done']"
    assert out[7].startswith("UsageError: all trials of tune-")


def test_what_is_to_be_known_before_is_a_warning_and_is_kept(notebook, python):
    notebook(
        "files.ipynb",
        ("parameters", "lr = 0.1"),
        ("block:a", "with open('model.txt', 'w') as file:\n    file.write(str(lr))\nloss = lr"),
        ("metrics", "print(loss)"),
    )
    out = said(
        python(
            "import kale_pm, warnings\n"
            "pipeline = kale_pm.load('files.ipynb')\n"
            "with warnings.catch_warnings(record=True) as caught:\n"
            "    sweep = pipeline.sweep(lr=[1, 2], best='los:min')\n"
            "print([str(each.message) for each in caught] == list(sweep.warnings))\n"
            "print(sweep.warnings[0])\n"
            "print(sweep.warnings[1])\n"
            "print(kale_pm.find_sweep().warnings == sweep.warnings)\n"
        )
    )

    written = "step a (cell 2) writes 'model.txt' in every trial"
    assert out == [
        "True",
        f"{written}: put a parameter into its name, or use -j 1",
        "no cell names a metric 'los': did you mean 'loss'?",
        "True",
    ]
