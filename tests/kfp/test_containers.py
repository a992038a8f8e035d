"""The Dockerfile's image, and pods that are no root, in real containers.

Where nobody asks for them these tests are skipped: they need podman, and build an image.  With
KALE_PM_CONTAINERS=1 they run; KALE_PM_BASE_IMAGE names another base than the stock image, and
KALE_PM_BUILD_OPTIONS holds further options of ``podman build``.
"""

from __future__ import annotations

import importlib.util
import json
import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from kale_pm import Pipeline
from kale_pm.kfp.compiling.images import stock_image

Make = Callable[..., Pipeline]

ROOT = Path(__file__).parents[2]
IMAGE = "localhost/kale-pm-step:test"
BASE = os.environ.get("KALE_PM_BASE_IMAGE", stock_image())
# A container whose caller may not raise its limits does not start with podman's own.
LIMITS = ["nofile=1024:4096", "nproc=4096:4096"]
CELLS = [
    ("parameters", "count = 3"),
    ("step:make", "import json\ntable = [count] * count"),
    ("step:add prev:make", "total = sum(table)"),
    ("metrics", "total"),
]

RUN_IN_CONTAINERS = """
import json, os, sys
from docker.types import Ulimit
from kfp import local
from kfp.components import load_component_from_file

package, root, user, limits = sys.argv[1:]
os.umask(0)  # the container's user writes into these folders, too
limits = [text.replace("=", ":").split(":") for text in json.loads(limits)]
ulimits = [Ulimit(name=name, soft=int(soft), hard=int(hard)) for name, soft, hard in limits]
runner = local.DockerRunner(user=user, network_mode="host", ulimits=ulimits)
local.init(runner=runner, pipeline_root=root, workspace_root=root + "-scratch")
load_component_from_file(package)()
"""


@pytest.fixture(scope="module")
def podman() -> Callable[..., str]:
    """``podman("images")`` gives what the command printed."""
    if not os.environ.get("KALE_PM_CONTAINERS"):
        pytest.skip("KALE_PM_CONTAINERS=1 asks for containers")
    command = shutil.which("podman")
    if command is None:
        pytest.skip("podman is not here")
    if importlib.util.find_spec("docker") is None:
        pytest.skip("kfp.local needs the package docker")

    def call(*arguments: str) -> str:
        done = subprocess.run([command, *arguments], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    return call


@pytest.fixture(scope="module")
def image(podman: Callable[..., str]) -> str:
    further = shlex.split(os.environ.get("KALE_PM_BUILD_OPTIONS", ""))
    limits = [f"--ulimit={limit}" for limit in LIMITS]
    base = f"--build-arg=BASE_IMAGE={BASE}"
    podman("build", "--network=host", *limits, *further, base, "--tag", IMAGE, str(ROOT))
    return IMAGE


@pytest.fixture(scope="module")
def in_container(podman: Callable[..., str], image: str) -> Callable[..., Any]:
    """``in_container(code)``: what Python prints as JSON in a container of the image."""

    def run(code: str, *options: str) -> Any:
        limits = [f"--ulimit={limit}" for limit in LIMITS]
        command = ["--rm", "--network=none", *limits, *options, image, "python3", "-c", code]
        return json.loads(podman("run", *command))

    return run


@pytest.fixture
def service(podman: Callable[..., str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address at which podman answers as Docker does."""
    socket = tmp_path_factory.mktemp("s") / "socket"
    address = f"unix://{socket}"
    command = ["podman", "system", "service", "--time=0", address]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while not socket.exists():
            assert process.poll() is None
            time.sleep(0.05)
        yield address
    finally:
        process.terminate()
        process.wait()


@pytest.fixture
def run_in_containers(service: str, tmp_path: Path) -> Callable[..., Path]:
    """Run a package as a user; the folder of the tasks."""

    def run(package: Path, user: str) -> Path:
        root = tmp_path / "root"
        root.mkdir()
        for folder in (root, *list(tmp_path.parents)[:2]):
            folder.chmod(0o777)
        command = [sys.executable, "-c", RUN_IN_CONTAINERS, package, root, user, json.dumps(LIMITS)]
        done = subprocess.run(
            command,
            env={**os.environ, "DOCKER_HOST": service},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        (folder,) = root.iterdir()
        return folder

    return run


def total(folder: Path) -> object:
    """The metric of the step add, as its pod handed it over."""
    output = json.loads((folder / "step-add" / "executor_output.json").read_text(encoding="utf-8"))
    (metrics,) = output["artifacts"]["metrics"]["artifacts"]
    return metrics["metadata"]["total"]


class TestTheImage:
    def test_has_the_runtime_and_nothing_of_the_command_line(
        self, in_container: Callable[..., Any]
    ) -> None:
        names = ["papermill", "kale_pm", "kfp", "jupyter_server", "pandas", "kubernetes", "typer"]
        code = f"""
import importlib.util, json
print(json.dumps([name for name in {names} if importlib.util.find_spec(name)]))
"""
        assert in_container(code) == ["papermill", "kale_pm", "kfp"]

    @pytest.mark.parametrize(("options", "user"), [([], 1000), (["--user=12345:0"], 12345)])
    def test_runs_as_nobody_special_and_can_write_at_home(
        self, in_container: Callable[..., Any], options: list[str], user: int
    ) -> None:
        code = """
import json, os, pathlib
(pathlib.Path.home() / "note").write_text("1")
print(json.dumps(os.getuid()))
"""
        assert in_container(code, *options) == user


def test_a_pipeline_runs_in_the_image_without_installing_anything(
    image: str, pipeline: Make, run_in_containers: Callable[..., Path], tmp_path: Path
) -> None:
    package = pipeline(CELLS).compile(tmp_path / "p.yaml", image=image, install=False).path
    assert total(run_in_containers(package, "1000")) == 9


def test_a_pod_that_is_not_root_installs_its_packages_in_a_bare_image(
    podman: Callable[..., str],
    pipeline: Make,
    run_in_containers: Callable[..., Path],
    tmp_path: Path,
) -> None:
    made = pipeline(CELLS, security_context={"run_as_user": 12345})
    package = made.compile(tmp_path / "p.yaml", image=BASE).path
    assert total(run_in_containers(package, "12345")) == 9
