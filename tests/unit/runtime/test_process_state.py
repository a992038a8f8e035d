"""Global state: what a step changes is found, and can be set again elsewhere."""

from __future__ import annotations

import base64
import decimal
import logging
import os
import pickle
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kale_pm.runtime.process_state import changes, replay, snapshot


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """Every test may change the state of this process: afterwards it is as it was."""
    environment, path, folder = dict(os.environ), list(sys.path), Path.cwd()
    filters, state, limit = list(warnings.filters), random.getstate(), sys.getrecursionlimit()
    context, level = decimal.getcontext().copy(), logging.root.level
    yield
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = path
    os.chdir(folder)
    warnings.filters[:] = filters  # type: ignore[index]
    random.setstate(state)
    sys.setrecursionlimit(limit)
    decimal.setcontext(context)
    logging.root.setLevel(level)
    logging.disable(logging.NOTSET)


def after(change: Callable[[], object]) -> dict[str, str]:
    before = snapshot()
    change()
    return changes(before)


def value(encoded: str) -> object:
    return pickle.loads(base64.b64decode(encoded))


def test_where_nothing_changes_nothing_is_found() -> None:
    assert after(lambda: None) == {}


CHANGES: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
    "environ": (lambda: os.environ.update(MODE="fast"), lambda: os.environ.get("MODE")),
    "seed": (lambda: random.seed(5), random.getstate),
    "folder": (lambda: os.chdir("/"), os.getcwd),
    "path": (lambda: sys.path.insert(0, "/x"), lambda: sys.path[0]),
    "recursion": (lambda: sys.setrecursionlimit(4321), sys.getrecursionlimit),
    "warnings": (lambda: warnings.simplefilter("error"), lambda: warnings.filters[0][0]),
    "decimal": (
        lambda: setattr(decimal.getcontext(), "prec", 7),
        lambda: decimal.getcontext().prec,
    ),
    "logging": (
        lambda: logging.getLogger("kale-pm-test").setLevel(7),
        lambda: logging.getLogger("kale-pm-test").level,
    ),
    "root logger": (lambda: logging.root.setLevel(13), lambda: logging.root.level),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_found_and_replayed(name: str) -> None:
    change, look = CHANGES[name]
    if name == "logging":
        logging.getLogger("kale-pm-test").setLevel(0)
    start = snapshot()
    before = look()
    found = after(change)
    assert len(found) == 1
    wanted = look()
    assert wanted != before
    # Back to where it was, by the same means, and forth again.
    replay(_opposite(start, found))
    assert look() == before
    assert replay(found) == []
    assert look() == wanted


def _opposite(start: dict[str, dict[str, object]], found: dict[str, str]) -> dict[str, str]:
    opposite = {}
    for name in found:
        probe, _, key = name.partition(":")
        old = start[probe].get(key, "__kale_pm_removed__")
        opposite[name] = base64.b64encode(pickle.dumps(old)).decode()
    return opposite


def test_a_removed_variable_of_the_environment_is_removed_again() -> None:
    os.environ["MODE"] = "fast"
    found = after(lambda: os.environ.pop("MODE"))
    os.environ["MODE"] = "slow"
    replay(found)
    assert "MODE" not in os.environ


@pytest.mark.parametrize(
    "name",
    [
        "API_KEY",
        "OPENAI_KEY",
        "GITHUB_TOKEN",
        "DB_PASS",
        "DB_PASSWORD",
        "MYSQL_PWD",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "GOOGLE_APPLICATION_CREDENTIALS",
        "SSH_PRIVATE",
        "AZURE_SAS",
        "github_pat",
        "SENTRY_DSN",
        "session_cookie",
    ],
)
def test_secret_looking_variables_of_the_environment_are_never_carried(name: str) -> None:
    assert after(lambda: os.environ.update({name: "s3cret"})) == {}


def test_an_address_with_a_login_is_a_secret_whatever_its_name() -> None:
    address = "postgresql://user:s3cret@host/base"
    assert after(lambda: os.environ.update(DATABASE_URL=address)) == {}
    assert after(lambda: os.environ.update(DATABASE_URL="postgresql://host:5432/b")) != {}


@pytest.mark.parametrize("name", ["MODE", "KEYBOARD", "COMPASS_X", "PATH_TO_DATA", "MONKEY"])
def test_other_variables_are(name: str) -> None:
    (key,) = after(lambda: os.environ.update({name: "plain"}))
    assert key == f"environ:{name}"


@pytest.mark.parametrize("name", ["KALE_PM_INPUTS", "JPY_PARENT_PID", "PWD", "JUPYTER_PATH"])
def test_what_belongs_to_the_process_stays_there(name: str) -> None:
    assert after(lambda: os.environ.update({name: "mine"})) == {}


def test_numpy_is_looked_at_once_it_is_imported() -> None:
    np = pytest.importorskip("numpy")
    options, state = np.get_printoptions(), np.random.get_state()
    try:
        found = after(lambda: (np.set_printoptions(precision=2), np.random.seed(3)))
        assert set(found) == {"numpy.print:precision", "numpy.random:state"}
        expected = np.random.rand()
        np.random.seed(4)
        assert replay(found) == []
        assert np.random.rand() == expected
    finally:
        np.set_printoptions(**options)
        np.random.set_state(state)


def test_pandas_options_are_carried() -> None:
    pd = pytest.importorskip("pandas")
    with pd.option_context("display.max_rows", 60):
        found = after(lambda: pd.set_option("display.max_rows", 5))
        assert {key: value(text) for key, text in found.items()} == {"pandas:display.max_rows": 5}
        pd.set_option("display.max_rows", 60)
        replay(found)
        assert pd.get_option("display.max_rows") == 5


def test_what_cannot_be_set_here_is_reported_and_the_rest_is_set() -> None:
    found = after(lambda: (os.environ.update(MODE="fast"), os.chdir("/")))
    gone = base64.b64encode(pickle.dumps("/no/such/folder")).decode()
    failed = replay({**found, "cwd:path": gone, "random:state": "bm90IGEgcGlja2xl"})
    assert len(failed) == 2
    assert any(text.startswith("cwd") for text in failed)
    assert any(text.startswith("random:state") for text in failed)
    assert os.environ["MODE"] == "fast"


def test_a_filter_for_warnings_of_a_library_that_is_not_here_does_not_matter() -> None:
    filters = [
        ("ignore", None, UserWarning, None, 0),
        ("error", None, DeprecationWarning, None, 0),
    ]
    entries = [pickle.dumps(entry) for entry in filters]
    entries[0] = entries[0].replace(b"builtins", b"nolibrar")
    found = base64.b64encode(pickle.dumps(entries)).decode()
    assert replay({"warnings:list": found}) == []
    assert list(warnings.filters) == filters[1:]
