"""Signing in with a name and a password, as Kubeflow's own page does: Dex.

Kubeflow's gateway (oauth2-proxy, before that oidc-authservice) sends whoever is not signed in
to Dex; Dex shows a form, and who fills it in rightly is sent back with a cookie.  This module
goes the same way a browser goes.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from html.parser import HTMLParser
from http.client import HTTPException
from http.cookiejar import Cookie, CookieJar
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode, urljoin, urlsplit, urlunsplit
from urllib.request import HTTPCookieProcessor, HTTPSHandler, ProxyHandler, build_opener

from kale_pm.errors import ServerError
from kale_pm.kfp.server.connection import Connection
from kale_pm.kfp.server.refusal import as_server_error

_DOING = "sign in with Dex"
_LARGEST = 1_000_000  # bytes of a page


@dataclass(frozen=True)
class _Form:
    """Where a form goes, and its fields with the values that are filled in already."""

    target: str = ""
    fields: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Page:
    address: str
    status: int
    form: _Form

    @property
    def path(self) -> str:
        return urlsplit(self.address).path


def dex_cookie(connection: Connection, username: str, password: str) -> str:
    """The cookie that the gateway gives to this user, as a request's header carries it.

    Raises ServerError if the server cannot be reached, has no Dex, or refuses the user.
    """
    jar = CookieJar()
    browser = _Browser(connection, jar)
    page = browser.open(connection.host + "/")
    if page.status == 403 and "password" not in page.form.fields:
        # The gateway shows a page with a button of its own first.
        page = browser.open(urljoin(page.address, "/oauth2/start?" + urlencode({"rd": page.path})))
    if page.path.rstrip("/").endswith("/auth"):
        # Dex asks by which of its connectors; this one knows names and passwords itself.
        page = browser.open(_below(page.address, "/local"))
    if "password" not in page.form.fields:
        raise _refused(
            connection,
            f"{page.address.partition('?')[0]} shows no form of Dex for a name and a password",
            "does the server sign people in elsewhere? then copy the cookie of your browser: "
            "--authentication cookie",
        )
    page = browser.send(page, {"login": username, "password": password})
    if "password" in page.form.fields:
        raise _refused(
            connection,
            "the name or the password is wrong",
            "KALE_PM_USERNAME is what the form asks for: mostly an e-mail address",
        )
    if page.path.endswith("/approval"):
        page = browser.send(page, {"approval": "approve"})
    host = urlsplit(connection.host).hostname or ""
    cookies = [f"{c.name}={c.value}" for c in jar if c.value and _belongs(c, host)]
    if page.status >= 400 or not cookies:
        raise _refused(connection, f"the server gave no cookie ({page.status})", "try again")
    return "; ".join(cookies)


class _Browser:
    """Follows redirections and keeps cookies."""

    def __init__(self, connection: Connection, jar: CookieJar) -> None:
        context = ssl.create_default_context(cafile=str(connection.ca or _authorities()))
        if not connection.verify:
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        self._connection = connection
        # None stands for what the environment says.
        proxies = ProxyHandler({} if connection.proxy is None else None)
        self._opener = build_opener(
            proxies, HTTPSHandler(context=context), HTTPCookieProcessor(jar)
        )

    def open(self, address: str, form: Mapping[str, str] | None = None) -> _Page:
        data = urlencode(form).encode() if form is not None else None
        try:
            response = self._opener.open(address, data, timeout=self._connection.timeout)
        except HTTPError as error:
            response = error
        except (OSError, HTTPException) as error:
            cause = error.reason if isinstance(error, URLError) else error
            trouble = cause if isinstance(cause, Exception) else OSError(str(cause))
            raise as_server_error(trouble, self._connection, _DOING) from None
        with response:
            text = response.read(_LARGEST).decode("utf-8", "replace")
            return _Page(response.url or address, response.status or 200, _form(text))

    def send(self, page: _Page, values: Mapping[str, str]) -> _Page:
        """Fill in the form of ``page`` and send it off.

        Raises ServerError if it would leave the server: a password goes nowhere else.
        """
        target = urljoin(page.address, page.form.target or page.address)
        here, there = urlsplit(self._connection.host), urlsplit(target)
        is_weaker = here.scheme == "https" and there.scheme != "https"
        if there.hostname != here.hostname or is_weaker:
            raise _refused(
                self._connection,
                f"the password would go to {there.scheme}://{there.netloc}",
                "if that is right, sign in there with a browser, and copy its cookie: "
                "--authentication cookie",
            )
        return self.open(target, {**page.form.fields, **values})


def _authorities() -> str:
    """The authorities that the API's own client believes."""
    import certifi

    return certifi.where()


def _below(address: str, path: str) -> str:
    parts = urlsplit(address)
    return urlunsplit(parts._replace(path=parts.path.rstrip("/") + path))


def _belongs(cookie: Cookie, host: str) -> bool:
    """Whether a request to the API carries the cookie: Dex has some for itself."""
    domain = cookie.domain.lstrip(".").removesuffix(".local")
    return (host == domain or host.endswith(f".{domain}")) and cookie.path in ("", "/")


def _refused(connection: Connection, reason: str, hint: str) -> ServerError:
    return ServerError(f"cannot {_DOING} at {connection.host}: {reason}", hint=hint, status=401)


def _form(text: str) -> _Form:
    reader = _FirstForm()
    reader.feed(text)
    return reader.form


class _FirstForm(HTMLParser):
    """Reads the first form of a page; Dex's page of approval has a second one that refuses."""

    def __init__(self) -> None:
        super().__init__()
        self.form = _Form()
        self._ended = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag == "form" and not self._ended:
            self.form = _Form(given.get("action") or "")
        elif tag == "input" and not self._ended and given.get("name"):
            self.form.fields[str(given["name"])] = given.get("value") or ""

    def handle_endtag(self, tag: str) -> None:
        self._ended = self._ended or tag == "form"
