"""Pipelines, versions, experiments and runs: made where they are missing, and once."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_kfp import Answer, FakeKfp, Trouble

from kale_pm.errors import ServerError
from kale_pm.kfp.server.connection import Connection
from kale_pm.kfp.server.record import run_tasks
from kale_pm.kfp.server.runs import Order, end_run, experiment_id, get_run, start_run
from kale_pm.kfp.server.upload import upload_pipeline, version_name

CREATE = "POST /apis/v2beta1/pipelines"
UPLOAD = "POST /apis/v2beta1/pipelines/upload_version"
EXPERIMENT = "POST /apis/v2beta1/experiments"
RUN = "POST /apis/v2beta1/runs"


def order(connection: Connection, package: Path, **more: object) -> Order:
    uploaded = upload_pipeline(connection, package, name="wine")
    return Order(
        name="wine of today",
        mark="kale-pm 1234",
        pipeline_id=uploaded.pipeline_id,
        version_id=uploaded.version_id,
        experiment_id=experiment_id(connection, "Default"),
        **more,
    )


def test_a_pipeline_is_made_with_a_version_that_is_called_like_its_package(
    server: FakeKfp, connection: Connection, package: Path
) -> None:
    uploaded = upload_pipeline(connection, package, name="wine", description="About wine")
    assert uploaded.is_new
    (pipeline,) = server.pipelines.values()
    assert (pipeline["display_name"], pipeline["description"]) == ("wine", "About wine")
    (version,) = server.versions.values()
    assert version["display_name"] == version_name(package.read_bytes()) == uploaded.version
    assert server.packages == [package.read_bytes()]


def test_an_equal_package_is_not_uploaded_again_and_another_is_a_new_version(
    server: FakeKfp, connection: Connection, package: Path
) -> None:
    first = upload_pipeline(connection, package, name="wine")
    again = upload_pipeline(connection, package, name="wine")
    assert not again.is_new
    assert again.version_id == first.version_id
    package.write_text(package.read_text() + "# another\n")
    other = upload_pipeline(connection, package, name="wine")
    assert other.is_new
    assert other.pipeline_id == first.pipeline_id
    assert len(server.versions) == 2
    assert len(server.pipelines) == 1


def test_a_version_is_found_among_hundreds(
    server: FakeKfp, connection: Connection, package: Path
) -> None:
    """Also where a server does not filter."""
    first = upload_pipeline(connection, package, name="wine")
    (version,) = server.versions.values()
    for number in range(250):
        other = {**version, "pipeline_version_id": f"v{number}", "display_name": f"n{number}"}
        server.versions = {f"v{number}": other, **server.versions}
    assert upload_pipeline(connection, package, name="wine").version_id == first.version_id


@pytest.mark.parametrize("request_", [CREATE, UPLOAD, EXPERIMENT, RUN])
@pytest.mark.parametrize("done", [True, False])
def test_what_may_have_been_done_is_looked_up_before_it_is_done_again(
    server: FakeKfp, connection: Connection, package: Path, request_: str, done: bool
) -> None:
    """A gateway says 502 or 504 both when the server never saw a request and when it did it."""
    server.troubles = [Trouble(request_, Answer("bad gateway", 502, "text/plain"), done=done)]
    run_id = start_run(connection, order(connection, package))
    assert run_id == "run-1"
    made = (server.pipelines, server.versions, server.experiments, server.runs)
    assert [len(each) for each in made] == [1, 1, 1, 1]
    assert server.asked.count(request_) == (1 if done else 2)


def test_another_run_of_the_same_name_is_not_taken_for_the_lost_one(
    server: FakeKfp, connection: Connection, package: Path
) -> None:
    start_run(connection, order(connection, package))
    server.troubles = [Trouble(RUN, Answer({}, 503))]
    second = Order(**{**vars(order(connection, package)), "mark": "kale-pm 5678"})
    assert start_run(connection, second) == "run-2"


def test_what_the_server_refuses_is_not_tried_again(
    server: FakeKfp, connection: Connection, package: Path
) -> None:
    server.troubles = [Trouble(RUN, Answer({"message": "no"}, 400))]
    with pytest.raises(ServerError, match=r"cannot start the run wine of today: .*no"):
        start_run(connection, order(connection, package))
    assert server.asked.count(RUN) == 1


def test_trouble_that_stays_is_told(server: FakeKfp, connection: Connection, package: Path) -> None:
    server.troubles = [Trouble(UPLOAD, Answer({}, 503), times=99)]
    with pytest.raises(ServerError, match="cannot upload a version of the pipeline wine"):
        upload_pipeline(connection, package, name="wine")
    assert server.asked.count(UPLOAD) == 3


def test_an_experiment_is_made_once(server: FakeKfp, connection: Connection) -> None:
    assert experiment_id(connection, "trees") == experiment_id(connection, "trees")
    assert experiment_id(connection, "Trees") != experiment_id(connection, "trees")
    assert len(server.experiments) == 2


def test_an_archived_experiment_takes_no_runs(server: FakeKfp, connection: Connection) -> None:
    experiment_id(connection, "old")
    server.experiments["experiment-1"]["storage_state"] = "ARCHIVED"
    with pytest.raises(ServerError, match="archived") as caught:
        experiment_id(connection, "old")
    assert "--experiment" in caught.value.hint


def test_a_run_carries_its_values_and_its_account(
    server: FakeKfp, connection: Connection, package: Path
) -> None:
    values = {"trees": 5, "words": 'json:["a", "b"]'}
    more = {"parameters": values, "service_account": "runner", "pipeline_root": "s3://mine"}
    start_run(connection, order(connection, package, description="from wine.ipynb", **more))
    (run,) = server.runs.values()
    assert run["display_name"] == "wine of today"
    assert run["description"] == "from wine.ipynb (kale-pm 1234)"
    assert run["runtime_config"] == {"parameters": values, "pipeline_root": "s3://mine"}
    assert run["service_account"] == "runner"


def test_too_large_parameters_are_refused_with_what_to_do(
    server: FakeKfp, connection: Connection, package: Path
) -> None:
    large = order(connection, package, parameters={"words": "x" * 10_000})
    with pytest.raises(ServerError, match="parameters are too large") as caught:
        start_run(connection, large)
    assert "read large values from a file" in caught.value.hint


def test_with_several_users_everything_is_in_the_namespace(
    server: FakeKfp, connection: Connection, package: Path
) -> None:
    server.multi_user = True
    mine = Connection(connection.host, namespace="me", pause=0.0)
    start_run(mine, order(mine, package))
    upload_pipeline(mine, package, name="wine")
    assert [each["namespace"] for each in server.pipelines.values()] == ["me"]
    assert [each["namespace"] for each in server.experiments.values()] == ["me"]


def test_a_run_tells_its_steps_and_can_be_ended(
    server: FakeKfp, connection: Connection, package: Path
) -> None:
    run_id = start_run(connection, order(connection, package))
    tasks = run_tasks(connection, get_run(connection, run_id))
    assert [(task.name, task.key, task.parents) for task in tasks] == [
        ("load", "step-load", ()),
        ("train_all", "step-train-all", ("load",)),
    ]
    end_run(connection, run_id)
    assert [get_run(connection, run_id).state for _ in range(2)] == ["CANCELING", "CANCELED"]
