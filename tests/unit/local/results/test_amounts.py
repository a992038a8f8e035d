"""Ages and sizes as people write them."""

from __future__ import annotations

import pytest

from kale_pm.errors import UsageError
from kale_pm.local.results.amounts import parse_age, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"), [("90m", 5400), ("12h", 43_200), ("30d", 2_592_000), ("1.5 W", 907_200)]
)
def test_an_age(text: str, seconds: float) -> None:
    assert parse_age(text) == seconds


@pytest.mark.parametrize(
    ("text", "size"),
    [
        *[("0", 0), ("300", 300), ("2kB", 2000), ("5GB", 5 * 10**9), ("1.5g", 15 * 10**8)],
        *[("2GiB", 2**31), ("1 Mi", 2**20), ("1TB", 10**12)],
    ],
)
def test_a_size(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize("text", ["", "30", "d", "-1d", "30 years", "1d2h", "nan d"])
def test_what_is_no_age_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="is no age") as caught:
        parse_age(text)
    assert "30d" in caught.value.hint


@pytest.mark.parametrize("text", ["", "GB", "-1GB", "5 GBs", "5XB", "iB", "1ib"])
def test_what_is_no_size_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(UsageError, match="is no size") as caught:
        parse_size(text)
    assert "5GB" in caught.value.hint
