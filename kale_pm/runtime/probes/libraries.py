"""What numpy, pandas, torch and other libraries keep for the whole process."""

from __future__ import annotations

import sys
import warnings
from collections import defaultdict
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from importlib import import_module
from typing import Any

from kale_pm.runtime.probes.probe import REMOVED, Probe, Values


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


_KERAS_NAMES = "object_name_uids"  # how many objects of a kind there are: they are numbered
_INITIAL_KERAS: Values = {
    "dtype_policy": "float32",
    "epsilon": 1e-7,
    "floatx": "float32",
    "image_data_format": "channels_last",
    "names": {},
}


def _read_keras() -> Values:
    config = sys.modules["keras"].config
    state = import_module("keras.src.backend.common.global_state")
    return {
        "dtype_policy": config.dtype_policy().name,
        "epsilon": config.epsilon(),
        "floatx": config.floatx(),
        "image_data_format": config.image_data_format(),
        "names": dict(state.get_global_attribute(_KERAS_NAMES) or {}),
    }


def _write_keras(values: Values) -> None:
    config = sys.modules["keras"].config
    state = import_module("keras.src.backend.common.global_state")
    for name, value in values.items():
        if name == "names":
            state.set_global_attribute(_KERAS_NAMES, defaultdict(int, value))
        else:
            getattr(config, f"set_{name}")(value)


# Where a library registers accessors: for each of its classes, the function that does it.
_REGISTRIES = {
    "pandas": (
        "pandas.api.extensions",
        {
            "DataFrame": "register_dataframe_accessor",
            "Series": "register_series_accessor",
            "Index": "register_index_accessor",
        },
    ),
    "polars": (
        "polars.api",
        {
            "DataFrame": "register_dataframe_namespace",
            "LazyFrame": "register_lazyframe_namespace",
            "Series": "register_series_namespace",
            "Expr": "register_expr_namespace",
        },
    ),
    "xarray": (
        "xarray",
        {
            "DataArray": "register_dataarray_accessor",
            "Dataset": "register_dataset_accessor",
        },
    ),
}


def _read_accessors(library: str) -> Values:
    """Those that the notebook made: what others register comes with an import of theirs."""
    found: Values = {}
    for kind in _REGISTRIES[library][1]:
        for name, descriptor in vars(getattr(sys.modules[library], kind)).items():
            parts = getattr(descriptor, "__dict__", {})
            accessor = parts.get("_ns" if library == "polars" else "_accessor")
            if getattr(accessor, "__module__", "") == "__main__":
                found[f"{kind}.{name}"] = accessor
    return found


def _write_accessors(library: str, values: Values) -> None:
    place, functions = _REGISTRIES[library]
    for key, accessor in values.items():
        kind, _, name = key.partition(".")
        if accessor == REMOVED:
            owner = getattr(sys.modules[library], kind)
            with suppress(AttributeError):
                delattr(owner, name)
                owner._accessors.discard(name)
            continue
        register = getattr(import_module(place), functions[kind])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the step that took the place of another was told
            register(name)(accessor)


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
    Probe("keras", _read_keras, _write_keras, module="keras", initial=lambda: _INITIAL_KERAS),
    *(
        Probe(
            f"{library}.accessors",
            partial(_read_accessors, library),
            partial(_write_accessors, library),
            module=library,
        )
        for library in _REGISTRIES
    ),
)
