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
from kale_pm.runtime.pod.packing import unpacked

KIB = 1024
# Linux takes 131,071 bytes as one argument of a process.  KFP's backend hands its driver a
# container (--container), a task (--task), and a component (--component) as one each; the
# component of a pipeline is its whole graph of tasks (argocompiler/dag.go and container.go).
# Where both Argo (3.7.10 and 4.0) and KFP (pull request 12737) are new enough, a longer one goes
# through a file; KFP 2.16 still came with Argo 3.7.3.  The rest is room for what is added.
LARGEST_ARGUMENT = 120 * KIB
# Argo keeps the workflow in one Kubernetes object, and etcd takes 1.5 MiB.  There a task stands
# twice, in the graph and as the argument of its driver (dag.go), with about 1 kB of templates
# around it: 200 steps of 700 KiB are nearly all of it.  A busy run needs a part for its status.
LARGE_PACKAGE = 400 * KIB
LARGEST_PACKAGE = 700 * KIB
_SHOWN = 10  # steps in a table


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
    content = unpacked(bundle)
    cells = ((source_number(cell), cell["source"]) for cell in content["notebook"]["cells"])
    parts = [Part(number, None, _travelling(_encoded(text))) for number, text in cells if number]
    parts += [
        Part(None, name, _travelling(base64.b64decode(data)))
        for name, data in content["files"].items()
    ]
    return max(parts, key=lambda part: part.size)


def check_sizes(
    sizes: Mapping[str, StepSize], package: int, bundles: Mapping[str, str]
) -> tuple[str, ...]:
    """Warnings for a package of ``package`` kept bytes; CompileError if it is too large to run.

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


def check_graph(size: int) -> None:
    """CompileError for a graph of tasks of ``size`` bytes that is too large for one argument.

    Many steps make none, since they are divided into parts: what crosses the borders does.
    """
    if size > LARGEST_ARGUMENT:
        raise CompileError(
            f"the graph of the steps takes {_kb(size)}, and KFP hands it to a pod as one "
            f"argument, of at most {_kb(LARGEST_ARGUMENT)}: too much goes from steps to others",
            hint="let one step gather what many others need of many, or make fewer steps",
        )


def table(sizes: Mapping[str, StepSize]) -> str:
    """The sizes of the largest steps, for people."""
    shown = dict(sorted(sizes.items(), key=lambda item: -item[1].argument)[:_SHOWN])
    width = max(len("step"), *map(len, shown))
    rows = [f"{'step':<{width}}  {'argument':>10}  {'files':>10}  {'runtime':>10}"]
    rows += [
        f"{name:<{width}}  {_kb(size.argument):>10}  {_kb(size.bundle):>10}  "
        f"{_kb(size.runtime):>10}"
        for name, size in shown.items()
    ]
    if len(sizes) > len(shown):
        rows.append(f"and {len(sizes) - len(shown)} smaller steps")
    return "\n".join(rows)


def _encoded(text: str) -> bytes:
    return text.encode(errors="backslashreplace")


def _travelling(content: bytes) -> int:
    return len(base64.b64encode(zlib.compress(content)))


def _kb(size: int) -> str:
    return f"{size / KIB:.1f} KiB"
