"""How much a compiled pipeline weighs, and how much it may."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kale_pm.errors import CompileError

KIB = 1024
# Linux takes 131,071 bytes as one argument of a process, and KFP hands a whole container to
# its driver as one; the rest is room for what the driver adds.
LARGEST_ARGUMENT = 120 * KIB
# Argo keeps the workflow in one Kubernetes object. etcd takes 1.5 MiB, a busy run needs a
# good part of it for its status, and Argo itself speaks of 700 kB.
LARGE_PACKAGE = 400 * KIB
LARGEST_PACKAGE = 700 * KIB


@dataclass(frozen=True)
class StepSize:
    """Bytes of one step: its whole argument, and therein its bundle and the runtime."""

    argument: int
    bundle: int
    runtime: int


def argument_size(container: Mapping[str, Any]) -> int:
    """Bytes of a container as KFP's driver receives it: JSON as Go writes it."""
    text = json.dumps(container, ensure_ascii=False)
    return len(text.encode()) + 5 * sum(text.count(character) for character in "<>&")


def check_sizes(sizes: Mapping[str, StepSize], package: int) -> tuple[str, ...]:
    """Warnings for a package of ``package`` bytes; CompileError if it is too large to run."""
    for name, size in sizes.items():
        if size.argument > LARGEST_ARGUMENT:
            raise CompileError(
                f"step {name} is too large for one argument: {_kb(size.argument)} of at most "
                f"{_kb(LARGEST_ARGUMENT)} (its notebook and files take {_kb(size.bundle)}, "
                f"the runtime {_kb(size.runtime)})",
                hint="take large files out of the setting 'files': put them on a volume "
                "or into the image",
            )
    if package > LARGEST_PACKAGE:
        raise CompileError(
            f"the pipeline takes {_kb(package)}, a cluster keeps at most "
            f"{_kb(LARGEST_PACKAGE)}\n\n{table(sizes)}",
            hint="make fewer steps, or move the files that travel with them to an image or volume",
        )
    if package > LARGE_PACKAGE:
        advice = f"above {_kb(LARGE_PACKAGE)} a long run may outgrow what the cluster keeps of it"
        return (f"the pipeline takes {_kb(package)}: {advice}\n{table(sizes)}",)
    return ()


def table(sizes: Mapping[str, StepSize]) -> str:
    """The sizes of all steps, for people."""
    width = max(len("step"), *map(len, sizes))
    rows = [f"{'step':<{width}}  {'argument':>10}  {'files':>10}  {'runtime':>10}"]
    rows += [
        f"{name:<{width}}  {_kb(size.argument):>10}  {_kb(size.bundle):>10}  "
        f"{_kb(size.runtime):>10}"
        for name, size in sizes.items()
    ]
    return "\n".join(rows)


def _kb(size: int) -> str:
    return f"{size / KIB:.1f} KiB"
