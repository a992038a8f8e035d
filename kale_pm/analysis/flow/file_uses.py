"""Where code reads, writes and mentions files by literal paths."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum

from kale_pm.analysis.code.magics import is_shell
from kale_pm.notebook.paths import could_be_a_path, is_file_name, literal_path

# Without one of these no cell reads a file.
MAY_READ = re.compile(
    r"(?:open|load|read|scan|[Ff]ile|dir|walk|glob|txt|memmap|connect)\w*\s*\(|\.read\."
)

_READING = re.compile(
    r"open|load|read|(?:open|load|read|scan)_\w+|m?imread|loadtxt|genfromtxt|fromfile|memmap|"
    r"loadmat|ZipFile|TarFile|File|connect|listdir|scandir|walk|i?glob|rglob|iterdir"
)
# What these read is no file, or none that they are given by its path.
_READING_OTHERS = re.compile(r"(?:read_sql|read_gbq|read_clipboard|load_dataset|load_ext)\w*")
_WRITING = re.compile(
    r"to_|save|write|dump|export|download|retrieve|extract|touch|move|rename|copy", re.IGNORECASE
)
_LOOKING = frozenset(
    {"print", "display", "exists", "is_file", "is_dir", "isfile", "isdir", "getsize", "stat"}
    | {"len", "info", "debug", "warning"}
)
_WITH_MODE = frozenset({"open", "File", "ZipFile", "TarFile", "memmap"})
_METHODS_OF_PATHS = frozenset({"read_text", "read_bytes", "iterdir", "rglob"})
# For these any text is a path, for the others one that looks like a file.
_OF_ANY_NAME = frozenset({"open", "listdir", "scandir", "walk", "glob", "iglob"})
_PATH_KEYWORDS = frozenset(
    {"path", "file", "filename", "filepath", "fname", "fp", "filepath_or_buffer", "path_or_buf"}
    | {"io", "name", "source"}
)
_ABSENT = frozenset({"FileNotFoundError", "OSError", "IOError", "Exception", "BaseException"})


class Kind(Enum):
    """What code does with a path."""

    READS = "reads"
    WRITES = "writes"
    MENTIONS = "may do anything with"


@dataclass(frozen=True)
class Use:
    """One place that names a path.

    ``exact`` says that it is no more than that, and not a command in which paths stand;
    ``makes`` that the call makes the file if it is not there.
    """

    kind: Kind
    path: str
    line: int
    exact: bool = True
    makes: bool = False


@dataclass(frozen=True)
class Names:
    """What is known of the names in a notebook.

    ``texts`` are variables that are bound once, to a text or path which is literal;
    ``imported`` are modules and what was imported from them.
    """

    texts: Mapping[str, str]
    imported: frozenset[str]


def names_in(trees: Iterable[ast.AST]) -> Names:
    """What can be known of the names in all of ``trees``, which run in this order."""
    bound: Counter[str] = Counter()
    imported: set[str] = set()
    assignments: list[tuple[str, ast.expr]] = []
    for tree in trees:
        for node in ast.walk(tree):
            match node:
                case ast.Assign(targets=[ast.Name(id=name)], value=value):
                    assignments.append((name, value))
                case ast.AnnAssign(target=ast.Name(id=name), value=ast.expr() as value):
                    assignments.append((name, value))
                case ast.Name(id=name, ctx=ast.Store() | ast.Del()) | ast.arg(arg=name):
                    bound[name] += 1
                case ast.alias(asname=asname, name=name):
                    imported.add(asname or name.partition(".")[0])
    texts: dict[str, str] = {}
    for name, value in assignments:
        text = literal_path(value, texts) if bound[name] == 1 else None
        if text is not None:
            texts[name] = text
    return Names(texts, frozenset(imported))


def file_uses(tree: ast.AST, names: Names) -> list[Use]:
    """All uses of literal paths in ``tree``, in the order in which they stand there.

    A file that the code can do without is not read, but mentioned.
    """
    return list(_uses(tree, names, needed=True))


def _uses(node: ast.AST, names: Names, needed: bool) -> Iterator[Use]:
    match node:
        case ast.Call():
            yield from _of_call(node, names, needed)
            return
        case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
            if name in names.texts:
                return
        case ast.Try() if any(map(_tolerates, node.handlers)):
            needed = False
        case ast.If() if re.search(r"exists|is_?file|is_?dir", ast.unparse(node.test)):
            needed = False
        case ast.expr():
            path = literal_path(node, names.texts)
            if path is not None:
                yield Use(Kind.MENTIONS, path, node.lineno)
                return
    for child in ast.iter_child_nodes(node):
        yield from _uses(child, names, needed)


def _of_call(node: ast.Call, names: Names, needed: bool) -> Iterator[Use]:
    function, line = node.func, node.lineno
    owner = function.value if isinstance(function, ast.Attribute) else None
    name = getattr(function, "attr", getattr(function, "id", ""))
    if owner is not None and is_shell(owner):
        texts = [part.value for part in node.args if isinstance(part, ast.Constant)]
        yield Use(Kind.WRITES, " ".join(map(str, texts)), line, exact=False)
        return
    whole = literal_path(node, names.texts)
    if whole is not None:
        yield Use(Kind.MENTIONS, whole, line)
        return
    of_path = literal_path(owner, names.texts) if owner is not None else None
    kind = _kind(node, name, of_path is not None)
    if kind is Kind.READS and not needed:
        kind = Kind.MENTIONS
    if of_path is not None and kind is not None:
        yield Use(kind, of_path, line)
    elif owner is not None and of_path is None:
        yield from _uses(owner, names, needed)
    for place, argument in enumerate(_arguments(node)):
        path = literal_path(argument, names.texts)
        if path is None:
            yield from _uses(argument, names, needed)
        elif kind is Kind.READS:
            ours = place == 0 and of_path is None and _reads_by_path(function, name, names)
            if ours and could_be_a_path(path) and (name in _OF_ANY_NAME or is_file_name(path)):
                yield Use(Kind.READS, path, line, makes=name == "connect")
        elif kind is not None:
            yield Use(kind, path, line)


def _arguments(node: ast.Call) -> list[ast.expr]:
    """What is passed, the path first where it goes by its keyword."""
    named = sorted(node.keywords, key=lambda keyword: keyword.arg not in _PATH_KEYWORDS)
    return [*node.args, *(keyword.value for keyword in named)]


def _reads_by_path(function: ast.expr, name: str, names: Names) -> bool:
    """Whether a call reads the path that it is given; of an archive it would be another."""
    if name in _METHODS_OF_PATHS:
        return False
    root = function
    while isinstance(root, ast.Attribute):
        if root.attr == "read" and root is not function:
            return True  # spark.read.csv(...)
        root = root.value
    return root is function or (isinstance(root, ast.Name) and root.id in names.imported)


def _kind(node: ast.Call, name: str, of_path: bool) -> Kind | None:
    """What a call does with paths; None if it only looks at them."""
    if name in _LOOKING or _READING_OTHERS.fullmatch(name):
        return None
    if name in _WITH_MODE:
        return _kind_of_mode(node, 0 if of_path else 1)
    by_reader = isinstance(node.func, ast.Attribute) and ast.unparse(node.func.value).endswith(
        ".read"
    )
    if by_reader or _READING.fullmatch(name):
        return Kind.READS
    return Kind.WRITES if _WRITING.search(name) else Kind.MENTIONS


def _kind_of_mode(node: ast.Call, place: int) -> Kind:
    named = (keyword.value for keyword in node.keywords if keyword.arg == "mode")
    mode = next(named, node.args[place] if len(node.args) > place else ast.Constant("r"))
    if not isinstance(mode, ast.Constant):
        return Kind.MENTIONS
    return Kind.WRITES if str(mode.value).startswith(("w", "a", "x")) else Kind.READS


def _tolerates(handler: ast.ExceptHandler) -> bool:
    if handler.type is None:
        return True
    names = (part.id for part in ast.walk(handler.type) if isinstance(part, ast.Name))
    return not _ABSENT.isdisjoint(names)
