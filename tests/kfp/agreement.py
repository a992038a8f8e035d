"""What two executions of one step are compared by."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from kale_pm.face import Run


def notebook_of(run: Run, step: str) -> Path:
    path = run.steps[step].notebook
    assert path is not None
    return path


def outputs(notebook: Path) -> list[Any]:
    """What the cells of a notebook show, without times and memory addresses."""
    cells = json.loads(notebook.read_text(encoding="utf-8"))["cells"]
    return [list(shown(cell)) for cell in cells if cell["cell_type"] == "code"]


def shown(cell: dict[str, Any]) -> Iterator[Any]:
    for output in cell["outputs"]:
        if output["output_type"] == "stream":
            text = "".join(output["text"])
            yield re.sub(r"(CPU times|Wall time):.*", r"\1", text)
        else:
            data = {
                mime: "".join(text) if isinstance(text, list) else text
                for mime, text in output["data"].items()
            }
            data["text/plain"] = re.sub(r"0x[0-9a-f]+", "0x", data.get("text/plain", ""))
            yield data


def executed_by_kfp(folder: Path, step: str) -> Path:
    """The notebook of a step in the ``folder`` of a pipeline that kfp.local ran."""
    return folder / f"step-{step.replace('_', '-')}" / "notebook" / f"{step}.ipynb"
