"""What it means when the server says no, or nothing at all.

Everything ends as a ServerError that says what was tried, why it did not work and what to do.
Its text never holds a token, a cookie or a header: errors end up in logs and in issues.
"""

from __future__ import annotations

import json
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from kale_pm.errors import ServerError
from kale_pm.kfp.server.connection import Connection, Credentials

_LONGEST = 600  # characters of what a server says that are worth showing
# Go's errors come with the places in its source where they passed.
_STACK = re.compile(r"(\\n|\n)(github\.com|google\.golang|main)\b.*", re.DOTALL)
_RESOURCE = re.compile(
    r"Namespace:(?P<namespace>[^,]*),Verb:(?P<verb>[^,]*),.*?Resource:(?P<what>[^,]*)"
)
_PARAMETERS = re.compile(r"parameter\w*\b.{0,40}\bexceed", re.IGNORECASE)
# Anything that looks like a proof of identity, whoever sent it.
_PROOF = re.compile(r"(?i)\b(bearer\s+|(?:set-)?cookie:\s*|authorization:\s*)\S+(?:;\s*\S+=\S+)*")
SIGN_IN = "sign in: --authentication token, service-account, dex or cookie (docs/submit.md)"


@dataclass(frozen=True)
class Refusal:
    """``reason`` goes on after "cannot do this: ", ``hint`` says what to do."""

    reason: str
    hint: str = ""
    status: int | None = None


@contextmanager
def refusals(connection: Connection, doing: str) -> Iterator[None]:
    """Whatever goes wrong between here and the server in the block is raised as ServerError.

    ``doing`` is what is tried, as in ``start the run``.
    """
    from kfp_server_api.exceptions import OpenApiException
    from urllib3.exceptions import HTTPError

    from kale_pm.kfp.server.client import NotTheApi

    try:
        yield
    except (OpenApiException, HTTPError, NotTheApi, OSError, ValueError) as error:
        raise as_server_error(error, connection, doing) from None


def as_server_error(error: Exception, connection: Connection, doing: str) -> ServerError:
    """``error``, raised by a client of this package, in words that help."""
    found = _refusal(error, connection)
    return ServerError(
        scrubbed(f"cannot {doing}: {found.reason}", connection.credentials),
        hint=found.hint,
        status=found.status,
    )


