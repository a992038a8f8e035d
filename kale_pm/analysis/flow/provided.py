"""What a notebook itself brings: packages that it installs, folders where it finds modules."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path

from kale_pm.notebook.imports import local_files
from kale_pm.notebook.paths import literal_path
from kale_pm.notebook.source import parse

_OTHER_NAMES = """
    Bio=biopython Crypto=pycryptodome IPython=ipython Levenshtein=levenshtein MySQLdb=mysqlclient
    OpenSSL=pyopenssl PIL=pillow attr=attrs bs4=beautifulsoup4 cairo=pycairo cv2=opencv-python
    dateutil=python-dateutil docx=python-docx dotenv=python-dotenv faiss=faiss-cpu fitz=pymupdf
    git=gitpython grpc=grpcio igraph=python-igraph imblearn=imbalanced-learn jose=python-jose
    jwt=pyjwt kfp_server_api=kfp-server-api magic=python-magic mpl_toolkits=matplotlib osgeo=gdal
    pkg_resources=setuptools pptx=python-pptx psycopg2=psycopg2-binary pywt=pywavelets
    rest_framework=djangorestframework ruamel=ruamel.yaml serial=pyserial skimage=scikit-image
    sklearn=scikit-learn skopt=scikit-optimize slugify=python-slugify
    snowflake=snowflake-connector-python telegram=python-telegram-bot umap=umap-learn usb=pyusb
    websocket=websocket-client yaml=pyyaml zmq=pyzmq
"""
# Packages that are installed under another name than they are imported by.
DISTRIBUTIONS = dict(pair.split("=") for pair in _OTHER_NAMES.split())

_INSTALL = re.compile(r"\b(?:pip3?|conda|mamba|micromamba|uv)\b[^\n#]*?\b(?:install|add)\b([^\n]*)")
_MAY_INSTALL = re.compile(r"\b(?:pip3?|conda|mamba|micromamba|uv)\b")
# The path without its suffix: each part of it may be a module or package, wherever it is found.
_WRITES_MODULE = re.compile(
    r"^[ \t]*%%(?:writefile|file)[ \t]+(?:-a[ \t]+)?[\"']?([^\s\"']+)\.py\b", re.MULTILINE
)
_REQUIREMENT = re.compile(r"[A-Za-z0-9][\w.\-]*")
_OPTION_WITH_VALUE = re.compile(r"-i|-f|-c|-n|-t|--(index-url|extra-index-url|find-links|channel)")


@dataclass(frozen=True)
class Provided:
    """Requirements that the notebook installs, folders that it puts on ``sys.path``, modules
    and packages whose files it writes itself.
    """

    requirements: frozenset[str]
    folders: tuple[Path, ...]
    written: frozenset[str]

    def has(self, top: str) -> bool:
        """Whether module or package ``top`` comes from here."""
        return (
            top in self.written
            or any(_may_bring(requirement, top) for requirement in self.requirements)
            or any(local_files(top, folder) for folder in self.folders)
        )


def provided(sources: Iterable[str], folder: Path, tops: Iterable[str]) -> Provided | None:
    """What the cells ``sources`` bring; None where that may be anything.

    ``folder`` is the notebook's, ``tops`` are all that it imports: a requirement of which
    nobody knows what it is good for may be the one that brings what is missing.
    """
    requirements: set[str] = set()
    folders: list[Path] = []
    written: set[str] = set()
    for source in sources:
        for match in _WRITES_MODULE.finditer(source):
            written |= {part for part in match[1].split("/") if part}
        if _MAY_INSTALL.search(source):
            installed = _installed(source)
            if installed is None:
                return None
            requirements |= installed
        if "sys.path" in source:
            try:
                added = _added_folders(source, folder)
            except RecursionError:
                added = None
            if added is None:
                return None
            folders += added
    for requirement in requirements:
        if not _is_known(requirement) and not any(_may_bring(requirement, top) for top in tops):
            return None
    return Provided(frozenset(requirements), tuple(folders), frozenset(written))


def _may_bring(requirement: str, top: str) -> bool:
    name = _plain(requirement)
    wanted = (_plain(top), _plain(DISTRIBUTIONS.get(top, top)))
    return any(other in name or name in other for other in wanted)


def _is_known(requirement: str) -> bool:
    try:
        distribution(requirement)
    except (PackageNotFoundError, ValueError):
        return _plain(requirement) in map(_plain, DISTRIBUTIONS.values())
    return True


def _installed(source: str) -> set[str] | None:
    """The requirements that a cell installs; None where they cannot be read from it."""
    found: set[str] = set()
    for line in source.split("\n"):
        if line.lstrip().startswith("#") or not _MAY_INSTALL.search(line):
            continue
        match = _INSTALL.search(line)
        if match is None:
            if "install" in source:
                return None
            continue
        words = re.sub(r"[\"'\[\](),]", " ", match[1]).split()
        for before, word in zip(["", *words], words, strict=False):
            if word.startswith("#"):
                break
            if word.startswith(("-r", "-e", "--requirement", "--editable")):
                return None
            if word.startswith("-") or _OPTION_WITH_VALUE.fullmatch(before):
                continue
            name = _REQUIREMENT.match(word)
            if name is None or re.search(r"[/$:{]", word):
                return None
            found.add(name[0])
    return found


def _added_folders(source: str, folder: Path) -> list[Path] | None:
    """The folders that a cell puts on ``sys.path``; None where they cannot be read from it."""
    try:
        nodes = list(ast.walk(parse(source)))
    except SyntaxError:
        return []
    found = []
    for node in nodes:
        match node:
            case ast.Call(func=ast.Attribute(value=owner, attr=attr), args=arguments):
                changes = attr in ("append", "extend", "insert") and _is_search_path(owner)
                given = arguments[-1:] if changes else []
            case ast.AugAssign(target=target, value=value) if _is_search_path(target):
                given = [value]
            case ast.Assign(targets=[target], value=value) if _is_search_path(target):
                given = [value]
            case _:
                continue
        for part in given:
            parts = part.elts if isinstance(part, (ast.List, ast.Tuple)) else [part]
            for entry in parts:
                path = literal_path(entry, {})
                if path is None or path.startswith("~"):
                    return None
                found.append(folder / path)
    return found


def _is_search_path(node: ast.expr) -> bool:
    match node:
        case ast.Attribute(value=ast.Name(id="sys"), attr="path"):
            return True
        case ast.Subscript(value=value):
            return _is_search_path(value)
    return False


def _plain(name: str) -> str:
    return re.sub(r"[-_.]", "", name).lower()
