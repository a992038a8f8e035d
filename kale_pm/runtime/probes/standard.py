"""What the interpreter and the standard library keep for the whole process."""

from __future__ import annotations

import locale
import logging
import os
import pickle
import random
import re
import sys
import time
import warnings
from collections.abc import Sequence
from contextlib import suppress
from importlib import import_module
from pathlib import Path

from kale_pm.runtime.probes.probe import REMOVED, Probe, Values, encode

# Environment variables with such names, or such values, are never written to disk.
_SECRET = re.compile(
    r"token(?!iz)|pass(w|phrase)|pwd|secret|credential|apikey|accesskey|private|cookie"
    r"|auth(?!or(?!i[sz]))"  # but not an author or an authority
    r"|session|(^|_)(pass|key|pat|dsn|sas)(_|$)",
    re.IGNORECASE,
)
_LOGIN = re.compile(r"://[^/\s:@]*:[^/\s@]+@")
# Belong to the process that runs the step, not to the notebook.
_OWN = re.compile(r"KALE_PM_|JPY_|JUPYTER|PYTHONPATH$|PYDEVD_|_$|PWD$|OLDPWD$|COLUMNS$|LINES$")


def _read_filters() -> Values:
    # One by one: a category may belong to a library that another place lacks.
    return {"list": [encode(entry) for entry in warnings.filters]}


def _write_filters(values: Values) -> None:
    entries = []
    for entry in values["list"]:
        with suppress(ImportError, AttributeError):  # then nobody can warn of that category
            entries.append(pickle.loads(entry))
    warnings.filters[:] = entries  # type: ignore[index]
    warnings._filters_mutated()  # type: ignore[attr-defined]


def _read_environment() -> Values:
    return {
        name: value
        for name, value in os.environ.items()
        if not (_is_secret(name, value) or _OWN.match(name))
    }


def _read_secrets() -> Values:
    return {
        name: hash(value)
        for name, value in os.environ.items()
        if _is_secret(name, value) and not _OWN.match(name)
    }


def _is_secret(name: str, value: str) -> bool:
    if _SECRET.search(name) or _LOGIN.search(value):
        return True
    declared = os.environ.get("KALE_PM_SECRETS", "").split()
    # A cell may copy one to another variable, and then delete it.
    _seen.update(secret for each in declared if (secret := os.environ.get(each)))
    return name in declared or any(secret in value for secret in _seen)


_seen: set[str] = set()  # values of the variables that KALE_PM_SECRETS names


def _write_environment(values: Values) -> None:
    for name, value in values.items():
        if value == REMOVED:
            os.environ.pop(name, None)
        else:
            os.environ[name] = value


def _write_path(values: Values) -> None:
    sys.path[:] = values["list"] + [entry for entry in sys.path if entry not in values["list"]]


def _write_locale(values: Values) -> None:
    locale.setlocale(locale.LC_ALL, values["all"])


def _read_logging() -> Values:
    manager = logging.root.manager
    found: Values = {"": (logging.root.level, manager.disable)}
    for name, logger in list(manager.loggerDict.items()):
        if isinstance(logger, logging.Logger) and (logger.level or logger.disabled):
            found[name] = (logger.level, logger.disabled)
    return found


def _write_logging(values: Values) -> None:
    for name, value in values.items():
        level, disabled = (0, False) if value == REMOVED else value
        if name:
            logger = logging.getLogger(name)
            logger.setLevel(level)
            logger.disabled = disabled
        else:
            logging.root.setLevel(level)
            logging.disable(disabled)


def _read_decimal() -> Values:
    context = sys.modules["decimal"].getcontext()
    values = {name: getattr(context, name) for name in ("prec", "rounding", "Emin", "Emax")}
    for part in ("traps", "flags"):
        signals = getattr(context, part)
        values.update({f"{part}.{signal.__name__}": bool(signals[signal]) for signal in signals})
    return values


def _write_decimal(values: Values) -> None:
    decimal = import_module("decimal")
    context = decimal.getcontext()
    for name, value in values.items():
        part, _, signal = name.partition(".")
        if signal:
            getattr(context, part)[getattr(decimal, signal)] = value
        else:
            setattr(context, name, value)


def _read_umask() -> Values:
    mask = os.umask(0o077)  # there is no other way to read it
    os.umask(mask)
    return {"mask": mask}


def _write_umask(values: Values) -> None:
    os.umask(values["mask"])


_DIALECT = (
    "delimiter doublequote escapechar lineterminator quotechar quoting skipinitialspace strict"
)


def _read_dialects(names: Sequence[str] = ()) -> Values:
    csv = sys.modules["csv"]
    return {
        name: {part: getattr(csv.get_dialect(name), part) for part in _DIALECT.split()}
        for name in names or csv.list_dialects()
    }


def _write_dialects(values: Values) -> None:
    csv = import_module("csv")
    for name, value in values.items():
        if value == REMOVED:
            with suppress(csv.Error):
                csv.unregister_dialect(name)
        else:
            csv.register_dialect(name, **value)


STANDARD: tuple[Probe, ...] = (
    Probe("warnings", _read_filters, _write_filters),
    Probe("environ", _read_environment, _write_environment),
    Probe("secrets", _read_secrets, lambda _: None, is_secret=True),
    Probe(
        "timezone",
        lambda: {"names": (time.tzname, time.timezone)},
        lambda _: time.tzset(),  # reads what is in the environment by then
    ),
    Probe("umask", _read_umask, _write_umask),
    Probe(
        "digits",
        lambda: {"limit": sys.get_int_max_str_digits()},
        lambda v: sys.set_int_max_str_digits(v["limit"]),
    ),
    Probe("path", lambda: {"list": list(sys.path)}, _write_path),
    Probe("cwd", lambda: {"path": str(Path.cwd())}, lambda v: os.chdir(v["path"])),
    Probe(
        "recursion",
        lambda: {"limit": sys.getrecursionlimit()},
        lambda v: sys.setrecursionlimit(v["limit"]),
    ),
    Probe("locale", lambda: {"all": locale.setlocale(locale.LC_ALL)}, _write_locale),
    Probe("logging", _read_logging, _write_logging),
    Probe("random", lambda: {"state": random.getstate()}, lambda v: random.setstate(v["state"])),
    Probe("decimal", _read_decimal, _write_decimal, module="decimal"),
    Probe(
        "socket",
        lambda: {"timeout": sys.modules["socket"].getdefaulttimeout()},
        lambda v: import_module("socket").setdefaulttimeout(v["timeout"]),
        module="socket",
        initial=lambda: {"timeout": None},
    ),
    Probe(
        "calendar",
        lambda: {"firstweekday": sys.modules["calendar"].firstweekday()},
        lambda v: import_module("calendar").setfirstweekday(v["firstweekday"]),
        module="calendar",
        initial=lambda: {"firstweekday": 0},
    ),
    Probe(
        "csv",
        _read_dialects,
        _write_dialects,
        module="csv",
        initial=lambda: _read_dialects(("excel", "excel-tab", "unix")),
    ),
)
