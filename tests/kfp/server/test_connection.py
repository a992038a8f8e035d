"""Where the server is, and how requests travel."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fake_kfp import Answer, FakeKfp, Trouble

from kale_pm.errors import ServerError, UsageError
from kale_pm.kfp.server.connection import Connection, Credentials, known_host, server_address
from kale_pm.kfp.server.runs import experiment_id, get_run


@pytest.mark.parametrize(
    ("copied", "address"),
    [
        ("http://localhost:8080", "http://localhost:8080"),
        ("localhost:8080/", "http://localhost:8080"),
        ("127.0.0.1:3000", "http://127.0.0.1:3000"),
        ("kubeflow.example.org", "https://kubeflow.example.org"),
        ("localhosts.example.org", "https://localhosts.example.org"),
        ("https://kubeflow.example.org/pipeline/", "https://kubeflow.example.org/pipeline"),
        ("https://kubeflow.example.org/pipeline/#/runs/details/1", "https://kubeflow.example.org/pipeline"),
        ("http://localhost:8888/apis/v2beta1", "http://localhost:8888"),
        ("  http://ml-pipeline-ui.kubeflow \n", "http://ml-pipeline-ui.kubeflow"),
    ],
)  # fmt: skip
def test_an_address_is_taken_as_people_copy_it(copied: str, address: str) -> None:
    assert server_address(copied) == address


@pytest.mark.parametrize("text", ["ftp://a", "https://", "http://a:port", "http://a:99999", " "])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="no address"):
        server_address(text)


def test_an_address_holds_no_password() -> None:
    with pytest.raises(UsageError) as caught:
        server_address("https://ann:s3cret@kubeflow.example.org")
    assert "s3cret" not in str(caught.value)


def test_the_first_named_server_is_taken_then_that_of_the_environment(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("KF_PIPELINES_ENDPOINT", "http://c")
    assert known_host(None, "http://b") == "http://b"
    assert known_host(None, None) == "http://c"
    monkeypatch.delenv("KF_PIPELINES_ENDPOINT")
    with pytest.raises(UsageError, match="no server is named"):
        known_host(None, "")


def test_the_user_interface_may_be_reached_elsewhere() -> None:
    connection = Connection("http://inside", pages="https://outside/pipeline")
    assert connection.page("runs/details/1") == "https://outside/pipeline/#/runs/details/1"
    assert Connection("http://inside").page("x") == "http://inside/#/x"


def test_the_proxy_of_the_environment_is_taken_but_for_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("https_proxy", "http://proxy:3128")
    monkeypatch.setenv("http_proxy", "http://proxy:3128")
    monkeypatch.setenv("no_proxy", "inside.example.org")
    assert Connection("https://kubeflow.example.org").proxy == "http://proxy:3128"
    assert Connection("https://inside.example.org").proxy is None
    assert Connection("http://127.0.0.1:8080").proxy is None


def test_secrets_are_not_in_the_text_of_a_connection() -> None:
    credentials = Credentials(token="t0ken", cookie="session=c00kie")
    assert "t0ken" not in repr(Connection("http://a", credentials=credentials))
    assert "c00kie" not in repr(credentials)


def test_a_token_file_is_read_anew_for_every_request(
    serve: Callable[..., FakeKfp], connect_to: Callable[..., Connection], tmp_path: Path
) -> None:
    server = serve(guard="token")
    file = tmp_path / "token"
    connection = connect_to(server, credentials=Credentials(token_file=file))
    file.write_text("old-token\n")
    with pytest.raises(ServerError, match="refuses who you say you are"):
        experiment_id(connection, "one")
    file.write_text("good-token\n")
    assert experiment_id(connection, "one") == "experiment-1"


def test_a_certificate_that_nobody_signed_is_refused_unless_named(
    serve: Callable[..., FakeKfp], connect_to: Callable[..., Connection], certificate: Path
) -> None:
    server = serve(certificate)
    with pytest.raises(ServerError, match=r"certificate .* not to be trusted") as caught:
        experiment_id(connect_to(server), "one")
    assert "--ca" in caught.value.hint
    assert experiment_id(connect_to(server, ca=certificate), "one") == "experiment-1"
    assert experiment_id(connect_to(server, verify=False), "one") == "experiment-1"


def test_a_server_without_tls_is_told_from_one_with_a_bad_certificate(
    server: FakeKfp, connect_to: Callable[..., Connection]
) -> None:
    connection = Connection(server.url.replace("http:", "https:"), pause=0.0)
    with pytest.raises(ServerError, match="does not speak TLS"):
        get_run(connection, "1")


@pytest.mark.parametrize("status", [500, 502, 503, 504, 429])
def test_what_only_reads_is_asked_again(
    server: FakeKfp, connection: Connection, status: int
) -> None:
    server.runs["run-1"] = {"run_id": "run-1"}
    server.troubles = [Trouble("GET /apis/v2beta1/runs/run-1", Answer({}, status), times=3)]
    assert get_run(connection, "run-1").run_id == "run-1"
    assert len(server.asked) == 4


def test_it_is_not_asked_for_ever(server: FakeKfp, connection: Connection) -> None:
    server.troubles = [Trouble("GET /apis/v2beta1/runs/run-1", Answer({}, 503), times=99)]
    with pytest.raises(ServerError, match="503"):
        get_run(connection, "run-1")
    assert len(server.asked) == 5


def test_no_request_follows_a_redirection(server: FakeKfp, connection: Connection) -> None:
    elsewhere = Answer("", 302, "text/html", (("Location", "https://other.example.org/x?code=1"),))
    server.troubles = [Trouble("GET /apis/v2beta1/runs/run-1", elsewhere)]
    with pytest.raises(ServerError, match=r"sends requests to https://other.example.org/x \(302"):
        get_run(connection, "run-1")
    assert server.asked == ["GET /apis/v2beta1/runs/run-1"]
