"""What is said of a sweep before it starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny_notebooks import write_notebook

from kale_pm.analysis import understand
from kale_pm.notebook import read
from kale_pm.sweep import plan_sweep, space_of, trials

Warned = Callable[..., tuple[str, ...]]

BASH = {"name": "bash", "display_name": "Bash", "language": "bash"}


@pytest.fixture
def warned(tmp_path: Path) -> Warned:
    def warned(
        *cells: tuple[str, str], kernelspec: dict[str, str] | None = None, **given: Any
    ) -> tuple[str, ...]:
        """The warnings of a sweep of the cells, given as ("tags separated by spaces", source)."""
        metadata = {"kernelspec": kernelspec or {}}
        pipeline = understand(read(write_notebook(tmp_path / "train.ipynb", cells, metadata)))
        assert not pipeline.errors
        space = space_of(pipeline.parameters, given)
        return plan_sweep(pipeline, trials(pipeline.parameters, space)[0], space.names).warnings

    return warned


class TestSharing:
    def test_a_prelude_that_reads_the_parameter_leaves_nothing_to_share(
        self, warned: Warned
    ) -> None:
        cells = [
            ("parameters", "lr = 0.1\ndepth = 3"),
            ("functions", "rate = lr * 2"),
            ("block:load", "rows = [1]"),
            ("block:train", "model = [depth, rows]"),
        ]
        assert warned(*cells, lr=[1, 2]) == (
            "the prelude reads lr (cell 2): every step depends on it",
        )
        assert warned(*cells, depth=[1, 2]) == ()

    def test_a_parameter_computed_from_another_is_such_a_prelude(self, warned: Warned) -> None:
        cells = [("parameters", "n = 1\nm = n * 2"), ("block:load", "rows = [m]")]
        assert warned(*cells, n=[1, 2]) == (
            "the prelude reads n (cell 1): every step depends on it",
        )

    def test_a_function_that_only_a_step_calls_is_none(self, warned: Warned) -> None:
        cells = [
            ("parameters", "n = 1"),
            ("functions", "def double():\n    return n * 2"),
            ("block:load", "rows = [double()]"),
        ]
        assert warned(*cells, n=[1, 2]) == ()

    def test_a_parameter_that_no_step_reads_is_told(self, warned: Warned) -> None:
        cells = [("parameters", "n = 1\nm = 2"), ("block:load", "rows = [m]")]
        assert warned(*cells, n=[1, 2]) == ("no step reads n: its values make no difference",)

    def test_another_language_shares_nothing_not_even_its_files(self, warned: Warned) -> None:
        (warning,) = warned(
            ("parameters", "n=1"),
            ("block:load", "seq $n > rows.txt"),
            ("block:count", "wc -l < rows.txt"),
            kernelspec=BASH,
            n=["1", "2"],
        )
        assert "cells of bash are not analysed" in warning
        assert "a file of one name is written by all trials" in warning


class TestFiles:
    @pytest.mark.parametrize(
        "source",
        [
            "open('model.pkl', 'w').write(str(lr))",
            "import pickle\nwith open('model.pkl', 'wb') as file:\n    pickle.dump(lr, file)",
            "from pathlib import Path\nPath('model.pkl').write_text(str(lr))",
            "target = 'model.pkl'\nimport joblib\njoblib.dump(lr, target)",
            "import joblib\njoblib.dump(lr, kept)",
        ],
    )
    def test_one_that_every_trial_writes_is_told(self, warned: Warned, source: str) -> None:
        cells = [("parameters", "lr = 0.1\nkept = 'model.pkl'"), ("block:train", source)]
        (warning,) = warned(*cells, lr=[1, 2])
        assert warning == (
            "step train (cell 2) writes 'model.pkl' in every trial: put a parameter into its name, "
            "or use -j 1"
        )

    @pytest.mark.parametrize(
        ("reader", "writer"),
        [
            # Trials of one lr are no neighbours, since those of one depth are.
            ("block:grow", "open('model.txt', 'w').write(str(lr))"),
            # What is written by the one is written over by the other.
            ("block:grow prev:train", "open('model.txt', 'w').write(str(lr))"),
        ],
    )
    def test_one_job_is_no_advice_where_others_come_between(
        self, warned: Warned, reader: str, writer: str
    ) -> None:
        grow, train = (reader, "grown = depth"), ("block:train", writer)
        own = "\nopen('model.txt', 'w').write(str(depth))"
        cells = [grow, train] if reader == "block:grow" else [train, (reader, grow[1] + own)]
        found = warned(("parameters", "lr = 1\ndepth = 2"), *cells, lr=[1, 2], depth=[1, 2])
        assert found
        assert all(text.endswith("put a parameter into its name") for text in found)

    @pytest.mark.parametrize(
        "source",
        [
            "open(f'model-{lr}.pkl', 'w').write('')",
            "open('model.pkl').read(), lr",
            "import joblib\njoblib.dump(lr, kept + '.pkl')",
            "import pandas as pd\npd.Series([lr]).to_frame('model')",
            "text = 'model.pkl', lr",
        ],
    )
    def test_one_that_varies_or_is_not_written_is_not(self, warned: Warned, source: str) -> None:
        cells = [
            ("parameters", "lr = 0.1\nkept = 'model'"),
            ("block:train", f"{source}\nused = lr, kept"),
        ]
        assert warned(*cells, lr=[1, 2], kept=["a", "b"]) == ()

    def test_a_step_that_runs_once_writes_its_file_once(self, warned: Warned) -> None:
        cells = [
            ("parameters", "lr = 0.1"),
            ("block:load", "open('rows.csv', 'w').write('1')\nrows = [1]"),
            ("block:train", "model = [lr, rows]"),
        ]
        assert warned(*cells, lr=[1, 2]) == ()

    def test_a_step_below_what_varies_is_executed_again_too(self, warned: Warned) -> None:
        cells = [
            ("parameters", "lr = 0.1"),
            ("block:train", "model = [lr]"),
            ("block:report prev:train", "open('report.txt', 'w').write(str(model))"),
            ("", "open('report.txt', 'a').write('end')"),
        ]
        (warning,) = warned(*cells, lr=[1, 2])
        assert warning.startswith("step report (cell 3) writes 'report.txt'")

    def test_one_trial_is_a_run_and_nothing_is_said(self, warned: Warned) -> None:
        cells = [("parameters", "lr = 0.1"), ("block:train", "open('a.txt', 'w').write(str(lr))")]
        assert warned(*cells, lr=2) == ()
