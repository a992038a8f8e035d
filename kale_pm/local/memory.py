"""How much memory this machine has, and how much a step asks for."""

from __future__ import annotations

import os
import re
from decimal import Decimal
from pathlib import Path

from kale_pm.settings import StepOptions

_UNITS = {
    "m": Decimal("0.001"),
    **{unit: Decimal(1000) ** power for power, unit in enumerate(["", "k", "M", "G", "T", "P"])},
    "E": Decimal(1000) ** 6,
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTPE", 1)},
}
_QUANTITY = re.compile(r"([0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE]([+-]?[0-9]{1,2})|([a-zA-Z]{0,2}))")
_ROOT = Path("/")
_UNLIMITED = 1 << 60  # bytes; the first generation of cgroups says no limit by a huge one


def quantity_bytes(text: str) -> int:
    """The bytes that a quantity of Kubernetes means; ValueError if it is none.

    >>> [quantity_bytes(text) for text in ("512Mi", "1.5G", "2e3", "128974848")]
    [536870912, 1500000000, 2000, 128974848]
    """
    match = _QUANTITY.fullmatch(text)
    if match is None or (match[3] or "") not in _UNITS:
        raise ValueError(f"'{text}' is no quantity such as 512Mi or 4Gi")
    amount = Decimal(match[1]) * Decimal(10) ** int(match[2] or 0)
    return int(amount * _UNITS[match[3] or ""])


def wanted_memory(options: StepOptions) -> int:
    """The bytes that a step may need at most: its limit, else its request, else 0."""
    text = options.limits.get("memory") or options.requests.get("memory")
    return quantity_bytes(text) if text else 0


def machine_memory(root: Path = _ROOT) -> int | None:
    """The bytes that this process and its children may use; None if nobody can say.

    That is what the machine has, or less where a control group (a container) allows less.
    ``root`` is where the folders ``proc`` and ``sys`` lie.
    """
    amounts = [*_group_limits(root), _physical(root)]
    known = [amount for amount in amounts if amount is not None and 0 < amount < _UNLIMITED]
    return min(known, default=None)


def _physical(root: Path) -> int | None:
    found = re.search(r"^MemTotal:\s+(\d+) kB", _read(root / "proc/meminfo"), re.MULTILINE)
    if found:
        return int(found[1]) * 1024
    try:
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (ValueError, OSError, AttributeError):
        return None


def _group_limits(root: Path) -> list[int | None]:
    """What the control group of this process allows, and every group around that one."""
    found: list[int | None] = []
    for line in _read(root / "proc/self/cgroup").splitlines():
        _, controllers, group = (*line.split(":", 2), "", "")[:3]
        if controllers == "":
            base, file = root / "sys/fs/cgroup", "memory.max"
        elif "memory" in controllers.split(","):
            base, file = root / "sys/fs/cgroup/memory", "memory.limit_in_bytes"
        else:
            continue
        # In a container the path may be the host's, of which only the base is to be seen.
        here = Path(group.lstrip("/"))
        found += [_number(base / place / file) for place in (here, *here.parents)]
    return found


def _number(path: Path) -> int | None:
    text = _read(path).strip()
    return int(text) if text.isdecimal() else None


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, ValueError):
        return ""
