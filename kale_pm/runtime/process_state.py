"""Global state of the process: what a cell can change besides variables.

A seed, a print option, a warnings filter or an environment variable set in one step is seen
by every later cell of a notebook.  So a step notes what its cells changed, and its
descendants replay these changes before their own cells run.

Each :class:`Probe` reads one kind of state as a flat mapping.  Only libraries that are
already imported are looked at, so a probe costs nothing where its library is not in use.
"""

from __future__ import annotations

import base64
import io
import locale
import logging
import os
import pickle
import random
import re
import sys
import time
import warnings
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import partial
from importlib import import_module
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any

from kale_pm.runtime.storage.pickler import Pickler

Values = dict[str, Any]

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
_REMOVED = "__kale_pm_removed__"


@dataclass(frozen=True)
class Probe:
    """How to read and write one kind of global state.

    ``module`` must be imported for the probe to look at anything; ``initial`` gives the
    values right after that import, for comparison when a step itself imports the module.
    What a secret probe reads stays in this process.
    """

    name: str
    read: Callable[[], Values]
    write: Callable[[Values], None]
    module: str = "sys"
    initial: Callable[[], Values] | None = None
    is_secret: bool = False


def snapshot() -> dict[str, Values]:
    """The present state of every probe whose library is imported."""
    state = {}
    for probe in PROBES:
        if probe.module in sys.modules:
            with suppress(Exception):  # a library in an odd state must not stop the step
                state[probe.name] = probe.read()
    return state


@dataclass(frozen=True)
class Changes:
    """What a step changed: ``probe:key`` -> pickled value in base64.

    ``lost`` says in words what cannot be carried, and why; never with a value.
    """

    carried: Mapping[str, str] = field(default_factory=dict)
    lost: tuple[str, ...] = ()


def changes(before: Mapping[str, Values], prelude: frozenset[str] = frozenset()) -> Changes:
    """What changed since ``before``; ``prelude`` names what of the prelude travels by name."""
    carried: dict[str, str] = {}
    lost: list[str] = []
    after = snapshot()
    for probe in PROBES:
        if probe.name not in after:
            continue
        now = after[probe.name]
        if probe.name in before:
            then = before[probe.name]
        else:
            then = probe.initial() if probe.initial else {}
        for key in sorted(now.keys() | then.keys()):
            value = now.get(key, _REMOVED)
            if probe.is_secret:
                if value != then.get(key, _REMOVED):
                    lost.append(f"environment variable {key} (it looks secret)")
                continue
            try:
                encoded = _encode(value, prelude)
            except Exception as error:  # noqa: BLE001 - whatever an object's own code raises
                if key not in then or value is not then[key]:
                    lost.append(f"{probe.name} {key} ({type(error).__name__}: not to be stored)")
                continue
            with suppress(Exception):
                if key in then and encoded == _encode(then[key], prelude):
                    continue
            carried[f"{probe.name}:{key}"] = base64.b64encode(encoded).decode()
    return Changes(carried, tuple(lost))


def _encode(value: object, prelude: frozenset[str] = frozenset()) -> bytes:
    if type(value) in (str, int, float, bool, type(None)):
        return pickle.dumps(value)
    stream = io.BytesIO()
    Pickler(stream, prelude).dump(value)
    return stream.getvalue()


def replay(values: Mapping[str, str]) -> list[str]:
    """Set what ``changes`` found elsewhere; returns what could not be set, for a warning.

    The state of a library that is not imported yet is set as soon as it is: many steps never
    import it, and their place may not even have it.
    """
    failed = []
    later: dict[str, list[_Set]] = {}
    for probe in PROBES:
        encoded = {
            name.removeprefix(f"{probe.name}:"): value
            for name, value in values.items()
            if name.startswith(f"{probe.name}:")
        }
        if encoded and probe.module in sys.modules:
            failed += _set(probe, encoded)
        elif encoded:
            later.setdefault(probe.module, []).append(partial(_set, probe, encoded))
    if later:
        sys.meta_path.insert(0, _AfterImport(later))
    return failed


