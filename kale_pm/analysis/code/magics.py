"""Magics and shell lines, after IPython has turned them into calls.

``%time f(x)`` has become ``get_ipython().run_line_magic('time', 'f(x)')``.  Some magics run
Python in the notebook's namespace; the others only read names in their text.
"""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

from kale_pm.analysis.code.catalogue import (
    CODE_MAGICS,
    COPY_MAGICS,
    GLOBAL_STATE_MAGICS,
    SHELL_NAMESPACE,
    STAYING_MAGICS,
    WORDLESS_MAGICS,
)
from kale_pm.notebook.source import parse

if TYPE_CHECKING:
    from kale_pm.analysis.code.calls import Calls

_INTERPOLATED = re.compile(r"\{([^{}]+)\}|(?<!\$)\$([A-Za-z_]\w*)|(?<![\w:]):([A-Za-z_]\w*)")
_WORD = re.compile(r"(?<![\w.\-/%'\"])([A-Za-z_]\w*)(?![\w(])")
# %%bash --out text: what a script prints is bound to a name.
_CAUGHT = re.compile(r"--(?:out|err|proc)[ =]([A-Za-z_]\w*)")
_OPTIONS_WITH_VALUE = {"timeit": "nrt", "time": "", "capture": "", "prun": "lsTD"}


def follow(flow: Calls, node: ast.Call) -> bool:
    """Follow ``node`` if it is a magic or a shell line; False if it is an ordinary call."""
    function = node.func
    if not (isinstance(function, ast.Attribute) and is_shell(function.value)):
        return False
    if function.attr in SHELL_NAMESPACE:
        flow.anything(f"get_ipython().{function.attr}()")
    texts = [a.value for a in node.args if isinstance(a, ast.Constant) and isinstance(a.value, str)]
    if len(texts) != len(node.args):
        return False
    if function.attr in ("system", "getoutput") and texts:
        _interpolated(flow, texts[0])
    elif function.attr == "run_line_magic" and len(texts) == 2:
        _line_magic(flow, texts[0], texts[1])
    elif function.attr == "run_cell_magic" and len(texts) == 3:
        _cell_magic(flow, texts[0], texts[1], texts[2])
    return True


def is_shell(node: ast.expr) -> bool:
    """Is this ``get_ipython()``?"""
    return (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "get_ipython"
    )


def _line_magic(flow: Calls, name: str, line: str) -> None:
    if name in CODE_MAGICS | COPY_MAGICS:
        _run(flow, name, _without_options(name, line))
        return
    if name in GLOBAL_STATE_MAGICS:
        flow.notice("global-state", f"%{name}")
    if name in STAYING_MAGICS:
        flow.notice("stays-behind", f"what %{name} changes")
    if name == "run":
        flow.anything("%run")
    for code in flow.known.code.get(name, ()):
        flow.refer(code)  # a magic of the notebook's own
    if name == "store":
        return
    _interpolated(flow, line)
    if name not in GLOBAL_STATE_MAGICS | WORDLESS_MAGICS:
        for word in _WORD.findall(line):
            flow.read(word, soft=True)


def _cell_magic(flow: Calls, name: str, line: str, body: str) -> None:
    if name in CODE_MAGICS:
        _run(flow, name, body)
        if name == "capture":
            for word in _without_options(name, line).split()[:1]:
                flow.bind(word)
        elif name == "time" and line.strip():
            _run(flow, name, line)
    elif name in COPY_MAGICS:
        _run(flow, name, f"{_without_options(name, line)}\n{body}")
    elif name in ("sql", "bigquery"):
        _interpolated(flow, line)
        _interpolated(flow, body)
    else:
        _interpolated(flow, line)
        for word in _CAUGHT.findall(line):
            flow.bind(word)


def _run(flow: Calls, name: str, text: str) -> None:
    """Python in the notebook's namespace; timeit's runs in a function and binds nothing."""
    try:
        tree = parse(text)
    except SyntaxError:
        return
    before, line = flow.state.fork(), flow.line
    flow.follow(tree.body)
    flow.line = line
    if name in COPY_MAGICS:
        flow.state = before


def _without_options(name: str, line: str) -> str:
    """The text after options such as ``-n 10 -q``."""
    taking = _OPTIONS_WITH_VALUE.get(name, "")
    words = line.split(" ")
    index = 0
    while index < len(words) and (words[index].startswith("-") or not words[index]):
        word = words[index]
        takes_next = len(word) == 2 and word[1:] in taking and word[1:] != ""
        index += 2 if takes_next else 1
    return " ".join(words[index:])


def _interpolated(flow: Calls, text: str) -> None:
    """``{x}`` and ``$x`` are filled in by IPython if there is such a variable."""
    for expression, dollar, colon in _INTERPOLATED.findall(text):
        if dollar or colon:
            flow.read(dollar or colon, soft=True)
            continue
        try:
            tree = parse(expression)
        except SyntaxError:
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Name):
                flow.read(node.id, soft=True)
