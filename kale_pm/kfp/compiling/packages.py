"""What pip installs when a step starts: the packages that it imports, as they are here."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import distribution
from urllib.parse import urlsplit

from kale_pm.analysis.flow.provided import Provided
from kale_pm.errors import CompileError
from kale_pm.kfp.compiling.distributions import module_file, origin, owners
from kale_pm.notebook.imports import Import
from kale_pm.notebook.requirements import canonical_name, requirement_name
from kale_pm.settings import Configuration

# What kale_pm.runtime itself needs in a pod, as distributions.
RUNTIME = ("cloudpickle", "dill", "ipykernel", "nbclient", "nbconvert", "papermill", "xxhash")


@dataclass(frozen=True)
class Absent:
    """A distribution or module that pip is not asked for: why, and what to do about it."""

    name: str
    reason: str
    remedy: str


@dataclass(frozen=True)
class Packages:
    """The ``requirements`` that pip is given for a step, sorted, and what is ``absent`` there."""

    requirements: tuple[str, ...]
    absent: frozenset[Absent]


def step_packages(
    outside: Iterable[Import],
    configuration: Configuration,
    own: Sequence[str] = (),
    earlier: Sequence[str] = (),
) -> Packages:
    """What a step installs for its imports ``outside``, the runtime, and who asks for more.

    Versions are those of this environment; an entry of the setting ``packages``, or rather of
    the step's ``own`` ones, takes the place of what would be installed under its name.  So does
    one of those of the ``earlier`` steps, but only where the step needs it: it may get objects
    that were made by that version.  What did not come from a package index, or lies in none as
    it is here, is no version that anybody asked for: it is absent.
    """
    named = [*_others(configuration.packages, own), *own]
    lent = {canonical_name(text): text for text in _others(earlier, named)}
    brought = _bringing(named)
    wanted = dict.fromkeys(RUNTIME)
    absent: set[Absent] = set()
    for entry in outside:
        found = owners(entry)
        wanted.update(dict.fromkeys(found))
        if found or brought.has(entry.top):
            continue
        lenders = [name for name, text in lent.items() if _bringing([text]).has(entry.top)]
        wanted.update(dict.fromkeys(lenders))
        if not lenders and not entry.optional:
            absent.add(_unowned(entry.top))
    indexed = bool(configuration.package_indexes)
    needed = {canonical_name(name) for name in wanted}
    named += [text for name, text in lent.items() if name in needed]
    pins = [_pin(name, indexed) for name in _others(wanted, named)]
    requirements = {pin for pin in pins if isinstance(pin, str)} | set(named)
    absent |= {pin for pin in pins if isinstance(pin, Absent)}
    # KFP leaves its own package out where the name of any other begins like it.
    if any(text.startswith("kfp") for text in requirements):
        names = {canonical_name(text) for text in requirements}
        requirements |= {f"kfp=={distribution('kfp').version}"} if "kfp" not in names else set()
    return Packages(tuple(sorted(requirements, key=str.lower)), frozenset(absent))


def check_indexes(configuration: Configuration) -> None:
    """Raise CompileError for a package index that pip would pass over in silence."""
    for index in configuration.package_indexes:
        address = urlsplit(index)
        trusted = {address.netloc, address.hostname} & {*configuration.trusted_hosts}
        if address.scheme == "http" and not trusted and address.hostname != "localhost":
            raise CompileError(
                f"package_indexes: pip passes over {index}, since http proves nobody's identity",
                hint=f"write https, or add {address.netloc} to the setting trusted_hosts",
            )


def package_warnings(
    packages: Mapping[str, Packages], images: Mapping[str, str], stock: str
) -> list[str]:
    """What the steps that install something will lack; ``images`` go by the step as well."""
    warnings = []
    absent = sorted({each for found in packages.values() for each in found.absent}, key=_by_name)
    for each in absent:
        steps = [name for name, found in packages.items() if each in found.absent]
        warnings.append(
            f"missing-package: '{each.name}' {each.reason}, so it is not installed in the pods of "
            f"{', '.join(steps)}: {each.remedy}"
        )
    for name, found in packages.items():
        git = [text for text in found.requirements if "@ git+" in text]
        if git and images[name] == stock:
            text = f"step {name}: pip needs git for '{git[0]}', and {stock} has none"
            warnings.append(f"{text}: name an image that has it")
    return warnings


def _unowned(top: str) -> Absent:
    file = module_file(top)
    if file is None:
        reason = "is neither installed here nor beside the notebook"
        return Absent(top, reason, "name it in the setting packages, or an image that has it")
    reason = f"belongs to no installed package ({file})"
    return Absent(top, reason, "copy it beside the notebook, or name an image that has it")


@cache
def _pin(name: str, indexed: bool) -> str | Absent:
    """The requirement of exactly what is installed here under ``name``.

    A build of its own, as in 2.3.0+cpu, is in no usual index, but perhaps in one that the
    settings name: in that case ``indexed`` is true.
    """
    found = distribution(name)
    elsewhere = origin(found)
    if elsewhere is not None:
        remedy = "an image must have it, or a package index, named in the setting packages"
        if elsewhere.requirement:
            remedy = f'an image must have it, or write packages = ["{elsewhere.requirement}"]'
        return Absent(name, elsewhere.described, remedy)
    plain, _, label = found.version.partition("+")
    if not label or indexed:
        return f"{name}=={found.version}"
    return Absent(
        name,
        f"is here in the build {found.version}, which the usual package index does not have",
        f'write packages = ["{name}=={plain}"] for the usual build, or name the index of this one '
        "in the setting package_indexes",
    )


def _others(requirements: Iterable[str], named: Iterable[str]) -> list[str]:
    """Those ``requirements`` that are none of ``named`` in another version."""
    names = {canonical_name(text) for text in named}
    return [text for text in requirements if canonical_name(text) not in names]


def _bringing(requirements: Iterable[str]) -> Provided:
    return Provided(frozenset(map(requirement_name, requirements)), (), frozenset())


def _by_name(absent: Absent) -> str:
    return absent.name.lower()
