"""The pod that kale-pm runs in, read by Kubernetes' own client from a server over HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fake_kubernetes import FakeKubernetes, running

from kale_pm.errors import ClusterError
from kale_pm.kfp.cluster.connection import asking, kubernetes_client
from kale_pm.kfp.cluster.notebook_server import Mount, notebook_server, own_namespace

ENVIRONMENT = {"NB_PREFIX": "/notebook/me/lab", "HOSTNAME": "lab-0"}


@pytest.fixture
def server() -> Iterator[FakeKubernetes]:
    with running() as fake:
        yield fake


@pytest.fixture
def account(tmp_path: Path) -> Path:
    """What Kubernetes mounts into the pod of a notebook server in the namespace ``me``."""
    (tmp_path / "namespace").write_text("me\n")
    (tmp_path / "token").write_text("secret-token")
    return tmp_path


def add_pod(server: FakeKubernetes, *containers: dict[str, Any], **spec: Any) -> None:
    labels = {"notebook-name": "lab", "statefulset": "lab"}
    server.add(
        "pods", "lab-0", metadata={"labels": labels}, spec={"containers": [*containers], **spec}
    )


class TestWhoItIs:
    def test_its_image_is_that_of_the_server_not_of_a_sidecar(
        self, server: FakeKubernetes, account: Path
    ) -> None:
        sidecar = {"name": "istio-proxy", "image": "proxy:1"}
        add_pod(server, sidecar, {"name": "lab", "image": "registry/lab:2"})
        found = notebook_server(ENVIRONMENT, account, server.client())
        assert found is not None
        assert (found.pod, found.namespace, found.image) == ("lab-0", "me", "registry/lab:2")
        assert server.asked == ["GET /api/v1/namespaces/me/pods/lab-0"]

    def test_a_container_of_another_name_is_it_too(
        self, server: FakeKubernetes, account: Path
    ) -> None:
        sidecar = {"name": "istio-proxy", "image": "proxy:1"}
        add_pod(server, sidecar, {"name": "jupyter", "image": "registry/lab:2"})
        found = notebook_server(ENVIRONMENT, account, server.client())
        assert found is not None
        assert found.image == "registry/lab:2"
        assert (found.service_account, found.mounts) == ("default", ())

    def test_its_claims_and_where_they_are_mounted(
        self, server: FakeKubernetes, account: Path
    ) -> None:
        add_pod(
            server,
            {
                "name": "lab",
                "image": "lab",
                "volumeMounts": [
                    {"name": "home", "mountPath": "/home/jovyan"},
                    {"name": "data", "mountPath": "/data", "subPath": "mine"},
                    {"name": "shm", "mountPath": "/dev/shm"},
                ],
            },
            volumes=[
                {"name": "home", "persistentVolumeClaim": {"claimName": "lab-home"}},
                {"name": "data", "persistentVolumeClaim": {"claimName": "team-data"}},
                {"name": "unmounted", "persistentVolumeClaim": {"claimName": "other"}},
                {"name": "shm", "emptyDir": {"medium": "Memory"}},
            ],
            serviceAccountName="default-editor",
        )
        found = notebook_server(ENVIRONMENT, account, server.client())
        assert found is not None
        assert found.mounts == (
            Mount("lab-home", "/home/jovyan"),
            Mount("team-data", "/data", "mine"),
        )
        assert found.service_account == "default-editor"


class TestElsewhere:
    @pytest.mark.parametrize("missing", ENVIRONMENT)
    def test_nothing_is_asked(self, server: FakeKubernetes, account: Path, missing: str) -> None:
        environment = {key: value for key, value in ENVIRONMENT.items() if key != missing}
        assert notebook_server(environment, account, server.client()) is None
        assert server.asked == []

    def test_a_variable_alone_makes_no_pod(self, server: FakeKubernetes, tmp_path: Path) -> None:
        assert notebook_server(ENVIRONMENT, tmp_path, server.client()) is None
        assert own_namespace(ENVIRONMENT, tmp_path) is None


class TestRefusals:
    def test_say_what_was_asked_and_what_was_answered(
        self, server: FakeKubernetes, account: Path
    ) -> None:
        server.refuse("GET /api/v1/namespaces/me/pods/lab-0", 403)
        with pytest.raises(ClusterError, match=r"own pod, lab-0 in me: .* is refused") as caught:
            notebook_server(ENVIRONMENT, account, server.client())
        assert caught.value.status == 403
        assert "administrator" in caught.value.hint
        assert "header" not in str(caught.value).lower()

    def test_a_server_that_is_not_there(self, account: Path) -> None:
        from kubernetes import client

        configuration = client.Configuration(host="http://127.0.0.1:9")
        configuration.retries = 0
        with pytest.raises(ClusterError, match="did not answer") as caught:
            notebook_server(ENVIRONMENT, account, client.ApiClient(configuration))
        assert caught.value.status is None

    @pytest.mark.parametrize("body", [None, "<html>", "[]", '{"message": 3}'])
    def test_an_answer_that_is_not_of_kubernetes(self, body: str | None) -> None:
        from kubernetes.client import ApiException

        refused = ApiException(status=502, reason="Bad Gateway")
        refused.body = body
        with pytest.raises(ClusterError, match="refuses to do it"), asking("do it"):
            raise refused


class TestTheClient:
    def test_of_a_pod_has_the_pods_token(
        self, account: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from kubernetes.config import incluster_config

        (account / "ca.crt").write_text("certificate")
        monkeypatch.setattr(incluster_config, "SERVICE_TOKEN_FILENAME", str(account / "token"))
        monkeypatch.setattr(incluster_config, "SERVICE_CERT_FILENAME", str(account / "ca.crt"))
        environment = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
        for name, value in environment.items():
            monkeypatch.setitem(incluster_config.os.environ, name, value)
        made = kubernetes_client(environment, account).configuration
        assert made.host == "https://10.0.0.1:443"
        assert made.api_key["authorization"].endswith("secret-token")
        assert made.ssl_ca_cert == str(account / "ca.crt")

    def test_of_a_laptop_has_the_users_configuration(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from kubernetes.config import kube_config

        file = tmp_path / "config"
        file.write_text(
            "current-context: c\n"
            "clusters: [{name: k, cluster: {server: 'https://k8s.example.org:6443'}}]\n"
            "users: [{name: u, user: {token: mine}}]\n"
            "contexts: [{name: c, context: {cluster: k, user: u}}]\n"
        )
        monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(file))
        assert kubernetes_client({}).configuration.host == "https://k8s.example.org:6443"

    def test_without_either_says_so(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        from kubernetes.config import kube_config

        monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(tmp_path / "none"))
        with pytest.raises(ClusterError, match="no way to reach Kubernetes") as caught:
            kubernetes_client({})
        assert "KUBECONFIG" in caught.value.hint
