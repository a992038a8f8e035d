"""The source of a cell as Python: IPython's dialect rewritten, line for line.

Magics, ``!command``, ``name?`` and top-level ``await`` are legal in a notebook.  IPython's own
transformer turns them into calls; it is imported only when a cell is not plain Python already.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable
from functools import cache

from kale_pm.model import Cell

_FLAGS = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT

# A kernel accepts these without their ``%`` where they are the only line of a cell.
_MAGICS_WITHOUT_PERCENT = re.compile(
    r"(cat|cd|conda|cp|env|load_ext|ls|mamba|matplotlib|micromamba|mkdir|mv|pip|pwd|rm|rmdir|run|"
    r"time|timeit|uv|who|whos)\s[^\n]*"
)


def syntax_tree(cell: Cell) -> ast.Module:
    """The syntax tree of a cell, as :func:`parse` gives it.

    A cell of another language is what ``%%LANGUAGE`` at its top would make of it: one call
    that gets the text, into which nobody can look.
    """
    if cell.is_python:
        return parse(cell.source)
    if is_blank(cell):
        return ast.Module([], [])
    return ast.parse(f"get_ipython().run_cell_magic({cell.language!r}, '', {cell.source!r})")


def parse(source: str, filename: str = "<cell>") -> ast.Module:
    """The syntax tree of a cell; its lines count from 1, as they stand in the cell.

    Raises SyntaxError where no kernel could run the cell, also for what the parser reports
    otherwise (null bytes, code nested too deeply).
    """
    try:
        return _compile(source, filename)
    except SyntaxError:
        return _compile(_transformed(source, filename), filename)


def python_text(source: str) -> str:
    """The Python that a kernel makes of a cell, each statement on the line where it stood.

    Plain Python comes back as it is.  Raises SyntaxError as :func:`parse` does.
    """
    try:
        _compile(source, "<cell>")
    except SyntaxError:
        text = _transformed(source, "<cell>")
        _compile(text, "<cell>")
        return text
    return source


def is_blank(cell: Cell) -> bool:
    """Whether there is nothing to run: no line but empty ones and, in Python, comments."""
    lines = (line.strip() for line in cell.source.split("\n"))
    return all(not line or (cell.is_python and line.startswith("#")) for line in lines)


def _compile(source: str, filename: str) -> ast.Module:
    with warnings.catch_warnings():
        # An invalid escape such as "\d" is the user's business, and the kernel's to tell.
        warnings.simplefilter("ignore")
        try:
            tree = compile(source, filename, "exec", flags=_FLAGS, dont_inherit=True)
        except SyntaxError as error:
            # Null bytes are reported without a place.
            error.lineno = error.lineno or 1
            raise
        except (ValueError, RecursionError, MemoryError, OverflowError) as error:
            raise _syntax_error(error, filename) from None
    assert isinstance(tree, ast.Module)
    return tree


def _transformed(source: str, filename: str) -> str:
    # The transformer drops blank lines at the top, and every line below would move.
    body = re.sub(r"\A(?:[^\S\n]*\n)+", "", source)
    dropped = source.count("\n") - body.count("\n")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a line that IPython gives up is a syntax error later
        try:
            return "\n" * dropped + _transform_cell()(_with_percent(body))
        except (ValueError, RecursionError, MemoryError, RuntimeError) as error:
            raise _syntax_error(error, filename) from None


def _with_percent(body: str) -> str:
    line = body.strip()
    return f"%{line}" if _MAGICS_WITHOUT_PERCENT.fullmatch(line) else body


@cache
def _transform_cell() -> Callable[[str], str]:
    from IPython.core.inputtransformer2 import TransformerManager

    class LineKeeper(TransformerManager):
        """Pads what the transformer folds into one line, so that no later line moves."""

        def do_one_token_transform(self, lines: list[str]) -> tuple[bool, list[str]]:
            changed, result = super().do_one_token_transform(lines)  # type: ignore[no-untyped-call]
            lost = len(lines) - len(result)
            if not changed or lost <= 0:
                return changed, result
            pairs = enumerate(zip(lines, result, strict=False))
            at = next((index for index, (old, new) in pairs if old != new), len(result) - 1)
            return changed, [*result[: at + 1], *["\n"] * lost, *result[at + 1 :]]

    return LineKeeper().transform_cell  # type: ignore[no-untyped-call]


def _syntax_error(error: BaseException, filename: str) -> SyntaxError:
    reason = str(error) or type(error).__name__
    return SyntaxError(reason, (filename, 1, None, None))
