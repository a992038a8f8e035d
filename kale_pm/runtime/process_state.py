"""Global state of the process: what a cell can change besides variables.

A seed, a print option, a warnings filter or an environment variable set in one step is seen
by every later cell of a notebook.  So a step notes what its cells changed, and its
descendants replay these changes before their own cells run.

Each :class:`Probe` reads one kind of state as a flat mapping.  Only libraries that are
already imported are looked at, so a probe costs nothing where its library is not in use.
"""

from __future__ import annotations

import base64
import locale
import logging
import os
import pickle
import random
import re
import sys
import warnings
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

Values = dict[str, Any]

# Environment variables with such names, or such values, are never written to disk.
_SECRET = re.compile(
    r"token|pass(w|phrase)|pwd|secret|credential|apikey|accesskey|private|auth|cookie"
    r"|session|(^|_)(pass|key|pat|dsn|sas)(_|$)",
    re.IGNORECASE,
)
_LOGIN = re.compile(r"://[^/\s:@]*:[^/\s@]+@")
# Belong to the process that runs the step, not to the notebook.
_OWN = re.compile(r"KALE_PM_|JPY_|JUPYTER|PYTHONPATH$|PYDEVD_|_$|PWD$|OLDPWD$|COLUMNS$|LINES$")
_REMOVED = "__kale_pm_removed__"


@dataclass(frozen=True)
class Probe:
    """How to read and write one kind of global state.

    ``module`` must be imported for the probe to look at anything; ``initial`` gives the
    values right after that import, for comparison when a step itself imports the module.
    """

    name: str
    read: Callable[[], Values]
    write: Callable[[Values], None]
    module: str = "sys"
    initial: Callable[[], Values] | None = None


def snapshot() -> dict[str, Values]:
    """The present state of every probe whose library is imported."""
    state = {}
    for probe in PROBES:
        if probe.module in sys.modules:
            with suppress(Exception):  # a library in an odd state must not stop the step
                state[probe.name] = probe.read()
    return state


def changes(before: Mapping[str, Values]) -> dict[str, str]:
    """What changed since ``before``: ``probe:key`` -> pickled value in base64.

    Values that cannot be pickled and secret-looking environment variables are left out.
    """
    found: dict[str, str] = {}
    after = snapshot()
    for probe in PROBES:
        if probe.name not in after:
            continue
        now = after[probe.name]
        if probe.name in before:
            then = before[probe.name]
        else:
            then = probe.initial() if probe.initial else {}
        for key in now.keys() | then.keys():
            value = now.get(key, _REMOVED)
            with suppress(Exception):
                encoded = pickle.dumps(value)
                if key not in then or encoded != pickle.dumps(then[key]):
                    found[f"{probe.name}:{key}"] = base64.b64encode(encoded).decode()
    return found


def replay(values: Mapping[str, str]) -> list[str]:
    """Set what ``changes`` found elsewhere; returns what could not be set, for a warning."""
    failed = []
    by_probe: dict[str, Values] = {}
    for name, encoded in values.items():
        probe_name, _, key = name.partition(":")
        try:
            by_probe.setdefault(probe_name, {})[key] = pickle.loads(base64.b64decode(encoded))
        except Exception as error:  # noqa: BLE001 - any class may be missing here
            failed.append(f"{name} ({error})")
    for probe in PROBES:
        if probe.name not in by_probe:
            continue
        try:
            import_module(probe.module)
            probe.write(by_probe[probe.name])
        except Exception as error:  # noqa: BLE001 - the place may lack the library or the folder
            failed.append(f"{probe.name} ({error})")
    return failed


# -- the standard library ---------------------------------------------------------------------


def _read_filters() -> Values:
    return {"list": list(warnings.filters)}


def _write_filters(values: Values) -> None:
    warnings.filters[:] = values["list"]  # type: ignore[index]
    warnings._filters_mutated()  # type: ignore[attr-defined]


