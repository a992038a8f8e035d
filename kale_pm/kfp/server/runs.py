"""Experiments and runs on the server."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from kale_pm.errors import ServerError
from kale_pm.kfp.server.connection import Connection, api_client
from kale_pm.kfp.server.paging import every, named
from kale_pm.kfp.server.posting import make_once
from kale_pm.kfp.server.refusal import refusals

_NEWEST = 20  # runs among which one that was just started is looked for


@dataclass(frozen=True)
class Order:
    """What is to be run: which version, with which values, and what the run is called.

    ``parameters`` are encoded for KFP and go by the names of the compiled pipeline; those that
    are left out take their defaults.  ``mark`` is a word that no other run has: it ends the
    description, so that the run is found again if the server's answer is lost.
    """

    name: str
    mark: str
    pipeline_id: str
    version_id: str
    experiment_id: str
    description: str = ""
    parameters: Mapping[str, bool | int | float | str] = field(default_factory=dict)
    service_account: str | None = None
    pipeline_root: str | None = None

    def body(self) -> dict[str, Any]:
        """What runs and recurring runs are made of alike."""
        from kfp_server_api import V2beta1PipelineVersionReference, V2beta1RuntimeConfig

        return {
            "display_name": self.name,
            "description": f"{self.description} ({self.mark})".strip(),
            "experiment_id": self.experiment_id,
            "pipeline_version_reference": V2beta1PipelineVersionReference(
                pipeline_id=self.pipeline_id, pipeline_version_id=self.version_id
            ),
            "runtime_config": V2beta1RuntimeConfig(
                parameters=dict(self.parameters), pipeline_root=self.pipeline_root
            ),
            "service_account": self.service_account,
        }

    def is_of(self, found: Any) -> bool:
        """Whether ``found``, a run of the server's, was made from this order."""
        return str(found.description or "").endswith(f"({self.mark})")


def experiment_id(connection: Connection, name: str) -> str:
    """The id of the experiment ``name``, which is made where there is none.

    Raises ServerError; also for an archived experiment, which takes no runs.
    """
    with api_client(connection) as client:
        with refusals(connection, f"look up the experiment {name}"):
            experiment = _find_experiment(client, connection, name)
        if experiment is None:
            with refusals(connection, f"create the experiment {name}"):
                experiment = make_once(
                    connection,
                    lambda: _create_experiment(client, connection, name),
                    lambda: _find_experiment(client, connection, name),
                )
    if experiment.storage_state == "ARCHIVED":
        raise ServerError(
            f"the experiment {name} is archived, and takes no runs",
            hint="restore it in the user interface, or choose another with --experiment",
        )
    return str(experiment.experiment_id)


def start_run(connection: Connection, order: Order) -> str:
    """Start a run; its id.  Raises ServerError."""
    from kfp_server_api import RunServiceApi, V2beta1Run

    with api_client(connection) as client, refusals(connection, f"start the run {order.name}"):
        api = RunServiceApi(client)
        run = V2beta1Run(**order.body())

        def find() -> Any | None:
            page = api.run_service_list_runs(
                experiment_id=order.experiment_id, page_size=_NEWEST, sort_by="created_at desc"
            )
            return next(filter(order.is_of, page.runs or ()), None)

        return str(make_once(connection, lambda: api.run_service_create_run(run), find).run_id)


def get_run(connection: Connection, run_id: str) -> Any:
    """The run as the server knows it, a V2beta1Run.  Raises ServerError."""
    from kfp_server_api import RunServiceApi

    with api_client(connection) as client, refusals(connection, f"read the run {run_id}"):
        return RunServiceApi(client).run_service_get_run(run_id)


def end_run(connection: Connection, run_id: str) -> None:
    """Have the server end the run.  Raises ServerError."""
    from kfp_server_api import RunServiceApi

    with api_client(connection) as client, refusals(connection, f"end the run {run_id}"):
        RunServiceApi(client).run_service_terminate_run(run_id)


def _find_experiment(client: Any, connection: Connection, name: str) -> Any | None:
    from kfp_server_api import ExperimentServiceApi

    experiments = every(
        ExperimentServiceApi(client).experiment_service_list_experiments,
        "experiments",
        filter=named(name),
        **({"namespace": connection.namespace} if connection.namespace else {}),
    )
    return next((found for found in experiments if found.display_name == name), None)


def _create_experiment(client: Any, connection: Connection, name: str) -> Any:
    from kfp_server_api import ExperimentServiceApi, V2beta1Experiment

    experiment = V2beta1Experiment(display_name=name, namespace=connection.namespace)
    return ExperimentServiceApi(client).experiment_service_create_experiment(experiment)
