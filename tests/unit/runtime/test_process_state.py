"""Global state: what a step changes is found, and can be set again elsewhere."""

from __future__ import annotations

import base64
import calendar
import csv
import decimal
import logging
import os
import pickle
import random
import socket
import sys
import threading
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest

from kale_pm.runtime.process_state import changes, replay, snapshot


@pytest.fixture(autouse=True)
def untouched() -> Iterator[None]:
    """Every test may change the state of this process: afterwards it is as it was."""
    environment, path, folder = dict(os.environ), list(sys.path), Path.cwd()
    filters, state, limit = list(warnings.filters), random.getstate(), sys.getrecursionlimit()
    context, level = decimal.getcontext().copy(), logging.root.level
    digits, mask, zone = sys.get_int_max_str_digits(), os.umask(0o022), time.timezone
    os.umask(mask)
    yield
    os.environ.clear()
    os.environ.update(environment)
    sys.path[:] = path
    os.chdir(folder)
    warnings.filters[:] = filters  # type: ignore[index]
    random.setstate(state)
    sys.setrecursionlimit(limit)
    sys.set_int_max_str_digits(digits)
    os.umask(mask)
    socket.setdefaulttimeout(None)
    calendar.setfirstweekday(0)
    if time.timezone != zone:
        time.tzset()
    if "kale-pm-test" in csv.list_dialects():
        csv.unregister_dialect("kale-pm-test")
    decimal.setcontext(context)
    logging.root.setLevel(level)
    logging.disable(logging.NOTSET)


def after(change: Callable[[], object]) -> Mapping[str, str]:
    before = snapshot()
    change()
    return changes(before).carried


def lost(change: Callable[[], object]) -> tuple[str, ...]:
    before = snapshot()
    change()
    return changes(before).lost


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
    "decimal trap": (
        lambda: decimal.getcontext().traps.update({decimal.Inexact: True}),
        lambda: decimal.getcontext().traps[decimal.Inexact],
    ),
    "decimal flag": (
        lambda: decimal.getcontext().flags.update({decimal.Subnormal: True}),
        lambda: decimal.getcontext().flags[decimal.Subnormal],
    ),
    "digits": (lambda: sys.set_int_max_str_digits(9999), sys.get_int_max_str_digits),
    "socket": (lambda: socket.setdefaulttimeout(3.5), socket.getdefaulttimeout),
    "umask": (lambda: os.umask(0o027), lambda: [os.umask(m := os.umask(0o077)), m][1]),
    "calendar": (lambda: calendar.setfirstweekday(6), calendar.firstweekday),
    "csv": (
        lambda: csv.register_dialect("kale-pm-test", delimiter="|"),
        lambda: "kale-pm-test" in csv.list_dialects(),
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


def _opposite(start: dict[str, dict[str, object]], found: Mapping[str, str]) -> dict[str, str]:
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
        "OAUTH",
        "AUTH_TOKEN",
        "BASIC_AUTH",
        "AUTHORIZATION",
        "authkey",
    ],
)
def test_secret_looking_variables_of_the_environment_are_never_carried(name: str) -> None:
    assert after(lambda: os.environ.update({name: "s3cret"})) == {}


def test_a_changed_secret_is_told_of_without_its_value() -> None:
    (text,) = lost(lambda: os.environ.update(API_KEY="s3cret"))
    assert "API_KEY" in text
    assert "s3cret" not in text
    assert lost(lambda: None) == ()
    assert lost(lambda: os.environ.update(KALE_PM_TOKEN="mine")) == ()


def test_an_address_with_a_login_is_a_secret_whatever_its_name() -> None:
    address = "postgresql://user:s3cret@host/base"
    assert after(lambda: os.environ.update(DATABASE_URL=address)) == {}
    assert after(lambda: os.environ.update(DATABASE_URL="postgresql://host:5432/b")) != {}


@pytest.mark.parametrize(
    "name",
    [
        "MODE",
        "KEYBOARD",
        "COMPASS_X",
        "PATH_TO_DATA",
        "MONKEY",
        "AUTHOR",
        "CO_AUTHORS",
        "AUTHORITY",
        "COMPASS",
        "PASSENGERS",
        "TOKENIZERS_PARALLELISM",
    ],
)
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


def test_the_time_zone_is_set_again() -> None:
    os.environ["TZ"] = "Etc/GMT+3"
    time.tzset()
    before = snapshot()
    os.environ["TZ"] = "Etc/GMT+5"
    time.tzset()
    found = changes(before).carried
    os.environ["TZ"] = "Etc/GMT+3"
    time.tzset()
    assert replay(found) == []
    assert time.timezone == 5 * 3600


def test_the_configuration_of_sklearn_is_carried() -> None:
    sklearn = pytest.importorskip("sklearn")
    with sklearn.config_context():
        found = after(lambda: sklearn.set_config(display="text"))
        assert found.keys() == {"sklearn:display"}
        sklearn.set_config(display="diagram")
        assert replay(found) == []
        assert sklearn.get_config()["display"] == "text"


def test_functions_are_carried_too(run_main: Callable[..., str]) -> None:
    pytest.importorskip("pandas")
    code = """
        import sys
        import numpy, pandas
        from kale_pm.runtime.process_state import changes, replay, snapshot
        before = snapshot()
        def marks(x): return f"<{x}>"
        pandas.set_option("display.float_format", lambda x: f"{x:.1f}!")
        numpy.set_printoptions(formatter={"int": marks})
        found = changes(before)
        pandas.reset_option("display.float_format")
        numpy.set_printoptions(formatter=None)
        del marks
        print(found.lost, replay(found.carried))
        print(pandas.Series([2.0]).to_string(index=False), numpy.array([1, 2]))
    """
    assert run_main(code).splitlines() == ["() []", "2.0! [<1> <2>]"]


def test_what_nothing_can_store_is_told_of() -> None:
    pandas = pytest.importorskip("pandas")
    events = (threading.current_thread() for _ in "a")
    with pandas.option_context("display.float_format", None):
        found = lost(lambda: pandas.set_option("display.float_format", lambda x: next(events)))
    assert len(found) == 1
    assert found[0].startswith("pandas display.float_format (")


@pytest.mark.parametrize(
    ("code", "carried"),
    [("", False), ("numpy.random.seed(1)", True), ("numpy.random.rand()", True)],
)
def test_a_library_that_begins_with_another_seed_every_time_is_no_change(
    run_main: Callable[..., str], code: str, carried: bool
) -> None:
    pytest.importorskip("numpy")
    shown = run_main(f"""
        import sys
        from kale_pm.runtime import process_state

        assert "numpy" not in sys.modules
        state = process_state.snapshot()
        process_state.note_imports(state)
        import numpy
        {code}
        print("numpy.random:state" in process_state.changes(state).carried)
    """)
    assert shown == str(carried)
