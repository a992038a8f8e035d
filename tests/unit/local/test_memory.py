"""How much memory there is, and how much a step asks for."""

from __future__ import annotations

from pathlib import Path

import pytest

from kale_pm.local.memory import machine_memory, quantity_bytes, wanted_memory
from kale_pm.settings import StepOptions

GIB = 1 << 30


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("0", 0),
        ("1000", 1000),
        ("1k", 1000),
        ("1Ki", 1024),
        ("1.5Gi", 3 * GIB // 2),
        (".5G", 500_000_000),
        ("2E", 2 * 10**18),
        ("1e3", 1000),
        ("1E3", 1000),
        ("12e-1", 1),
        ("2000m", 2),
        ("1Ei", 1 << 60),
    ],
)
def test_quantities_of_kubernetes(text: str, size: int) -> None:
    assert quantity_bytes(text) == size


@pytest.mark.parametrize("text", ["", "much", "1 Gi", "1GB", "-1Gi", "1K", "Gi", "1e", "."])
def test_what_is_no_quantity(text: str) -> None:
    with pytest.raises(ValueError, match="no quantity"):
        quantity_bytes(text)


def test_a_step_wants_its_limit_else_its_request_else_nothing() -> None:
    assert wanted_memory(StepOptions()) == 0
    assert wanted_memory(StepOptions(limits={"cpu": "2"})) == 0
    assert wanted_memory(StepOptions(requests={"memory": "1Gi"})) == GIB
    both = StepOptions(limits={"memory": "4Gi"}, requests={"memory": "1Gi"})
    assert wanted_memory(both) == 4 * GIB


def machine(root: Path, **files: str) -> Path:
    content = {"proc/meminfo": "MemTotal:  8388608 kB\nMemFree: 1 kB\n", **files}
    for name, text in content.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_a_machine_has_what_it_has(tmp_path: Path) -> None:
    assert machine_memory(machine(tmp_path)) == 8 * GIB


def test_a_container_has_what_any_of_its_groups_allows(tmp_path: Path) -> None:
    limits = {
        "proc/self/cgroup": "0::/pods/one\n",
        "sys/fs/cgroup/pods/one/memory.max": "max\n",
        "sys/fs/cgroup/pods/memory.max": f"{2 * GIB}\n",
    }
    assert machine_memory(machine(tmp_path, **limits)) == 2 * GIB


def test_a_container_that_sees_only_its_own_group(tmp_path: Path) -> None:
    limits = {
        "proc/self/cgroup": "0::/somewhere/on/the/host\n",
        "sys/fs/cgroup/memory.max": f"{GIB}\n",
    }
    assert machine_memory(machine(tmp_path, **limits)) == GIB


def test_groups_of_the_first_generation(tmp_path: Path) -> None:
    limits = {
        "proc/self/cgroup": "5:cpu:/x\n4:memory:/x\n",
        "sys/fs/cgroup/memory/x/memory.limit_in_bytes": f"{3 * GIB}\n",
        "sys/fs/cgroup/memory/memory.limit_in_bytes": "9223372036854771712\n",
    }
    assert machine_memory(machine(tmp_path, **limits)) == 3 * GIB


def test_no_limit_is_more_than_the_machine_has(tmp_path: Path) -> None:
    limits = {
        "proc/self/cgroup": "0::/\n",
        "sys/fs/cgroup/memory.max": f"{999 * GIB}\n",
    }
    assert machine_memory(machine(tmp_path, **limits)) == 8 * GIB


def test_this_machine_knows_its_memory() -> None:
    found = machine_memory()
    assert found is not None
    assert found > GIB // 4
