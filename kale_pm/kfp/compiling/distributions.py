"""The distributions of this environment: whose a module is, and where a distribution is from."""

from __future__ import annotations

import importlib.util
import json
from dataclasses import dataclass
from functools import cache
from importlib.metadata import Distribution, distributions
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kale_pm.notebook.imports import Import


@dataclass(frozen=True)
class Origin:
    """Where a distribution comes from, if not from a package index.

    ``described`` continues "pandas ..."; ``requirement`` is what pip would take instead, empty
    if a pod has no way to reach it.
    """

    described: str
    requirement: str = ""


@cache
def owners(wanted: Import) -> tuple[str, ...]:
    """The names of the distributions that hold the imported module, sorted; often one or none."""
    candidates = {name(each.distribution): each for each in _records() if each.holds(wanted.top)}
    if len(candidates) > 1:
        # Many distributions may share a top name, as google's do.
        parts = wanted.name.split(".")
        for length in range(len(parts), 1, -1):
            module = "/".join(parts[:length])
            found = [owner for owner, each in candidates.items() if each.holds(module)]
            if found:
                return tuple(sorted(found))
    return tuple(sorted(candidates)) or _editable_owners(wanted.top)


def origin(distribution: Distribution) -> Origin | None:
    """Where ``distribution`` was installed from, None for a package index.

    Installers note it in direct_url.json.  Conda names there a folder of the machine where a
    package was built, which says nothing about the one that is installed here.
    """
    try:
        noted = json.loads(distribution.read_text("direct_url.json") or "{}")
    except ValueError:
        noted = {}
    url = noted.get("url", "")
    if not url or (distribution.read_text("INSTALLER") or "").strip() == "conda":
        return None
    if "vcs_info" in noted:
        tool, commit = noted["vcs_info"].get("vcs", "git"), noted["vcs_info"].get("commit_id", "")
        address = f"{tool}+{url}@{commit}" if commit else f"{tool}+{url}"
        described = f"was installed here by {tool} from {url}"
        reached = urlsplit(url).scheme not in ("", "file")
        return Origin(described, f"{name(distribution)} @ {address}" if reached else "")
    if urlsplit(url).scheme == "file":
        editable = noted.get("dir_info", {}).get("editable")
        kind = "editable from a folder" if editable else "from a folder or file"
        return Origin(f"was installed here {kind}, {_folder(url)}")
    return Origin(f"was installed here from {url}", f"{name(distribution)} @ {url}")


def name(distribution: Distribution) -> str:
    return str(distribution.metadata["Name"])


def module_file(top: str) -> Path | None:
    """The file or folder of the top-level module ``top``, None if it is nowhere."""
    try:
        spec = importlib.util.find_spec(top)
    except (ImportError, ValueError, AttributeError):
        return None
    if spec is None:
        return None
    places = [*(spec.submodule_search_locations or ()), spec.origin or ""]
    return next((Path(place) for place in places if Path(place).exists() and place), None)


@dataclass(frozen=True)
class _Record:
    """A distribution, and a line for each of its files (or of its top-level modules)."""

    distribution: Distribution
    lines: str

    def holds(self, module: str) -> bool:
        """Whether one of its files is the module, or lies in the package, at this path."""
        return f"\n{module}/" in self.lines or f"\n{module}." in self.lines


@cache
def _records() -> tuple[_Record, ...]:
    # Reading what distributions say of their files as text takes a tenth of the time that
    # importlib.metadata.packages_distributions needs to understand it.
    found = []
    for distribution in distributions():
        record = distribution.read_text("RECORD") or distribution.read_text("SOURCES.txt") or ""
        tops = (distribution.read_text("top_level.txt") or "").split()
        found.append(_Record(distribution, "\n".join(["", record, *(f"{top}/" for top in tops)])))
    return tuple(found)


def _editable_owners(top: str) -> tuple[str, ...]:
    """An editable installation lists no modules: its folder must hold the module's file."""
    file = module_file(top)
    if file is None:
        return ()
    found = []
    for each in _records():
        noted = each.distribution.read_text("direct_url.json") or ""
        if '"dir_info"' in noted and _folder(json.loads(noted)["url"]) in file.resolve().parents:
            found.append(name(each.distribution))
    return tuple(found)


def _folder(url: str) -> Path:
    return Path(unquote(urlsplit(url).path)).resolve()
