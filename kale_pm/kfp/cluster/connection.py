"""How Kubernetes is reached, and what its refusals mean."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from kale_pm.errors import ClusterError

if TYPE_CHECKING:
    from kubernetes.client import ApiClient

# Kubernetes puts here what the programs of a pod need to reach it.
SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
TIMEOUT = 30  # seconds that one request may take

_HINTS = {
    401: "the token of this machine or pod is no longer good: sign in again",
    403: "ask the administrator of the cluster for the right",
}


def is_in_cluster(environment: Mapping[str, str], folder: Path = SERVICE_ACCOUNT) -> bool:
    """Whether this process runs in a pod that may talk to Kubernetes."""
    return "KUBERNETES_SERVICE_HOST" in environment and (folder / "token").is_file()


def kubernetes_client(environment: Mapping[str, str], folder: Path = SERVICE_ACCOUNT) -> ApiClient:
    """The client of the cluster that this pod runs in, else of the user's own configuration.

    Raises ClusterError where there is neither.
    """
    from kubernetes import client, config

    configuration = client.Configuration()
    try:
        if is_in_cluster(environment, folder):
            config.load_incluster_config(configuration)
        else:
            config.load_kube_config(client_configuration=configuration)
    except (config.ConfigException, OSError) as error:
        raise ClusterError(
            f"no way to reach Kubernetes from here: {error}",
            hint="run in a notebook server of the cluster, or set KUBECONFIG",
        ) from error
    return client.ApiClient(configuration)


@contextmanager
def asking(what: str) -> Iterator[None]:
    """Raise ClusterError, with its status, for what the client raises while asking for ``what``.

    ``what`` continues "Kubernetes refuses to ...", as in "read the pod notebook-0".
    """
    from kubernetes.client import ApiException
    from urllib3.exceptions import HTTPError

    try:
        yield
    except ApiException as error:
        # Its own text holds all headers of the answer.
        said = _message(error.body) or error.reason
        raise ClusterError(
            f"Kubernetes refuses to {what}: {said}",
            hint=_HINTS.get(error.status, ""),
            status=error.status,
        ) from error
    except (HTTPError, OSError) as error:
        raise ClusterError(
            f"Kubernetes did not answer when asked to {what}: {error}",
            hint="check the network, and whether the cluster is up",
        ) from error


def _message(body: object) -> str:
    """What the server says in the body of a refusal, empty if it is not one of Kubernetes."""
    try:
        answer = json.loads(body if isinstance(body, (str, bytes)) else "")
    except ValueError:
        return ""
    return str(answer.get("message", "")) if isinstance(answer, dict) else ""
