"""The fake KFP server, with what a run under kfp.local has left: logs of pods and artifacts.

The announcements in the logs are real but for their URIs, which lead into kfp.local's folder:
they are written anew as a cluster has them, below ``minio://mlpipeline``.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import re
import subprocess
import sys
import tarfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fake_kfp import (
    CREATED,
    Answer,
    FakeKfp,
    Frame,
    Refused,
    Request,
    detail,
    pod_name,
    task_details,
)

from kale_pm import Pipeline
from kale_pm.kfp.server.framed import read_told
from kale_pm.runtime.pod.announce import CLOSING, OUTPUTS
from kale_pm.runtime.pod.frames import framed

RUN = "0f6d2c1e-4a39-4c58-9f41-3f1d2c7b8a90"
ROOT = f"minio://mlpipeline/v2/artifacts/small/{RUN}"
CLOSING_POD = "wine-x7-system-container-impl-99"
_COLOURS = re.compile(r"\x1b\[[0-9;]*m")


@dataclass
class FakeKfpWithOutputs(FakeKfp):
    """A KFP server that also has pods and an object store.

    ``store`` is the folder whose files are the objects below :data:`ROOT`.  ``archives`` says
    that a folder is served as a tar.gz, and not file by file.  ``log_route`` and ``artifacts``
    say what the server has: ``v1alpha1``, ``v2beta1`` or ``interface``, and whether there is a
    user interface with artifacts.  ``details`` are the nodes of the run, in the place of those
    that its frame gives.  ``native`` are artifacts by task and output, for an API to come.
    """

    store: Path = Path()
    archives: bool = False
    log_route: str = "v1alpha1"
    artifacts: bool = True
    details: list[dict[str, Any]] | None = None
    native: Mapping[tuple[str, str], str] = field(default_factory=dict)

    def answer(self, request: Request) -> Answer:
        path = request.path.removeprefix(self.prefix)
        if path.startswith(("/artifacts/", "/k8s/")):
            with self.lock:
                self.asked.append(f"{request.method} {request.path}")
                self.received.append(request)
                if (page := self._entrance(request)) is not None:
                    return page
                try:
                    return self._interface(request, path)
                except Refused as refused:
                    return refused.answer
        return super().answer(request)

    def _serve(self, request: Request, path: str) -> Answer:
        if found := re.fullmatch(r"/apis/(\w+)/runs/([^/]+)/nodes/([^/]+)/log", path):
            if found[1] != self.log_route:
                return Answer("404 page not found", 404, "text/plain")
            return self.log(request, found[2], found[3])
        if path == "/apis/v2beta1/artifact_tasks" and self.native:
            links = [
                {"artifact_id": f"a{number}", "key": key, "producer": {"task_name": task}}
                for number, (task, key) in enumerate(self.native)
            ]
            start = int(request.query.get("page_token", 0))
            page: dict[str, Any] = {"artifact_tasks": links[start : start + 1]}
            return Answer({**page, "next_page_token": str(start + 1) if links[start + 1 :] else ""})
        if found := re.fullmatch(r"/apis/v2beta1/artifacts/a(\d+)", path):
            return Answer({"uri": list(self.native.values())[int(found[1])]})
        return super()._serve(request, path)

    def get_run(self, request: Request, run_id: str) -> dict[str, Any]:
        run = super().get_run(request, run_id)
        return (
            run if self.details is None else {**run, "run_details": {"task_details": self.details}}
        )

    def _interface(self, request: Request, path: str) -> Answer:
        if path == "/k8s/pod/logs" and self.log_route == "interface":
            assert request.query["createdat"] == CREATED[:10]
            return self.log(request, request.query["runid"], request.query["podname"])
        if path.startswith("/artifacts/") and self.artifacts:
            if self.multi_user and request.query.get("namespace") not in self.allowed:
                return Answer("Access denied to namespace", 403, "text/plain")
            return self._object(path.removeprefix("/artifacts/").replace("/", "://", 1))
        return Answer("Cannot GET " + path, 404, "text/plain")

    def _object(self, uri: str) -> Answer:
        place = self.store / uri.removeprefix(ROOT).replace("/salt/", "/").lstrip("/")
        is_object = place.is_file() and (not self.archives or place.parent.parent == self.store)
        if uri.startswith(ROOT) and is_object:
            return Answer(place.read_bytes(), 200, "application/octet-stream")
        if uri.startswith(ROOT) and place.is_dir() and self.archives:
            packed = io.BytesIO()
            with tarfile.open(fileobj=packed, mode="w:gz") as archive:
                archive.add(place, place.name)
            return Answer(packed.getvalue(), 200, "application/gzip")
        return Answer(f"Failed to get object {uri}", 500, "text/plain")


@dataclass(frozen=True)
class Outcome:
    """What kfp.local left of a run: the compiled pipeline, the folder of the tasks, the log."""

    package: Path
    folder: Path
    log: str


RUN_UNDER_KFP = """
import sys
from kfp import local
from kfp.components import load_component_from_file

