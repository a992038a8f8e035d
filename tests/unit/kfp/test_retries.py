"""Pauses between two tries mean on KFP what they mean on this machine."""

from __future__ import annotations

import pytest

from kale_pm.kfp.compiling.options import task_settings
from kale_pm.model import Step
from kale_pm.settings import Configuration, StepOptions


def retry_lines(options: StepOptions) -> str:
    settings = task_settings("task", Step("a", (), options=options), Configuration("pipeline"))
    [line] = [line for line in settings.lines if "set_retry" in line]
    return "".join(line.split())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (StepOptions(retry=3), ("3", "'10s'", "2.0", "'600s'")),
        (
            StepOptions(retry=1, retry_interval=0, retry_factor=1.5, retry_max_interval=9),
            ("1", "'0s'", "1.5", "'9s'"),
        ),
    ],
)
def test_the_pauses_arrive(options: StepOptions, said: tuple[str, ...]) -> None:
    number, interval, factor, longest = (text.replace("'", '"') for text in said)
    assert retry_lines(options).replace("'", '"').rstrip(",)") == (
        f"task.set_retry({number},backoff_duration={interval},backoff_factor={factor},"
        f"backoff_max_duration={longest}"
    )


@pytest.mark.parametrize(
    ("options", "pauses"),
    [
        (StepOptions(), [10, 20, 40]),
        (StepOptions(retry_interval=0), [0, 0, 0]),
        (StepOptions(retry_interval=5, retry_factor=1.0), [5, 5, 5]),
        (StepOptions(retry_interval=5, retry_max_interval=8), [5, 8, 8]),
        (StepOptions(retry_interval=9, retry_max_interval=8), [8, 8, 8]),
    ],
)
def test_the_pauses_grow(options: StepOptions, pauses: list[float]) -> None:
    assert [options.backoff.pause(number) for number in (1, 2, 3)] == pauses


def test_the_thousandth_pause_is_the_longest_one() -> None:
    assert StepOptions(retry_factor=9999.0).backoff.pause(999_999_999) == 600
