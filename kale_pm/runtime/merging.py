"""What is known where several edges meet: of every variable the version that counts.

A step has heard of all steps above it.  So of two versions of a variable the one counts
whose manifest has heard of the step that made the other.  Where neither has, two steps side
by side have given the variable.  The later one may have bound the name anew after the other
was done with it, and then it counts, as in the notebook.  But where both have changed one
object, what the notebook shows after both cannot be put together: who needs the variable is
refused.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from kale_pm.runtime.manifest import Change, Made, Manifest, Version


def merge_versions(manifests: Iterable[Manifest]) -> dict[str, Version]:
    """For every variable that the manifests know the version that counts."""
    found: dict[str, list[tuple[Version, Manifest]]] = {}
    for manifest in manifests:
        for name, version in manifest.versions.items():
            found.setdefault(name, []).append((version, manifest))
    return {name: _merge(candidates) for name, candidates in found.items()}


def merge_context(manifests: Iterable[Manifest]) -> dict[str, Change]:
    """All changes of global state; where two steps changed one thing, the later step wins."""
    merged: dict[str, Change] = {}
    for manifest in manifests:
        for name, change in manifest.context.items():
            if name not in merged or merged[name].order <= change.order:
                merged[name] = change
    return merged


def ancestors(manifests: Iterable[Manifest]) -> tuple[str, ...]:
    """The steps that have written the manifests, and all that those have heard of."""
    return tuple(sorted({step for manifest in manifests for step in _heard_of(manifest)}))


def _heard_of(manifest: Manifest) -> set[str]:
    return {manifest.step, *manifest.ancestors}


def _merge(candidates: Sequence[tuple[Version, Manifest]]) -> Version:
    if len({version for version, _ in candidates}) > 1:
        candidates = [
            (version, manifest)
            for version, manifest in candidates
            if not any(
                other.maker != version.maker and _makers(version) <= _heard_of(witness)
                for other, witness in candidates
            )
        ] or candidates
    (merged, _), *rest = sorted(candidates, key=lambda candidate: candidate[0].order)
    for version, manifest in rest:
        merged = _later(merged, version, manifest)
    return merged


def _makers(version: Version) -> set[str]:
    return {version.maker, version.rival} - {""}


def _later(version: Version, later: Version, manifest: Manifest) -> Version:
    """Which of two versions counts that steps side by side have made.

    ``manifest`` is the one that the later was read from.
    """
    if version.maker == later.maker:
        return version if version.rival else later
    if later.bound > version.order:
        return later
    older, newer = sorted((version, later), key=lambda it: it.bound)
    if older.bound < newer.bound and older.made is Made.CARRIED:
        return newer
    if older.bound == newer.bound and version.component == later.component:
        return later
    is_known = version.maker in _heard_of(manifest)
    return replace(later, rival=version.rival if is_known else version.maker)
