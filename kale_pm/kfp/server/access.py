"""What a user says of the server and of how to sign in, completed by what the notebook says."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from kale_pm.errors import UsageError
from kale_pm.kfp.server.authentication import SignIn, connect
from kale_pm.kfp.server.connection import Connection, known_host, known_pages
from kale_pm.settings import Configuration


@dataclass(frozen=True)
class Access:
    """Which server, and as whom; None where the user says nothing.

    ``authentication`` is one of the ways of :mod:`kale_pm.kfp.server.authentication`, ``ca`` a
    file of certificates to believe; ``verify=False`` believes any.
    """

    host: str | None = None
    namespace: str | None = None
    authentication: str | None = None
    token_file: Path | None = None
    ca: Path | None = None
    verify: bool = True

    def settled(
        self, configuration: Configuration | None = None, folder: Path | None = None
    ) -> Settled:
        """With what the ``configuration`` of the notebook in ``folder`` says, and checked.

        No server is asked.  Raises UsageError where no server is named, for a way to sign in
        that does not exist, or for a file that is not there.
        """
        set_host, set_namespace, set_method, set_ca = (
            (
                configuration.host,
                configuration.namespace,
                configuration.authentication,
                configuration.ca,
            )
            if configuration is not None
            else (None,) * 4
        )
        ca = self.ca
        if ca is None and set_ca and self.verify:
            ca = (folder or Path()) / Path(set_ca).expanduser()
        if ca is not None and not ca.is_file():
            raise UsageError(f"there is no file {ca}", hint="it should hold certificates: see --ca")
        return Settled(
            Connection(
                host=known_host(self.host, set_host),
                namespace=self.namespace or set_namespace,
                ca=ca,
                verify=self.verify,
                pages=known_pages(),
            ),
            SignIn(self.authentication or set_method or "auto", self.token_file),
        )


@dataclass(frozen=True)
class Settled:
    """A server that is known, and a way to sign in that exists."""

    connection: Connection
    sign_in: SignIn

    def connect(self) -> Connection:
        """The connection, signed in: see :func:`kale_pm.kfp.server.authentication.connect`."""
        return connect(self.connection, self.sign_in)
