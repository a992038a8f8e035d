"""Runs again and again: cron as people know it, and as KFP takes it."""

from __future__ import annotations

from pathlib import Path

import pytest
from fake_kfp import Answer, FakeKfp, Trouble

from kale_pm.errors import UsageError
from kale_pm.kfp.server.connection import Connection
from kale_pm.kfp.server.runs import Order, experiment_id
from kale_pm.kfp.server.schedule import kfp_cron, start_recurring_run
from kale_pm.kfp.server.upload import upload_pipeline

CREATE = "POST /apis/v2beta1/recurringruns"


@pytest.mark.parametrize(
    ("given", "taken"),
    [
        ("30 9 * * 1-5", "0 30 9 * * 1-5"),
        ("*/15 * * * *", "0 */15 * * * *"),
        ("0 0 1,15 * *", "0 0 0 1,15 * *"),
        ("0 6 * jan-mar mon,FRI", "0 0 6 * jan-mar mon,FRI"),
        ("0 6 * * 7", "0 0 6 * * 0"),
        ("0 6 * * 0,7/2", "0 0 6 * * 0,0/2"),
        ("15 30 9 * * *", "15 30 9 * * *"),
        (" @daily ", "@daily"),
        ("@every 1h30m", "@every 1h30m"),
    ],
)
def test_cron_of_five_fields_gets_seconds(given: str, taken: str) -> None:
    assert kfp_cron(given) == taken


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ("", "0 fields"),
        ("* * *", "3 fields"),
        ("@noon", "1 fields"),
        ("60 9 * * *", "'60' is no minute"),
        ("0 24 * * *", "'24' is no hour"),
        ("0 9 0 * *", "'0' is no day of the month"),
        ("0 9 * 13 *", "'13' is no month"),
        ("0 9 * * 8", "'8' is no day of the week"),
        ("0 9 * * 5-7", "'5-7' is no day of the week"),
        ("5-1 9 * * *", "'5-1' is no minute"),
        ("*/0 9 * * *", "'\\*/0' is no minute"),
        ("a 9 * * *", "'a' is no minute"),
        ("1,,2 9 * * *", "'1,,2' is no minute"),
    ],
)
def test_what_is_no_schedule_is_refused_before_anything_is_sent(given: str, reason: str) -> None:
    with pytest.raises(UsageError, match=reason):
        kfp_cron(given)


@pytest.mark.parametrize("done", [True, False])
def test_a_schedule_is_made_once(
    server: FakeKfp, connection: Connection, package: Path, done: bool
) -> None:
    uploaded = upload_pipeline(connection, package, name="wine")
    order = Order(
        name="wine",
        mark="kale-pm 1234",
        pipeline_id=uploaded.pipeline_id,
        version_id=uploaded.version_id,
        experiment_id=experiment_id(connection, "Default"),
        parameters={"trees": 7},
    )
    server.troubles = [Trouble(CREATE, Answer("", 504, "text/plain"), done=done)]
    found = start_recurring_run(connection, order, kfp_cron("30 9 * * *"))
    (schedule,) = server.recurring_runs.values()
    assert schedule["recurring_run_id"] == found
    assert schedule["trigger"] == {"cron_schedule": {"cron": "0 30 9 * * *"}}
    assert schedule["runtime_config"]["parameters"] == {"trees": 7}
    assert schedule["max_concurrency"] == "1"
    assert schedule["no_catchup"] is True
