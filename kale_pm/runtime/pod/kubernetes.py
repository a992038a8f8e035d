"""The few requests to Kubernetes that a pod of a run makes itself, without a client library.

A pod's service account is the one by which KFP itself makes and removes claims.
"""

from __future__ import annotations

import json
import os
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import HTTPSHandler, ProxyHandler, Request, build_opener

from kale_pm.errors import ClusterError

ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TIMEOUT = 30  # seconds
SNAPSHOTS = "/apis/snapshot.storage.k8s.io/v1"


@dataclass(frozen=True)
class Kubernetes:
    """The API server; ``authority`` is the file of the certificate authority for https."""

    url: str
    namespace: str
    token: str
    authority: Path | None = None

    def delete_claim(self, name: str) -> None:
        """Delete the claim of exactly this name; one that is not there is as good."""
        self._delete(f"/api/v1/namespaces/{self.namespace}/persistentvolumeclaims/{name}")

    def delete_snapshot(self, name: str) -> None:
        """Delete the snapshot of exactly this name; one that is not there is as good."""
        self._delete(f"{self._snapshots}/{name}")

    def create_snapshot(self, name: str, claim: str) -> None:
        """Begin a snapshot of a claim.  Raises ClusterError, status 409 if the name is taken."""
        body = {
            "apiVersion": "snapshot.storage.k8s.io/v1",
            "kind": "VolumeSnapshot",
            "metadata": {"name": name, "labels": {"app.kubernetes.io/managed-by": "kale-pm"}},
            "spec": {"source": {"persistentVolumeClaimName": claim}},
        }
        self._ask("POST", self._snapshots, body)

    def snapshot(self, name: str) -> dict[str, Any]:
        """The snapshot as Kubernetes knows it."""
        return self._ask("GET", f"{self._snapshots}/{name}")

    @property
    def _snapshots(self) -> str:
        return f"{SNAPSHOTS}/namespaces/{self.namespace}/volumesnapshots"

    def _delete(self, path: str) -> None:
        try:
            self._ask("DELETE", path)
        except ClusterError as error:
            if error.status != 404:
                raise

    def _ask(self, method: str, path: str, body: object = None) -> dict[str, Any]:
        headers = {"Authorization": f"Bearer {self.token}", "Accept": "application/json"}
        data = None
        if body is not None:
            headers["Content-Type"] = "application/json"
            data = json.dumps(body).encode()
        request = Request(self.url + path, data=data, headers=headers, method=method)
        # A proxy that a pod has for the world knows nothing of the cluster's own server.
        handlers = [ProxyHandler({}), HTTPSHandler(context=self._context())]
        try:
            with build_opener(*handlers).open(request, timeout=TIMEOUT) as answer:
                return dict(json.load(answer))
        except HTTPError as error:
            raise ClusterError(f"{method} {path}: {_message(error)}", status=error.code) from error
        except (URLError, OSError, ValueError) as error:
            raise ClusterError(f"{method} {path}: {error}") from error

    def _context(self) -> ssl.SSLContext:
        return ssl.create_default_context(cafile=self.authority)


def from_pod(environment: Mapping[str, str] = os.environ, account: Path = ACCOUNT) -> Kubernetes:
    """The API server of the cluster that this pod is in; ClusterError outside of one."""
    try:
        host, port = (environment[f"KUBERNETES_SERVICE_{part}"] for part in ("HOST", "PORT"))
        if ":" in host:
            host = f"[{host}]"
        return Kubernetes(
            url=f"https://{host}:{port}",
            namespace=(account / "namespace").read_text(encoding="utf-8").strip(),
            token=(account / "token").read_text(encoding="utf-8").strip(),
            authority=account / "ca.crt",
        )
    except (KeyError, OSError) as error:
        raise ClusterError(
            f"this pod has no service account for Kubernetes: {error}",
            hint="let it be mounted: automountServiceAccountToken",
        ) from error


def _message(error: HTTPError) -> str:
    try:
        return str(json.load(error)["message"])
    except (ValueError, KeyError, TypeError, OSError):
        return f"{error.code} {error.reason}"
