"""The house: imports point down, and one file alone prints."""

from __future__ import annotations

import ast
import sys
from functools import cache
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "kale_pm"

# From the ground up; a part may import those below it, never one beside or above it.
FLOORS = (
    {"errors", "model", "settings", "record", "events", "strict_json", "user_frames"},
    {"notebook", "runtime", "trials"},
    {"analysis", "slicing"},
    {"sweep"},
    {"local", "kfp", "report"},
    {"face"},
    {"terminal"},
    {"console"},
    {"commands"},
    {"cli"},
    {"sdk"},  # a door of its own: a script is its own command line
)
NOUNS = FLOORS[0]
LIGHT = NOUNS | {"notebook", "trials", "analysis", "slicing", "sweep"}
LEVEL = {part: level for level, floor in enumerate(FLOORS) for part in floor}
HEAVY = {"papermill", "kfp", "kubernetes", "rich", "nbclient", "nbconvert", "jupyter_client"}


# What executes a run, in kale_pm/local.
DRIVING = {
    "run",
    "scheduler",
    "step",
    "live",
    "explain",
    "executing",
    "records",
    "workplace",
}

# What starts runs on a KFP server, in kale_pm/kfp.
SUBMITTING = {"submission", "submit", "submit_trials", "cluster_run", "own_volumes"}


def part_of(file: Path) -> str:
    inner = file.relative_to(PACKAGE)
    return inner.parts[0].removesuffix(".py")


@cache
def imports(file: Path) -> tuple[str, ...]:
    """Every module that the file imports, also inside of functions."""
    found: list[str] = []
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert not node.level, f"{file}: imports are absolute"
            module = node.module or ""
            found.append(module)
            if module.split(".")[0] == "kale_pm":  # what is imported of it may be a module
                found += [f"{module}.{alias.name}" for alias in node.names]
    return tuple(found)


FILES = [
    pytest.param(file, id=str(file.relative_to(PACKAGE)))
    for file in sorted(PACKAGE.rglob("*.py"))
    if file.name not in ("__init__.py", "__main__.py") or file.parent != PACKAGE
]


def files_of(*parts: str) -> list[Path]:
    return [file for file in sorted(PACKAGE.rglob("*.py")) if part_of(file) in parts]


@pytest.mark.parametrize("file", FILES)
def test_imports_point_down(file: Path) -> None:
    here = part_of(file)
    for module in imports(file):
        parts = module.split(".")
        if parts[0] != "kale_pm" or len(parts) == 1 or parts[1] in (here, "__version__"):
            continue
        there = parts[1]
        assert there in LEVEL, f"{there} has no floor in this test"
        below = LEVEL[there] < LEVEL[here] or {here, there} <= NOUNS
        assert below, f"{here} must not import {there}"


def test_understanding_needs_nothing_heavy() -> None:
    for file in files_of(*LIGHT):
        heavy = {module.split(".")[0] for module in imports(file)} & HEAVY
        assert not heavy, file


def test_the_runtime_travels_with_the_nouns_only() -> None:
    for file in files_of("runtime"):
        ours = {m.split(".")[1] for m in imports(file) if m.startswith("kale_pm.")}
        assert ours <= {"runtime", "errors", "record", "events", "strict_json"}, file


def test_trials_travel_with_less_and_the_standard_library() -> None:
    for file in files_of("trials"):
        tops = {module.split(".")[0] for module in imports(file)}
        assert tops <= sys.stdlib_module_names | {"kale_pm"}, file
        ours = {m.split(".")[1] for m in imports(file) if m.startswith("kale_pm.")}
        assert ours <= {"trials", "errors", "strict_json"}, file


@pytest.mark.parametrize("file", FILES)
def test_one_file_alone_prints(file: Path) -> None:
    if part_of(file) in {"console", "runtime"}:  # the runtime speaks in the notebook and in the pod
        return
    calls = [node for node in ast.walk(ast.parse(file.read_text())) if isinstance(node, ast.Call)]
    called = {call.lineno: ast.unparse(call.func) for call in calls}
    assert not {n: name for n, name in called.items() if name in {"print", "typer.echo"}}


@pytest.mark.parametrize(
    ("room", "above"),
    [
        ("analysis/code", {"flow", "understand"}),
        ("analysis/flow", {"understand"}),
        (
            "runtime/storage",
            {"execution", "pod", "step", "giving", "receiving", "manifest", "by_hand"},
        ),
        ("runtime/execution", {"pod", "storage", "step"}),
        ("local/kernels", {"cache", "results", "sweeping"} | DRIVING),
        ("local/cache", {"results", "sweeping"} | DRIVING),
        ("local/results", {"sweeping"} | DRIVING),
        ("kfp/compiling", {"server", "cluster"} | SUBMITTING),
        ("kfp/server", {"compiling", "cluster"} | SUBMITTING),
        ("kfp/cluster", {"compiling", "server"} | SUBMITTING),
    ],
)
def test_rooms_of_one_part_are_in_order_too(room: str, above: set[str]) -> None:
    part = room.split("/", maxsplit=1)[0]
    files = [file for file in files_of(part) if (PACKAGE / room) in file.parents]
    files += [file for file in files_of(part) if file == PACKAGE / f"{room}.py"]
    assert files
    for file in files:
        beside = {m.split(".")[2] for m in imports(file) if m.startswith(f"kale_pm.{part}.")}
        assert not beside & above, file
