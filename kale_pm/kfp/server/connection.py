"""How the KFP server is reached: where it is, who asks, and which certificates are believed."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

from kale_pm.errors import UsageError

if TYPE_CHECKING:
    from kfp_server_api import ApiClient

# Those that kfp.Client reads.
HOST_VARIABLE = "KF_PIPELINES_ENDPOINT"
PAGES_VARIABLE = "KF_PIPELINES_UI_ENDPOINT"
_SHORTEST = 4  # characters of a secret
_LOOPBACK = re.compile(r"(localhost|127\.[\d.]+|\[::1\])(:\d+)?(/|$)")


@dataclass(frozen=True)
class Credentials:
    """What a request carries as proof of who asks; nothing where all are None.

    ``token_file`` is read anew for every request, because Kubernetes renews it.
    """

    token: str | None = field(default=None, repr=False)
    token_file: Path | None = None
    cookie: str | None = field(default=None, repr=False)

    @property
    def secrets(self) -> tuple[str, ...]:
        """The texts that no message may show."""
        values = [part.partition("=")[2] for part in (self.cookie or "").split("; ")]
        known = (self.token, self._of_file(), self.cookie, *values)
        # What is shorter guards nothing, and would be found in the middle of words.
        return tuple(text for text in known if text and len(text) >= _SHORTEST)

    def _of_file(self) -> str | None:
        try:
            return self.token_file.read_text(encoding="utf-8").strip() if self.token_file else None
        except (OSError, ValueError):
            return None


@dataclass(frozen=True)
class Connection:
    """A KFP server and how to talk to it.

    ``host`` is what stands before ``/apis``; the user interface is at the same address, unless
    ``pages`` says that browsers reach it elsewhere.  ``namespace`` is the profile of a
    multi-user installation.  ``ca`` is a file of the certificates to believe in place of the
    usual ones, ``verify=False`` believes any.  ``timeout`` is
    for one request and ``pause`` before it is tried again for the first time, in seconds.
    """

    host: str
    namespace: str | None = None
    credentials: Credentials = Credentials()
    ca: Path | None = None
    verify: bool = True
    timeout: float = 60.0
    pause: float = 0.5
    pages: str | None = None

    @property
    def proxy(self) -> str | None:
        """The proxy that the environment names for this host; None for this machine itself."""
        parts = urlsplit(self.host)
        if _LOOPBACK.match(parts.netloc) or proxy_bypass(parts.hostname or ""):
            return None
        return getproxies().get(parts.scheme)

    def page(self, path: str) -> str:
        """The address of a page of the user interface, as in ``runs/details/ID``."""
        return f"{self.pages or self.host}/#/{path}"


def api_client(connection: Connection) -> ApiClient:
    """The client whose calls go to the server of ``connection``; close it after use.

    Its calls raise what :func:`kale_pm.kfp.server.refusal.refusals` understands.
    """
    from kale_pm.kfp.server.client import Client

    return Client(connection)


def server_address(text: str) -> str:
    """A server's address as people copy it, as what stands before ``/apis``.

    >>> server_address("localhost:8080/")
    'http://localhost:8080'
    >>> server_address("kubeflow.example.org/pipeline/#/runs")
    'https://kubeflow.example.org/pipeline'

    Raises UsageError if it is none.
    """
    address = text.strip()
    if "://" not in address:
        address = f"{'http' if _LOOPBACK.match(address) else 'https'}://{address}"
    try:
        parts = urlsplit(address)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise UsageError(
            f"'{text}' is no address of a server",
            hint="as in --host https://kubeflow.example.org/pipeline or localhost:8080",
        )
    if parts.username or parts.password:
        raise UsageError(
            "the address of the server holds a name or a password",
            hint="leave it out of the address, and choose a way to sign in with --authentication",
        )
    path = parts.path.partition("/apis")[0].rstrip("/")
    return f"{parts.scheme}://{parts.netloc}{path}"


def known_pages() -> str | None:
    """Where the environment says that browsers reach the user interface."""
    address = os.environ.get(PAGES_VARIABLE)
    return server_address(address) if address else None


def known_host(*candidates: str | None) -> str:
    """The first address that is given, else that of the environment; UsageError if none is."""
    for text in (*candidates, os.environ.get(HOST_VARIABLE)):
        if text:
            return server_address(text)
    raise UsageError(
        "no server is named",
        hint=f"give --host URL, or set {HOST_VARIABLE}, or 'host' in the notebook's configuration",
    )
