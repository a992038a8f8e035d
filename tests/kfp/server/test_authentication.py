"""The ways to sign in, and how the right one is found."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from fake_kfp import COOKIE, FakeKfp

from kale_pm.errors import ServerError, UsageError
from kale_pm.kfp.server import authentication
from kale_pm.kfp.server.access import Access
from kale_pm.kfp.server.authentication import SignIn, connect
from kale_pm.kfp.server.connection import Connection
from kale_pm.settings import Configuration

pytestmark = pytest.mark.usefixtures("no_pod")

ANN = {"KALE_PM_USERNAME": "ann@example.org", "KALE_PM_PASSWORD": "s3cret&word"}
Connect = Callable[..., Connection]
Serve = Callable[..., FakeKfp]


def test_an_unknown_way_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(UsageError) as caught:
        SignIn("kerberos")
    assert "none, token, service-account, dex, cookie, auto" in caught.value.hint


def test_nobody_signs_in_where_anybody_may(server: FakeKfp, connection: Connection) -> None:
    for method in ("none", "auto"):
        found = connect(connection, SignIn(method, environment={}))
        assert not found.credentials.secrets
    assert {"Authorization", "Cookie"}.isdisjoint(server.received[0].headers)


def test_a_token_comes_from_the_environment_or_from_a_file(
    serve: Serve, connect_to: Connect, tmp_path: Path
) -> None:
    connection = connect_to(serve(guard="token"))
    file = tmp_path / "token"
    file.write_text("good-token\n")
    environment = {"KALE_PM_TOKEN": " good-token "}
    for method in ("token", "auto"):
        assert connect(connection, SignIn(method, environment=environment)).credentials.token
        found = connect(connection, SignIn(method, file, environment={}))
        assert found.credentials.token_file == file


@pytest.mark.parametrize(
    ("method", "variable"),
    [("token", "KALE_PM_TOKEN"), ("cookie", "KALE_PM_COOKIE"), ("dex", "KALE_PM_USERNAME")],
)
def test_a_missing_secret_is_named(connection: Connection, method: str, variable: str) -> None:
    with pytest.raises(UsageError, match=f"{variable}, which is not set"):
        connect(connection, SignIn(method, environment={}))


def test_a_secret_of_two_lines_never_gets_into_a_header(connection: Connection) -> None:
    with pytest.raises(UsageError, match="more than one line") as caught:
        connect(connection, SignIn("token", environment={"KALE_PM_TOKEN": "a\r\nHost: b"}))
    assert "Host: b" not in str(caught.value)


def test_a_token_file_that_is_not_there_is_named(connection: Connection, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"cannot be read from .*missing: No such file"):
        connect(connection, SignIn("service-account", tmp_path / "missing", environment={}))
    for content in ("\n", "two\nlines"):
        (tmp_path / "none").write_text(content)
        with pytest.raises(UsageError, match="holds no token"):
            connect(connection, SignIn("token", tmp_path / "none", environment={}))


def test_a_pod_signs_in_as_its_service_account(
    serve: Serve, connect_to: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    connection = connect_to(serve(guard="token"))
    file = tmp_path / "token"
    file.write_text("good-token")
    elsewhere = {"KF_PIPELINES_SA_TOKEN_PATH": str(file)}
    for method in ("service-account", "auto"):
        found = connect(connection, SignIn(method, environment=elsewhere))
        assert found.credentials.token_file == file
    monkeypatch.setattr(authentication, "SERVICE_ACCOUNT_TOKEN", file)
    assert connect(connection, SignIn(environment={})).credentials.token_file == file


def test_a_cookie_of_a_browser_will_do(serve: Serve, connect_to: Connect) -> None:
    connection = connect_to(serve(guard="cookie"))
    for method in ("cookie", "auto"):
        found = connect(connection, SignIn(method, environment={"KALE_PM_COOKIE": COOKIE}))
        assert found.credentials.cookie == COOKIE
    with pytest.raises(ServerError, match="without signing in"):
        connect(connection, SignIn(environment={}))


@pytest.mark.parametrize("approval", [True, False])
def test_dex_gives_a_cookie_for_a_name_and_a_password(
    serve: Serve, connect_to: Connect, approval: bool
) -> None:
    server = serve(guard="dex", prefix="/pipeline", approval=approval)
    for method in ("dex", "auto"):
        found = connect(connect_to(server), SignIn(method, environment=ANN))
        assert found.credentials.cookie == COOKIE
    posted = [r for r in server.received if r.method == "POST"]
    assert {r.path.rpartition("/")[2] for r in posted} <= {"login", "approval"}


def test_dex_refuses_a_wrong_password(serve: Serve, connect_to: Connect) -> None:
    connection = connect_to(serve(guard="dex"))
    wrong = {**ANN, "KALE_PM_PASSWORD": "gu3ssed"}
    with pytest.raises(ServerError, match="name or the password is wrong") as caught:
        connect(connection, SignIn("dex", environment=wrong))
    assert "gu3ssed" not in f"{caught.value}{caught.value.hint}"


def test_where_there_is_no_dex_its_form_is_missed(server: FakeKfp, connection: Connection) -> None:
    with pytest.raises(ServerError, match="shows no form of Dex") as caught:
        connect(connection, SignIn("dex", environment=ANN))
    assert "--authentication cookie" in caught.value.hint


def test_dex_by_tls_believes_the_same_certificates(
    serve: Serve, connect_to: Connect, certificate: Path
) -> None:
    server = serve(certificate, guard="dex")
    found = connect(connect_to(server, ca=certificate), SignIn("dex", environment=ANN))
    assert found.credentials.cookie == COOKIE
    assert connect(connect_to(server, verify=False), SignIn("dex", environment=ANN))
    with pytest.raises(ServerError, match=r"certificate .* not to be trusted"):
        connect(connect_to(server), SignIn("dex", environment=ANN))


def test_who_has_nothing_to_sign_in_with_hears_of_the_ways(
    serve: Serve, connect_to: Connect
) -> None:
    with pytest.raises(ServerError, match="does not know you") as caught:
        connect(connect_to(serve(guard="dex")), SignIn(environment={}))
    assert "service-account, dex or cookie" in caught.value.hint


def test_the_pipelines_of_a_whole_kubeflow_are_found_below_its_address(serve: Serve) -> None:
    server = serve(prefix="/pipeline")
    found = connect(Connection(server.url, pause=0.0), SignIn(environment={}))
    assert found.host == f"{server.url}/pipeline"


def test_the_refusal_that_says_most_is_told(serve: Serve, connect_to: Connect) -> None:
    """At the address itself a page answers; the API below it is what refuses."""
    server = serve(guard="token", prefix="/pipeline")
    with pytest.raises(ServerError, match="does not know you"):
        connect(Connection(server.url, pause=0.0), SignIn(environment={}))


def test_a_server_of_one_user_is_never_asked_for_a_namespace(connection: Connection) -> None:
    assert connect(connection, SignIn(environment={})).namespace is None


def test_a_server_of_several_users_needs_a_namespace(
    serve: Serve, connect_to: Connect, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = serve(multi_user=True)
    sign_in = SignIn(environment={})
    with pytest.raises(UsageError, match="no namespace is named"):
        connect(connect_to(server), sign_in)
    assert connect(connect_to(server, namespace="me"), sign_in).namespace == "me"
    file = tmp_path / "namespace"
    file.write_text("of-this-pod\n")
    monkeypatch.setattr(authentication, "NAMESPACE_FILE", file)
    assert connect(connect_to(server), sign_in).namespace == "of-this-pod"


def test_flags_come_before_the_configuration_of_the_notebook(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("")
    configuration = Configuration(
        name="wine", host="https://a", namespace="theirs", authentication="none", ca="ca.pem"
    )
    settled = Access().settled(configuration, tmp_path)
    assert settled.connection.host == "https://a"
    assert settled.connection.namespace == "theirs"
    assert settled.connection.ca == tmp_path / "ca.pem"
    assert settled.sign_in.method == "none"
    settled = Access("https://b", "mine", "token", verify=False).settled(configuration, tmp_path)
    assert settled.connection.host == "https://b"
    assert settled.connection.namespace == "mine"
    assert settled.connection.ca is None
    assert settled.sign_in.method == "token"


def test_a_file_of_certificates_must_be_there(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="there is no file"):
        Access("https://a", ca=tmp_path / "none.pem").settled()
