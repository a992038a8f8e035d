"""The generated client of KFP's API, with what it lacks.

Every request has a time limit, what only reads is repeated while the server is in trouble, no
redirection to a page for people is followed, and an answer that is no JSON is never taken for
one.  Imported only where a server is spoken to, because importing ``kfp_server_api`` takes time.
"""

from __future__ import annotations

import json
import warnings
from typing import Any

import kfp_server_api
import urllib3

from kale_pm.kfp.server.connection import Connection

# Those of a server in trouble, and of one that is asked too often.
_PASSING = (429, 500, 502, 503, 504)
_ATTEMPTS = 4
_CONNECT = 10.0  # seconds


class NotTheApi(Exception):
    """An answer that does not come from KFP's API; ``kind`` is its Content-Type."""

    def __init__(self, status: int, kind: str) -> None:
        super().__init__(f"{status} {kind}")
        self.status = status
        self.kind = kind


class Client(kfp_server_api.ApiClient):  # type: ignore[misc]
    """The API client for one connection."""

    def __init__(self, connection: Connection) -> None:
        super().__init__(_configuration(connection), cookie=connection.credentials.cookie)
        self._timeout = (min(_CONNECT, connection.timeout), connection.timeout)

    def request(
        self,
        method: str,
        url: str,
        *,
        _preload_content: bool = True,
        _request_timeout: Any = None,
        **arguments: Any,
    ) -> Any:
        # Raw answers, such as logs and files, are whatever they are.
        response = super().request(
            method,
            url,
            _preload_content=_preload_content,
            _request_timeout=_request_timeout or self._timeout,
            **arguments,
        )
        # The generated client would take any text for an object whose fields are all empty.
        if _preload_content and response.data and not _is_object(response.data):
            raise NotTheApi(response.status, response.getheader("Content-Type") or "text")
        return response


def _is_object(data: bytes) -> bool:
    try:
        return isinstance(json.loads(data), dict)
    except ValueError:
        return False


def _configuration(connection: Connection) -> Any:
    configuration = kfp_server_api.Configuration(host=connection.host)
    configuration.verify_ssl = connection.verify
    if connection.ca is not None:
        configuration.ssl_ca_cert = str(connection.ca)
    configuration.proxy = connection.proxy
    configuration.retries = urllib3.Retry(
        total=_ATTEMPTS,
        connect=2,
        other=0,  # a certificate does not get better
        redirect=0,
        raise_on_redirect=False,
        status_forcelist=_PASSING,
        allowed_methods=["GET"],
        backoff_factor=connection.pause,
        raise_on_status=False,
        respect_retry_after_header=False,  # it may say an hour
    )
    if not connection.verify:
        # Asked for: saying so once for every request helps nobody.
        warnings.filterwarnings("ignore", category=urllib3.exceptions.InsecureRequestWarning)
    credentials = connection.credentials
    configuration.api_key_prefix["authorization"] = "Bearer"
    if credentials.token_file is not None:
        file = credentials.token_file

        def renew(configuration: Any) -> None:
            configuration.api_key["authorization"] = file.read_text(encoding="utf-8").strip()

        configuration.refresh_api_key_hook = renew
        renew(configuration)
    elif credentials.token is not None:
        configuration.api_key["authorization"] = credentials.token
    return configuration
