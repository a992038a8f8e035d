"""What travels inside the compiled pipeline: a step's files, and the runtime.

Both are archives in base64, byte for byte the same for the same content.
"""

from __future__ import annotations

import ast
import base64
import io
import lzma
import re
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kale_pm.errors import CompileError
from kale_pm.kfp.compiling.component import Component
from kale_pm.kfp.compiling.volumes import SharedVolume
from kale_pm.runtime.pod.packing import packed

if TYPE_CHECKING:
    from nbformat import NotebookNode

# A zip archive cannot hold an earlier time, and a real one would change its bytes.
EPOCH = (1980, 1, 1, 0, 0, 0)

# All of it fits into the window; that of preset 9 would take 64 MiB in each pod, and time.
_FILTERS = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": 1 << 20}]
# How a text of many lines begins, or goes on.
_LONG_TEXT = re.compile("\"{3}|'{3}|\\\\\n")
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)


def archive(members: Mapping[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip archive of ``members`` (path -> content)."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name in sorted(members):
            entry = zipfile.ZipInfo(name, EPOCH)
            entry.compress_type = compression
            entry.external_attr = 0o644 << 16
            entry.create_system = 3  # Unix, on whatever machine this runs
            file.writestr(entry, members[name], compresslevel=9)
    return buffer.getvalue()


def step_bundle(
    component: Component,
    slice_: NotebookNode,
    files: Mapping[str, bytes],
    users: Mapping[str, Sequence[str]],
    shared: SharedVolume | None = None,
) -> str:
    """The slice, the ``files`` of its working folder, and what a pod must know beside.

    ``users`` are the steps that need a variable from this one.  ``shared`` is the volume that
    all pods of the run mount, if there is one.
    """
    options = component.step.options
    facts: dict[str, Any] = {
        "parameters": {
            f"p_{p.kfp_name}": {
                "name": p.name,
                "type": p.parameter.type,
                "default": p.default,
            }
            for p in component.parameters
        },
        "secrets": sorted({secret.variable for secret in options.secrets}),
        "artifacts": {each.name: each.path for each in options.artifacts},
        "report": options.report is not False,
        "timeout": options.timeout,
        "users": users,
        "packs": None if shared is None else shared.packs,
        "diary": shared is not None and shared.has_report,
    }
    content = {
        "facts": facts,
        "notebook": slice_,
        "files": {name: base64.b64encode(data).decode() for name, data in files.items()},
    }
    return packed(content)


def named_files(folder: Path, globs: Iterable[str]) -> tuple[dict[str, bytes], tuple[str, ...]]:
    """The files in ``folder`` that ``globs`` name, by relative path, and warnings.

    A folder stands for all that is in it.  Raises CompileError for a glob that leads out.
    """
    found: dict[str, bytes] = {}
    warnings = []
    for glob in globs:
        if Path(glob).is_absolute() or ".." in Path(glob).parts:
            raise CompileError(
                f"files: '{glob}' leads out of the notebook's folder",
                hint="write it relative to the notebook, or put the data on a volume",
            )
        matches = sorted(folder.glob(glob))
        if not matches:
            warnings.append(f"files: '{glob}' matches nothing beside the notebook")
        for match in matches:
            for path in sorted(match.rglob("*")) if match.is_dir() else [match]:
                relative = path.relative_to(folder)
                if path.is_file() and not {".kale-pm", "__pycache__"} & set(relative.parts):
                    found[relative.as_posix()] = path.read_bytes()
    return found, tuple(warnings)


@cache
def runtime_archive() -> str:
    """``kale_pm.runtime`` and the modules of kale_pm that it imports, packed by xz, in base64.

    Without comments and docstrings, which are a third of it.  Modules of helpers may import
    ``kale_pm.sdk``, so its first file is there as well.
    """
    return _with_imports(_files("runtime", "sdk/__init__.py"))


@cache
def closing_archive() -> str:
    """``kale_pm.report``, what the exit task calls, and the modules that they import."""
    return _with_imports(
        _files("report", "pages.css", "runtime/style.css", "runtime/pod/closing.py")
    )


@cache
def selecting_archive() -> str:
    """``kale_pm.trials``, by which the last step of a sweep chooses, and what that needs."""
    return _with_imports(_files("trials", "pages.css", "runtime/pod/parameters.py"))


def _files(*parts: str) -> list[Path]:
    """The files of these parts of the package, and its own first one."""
    import kale_pm

    package = Path(kale_pm.__file__)
    found = [package]
    for part in parts:
        path = package.parent / part
        found += sorted(path.rglob("*")) if path.is_dir() else [path]
    return [path for path in found if path.is_file() and "__pycache__" not in path.parts]


def _with_imports(files: Sequence[Path]) -> str:
    package = files[0].parent
    found: dict[str, bytes] = {}
    waiting = list(files)
    while waiting:
        path = waiting.pop()
        name = path.relative_to(package.parent).as_posix()
        if name in found:
            continue
        found[name] = path.read_bytes()
        if path.suffix == ".py":
            tree = ast.parse(found[name])
            waiting += _own_modules(tree, package)
            found[name] = _bare(found[name].decode(), tree).encode()
    # Many small files of one language: packed as a whole they take a third less.
    packed = lzma.compress(archive(found, zipfile.ZIP_STORED), filters=_FILTERS)
    return base64.b64encode(packed).decode()


def _bare(text: str, tree: ast.Module) -> str:
    """The same program without docstrings and without lines of comments.

    The code stays as it was written: f-strings that ``ast.unparse`` of Python 3.12 writes are
    no code for 3.11.
    """
    lines = text.split("\n")
    for node in _statements(tree):
        if isinstance(node, _DOCUMENTED) and ast.get_docstring(node) is not None:
            docstring = node.body[0]
            last = docstring.end_lineno or docstring.lineno
            lines[docstring.lineno - 1 : last] = [""] * (last - docstring.lineno + 1)
            if len(node.body) == 1:
                lines[docstring.lineno - 1] = " " * docstring.col_offset + "pass"
    kept = _inside_of_texts(tree) if _LONG_TEXT.search("\n".join(lines)) else frozenset()
    return "\n".join(
        "" if line.lstrip().startswith("#") and number not in kept else line
        for number, line in enumerate(lines)
    )


def _inside_of_texts(tree: ast.Module) -> frozenset[int]:
    """The lines, from 0, that texts of many lines go on in."""
    return frozenset(
        number
        for node in ast.walk(tree)
        if isinstance(node, ast.JoinedStr | ast.Constant)
        for number in range(node.lineno, node.end_lineno or node.lineno)
    )


def _own_modules(tree: ast.Module, package: Path) -> list[Path]:
    """The files of the modules of kale_pm that the code imports, but for those of type checkers."""
    names: set[str] = set()
    for node in _statements(tree):
        if isinstance(node, ast.Import):
            names.update(alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.update(f"{node.module}.{alias.name}" for alias in node.names)
    paths = []
    for name in names:
        parts = name.split(".")
        if parts[0] == package.name:
            # ``from kale_pm.errors import LoadError`` names a class: its module is one up.
            for length in range(2, len(parts) + 1):
                stem = package.parent.joinpath(*parts[:length])
                paths += [stem.with_suffix(".py"), stem / "__init__.py"]
    return sorted(path for path in paths if path.is_file())


def _statements(node: ast.AST) -> Iterator[ast.AST]:
    """The node and all statements in it, but for those of type checkers."""
    yield node
    parts = (
        ("orelse",)
        if _is_for_checkers(node)
        else ("body", "orelse", "finalbody", "handlers", "cases")
    )
    for part in parts:
        for inner in getattr(node, part, ()):
            yield from _statements(inner)


def _is_for_checkers(node: ast.AST) -> bool:
    return (
        isinstance(node, ast.If)
        and isinstance(node.test, ast.Name)
        and node.test.id == "TYPE_CHECKING"
    )
