"""What all steps of a run rest on, and what decides whether a step must be executed."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

from kale_pm.errors import KalePmError
from kale_pm.local.cache.fingerprint import all_imports
from kale_pm.local.kernels.environment import UNKNOWN, Environment, environment_of
from kale_pm.local.kernels.foreign import is_foreign, with_runtime
from kale_pm.local.store import Store
from kale_pm.model import PYTHON, Pipeline
from kale_pm.runtime.execution.kernel import (
    KernelCommand,
    choose_spec,
    kernel_command,
    kernel_names,
)

if TYPE_CHECKING:
    from jupyter_client.kernelspec import KernelSpec


@dataclass
class Interpreter:
    """What the steps of a pipeline are executed by; each question is answered once.

    ``kernel`` is the user's choice of a kernelspec, ``warn`` hears what the user should know.
    Every method may be called from any thread.
    """

    pipeline: Pipeline
    store: Store
    kernel: str | None = None
    warn: Callable[[str], None] = lambda _message: None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def spec(self) -> KernelSpec:
        """The kernelspec for every step; KalePmError if this machine has none that fits."""
        with self._lock:  # so that steps that start together warn once
            return self._checked_spec

    @property
    def identity(self) -> tuple[object, ...]:
        """How the kernel is started: two that start alike are the same."""
        with self._lock:
            command = self._command
        return (command.argv, tuple(sorted(command.env.items()))) if command else ()

    def environment(self) -> Environment:
        """What it has of the modules that the steps import."""
        with self._lock:
            return self._environment

    @cached_property
    def _checked_spec(self) -> KernelSpec:
        spec, warning = choose_spec(self.pipeline.kernelspec, self.kernel)
        if spec is None:
            listing = ", ".join(kernel_names()) or "none"
            raise KalePmError(
                warning,
                hint="install it, or choose another one: --kernel NAME\n"
                f"kernels of this machine: {listing}",
            )
        if spec.language.lower() == PYTHON and not self.pipeline.is_analysed:
            raise KalePmError(
                f"the kernel '{spec.display_name}' runs Python, and the notebook is written in "
                f"{self.pipeline.language}",
                hint="choose one that runs it: --kernel NAME",
            )
        if warning:
            self.warn(warning)
        if is_foreign(spec):
            return with_runtime(spec, self.store.folder / "runtime", self.pipeline.folder)
        return spec

    @cached_property
    def _command(self) -> KernelCommand | None:
        return kernel_command(self.pipeline.kernelspec, self.kernel)

    @cached_property
    def _environment(self) -> Environment:
        command = self._command
        if command is None or command.language.lower() != "python":
            return UNKNOWN
        modules = all_imports(self.pipeline)
        found = environment_of(command.argv, command.env, modules, self.pipeline.folder)
        if found is UNKNOWN:
            text = f"{command.argv[0]} does not tell its packages"
            self.warn(f"{text}: steps keep results when they change")
        return found


@dataclass
class Basis:
    """A pipeline with the values of its parameters, the store, and what executes the steps.

    With ``verify`` every byte of what is stored is checked before it is used; ``discard``
    deletes what is found damaged.
    """

    pipeline: Pipeline
    parameters: Mapping[str, Any]
    store: Store
    interpreter: Interpreter
    verify: bool = field(default=False, kw_only=True)
    discard: bool = field(default=True, kw_only=True)
