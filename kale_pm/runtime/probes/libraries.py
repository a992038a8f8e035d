"""What numpy, pandas, scikit-learn, matplotlib and torch keep for the whole process."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from importlib import import_module
from typing import Any

from kale_pm.runtime.probes.probe import Probe, Values


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


LIBRARIES: tuple[Probe, ...] = (
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
