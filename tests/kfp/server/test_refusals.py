"""Every no of a server has its word, and none tells a secret."""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from fake_kfp import Answer, FakeKfp, Trouble

from kale_pm.errors import ServerError
from kale_pm.kfp.server.connection import Connection, Credentials
from kale_pm.kfp.server.runs import experiment_id, get_run

READ = "GET /apis/v2beta1/runs/run-1"


def refused(connection: Connection) -> ServerError:
    with pytest.raises(ServerError) as caught:
        get_run(connection, "run-1")
    return caught.value


def answered(server: FakeKfp, connection: Connection, answer: Answer) -> ServerError:
    server.troubles = [Trouble(READ, answer, times=9)]
    return refused(connection)


def message(text: str) -> str:
    return json.dumps({"error": text, "code": 2, "message": text})


@pytest.mark.parametrize(
    ("status", "content", "words", "hint"),
    [
        (401, "Jwt is expired", "does not know you", "--authentication token"),
        (500, message("there is no user identity header"), "does not know you", "sign in"),
        (403, "RBAC: access denied", "lets nobody through", "service account"),
        (403, message("no"), "does not allow it", "--namespace"),
        (404, message("Run run-1 not found."), "Run run-1 not found", "/pipeline"),
        (409, message("The name wine already exist."), "already one of this name", "another name"),
        (400, message("no pipeline"), "refuses it \\(400\\); it says: no pipeline", ""),
        (
            400,
            message("The input parameter length exceed maximum size of 10000."),
            "parameters are too large",
            "10,000 bytes",
        ),
        (413, "<html>", "too large for", "gateway"),
        (429, "", "asked too often", "later"),
        (503, "<html>no healthy upstream", "in trouble \\(503\\)$", "kubectl logs"),
    ],
)  # fmt: skip
def test_each_status_has_its_word(
    server: FakeKfp, connection: Connection, status: int, content: str, words: str, hint: str
) -> None:
    error = answered(server, connection, Answer(content, status))
    assert str(error).startswith("cannot read the run run-1: ")
    assert re.search(words, str(error)), str(error)
    assert hint in error.hint
    assert error.status == status


def test_what_may_not_be_done_where_is_named(
    serve: Callable[..., FakeKfp], connect_to: Callable[..., Connection]
) -> None:
    connection = connect_to(serve(multi_user=True), namespace="theirs")
    with pytest.raises(ServerError, match="may not list experiments in the namespace theirs"):
        experiment_id(connection, "Default")


def test_a_page_in_the_place_of_an_answer_asks_to_sign_in(
    server: FakeKfp, connection: Connection
) -> None:
    page = Answer("<html><form>Sign in", 200, "text/html; charset=utf-8")
    error = answered(server, connection, page)
    assert "a page for people (text/html)" in str(error)
    assert "--authentication" in error.hint


@pytest.mark.parametrize("place", ["/dex/auth?client_id=1", "https://a.example.org/oauth2/start"])
def test_a_redirection_to_a_login_asks_to_sign_in(
    server: FakeKfp, connection: Connection, place: str
) -> None:
    error = answered(server, connection, Answer("", 302, "text/html", (("Location", place),)))
    assert "does not know you" in str(error)
    assert "sign in" in error.hint


def test_who_is_signed_in_hears_that_the_proof_may_be_old(
    server: FakeKfp, connect_to: Callable[..., Connection]
) -> None:
    connection = connect_to(server, credentials=Credentials(token="t"))
    error = answered(server, connection, Answer("", 401))
    assert "refuses who you say you are" in str(error)
    assert "expired" in error.hint


def test_the_stack_of_the_server_is_left_out(server: FakeKfp, connection: Connection) -> None:
    text = "Failed to get it\ngithub.com/kubeflow/pipelines/backend.Wrap\n\t/go/src/x.go:1"
    error = answered(server, connection, Answer(message(text), 400))
    assert str(error).endswith("it says: Failed to get it")


@pytest.mark.parametrize("content", ['{"state": 1, "created_at": "no time"}', "{", "[]", "\xff"])
def test_an_answer_that_makes_no_sense_is_no_traceback(
    server: FakeKfp, connection: Connection, content: str
) -> None:
    error = answered(server, connection, Answer(content.encode("latin-1"), 200))
    assert server.url in str(error)
    assert error.hint


def test_nothing_listens(connect_to: Callable[..., Connection]) -> None:
    error = refused(connect_to(FakeKfp(url="http://127.0.0.1:9")))
    assert "nothing answers at http://127.0.0.1:9" in str(error)
    assert "port-forward" in error.hint


def test_the_name_is_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def unknown(*_: object, **__: object) -> None:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", unknown)
    error = refused(Connection("http://no.such.host", pause=0.0))
    assert "there is no host http://no.such.host" in str(error)


@contextmanager
def silent() -> Iterator[str]:
    """A server that takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def test_the_server_says_nothing() -> None:
    with silent() as url:
        error = refused(Connection(url, pause=0.0, timeout=0.02))
    assert "did not answer within 0.02 seconds" in str(error)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 500])
def test_no_message_tells_a_secret(
    server: FakeKfp, connect_to: Callable[..., Connection], status: int, tmp_path: Path
) -> None:
    """Servers and gateways like to repeat what they were sent."""
    file = tmp_path / "token"
    file.write_text("t0ken-of-ann\n")
    headers = (("Set-Cookie", "session=fresh-c00kie"),)
    cookie = "session=c00kie-of-ann; small=a"
    for credentials, sent in (
        (Credentials(token="t0ken-of-ann"), "t0ken-of-ann"),
        (Credentials(token_file=file), "t0ken-of-ann"),
        (Credentials(cookie=cookie), cookie),
        (Credentials(cookie=cookie), "c00kie-of-ann"),
    ):
        told = f"we do not take {sent}, nor Bearer someone-elses"
        connection = connect_to(server, credentials=credentials)
        answer = Answer(message(told), status, headers=headers)
        error = answered(server, connection, answer)
        text = f"{error} {error.hint} {error!r}"
        assert "cannot read the run" in text
        for secret in ("t0ken", "c00kie", "someone-elses"):
            assert secret not in text
