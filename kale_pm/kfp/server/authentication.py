"""Who asks: the ways to sign in, and how the right one is found where none is named.

Nothing secret is ever taken from the command line, where every user of the machine could read
it: tokens, cookies and passwords come from the environment or from files.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from kale_pm.errors import ServerError, UsageError
from kale_pm.kfp.server.connection import Connection, Credentials, api_client, server_address
from kale_pm.kfp.server.refusal import refusals

TOKEN = "KALE_PM_TOKEN"
COOKIE = "KALE_PM_COOKIE"
USERNAME = "KALE_PM_USERNAME"
PASSWORD = "KALE_PM_PASSWORD"
# Where Kubeflow puts the token of a pod that may use pipelines, and how it moves it.
SERVICE_ACCOUNT_VARIABLE = "KF_PIPELINES_SA_TOKEN_PATH"
SERVICE_ACCOUNT_TOKEN = Path("/var/run/secrets/kubeflow/pipelines/token")
NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")
# A whole Kubeflow has its pipelines below this; KFP alone has them at the root.
_PREFIX = "/pipeline"


@dataclass(frozen=True)
class SignIn:
    """What the user says of how to sign in.

    ``method`` is one of :data:`METHODS`, or ``auto``.  ``environment`` is where secrets are
    looked for by the names above, ``token_file`` a file in their place.
    """

    method: str = "auto"
    token_file: Path | None = None
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)

    def __post_init__(self) -> None:
        if self.method not in (*METHODS, "auto"):
            raise UsageError(
                f"'{self.method}' is no way to sign in",
                hint=f"the ways are {', '.join((*METHODS, 'auto'))}",
            )


def connect(connection: Connection, sign_in: SignIn | None = None) -> Connection:
    """``connection`` with credentials, the API's real address and the namespace to use.

    Asks the server how it is once or twice.  Raises UsageError where something that the way to
    sign in needs is not there, ServerError where the server cannot be reached or refuses.
    """
    sign_in = sign_in or SignIn()
    connection = replace(connection, host=server_address(connection.host))
    if sign_in.method == "auto":
        connection, several = _find_way(connection, sign_in)
    else:
        connection = METHODS[sign_in.method](connection, sign_in)
        connection, several = _find_api(connection)
    return replace(connection, namespace=_namespace(connection.namespace, several))


def _find_way(connection: Connection, sign_in: SignIn) -> tuple[Connection, bool]:
    """What is there to sign in with, else nothing, and if that is not enough, Dex."""
    environment = sign_in.environment
    if sign_in.token_file or environment.get(TOKEN):
        return _find_api(_with_token(connection, sign_in))
    if environment.get(COOKIE):
        return _find_api(_with_cookie(connection, sign_in))
    if _service_account_file(sign_in).exists():
        return _find_api(_with_service_account(connection, sign_in))
    try:
        return _find_api(connection)
    except ServerError as error:
        if not (environment.get(USERNAME) and environment.get(PASSWORD) and _asks_who(error)):
            raise
    return _find_api(_with_dex(connection, sign_in))


def _asks_who(error: ServerError) -> bool:
    """Whether signing in could help."""
    return error.status is not None and error.status in (200, 301, 302, 303, 307, 401, 403)


def _find_api(connection: Connection) -> tuple[Connection, bool]:
    """The connection to where the API answers, and whether it serves several users."""
    places = [connection]
    if not connection.host.endswith(_PREFIX):
        places.append(replace(connection, host=connection.host + _PREFIX))
    first: ServerError | None = None
    for place in places:
        try:
            with refusals(place, "reach the KFP server"):
                return place, _healthz(place)
        except ServerError as error:
            if error.status is None or error.status >= 500:
                raise first or error from None
            # What is elsewhere answers with a page of its own; that the API itself refuses
            # says more than that there is none.
            if first is None or (first.status in (200, 404) and error.status not in (200, 404)):
                first = error
    assert first is not None
    raise first


def _healthz(connection: Connection) -> bool:
    from kfp_server_api import HealthzServiceApi

    with api_client(connection) as client:
        return bool(HealthzServiceApi(client).healthz_service_get_healthz().multi_user)


def _namespace(asked: str | None, several: bool) -> str | None:
    """The namespace for requests: only a server of several users has any."""
    if not several:
        return None
    if asked:
        return asked
    try:
        return NAMESPACE_FILE.read_text(encoding="utf-8").strip()
    except OSError:
        raise UsageError(
            "the server serves several users, and no namespace is named",
            hint="give --namespace, your profile in Kubeflow: it stands at the top of its pages",
        ) from None


def _nobody(connection: Connection, _: SignIn) -> Connection:
    return connection


def _with_token(connection: Connection, sign_in: SignIn) -> Connection:
    if sign_in.token_file is not None:
        _readable(sign_in.token_file)
        return replace(connection, credentials=Credentials(token_file=sign_in.token_file))
    return _signed(connection, token=_secret(sign_in, TOKEN, "the token", "--token-file FILE"))


def _with_cookie(connection: Connection, sign_in: SignIn) -> Connection:
    return _signed(connection, cookie=_secret(sign_in, COOKIE, "the cookie"))


def _with_service_account(connection: Connection, sign_in: SignIn) -> Connection:
    file = sign_in.token_file or _service_account_file(sign_in)
    _readable(file)
    return replace(connection, credentials=Credentials(token_file=file))


def _with_dex(connection: Connection, sign_in: SignIn) -> Connection:
    from kale_pm.kfp.server.dex import dex_cookie

    username = _secret(sign_in, USERNAME, "the name")
    password = _secret(sign_in, PASSWORD, "the password")
    return _signed(connection, cookie=dex_cookie(connection, username, password))


METHODS: Mapping[str, Callable[[Connection, SignIn], Connection]] = {
    "none": _nobody,
    "token": _with_token,
    "service-account": _with_service_account,
    "dex": _with_dex,
    "cookie": _with_cookie,
}


def _signed(
    connection: Connection, *, token: str | None = None, cookie: str | None = None
) -> Connection:
    return replace(connection, credentials=Credentials(token=token, cookie=cookie))


def _secret(sign_in: SignIn, variable: str, what: str, otherwise: str = "") -> str:
    value = sign_in.environment.get(variable, "").strip()
    if not value or not value.isprintable():
        state = "cannot be used: it has more than one line" if value else "is not set"
        raise UsageError(
            f"to sign in with {sign_in.method}, {what} is read from {variable}, which {state}",
            hint=f"set {variable}" + (f", or give {otherwise}" if otherwise else ""),
        )
    return value


def _service_account_file(sign_in: SignIn) -> Path:
    return Path(sign_in.environment.get(SERVICE_ACCOUNT_VARIABLE) or SERVICE_ACCOUNT_TOKEN)


def _readable(file: Path) -> None:
    try:
        token = file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise UsageError(
            f"the token cannot be read from {file}: {reason}",
            hint="in a pod of Kubeflow it is put there when the pod may use pipelines: see "
            "docs/submit.md",
        ) from None
    if not token or not token.isprintable():
        raise UsageError(f"{file} holds no token", hint="write one into it, on one line")
