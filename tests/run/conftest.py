"""``run(cells, **parameters)``: a tiny notebook, written and run in real kernels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from tiny_notebooks import write_notebook

from kale_pm.analysis import understand
from kale_pm.events import Event, StepStarted, Warned
from kale_pm.local import RunOptions, run_pipeline
from kale_pm.model import Pipeline
from kale_pm.notebook import read
from kale_pm.record import CellError, RunRecord, State

Cells = Sequence[tuple[str, str]]  # tags, separated by spaces, and source


@dataclass
class Ran:
    """What a run did."""

    record: RunRecord
    folder: Path
    events: list[Event]

    def state(self, step: str) -> State:
        return self.record.steps[step].state

    def states(self) -> dict[str, str]:
        return {name: step.state.value for name, step in self.record.steps.items()}

    @property
    def executed(self) -> list[str]:
        """The steps for which a kernel was started."""
        return sorted(event.step for event in self.events if isinstance(event, StepStarted))

    @property
    def warnings(self) -> list[str]:
        return [event.message for event in self.events if isinstance(event, Warned)]

    def error(self, step: str) -> CellError:
        error = self.record.steps[step].error
        assert error is not None
        return error

    def why(self, step: str) -> str:
        return self.record.steps[step].why

    def notebook(self, step: str) -> Any:
        import nbformat

        path = self.record.steps[step].notebook
        assert path is not None
        return nbformat.read(self.folder / path, as_version=4)

    def printed(self, step: str) -> str:
        """All that the step's cells wrote to stdout."""
        return "".join(
            output["text"]
            for cell in self.notebook(step).cells
            for output in cell.get("outputs", ())
            if output["output_type"] == "stream" and output["name"] == "stdout"
        )

    def raise_for_failures(self) -> Ran:
        for step in self.record.failures:
            error = step.error
            assert error is not None
            pytest.fail(f"{step.name}: {error.ename}: {error.evalue}\n{error.traceback}")
        return self


@dataclass(frozen=True)
class Runner:
    """Writes a notebook in its folder and runs it; ``options`` are fields of RunOptions."""

    folder: Path
    name: str = "notebook.ipynb"
    metadata: Mapping[str, Any] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)

    @property
    def path(self) -> Path:
        return self.folder / self.name

    @property
    def store(self) -> Path:
        return self.folder / ".kale-pm"

    def __call__(self, cells: Cells | None = None, **parameters: Any) -> Ran:
        """Run ``cells``, or once more the notebook that is there; failures are no exception."""
        if cells is not None:
            self.write_cells(cells)
        events: list[Event] = []
        options = RunOptions(parameters, **{"jobs": 2, **self.options})
        record, folder = run_pipeline(self.pipeline(), options, events.append)
        return Ran(record, folder, events)

    def pipeline(self) -> Pipeline:
        return understand(read(self.path))

    def named(self, name: str) -> Runner:
        return replace(self, name=name)

    def with_metadata(self, **metadata: Any) -> Runner:
        return replace(self, metadata=metadata)

    def with_options(self, **options: Any) -> Runner:
        return replace(self, options=options)

    def write_cells(self, cells: Cells) -> None:
        write_notebook(self.path, cells, self.metadata)

    def write(self, name: str, text: str) -> Path:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        return path


@pytest.fixture
def run(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


@pytest.fixture(scope="module")
def run_once(tmp_path_factory: pytest.TempPathFactory) -> Runner:
    """For what many tests of a module begin with: they work on copies of its folder."""
    return Runner(tmp_path_factory.mktemp("once"))