package, root = sys.argv[1:]
runner = local.SubprocessRunner(use_venv=False)
local.init(runner=runner, pipeline_root=root, workspace_root=root + "-scratch")
load_component_from_file(package)()
"""


def carried_out(pipeline: Pipeline, where: Path) -> Outcome:
    """Compile the pipeline and let kfp.local run it, whatever comes of it."""
    package = pipeline.compile(where / "package.yaml", install=False).path
    python = Path(sys.executable).parent
    done = subprocess.run(
        [sys.executable, "-c", RUN_UNDER_KFP, package, where / "root"],
        check=False,
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": f"{python}{os.pathsep}{os.environ['PATH']}"},
    )
    (folder,) = (where / "root").iterdir()
    return Outcome(package, folder, done.stdout)


def left_by(outcome: Outcome, **facts: Any) -> FakeKfpWithOutputs:
    """The server after a run."""
    import yaml

    folder = outcome.folder
    spec = next(yaml.safe_load_all(outcome.package.read_text(encoding="utf-8")))
    logs = dict(pod_logs(outcome.log, folder))
    closing = logs.pop(CLOSING, None)
    ended = {n: "SUCCEEDED" if b"KALEPM-OUTPUTS" in text else "FAILED" for n, text in logs.items()}
    state = "FAILED" if "FAILED" in ended.values() else "SUCCEEDED"
    fake = FakeKfpWithOutputs(store=folder, frames=[Frame(state, ended)], **facts)
    fake.logs = {pod_name(name): text for name, text in logs.items()}
    if closing is not None:
        fake.details = [*task_details(fake.frames[0]), *closing_nodes()]
        fake.logs[CLOSING_POD] = closing
    fake.runs[RUN] = {
        "run_id": RUN,
        "display_name": "small of today",
        "created_at": CREATED,
        "state": state,
        "pipeline_spec": spec,
        "runtime_config": {"parameters": {}},
    }
    return fake


def pod_logs(log: str, folder: Path) -> Iterator[tuple[str, bytes]]:
    """The log of every step, as its pod would have written it."""
    pieces = re.split(r"Executing task '(\S+?)'", _COLOURS.sub("", log))
    for task, text in zip(pieces[1::2], pieces[2::2], strict=True):
        if task.startswith("step-"):
            step = next((name for name, _ in read_told(text.splitlines())), task[5:])
            yield step, on_a_cluster(text, folder).encode()
        elif task == "close-run":
            yield CLOSING, on_a_cluster(text, folder).encode()


def on_a_cluster(text: str, folder: Path) -> str:
    """The log with the URIs that a cluster has."""
    lines = []
    for line in text.splitlines():
        if OUTPUTS not in line:
            lines.append(line)
            continue
        (((step, attempt), told),) = read_told([line]).items()
        facts = json.dumps(told.outputs)
        facts = re.sub(
            rf'"{re.escape(str(folder))}/([^/"]+)/(\w+)"', rf'"{ROOT}/\1/salt/\2"', facts
        )
        lines += framed(OUTPUTS, step, attempt, gzip.compress(facts.encode()))
    return "\n".join(lines) + "\n"


def closing_nodes() -> list[dict[str, Any]]:
    """The nodes of the exit task."""
    below = [{"pod_name": "wine-x7-99"}]
    executed = detail("executor", "SUCCEEDED", CLOSING_POD, pod_name=CLOSING_POD)
    return [detail("close-run", "SUCCEEDED", "n5", child_tasks=below), executed]


def executor(step: str, number: int, attempt: int, state: str) -> dict[str, Any]:
    """The node of one try of a step that may be tried again."""
    pod = f"wine-x7-retry-system-container-impl-{number}"
    return detail(f"executor({attempt})", state, pod, pod_name=pod)
