"""An API server of Kubernetes as far as kale-pm needs one: real HTTP, real JSON, real statuses.

It keeps whatever is created under the path that a client asks for.  Tests put objects there,
refuse what shall be refused, and read afterwards what was asked.  Nothing can be deleted that
was not named in full.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Lock, Thread
from typing import Any
from urllib.parse import urlsplit

REASONS = {401: "Unauthorized", 403: "Forbidden", 404: "NotFound", 409: "AlreadyExists"}
SNAPSHOTS = "/apis/snapshot.storage.k8s.io/v1"
REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"

# Where lists lie whose items have these kinds, and what serves them.
PLURALS = {
    "persistentvolumeclaims": "/api/v1/namespaces/{namespace}/persistentvolumeclaims",
    "pods": "/api/v1/namespaces/{namespace}/pods",
    "volumesnapshots": SNAPSHOTS + "/namespaces/{namespace}/volumesnapshots",
    "storageclasses": "/apis/storage.k8s.io/v1/storageclasses",
    "volumesnapshotclasses": SNAPSHOTS + "/volumesnapshotclasses",
}


@dataclass
class FakeKubernetes:
    """What the server holds and how it answers.

    ``asked`` are the requests so far, as ``POST /api/...``; ``tokens`` the bearer tokens that
    came with them.  ``denied`` are pairs of verb and resource that the caller has no right to.
    A snapshot is ready after ``polls`` looks at it, unless ``snapshot_error`` says why not;
    ``restore_size`` is what its clone needs.
    """

    url: str = ""
    objects: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)
    tokens: list[str] = field(default_factory=list)
    denied: set[tuple[str, str]] = field(default_factory=set)
    has_snapshots: bool = True
    polls: int = 2
    snapshot_error: str = ""
    restore_size: str | None = "5Gi"
    refusals: list[tuple[str, int]] = field(default_factory=list)
    lock: Lock = field(default_factory=Lock)

    def add(self, resource: str, name: str, namespace: str = "me", **content: Any) -> None:
        """Put an object on the server: ``add("pods", "notebook-0", spec={...})``."""
        path = PLURALS[resource].format(namespace=namespace)
        metadata = {"name": name, **content.pop("metadata", {})}
        if "{namespace}" in PLURALS[resource]:
            metadata["namespace"] = namespace
        self.objects[f"{path}/{name}"] = {"metadata": metadata, **content}

    def names(self, resource: str, namespace: str = "me") -> list[str]:
        """The names of the objects of one kind that there are now."""
        start = PLURALS[resource].format(namespace=namespace) + "/"
        return sorted(path.removeprefix(start) for path in self.objects if path.startswith(start))

    def refuse(self, pattern: str, status: int) -> None:
        """Answer every request such as ``DELETE /api/.*claims/data`` with ``status``."""
        self.refusals.append((pattern, status))

    def client(self) -> Any:
        """An ``ApiClient`` of the official package that talks to this server."""
        from kubernetes import client

        return client.ApiClient(client.Configuration(host=self.url))

    # -- answers --------------------------------------------------------------------------

    def answer(self, method: str, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        for pattern, status in self.refusals:
            if re.fullmatch(pattern, f"{method} {path}"):
                return self._status(status, f"{method} {path} is refused")
        if path.startswith(SNAPSHOTS) and not self.has_snapshots:
            return self._status(404, "the server could not find the requested resource")
        if path == SNAPSHOTS:
            return 200, {"kind": "APIResourceList", "groupVersion": "v1", "resources": []}
        if path == REVIEWS:
            return 201, self._review(body)
        if method == "POST":
            return self._create(path, body)
        if method == "DELETE":
            if self.objects.pop(path, None) is None:
                return self._status(404, f"{path} not found")
            return 200, {"kind": "Status", "status": "Success"}
        if path in self.objects:
            return 200, self._looked_at(path)
        if path.endswith(tuple(PLURALS)):
            items = [self._looked_at(p) for p in list(self.objects) if _is_in(p, path)]
            return 200, {"kind": "List", "apiVersion": "v1", "metadata": {}, "items": items}
        return self._status(404, f"{path} not found")

    def _create(self, path: str, body: Any) -> tuple[int, dict[str, Any]]:
        name = body["metadata"]["name"]
        if not re.fullmatch(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?", name):
            return self._status(422, f"metadata.name: Invalid value: {name!r}")
        if f"{path}/{name}" in self.objects:
            return self._status(409, f'"{name}" already exists')
        self.objects[f"{path}/{name}"] = body
        return 201, body

    def _looked_at(self, path: str) -> dict[str, Any]:
        found = self.objects[path]
        if "/volumesnapshots/" in path and "status" not in found:
            looks = found["metadata"]["looks"] = found["metadata"].get("looks", 0) + 1
            if self.snapshot_error:
                return {**found, "status": {"error": {"message": self.snapshot_error}}}
            if looks > self.polls:
                found["status"] = {"readyToUse": True}
                if self.restore_size:
                    found["status"]["restoreSize"] = self.restore_size
        return found

    def _review(self, body: Any) -> dict[str, Any]:
        asked = body["spec"]["resourceAttributes"]
        allowed = (asked["verb"], asked["resource"]) not in self.denied
        return {**body, "status": {"allowed": allowed}}

    def _status(self, code: int, message: str) -> tuple[int, dict[str, Any]]:
        reason = REASONS.get(code, "Failure")
        return code, {
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": message, "reason": reason, "code": code,
        }  # fmt: skip


@contextmanager
def running() -> Iterator[FakeKubernetes]:
    """A server on this machine alone, until the block ends."""
    fake = FakeKubernetes()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            text = self.rfile.read(length)
            path = urlsplit(self.path).path.rstrip("/")
            with fake.lock:
                fake.asked.append(f"{self.command} {path}")
                fake.tokens.append(self.headers.get("Authorization", "").removeprefix("Bearer "))
                status, content = fake.answer(self.command, path, json.loads(text or b"null"))
            answer = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        do_GET = do_POST = do_DELETE = handle_any  # noqa: N815 - the names of http.server

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    fake.url = f"http://127.0.0.1:{server.server_address[1]}"
    Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    try:
        yield fake
    finally:
        server.shutdown()
        server.server_close()


def _is_in(path: str, collection: str) -> bool:
    return path.rpartition("/")[0] == collection