def _read_environment() -> Values:
    return {
        name: value
        for name, value in os.environ.items()
        if not (_SECRET.search(name) or _LOGIN.search(value) or _OWN.match(name))
    }


def _write_environment(values: Values) -> None:
    for name, value in values.items():
        if value == _REMOVED:
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
        level, disabled = (0, False) if value == _REMOVED else value
        if name:
            logger = logging.getLogger(name)
            logger.setLevel(level)
            logger.disabled = disabled
        else:
            logging.root.setLevel(level)
            logging.disable(disabled)


def _read_decimal() -> Values:
    context = sys.modules["decimal"].getcontext()
    return {name: getattr(context, name) for name in ("prec", "rounding", "Emin", "Emax")}


def _write_decimal(values: Values) -> None:
    context = import_module("decimal").getcontext()
    for name, value in values.items():
        setattr(context, name, value)


# -- numpy, pandas, matplotlib, torch ---------------------------------------------------------


def _numpy() -> Any:
    return import_module("numpy")


def _read_print_options() -> Values:
    return {k: v for k, v in _numpy().get_printoptions().items() if k != "override_repr"}


def _flat(options: Mapping[str, Any], prefix: str = "") -> Values:
    found: Values = {}
    for name, value in options.items():
        if isinstance(value, dict):
            found.update(_flat(value, f"{prefix}{name}."))
        else:
            found[prefix + name] = value
    return found


def _read_pandas() -> Values:
    return _flat(import_module("pandas._config.config")._global_config)


def _initial_pandas() -> Values:
    registered = import_module("pandas._config.config")._registered_options
    return {name: option.defval for name, option in registered.items()}


def _write_pandas(values: Values) -> None:
    set_option = import_module("pandas").set_option
    for name, value in values.items():
        set_option(name, value)


def _rc(values: Mapping[str, Any]) -> Values:
    # These belong to the kernel; reading the backend through the mapping would choose one.
    kernel = ("backend", "backend_fallback", "interactive")
    plain: Values = dict.copy(values)  # type: ignore[arg-type]
    return {name: value for name, value in plain.items() if name not in kernel}


def _write_rc(values: Values) -> None:
    import_module("matplotlib").rcParams.update(values)


def _read_torch() -> Values:
    torch = sys.modules["torch"]
    return {
        "rng": torch.get_rng_state().numpy().tobytes(),
        "dtype": torch.get_default_dtype(),
        "deterministic": torch.are_deterministic_algorithms_enabled(),
    }


def _write_torch(values: Values) -> None:
    torch = import_module("torch")
    if "rng" in values:
        torch.set_rng_state(torch.frombuffer(bytearray(values["rng"]), dtype=torch.uint8))
    if "dtype" in values:
        torch.set_default_dtype(values["dtype"])
    if "deterministic" in values:
        torch.use_deterministic_algorithms(values["deterministic"])


PROBES: tuple[Probe, ...] = (
    Probe("warnings", _read_filters, _write_filters),
    Probe("environ", _read_environment, _write_environment),
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
        "numpy.random",
        lambda: {"state": _numpy().random.get_state()},
        lambda v: _numpy().random.set_state(v["state"]),
        module="numpy",
    ),
    Probe(
        "numpy.errors",
        lambda: dict(_numpy().geterr()),
        lambda v: _numpy().seterr(**v) and None,
        module="numpy",
        initial=lambda: {"divide": "warn", "over": "warn", "under": "ignore", "invalid": "warn"},
    ),
    Probe(
        "numpy.print",
        _read_print_options,
        lambda v: _numpy().set_printoptions(**v),
        module="numpy",
        initial=_read_print_options,
    ),
    Probe("pandas", _read_pandas, _write_pandas, module="pandas", initial=_initial_pandas),
    Probe(
        "matplotlib",
        lambda: _rc(sys.modules["matplotlib"].rcParams),
        _write_rc,
        module="matplotlib",
        initial=lambda: _rc(sys.modules["matplotlib"].rcParamsOrig),
    ),
    Probe("torch", _read_torch, _write_torch, module="torch"),
)