def _set(probe: Probe, encoded: Mapping[str, str]) -> list[str]:
    """What could not be set."""
    failed = []
    values: Values = {}
    for key, value in encoded.items():
        try:
            values[key] = pickle.loads(base64.b64decode(value))
        except Exception as error:  # noqa: BLE001 - any class may be missing here
            failed.append(f"{probe.name}:{key} ({error})")
    if values:
        try:
            probe.write(values)
        except Exception as error:  # noqa: BLE001 - the place may lack the folder, or the option
            failed.append(f"{probe.name} ({error})")
    return failed


_Set = Callable[[], list[str]]


class _AfterImport(MetaPathFinder):
    """Sets the state of libraries right after their import; finds nothing by itself."""

    def __init__(self, waiting: dict[str, list[_Set]]) -> None:
        self._waiting = waiting

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        waiting = self._waiting.pop(fullname, None)
        spec = find_spec(fullname) if waiting else None
        if spec is None or spec.loader is None:
            return None
        execute = spec.loader.exec_module

        def execute_and_set(module: ModuleType) -> None:
            execute(module)
            for setting in waiting or ():
                for failure in setting():
                    warnings.warn(f"global state not replayed: {failure}", stacklevel=2)

        spec.loader.exec_module = execute_and_set  # type: ignore[method-assign]
        return spec


# -- the standard library ---------------------------------------------------------------------


def _read_filters() -> Values:
    # One by one: a category may belong to a library that another place lacks.
    return {"list": [_encode(entry) for entry in warnings.filters]}


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
    return bool(_SECRET.search(name) or _LOGIN.search(value))


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
        if value == _REMOVED:
            with suppress(csv.Error):
                csv.unregister_dialect(name)
        else:
            csv.register_dialect(name, **value)


# -- numpy, pandas, scikit-learn, matplotlib, torch -------------------------------------------


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


# Switches of torch: what reads them, and what sets them.
_TORCH_SWITCHES = {
    "dtype": ("get_default_dtype", "set_default_dtype"),
    "deterministic": ("are_deterministic_algorithms_enabled", "use_deterministic_algorithms"),
    "gradients": ("is_grad_enabled", "set_grad_enabled"),
    "threads": ("get_num_threads", "set_num_threads"),
    "precision": ("get_float32_matmul_precision", "set_float32_matmul_precision"),
}
_CUDNN_SWITCHES = ("enabled", "benchmark", "deterministic", "allow_tf32")


def _read_torch() -> Values:
    torch = sys.modules["torch"]
    values = {name: getattr(torch, reads)() for name, (reads, _) in _TORCH_SWITCHES.items()}
    cudnn = {f"cudnn.{name}": getattr(torch.backends.cudnn, name) for name in _CUDNN_SWITCHES}
    return {**values, **cudnn, "rng": torch.get_rng_state().numpy().tobytes()}


def _write_torch(values: Values) -> None:
    torch = sys.modules["torch"]
    for name, value in values.items():
        if name == "rng":
            torch.set_rng_state(torch.frombuffer(bytearray(value), dtype=torch.uint8))
        elif name in _TORCH_SWITCHES:
            getattr(torch, _TORCH_SWITCHES[name][1])(value)
        else:
            setattr(torch.backends.cudnn, name.removeprefix("cudnn."), value)


PROBES: tuple[Probe, ...] = (
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
    ),
    Probe("pandas", _read_pandas, _write_pandas, module="pandas", initial=_initial_pandas),
    Probe(
        "sklearn",
        lambda: dict(sys.modules["sklearn"].get_config()),
        lambda v: import_module("sklearn").set_config(**v),
        module="sklearn",
        initial=lambda: dict(import_module("sklearn._config")._global_config),
    ),
    Probe(
        "matplotlib",
        lambda: _rc(sys.modules["matplotlib"].rcParams),
        _write_rc,
        module="matplotlib",
        initial=lambda: _rc(sys.modules["matplotlib"].rcParamsOrig),
    ),
    Probe("torch", _read_torch, _write_torch, module="torch"),
)
