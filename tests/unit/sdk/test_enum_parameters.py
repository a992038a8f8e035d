"""A parameter is a literal, and no member of an enumeration: a step would get its value alone."""

from __future__ import annotations

import math
from enum import Enum, IntEnum, StrEnum

import pytest

from kale_pm.errors import UsageError
from kale_pm.sdk import pipeline, step


class Plain(Enum):
    FAST = "fast"


class Mixed(str, Enum):  # noqa: UP042 - the two differ
    FAST = "fast"


class Text(StrEnum):
    FAST = "fast"


class Number(IntEnum):
    FAST = 1


@step
def load(kind):
    return kind


@pytest.mark.parametrize("kind", [Plain, Mixed, Text, Number])
class TestMembers:
    def refusal(self, kind, default, *given) -> UsageError:
        @pipeline
        def small(kind=default):
            load(kind)

        with pytest.raises(UsageError) as caught:
            small.to_pipeline(*given)
        assert caught.value.message.startswith("test_enum_parameters.py:")
        assert f"the parameter 'kind' is {kind.__name__}.FAST" in caught.value.message
        assert f"give {kind.__name__}.FAST.value" in caught.value.hint
        return caught.value

    def test_as_a_default(self, kind):
        assert self.refusal(kind, kind.FAST)

    def test_as_an_argument(self, kind):
        assert self.refusal(kind, kind.FAST.value, kind.FAST)


@pytest.mark.parametrize("value", [[Mixed.FAST], {"a": [Mixed.FAST]}, [math.inf]])
def test_inside_of_a_list(value):
    @pipeline
    def small(kinds=value):
        load(kinds)

    @pipeline
    def other(kinds: object = None):
        load(kinds)

    for make in (small.to_pipeline, lambda: other.to_pipeline(value)):
        with pytest.raises(UsageError, match="the parameter 'kinds' is "):
            make()


def test_a_number_without_end_is_no_literal_either():
    @pipeline
    def small(rate=1.0):
        load(rate)

    with pytest.raises(UsageError, match="the parameter 'rate' is inf"):
        small.to_pipeline(math.inf)
