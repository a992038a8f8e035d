"""Runs that the server starts by itself, again and again."""

from __future__ import annotations

import re
from typing import Any

from kale_pm.errors import UsageError
from kale_pm.kfp.server.connection import Connection, api_client
from kale_pm.kfp.server.paging import every
from kale_pm.kfp.server.posting import make_once
from kale_pm.kfp.server.refusal import refusals
from kale_pm.kfp.server.runs import Order

MOST_AT_ONCE = 10  # runs of one schedule that a KFP server lets run side by side
_WORDS = ("@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly")
_FIELDS = (
    ("second", 0, 59, ""),
    ("minute", 0, 59, ""),
    ("hour", 0, 23, ""),
    ("day of the month", 1, 31, ""),
    ("month", 1, 12, "jan feb mar apr may jun jul aug sep oct nov dec"),
    ("day of the week", 0, 6, "sun mon tue wed thu fri sat"),
)


def kfp_cron(text: str) -> str:
    """A cron expression of five fields as KFP takes it: with six, the seconds first.

    KFP would take five fields as well, but for seconds to months.  Six fields and words such as
    @daily go through as they are.

    >>> kfp_cron("30 9 * * 1-5")
    '0 30 9 * * 1-5'

    Raises UsageError if it is no cron expression.
    """
    fields = text.split()
    if len(fields) == 1 and (text.strip() in _WORDS or text.startswith("@every")):
        return text.strip()
    if len(fields) == 2 and fields[0] == "@every":
        return " ".join(fields)
    if len(fields) == 5:
        fields.insert(0, "0")
    # Sunday is also 7 for crontab, and not for KFP.
    fields[5:6] = [re.sub(r"(?<![\d/-])7(?!\d)", "0", part) for part in fields[5:6]]
    if len(fields) != len(_FIELDS):
        raise UsageError(
            f"'{text}' is no schedule: it has {len(text.split())} fields, not five",
            hint="minute, hour, day of the month, month, day of the week: '30 9 * * 1-5' is half "
            "past nine from Monday to Friday",
        )
    for value, (what, least, most, names) in zip(fields, _FIELDS, strict=True):
        if not _is_field(value, least, most, names.split()):
            raise UsageError(
                f"'{text}' is no schedule: '{value}' is no {what}",
                hint=f"a {what} is {least} to {most}, a range such as {least}-{most}, a list with "
                "commas, steps such as */5, or *",
            )
    return " ".join(fields)


def start_recurring_run(
    connection: Connection, order: Order, cron: str, *, at_once: int = 1, catch_up: bool = False
) -> str:
    """Have the server start the run whenever ``cron``, of six fields, says; the schedule's id.

    ``at_once`` is how many of its runs may go on side by side, 1 to 10.  ``catch_up`` starts
    those that were missed while the server was away.  Raises ServerError.
    """
    from kfp_server_api import (
        RecurringRunServiceApi,
        V2beta1CronSchedule,
        V2beta1RecurringRun,
        V2beta1Trigger,
    )

    with api_client(connection) as client, refusals(connection, f"schedule {order.name}"):
        api = RecurringRunServiceApi(client)
        recurring = V2beta1RecurringRun(
            **order.body(),
            mode="ENABLE",
            trigger=V2beta1Trigger(cron_schedule=V2beta1CronSchedule(cron=cron)),
            max_concurrency=str(at_once),
            no_catchup=not catch_up,
            namespace=connection.namespace,
        )

        def find() -> Any | None:
            listing = api.recurring_run_service_list_recurring_runs
            schedules = every(listing, "recurring_runs", experiment_id=order.experiment_id)
            return next(filter(order.is_of, schedules), None)

        made = make_once(
            connection, lambda: api.recurring_run_service_create_recurring_run(recurring), find
        )
        return str(made.recurring_run_id)


def _is_field(text: str, least: int, most: int, names: list[str]) -> bool:
    return all(_is_part(part, least, most, names) for part in text.split(","))


def _is_part(text: str, least: int, most: int, names: list[str]) -> bool:
    """Whether one entry of a list is a number, a range or all, possibly with steps."""
    bounds, slash, step = text.partition("/")
    if slash and not (step.isdecimal() and int(step) > 0):
        return False
    if bounds in ("*", "?"):
        return True
    first, dash, last = bounds.partition("-")
    numbers = [_number(first, least, names)]
    if dash:
        numbers.append(_number(last, least, names))
    if any(number is None or not least <= number <= most for number in numbers):
        return False
    return numbers == sorted(number for number in numbers if number is not None)


def _number(text: str, least: int, names: list[str]) -> int | None:
    if text.isdecimal():
        return int(text)
    return names.index(text.lower()) + least if text.lower() in names else None