def scrubbed(text: str, credentials: Credentials) -> str:
    """``text`` without anything that proves who somebody is."""
    for secret in sorted(credentials.secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _PROOF.sub(lambda found: f"{found[1]}***", text)


def _refusal(error: Exception, connection: Connection) -> Refusal:
    from kfp_server_api.exceptions import ApiException

    from kale_pm.kfp.server.client import NotTheApi

    if isinstance(error, NotTheApi):
        return _not_the_api(error, connection)
    if isinstance(error, ApiException) and error.status:
        return _answer(error, connection)
    if (trouble := _connection_trouble(error, connection)) is not None:
        return trouble
    if isinstance(error, OSError):
        file = f"{error.filename}: " if error.filename else ""
        return Refusal(f"{file}{error.strerror or error}")
    return Refusal(
        f"{connection.host} answered what kale-pm does not understand ({type(error).__name__}: "
        f"{_short(str(error))})",
        hint="kale-pm speaks the API v2beta1 of KFP 2: is the server older, or much newer?",
    )


def _not_the_api(error: Any, connection: Connection) -> Refusal:
    if "json" in error.kind:
        return Refusal(
            f"the answer of {connection.host} is damaged", hint="try again", status=error.status
        )
    return Refusal(
        f"{connection.host} answered with a page for people ({error.kind.partition(';')[0]}), "
        "not as KFP's API",
        hint="either it wants you to sign in (--authentication), or its address lacks a part: "
        "of a whole Kubeflow it ends in /pipeline",
        status=error.status,
    )


def _connection_trouble(error: BaseException, connection: Connection) -> Refusal | None:
    from urllib3 import exceptions

    cause = error.reason if isinstance(error, exceptions.MaxRetryError) else error
    text = str(cause)
    if isinstance(cause, exceptions.SSLError) or "SSL" in type(cause).__name__:
        return _certificate(text, connection)
    if isinstance(cause, (exceptions.NameResolutionError, socket.gaierror)):
        return Refusal(
            f"there is no host {connection.host}",
            hint="is the name right, and can this machine see it (VPN, port-forward)?",
        )
    if isinstance(cause, (exceptions.TimeoutError, TimeoutError)) and not isinstance(
        cause, exceptions.NewConnectionError
    ):
        return Refusal(
            f"{connection.host} did not answer within {connection.timeout:g} seconds",
            hint="try again; behind a firewall or a port-forward, see that it still stands",
        )
    if isinstance(cause, exceptions.ProxyError):
        return Refusal(
            f"the proxy on the way to {connection.host} cannot be used",
            hint="see HTTPS_PROXY, and NO_PROXY for hosts that are reached without it",
        )
    if isinstance(cause, (exceptions.NewConnectionError, ConnectionRefusedError)):
        return Refusal(
            f"nothing answers at {connection.host}",
            hint="is the server there? from outside of a cluster: "
            "kubectl port-forward -n kubeflow svc/ml-pipeline-ui 8080:80, "
            "and --host http://localhost:8080",
        )
    if isinstance(cause, (exceptions.HTTPError, ConnectionError)):
        return Refusal(
            f"the connection to {connection.host} broke off ({type(cause).__name__})",
            hint="try again",
        )
    return None


def _certificate(text: str, connection: Connection) -> Refusal:
    if "WRONG_VERSION_NUMBER" in text or "RECORD_LAYER" in text:
        return Refusal(f"{connection.host} does not speak TLS", hint="write http:// in its address")
    known = re.search(r"certificate verify failed: ([^(]+)", text)
    why = f": {known[1].strip()}" if known else ""
    return Refusal(
        f"the certificate of {connection.host} is not to be trusted{why}",
        hint="name the file of the authority that signed it with --ca; "
        "--insecure believes any certificate",
    )


def _answer(error: Any, connection: Connection) -> Refusal:
    status = int(error.status)
    message = _message(error.body)
    said = f"; it says: {message}" if message else ""
    host = connection.host
    if 300 <= status < 400:
        place = _short((error.headers or {}).get("Location", "").partition("?")[0])
        if re.search(r"/(dex|oauth2?|auth\w*|login|signin)\b", place):
            return Refusal(f"{host} does not know you ({status})", hint=SIGN_IN, status=status)
        return Refusal(
            f"{host} sends requests to {place or 'another address'} ({status})",
            hint="if that is the same server, name it in --host; if it is a page for people, "
            + SIGN_IN,
            status=status,
        )
    # Servers before 2.0 and some gateways tell this with the status 500.
    if status == 401 or "no user identity header" in message or "Unauthenticated" in message:
        signed = "refuses who you say you are" if _has_proof(connection) else "does not know you"
        again = "the token or cookie may have expired: get a new one, or "
        return Refusal(
            f"{host} {signed} ({status}){said}",
            hint=f"{again if _has_proof(connection) else ''}{SIGN_IN}",
            status=status,
        )
    if status == 403:
        return _forbidden(message, connection)
    if status == 404:
        return Refusal(
            f"{host} has no such thing (404){said}",
            hint="if nothing works, its address may lack a part: of a whole Kubeflow it ends in "
            "/pipeline",
            status=status,
        )
    if status == 409:
        return Refusal(
            f"there is already one of this name (409){said}",
            hint="choose another name",
            status=status,
        )
    if _PARAMETERS.search(message):
        return Refusal(
            f"the parameters are too large for the server ({status}){said}",
            hint="a KFP server takes 10,000 bytes of them, unless its administrator raised "
            "MAX_PARAMETER_BYTES: read large values from a file",
            status=status,
        )
    if status == 413:
        return Refusal(
            f"the pipeline is too large for {host} (413)",
            hint="a gateway in front of KFP may take less than KFP does: ask its administrator",
            status=status,
        )
    if status == 429:
        return Refusal(f"{host} is asked too often (429)", hint="try again later", status=status)
    if status >= 500:
        return Refusal(
            f"{host} is in trouble ({status}){said}",
            hint="try again later; what the server says of itself: "
            "kubectl logs -n kubeflow deployment/ml-pipeline",
            status=status,
        )
    return Refusal(f"{host} refuses it ({status}){said}", status=status)


def _forbidden(message: str, connection: Connection) -> Refusal:
    if found := _RESOURCE.search(message):
        asked = f"{found['verb']} {found['what']}"
        place = found["namespace"]
        return Refusal(
            f"you may not {asked} in the namespace {place} (403)",
            hint=f"is {place} yours (--namespace)? if so, its owner gives the right to {asked} "
            "with a role such as kubeflow-edit",
            status=403,
        )
    if "RBAC" in message:
        return Refusal(
            f"the gateway of {connection.host} lets nobody through without signing in (403)",
            hint=SIGN_IN
            + "; inside of the cluster use the address of ml-pipeline-ui with a service account",
            status=403,
        )
    said = f"; it says: {message}" if message else ""
    return Refusal(
        f"{connection.host} does not allow it (403){said}",
        hint="is the namespace yours (--namespace), and are you signed in as who you think?",
        status=403,
    )


def _has_proof(connection: Connection) -> bool:
    return connection.credentials != Credentials()


def _message(body: object) -> str:
    """What the server says, as one line without the stack that Go adds."""
    text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")
    try:
        content = json.loads(text)
    except ValueError:
        # A page for people says nothing that is worth a line.
        return "" if text.lstrip().startswith("<") else _short(text)
    if isinstance(content, dict):
        text = str(
            content.get("message") or content.get("error_message") or content.get("error") or ""
        )
    return _short(_STACK.sub("", text))


def _short(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else line[: _LONGEST - 1] + "…"
