"""How much a compiled pipeline weighs, and how much it may."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kale_pm.errors import CompileError
from kale_pm.runtime.execution.monitor import source_number

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


@dataclass(frozen=True)
class Part:
    """A cell of the notebook, by its number, or a file that travels; ``size`` in bytes."""

    cell: int | None
    file: str | None
    size: int

    @property
    def name(self) -> str:
        return f"cell {self.cell}" if self.file is None else self.file

    @property
    def way_out(self) -> str:
        """How a step becomes smaller without it."""
        places = "on a volume (setting 'volumes') or in the image (setting 'image')"
        if self.file is None:
            return f"keep what cell {self.cell} spells out in a file {places}, and read it there"
        return f"keep {self.file} {places}, instead of sending it along"


def argument_size(container: Mapping[str, Any]) -> int:
    """Bytes of a container as KFP's driver receives it: JSON as Go writes it."""
    text = json.dumps(container, ensure_ascii=False)
    return len(text.encode()) + 5 * sum(text.count(character) for character in "<>&")


def largest_part(bundle: str) -> Part:
    """What weighs most in the bundle of a step, as it travels: packed, and in base64."""
    content = json.loads(zlib.decompress(base64.b64decode(bundle)))
    cells = ((source_number(cell), cell["source"]) for cell in content["notebook"]["cells"])
    parts = [Part(number, None, _travelling(text.encode())) for number, text in cells if number]
    parts += [
        Part(None, name, _travelling(base64.b64decode(data)))
        for name, data in content["files"].items()
    ]
    return max(parts, key=lambda part: part.size)


def check_sizes(
    sizes: Mapping[str, StepSize], package: int, bundles: Mapping[str, str]
) -> tuple[str, ...]:
    """Warnings for a package of ``package`` bytes; CompileError if it is too large to run.

    ``sizes`` and ``bundles`` go by the step.
    """
    for name, size in sizes.items():
        if size.argument > LARGEST_ARGUMENT:
            largest = largest_part(bundles[name])
            raise CompileError(
                f"step {name} is too large for one argument: {_kb(size.argument)} of at most "
                f"{_kb(LARGEST_ARGUMENT)} (its notebook and files take {_kb(size.bundle)}, "
                f"the runtime {_kb(size.runtime)}); the most is in {largest.name}: "
                f"{_kb(largest.size)}",
                hint=largest.way_out,
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


def check_graph(size: int) -> tuple[str, ...]:
    """A warning for a graph of tasks of ``size`` bytes that may be too large for one argument.

    Whether it is depends on the server: newer versions of Argo put long arguments into a file.
    """
    if size <= LARGEST_ARGUMENT:
        return ()
    text = (
        f"the graph of the steps takes {_kb(size)}: a server whose Argo hands it to KFP's driver "
        f"as one argument takes {_kb(LARGEST_ARGUMENT)}; if the run fails before its first step, "
        "make fewer steps"
    )
    return (text,)


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


def _travelling(content: bytes) -> int:
    return len(base64.b64encode(zlib.compress(content)))


def _kb(size: int) -> str:
    return f"{size / KIB:.1f} KiB"
