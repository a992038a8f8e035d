"""A forked kernel seen from the run: what is left of it when it has ended."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from jupyter_client.connect import write_connection_file

from kale_pm.local.kernels.forked import ForkedKernel
from kale_pm.runtime.execution.kernel_process import end

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="only Linux has process descriptors"
)


@pytest.fixture
def process() -> Iterator[subprocess.Popen[bytes]]:
    """What stands for a kernel: it listens to nobody."""
    with subprocess.Popen(["sleep", "600"], start_new_session=True) as process:
        yield process
        process.kill()


def test_a_kernel_that_has_ended_leaves_no_file(
    tmp_path: Path, process: subprocess.Popen[bytes]
) -> None:
    connection_file, log = tmp_path / "1.json", tmp_path / "1.log"
    _, facts = write_connection_file(str(connection_file), transport="ipc", ip=str(tmp_path / "1"))
    ports = [value for name, value in facts.items() if name.endswith("_port")]
    sockets = [tmp_path / f"1-{port}" for port in ports]
    assert len(sockets) == 5
    for path in (log, *sockets, tmp_path / "another"):
        path.write_text("")
    kernel = ForkedKernel(process.pid, connection_file, log, lambda _process: None)
    end(kernel, politely=False)
    assert process.wait(30) != 0
    assert [path.name for path in tmp_path.iterdir()] == ["another"]
