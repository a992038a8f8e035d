"""A password goes to the server that it is for, and nowhere else."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from kale_pm.errors import ServerError
from kale_pm.kfp.server.connection import Connection
from kale_pm.kfp.server.dex import dex_cookie

FORM = "<form action='{}'><input name='login'><input name='password'></form>"


@pytest.fixture
def posted() -> list[str]:
    """What was sent off."""
    return []


@pytest.fixture
def port(posted: list[str]) -> Iterator[int]:
    """A server whose form goes to the same server under another name."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = FORM.format(f"http://localhost:{server.server_port}/login").encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(page)))
            self.end_headers()
            self.wfile.write(page)

        def do_POST(self) -> None:
            posted.append(self.rfile.read(int(self.headers["Content-Length"])).decode())
            self.do_GET()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()


def test_a_form_that_leads_elsewhere_gets_no_password(port: int, posted: list[str]) -> None:
    with pytest.raises(ServerError, match="the password would go to http://localhost") as caught:
        dex_cookie(Connection(f"http://127.0.0.1:{port}"), "ann", "s3cret")
    assert posted == []
    assert "s3cret" not in f"{caught.value}{caught.value.hint}"
    assert "--authentication cookie" in caught.value.hint


def test_one_that_stays_there_does(port: int, posted: list[str]) -> None:
    with pytest.raises(ServerError, match="the name or the password is wrong"):
        dex_cookie(Connection(f"http://localhost:{port}"), "ann", "s3cret")
    assert posted == ["login=ann&password=s3cret"]
