"""``server``: a fake KFP server for the test; ``connection``: how it is reached, without pauses."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from fake_kfp import FakeKfp, serving

from kale_pm.kfp.server import authentication
from kale_pm.kfp.server.connection import Connection

PACKAGE = """
pipelineInfo: {name: wine}
root:
  dag:
    tasks:
      carry-runtime: {taskInfo: {name: carry-runtime}}
      step-load: {taskInfo: {name: load}, dependentTasks: [carry-runtime]}
      step-train-all: {taskInfo: {name: train_all}, dependentTasks: [carry-runtime, step-load]}
  inputDefinitions:
    parameters: {trees: {parameterType: NUMBER_INTEGER}, words: {parameterType: STRING}}
"""


@pytest.fixture
def serve() -> Iterator[Callable[..., FakeKfp]]:
    """``serve(guard="token")`` starts a server of that kind."""
    with ExitStack() as servers:

        def start(certificate: Path | None = None, **settings: Any) -> FakeKfp:
            return servers.enter_context(serving(FakeKfp(**settings), certificate))

        yield start


@pytest.fixture
def server(serve: Callable[..., FakeKfp]) -> FakeKfp:
    return serve()


@pytest.fixture
def connect_to() -> Callable[..., Connection]:
    def make(server: FakeKfp, **settings: Any) -> Connection:
        return Connection(server.url + server.prefix, **{"pause": 0.0, "timeout": 5.0, **settings})

    return make


@pytest.fixture
def connection(server: FakeKfp, connect_to: Callable[..., Connection]) -> Connection:
    return connect_to(server)


@pytest.fixture
def package(tmp_path: Path) -> Path:
    """A compiled pipeline with the steps load and train_all."""
    path = tmp_path / "wine.yaml"
    path.write_text(PACKAGE, encoding="utf-8")
    return path


@pytest.fixture
def no_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The test is no pod of Kubeflow, and its environment names no server nor secrets."""
    nowhere = tmp_path / "nowhere"
    monkeypatch.setattr(authentication, "SERVICE_ACCOUNT_TOKEN", nowhere)
    monkeypatch.setattr(authentication, "NAMESPACE_FILE", nowhere)
    for name in ("KF_PIPELINES_ENDPOINT", "KF_PIPELINES_UI_ENDPOINT", "KF_PIPELINES_SA_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    for word in ("TOKEN", "COOKIE", "USERNAME", "PASSWORD"):
        monkeypatch.delenv(f"KALE_PM_{word}", raising=False)


@pytest.fixture(scope="session")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate of 127.0.0.1 that nobody signed but itself, with its key."""
    folder = tmp_path_factory.mktemp("certificate")
    key, signed = folder / "key.pem", folder / "signed.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
         "-nodes", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1",
         "-keyout", str(key), "-out", str(signed)],
        check=True, capture_output=True,
    )  # fmt: skip
    both = folder / "both.pem"
    both.write_text(key.read_text() + signed.read_text())
    return both
