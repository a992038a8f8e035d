"""Settings add up to the options of a step, beside those that hold for all steps."""

from __future__ import annotations

import pytest

from kale_pm.notebook.step_options import Setting, inherited, options_from, settings_of
from kale_pm.notebook.tags import parse_tags
from kale_pm.settings import StepOptions


def settings(*tags: str) -> tuple[Setting, ...]:
    result, problems = parse_tags(("block:a", *tags), 4)
    assert problems == []
    return result.settings


def test_of_two_settings_for_one_thing_the_later_holds() -> None:
    given = settings("retry:1", "package:a==1", "env:A:1", "retry:2", "package:A==2", "env:A:2")
    assert options_from(given) == StepOptions(retry=2, packages=("A==2",), env={"A": "2"})


@pytest.mark.parametrize(
    ("own", "expected"),
    [
        ((), {"nvidia.com/gpu": "1", "cpu": "2"}),
        (("limit:cpu:4",), {"nvidia.com/gpu": "1", "cpu": "4"}),
        (("limit:nvidia.com/gpu:2",), {"nvidia.com/gpu": "2", "cpu": "2"}),
        (("limit:amd.com/gpu:1",), {"amd.com/gpu": "1", "cpu": "2"}),
    ],
)
def test_a_steps_own_accelerator_takes_the_place_of_the_default_one(
    own: tuple[str, ...], expected: dict[str, str]
) -> None:
    defaults = StepOptions(limits={"nvidia.com/gpu": "1", "cpu": "2"})
    found = options_from([*inherited(defaults, settings(*own)), *settings(*own)])
    assert found.limits == expected


def test_options_come_apart_and_together() -> None:
    options = options_from(settings(
        "limit:cpu:2", "cache:disabled", "retry:2", "secret:a:b:C", "env:A:1",
        "secret_files:a:/a", "secret_files:b:/b", "toleration:gpu:yes:NoSchedule",
        "toleration:gpu", "pull:Never", "package:a==1", "package:b[c]>=2", "artifact:a:b.md",
    ))  # fmt: skip
    assert options_from(settings_of(options)) == options
    assert settings_of(StepOptions()) == ()
