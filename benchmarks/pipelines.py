"""Small pipelines of notebooks, and the files in which each tool wants them.

What flows from step to step flows in kale-pm's only: the notebooks of the others have the same
cells, with a number in place of what an earlier step would give.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

LAYERS = 3  # between the first step and the last
LINE = 100  # bytes of a line that a cell prints, its end included
TABLE = 1_000  # lines that are printed at once


@dataclass(frozen=True)
class Step:
    """``cells`` are what kale-pm runs, ``alone`` the same without what earlier steps give."""

    name: str
    parents: tuple[str, ...]
    cells: tuple[str, ...]
    alone: tuple[str, ...]


def layered(count: int) -> list[Step]:
    """A first step, three layers side by side of which each step follows one, and a last step."""
    middle = max(0, count - 2)
    width = max(1, -(-middle // LAYERS))
    steps = [_trivial(0, ())]
    for number in range(1, middle + 1):
        steps.append(_trivial(number, (max(0, number - width),)))
    followed = {parent for step in steps for parent in step.parents}
    ends = [number for number, step in enumerate(steps) if step.name not in followed]
    return [*steps, _trivial(len(steps), ends)] if count > 1 else steps


def _trivial(number: int, parents: Sequence[int]) -> Step:
    given = " + ".join([*(f"value_{parent}" for parent in parents), "1"])
    shown = f"print(value_{number})"
    return Step(
        _name(number),
        tuple(_name(parent) for parent in parents),
        (f"value_{number} = {given}", shown),
        (f"value_{number} = {number}", shown),
    )


def chatty(count: int, size: int) -> list[Step]:
    """Independent steps of one cell that prints ``size`` bytes."""
    return [_same(_name(number), [_print(size)]) for number in range(count)]


def single(cells: int, size: int = 0) -> list[Step]:
    """One step of many cells, each of which prints ``size`` bytes, or its number."""
    return [_same("only", [_print(size) if size else f"print({n})" for n in range(cells)])]


def _same(name: str, cells: Iterable[str]) -> Step:
    return Step(name, (), tuple(cells), tuple(cells))


def _print(size: int) -> str:
    tables = size // (LINE * TABLE)
    table = f"table = ('x' * {LINE - 1} + '\\n') * {TABLE}"
    return f"{table}\nfor _ in range({tables}):\n    print(table, end='')"


def _name(number: int) -> str:
    return f"step_{number}"


# -- files ------------------------------------------------------------------------------------


def write_tagged(steps: Sequence[Step], folder: Path) -> Path:
    """One notebook of all steps in kale-pm's tags; its path."""
    cells: list[tuple[Sequence[str], str]] = []
    for step in steps:
        tags = [f"step:{step.name}", *(f"prev:{parent}" for parent in step.parents)]
        for source in step.cells:
            cells.append((tags, source))
            tags = []
    path = folder / "pipeline.ipynb"
    path.write_text(notebook(cells), encoding="utf-8")
    return path


def write_notebooks(steps: Sequence[Step], folder: Path) -> list[Path]:
    """A notebook for each step, in an order in which they can be run; their paths."""
    paths = []
    for step in steps:
        path = folder / f"{step.name}.ipynb"
        path.write_text(notebook(([], source) for source in step.alone), encoding="utf-8")
        paths.append(path)
    return paths


def write_ploomber(steps: Sequence[Step], folder: Path) -> None:
    """``pipeline.yaml`` and its notebooks, for the Parallel executor."""
    for step in steps:
        upstream = f"upstream = {list(step.parents) or None}\nproduct = None"
        cells = [(["parameters"], upstream), *(([], source) for source in step.alone)]
        (folder / f"{step.name}.ipynb").write_text(notebook(cells), encoding="utf-8")
    tasks = [
        {"source": f"{step.name}.ipynb", "product": f"executed/{step.name}.ipynb"} for step in steps
    ]
    content = json.dumps({"executor": "parallel", "tasks": tasks})  # which is YAML, too
    (folder / "pipeline.yaml").write_text(content, encoding="utf-8")


def write_elyra(steps: Sequence[Step], folder: Path) -> Path:
    """A pipeline for Elyra's local runner, and its notebooks; its path."""
    write_notebooks(steps, folder)
    settings = {
        "version": 8,
        "name": "benchmark",
        "source": "benchmark.pipeline",
        "runtime": "local",
        "ui_data": {"comments": []},
        "properties": {"name": "benchmark", "runtime": "Generic"},
    }
    flow: dict[str, Any] = {"id": "benchmark", "nodes": [_elyra_node(step) for step in steps]}
    flow |= {"app_data": settings, "runtime_ref": ""}
    content: dict[str, Any] = {
        "doc_type": "pipeline",
        "version": "3.0",
        "id": "benchmark",
        "schemas": [],
    }
    content |= {"primary_pipeline": "benchmark", "pipelines": [flow]}
    path = folder / "benchmark.pipeline"
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def _elyra_node(step: Step) -> dict[str, Any]:
    links = [
        {"id": f"{parent}-{step.name}", "node_id_ref": parent, "port_id_ref": "outPort"}
        for parent in step.parents
    ]
    parameters = {
        "filename": f"{step.name}.ipynb",
        "runtime_image": "python:3.11",  # asked for, though the local runner needs none
        "dependencies": [],
        "include_subdirectories": False,
        "env_vars": [],
        "outputs": [],
    }
    return {
        "id": step.name,
        "type": "execution_node",
        "op": "execute-notebook-node",
        "app_data": {
            "label": step.name,
            "ui_data": {"label": step.name},
            "component_parameters": parameters,
        },
        "inputs": [{"id": "inPort", "links": links}],
        "outputs": [{"id": "outPort"}],
    }


def notebook(cells: Iterable[tuple[Sequence[str], str]]) -> str:
    """A notebook as JSON, of cells by their tags and source."""
    kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
    content = {
        "nbformat": 4,
        "nbformat_minor": 5,
        "metadata": {"kernelspec": kernel, "language_info": {"name": "python"}},
        "cells": [
            {
                "cell_type": "code",
                "id": f"cell-{number}",
                "execution_count": None,
                "metadata": {"tags": list(tags)} if tags else {},
                "outputs": [],
                "source": source,
            }
            for number, (tags, source) in enumerate(cells)
        ],
    }
    return json.dumps(content)
