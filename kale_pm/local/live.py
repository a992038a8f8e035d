"""A run while it goes on: what its steps share, and its record as it grows."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kale_pm.errors import KalePmError
from kale_pm.events import Event, Listener, Warned
from kale_pm.local.environment import UNKNOWN, Environment, environment_of
from kale_pm.local.fingerprint import all_imports
from kale_pm.local.journal import Journal
from kale_pm.local.store import Store, write_run
from kale_pm.model import Pipeline
from kale_pm.record import RunRecord, StepRecord
from kale_pm.runtime.execution.kernel import KernelCommand, choose_spec, kernel_command

if TYPE_CHECKING:
    from jupyter_client.kernelspec import KernelSpec

    from kale_pm.runtime.execution.monitor import Monitor


@dataclass
class LiveRun:
    """One run; its steps work in several threads, and every method may be called from any.

    ``kernel`` is the user's choice of a kernelspec.  Once ``stopped`` is set nothing more is
    executed.
    """

    pipeline: Pipeline
    parameters: Mapping[str, Any]
    store: Store
    folder: Path
    kernel: str | None
    record: RunRecord
    journal: Journal
    listener: Listener
    stopped: threading.Event = field(default_factory=threading.Event)
    _monitors: dict[str, Monitor] = field(default_factory=dict)
    _record_lock: threading.Lock = field(default_factory=threading.Lock)
    _listener_lock: threading.Lock = field(default_factory=threading.Lock)
    _kernel_lock: threading.Lock = field(default_factory=threading.Lock)

    def manifest(self, step: str) -> Path:
        return self.folder / "manifests" / f"{step}.json"

    def notebook(self, step: str) -> Path:
        return self.folder / "notebooks" / f"{step}.ipynb"

    # -- what happens ---------------------------------------------------------------------

    def tell(self, event: Event) -> None:
        """Journal an event and tell the listener, one event at a time."""
        with self._listener_lock:
            self.journal.write(event)
            self.listener(event)

    def update(self, step: StepRecord) -> None:
        """Put the new record of a step into run.json.  Raises StoreError."""
        with self._record_lock:
            steps = {**self.record.steps, step.name: step}
            # In the order of the notebook, whichever step is done first.
            metrics = {k: v for each in steps.values() for k, v in each.metrics.items()}
            self._write(steps=steps, metrics=metrics)

    def finish(self, **changes: Any) -> None:
        """Change fields of the run's own record, and write it.  Raises StoreError."""
        with self._record_lock:
            self._write(**changes)

    def _write(self, **changes: Any) -> None:
        self.record = replace(self.record, **changes)
        write_run(self.record, self.folder)

    # -- the end from outside -------------------------------------------------------------

    def watch(self, step: str, monitor: Monitor) -> None:
        """From now on ``stop`` ends the execution that ``monitor`` watches."""
        self._monitors[step] = monitor

    def forget(self, step: str) -> None:
        """The execution of the step has ended."""
        self._monitors.pop(step, None)

    def stop(self) -> None:
        """End the kernels; what they have done so far stays in their notebooks.

        A kernel that is just about to start is ended by the next call.
        """
        self.stopped.set()
        for monitor in list(self._monitors.values()):
            monitor.interrupt()

    # -- the kernel -----------------------------------------------------------------------

    def spec(self) -> KernelSpec:
        """The kernelspec for every step; KalePmError if this machine has none that fits."""
        with self._kernel_lock:  # so that steps that start together warn once
            return self._checked_spec

    @cached_property
    def _checked_spec(self) -> KernelSpec:
        spec, warning = choose_spec(self.pipeline.kernelspec, self.kernel)
        if spec is None:
            raise KalePmError(warning, hint="choose another one: --kernel NAME")
        if warning:
            self.tell(Warned(warning))
        return spec

    @cached_property
    def _command(self) -> KernelCommand | None:
        return kernel_command(self.pipeline.kernelspec, self.kernel)

    @property
    def kernel_identity(self) -> tuple[object, ...]:
        """How the kernel is started: two that start alike are the same."""
        with self._kernel_lock:
            command = self._command
        return (command.argv, tuple(sorted(command.env.items()))) if command else ()

    def environment(self) -> Environment:
        """What the kernels' interpreter has of the modules that the steps import."""
        with self._kernel_lock:
            return self._environment

    @cached_property
    def _environment(self) -> Environment:
        command = self._command
        if command is None or command.language.lower() != "python":
            return UNKNOWN
        modules = all_imports(self.pipeline)
        found = environment_of(command.argv, command.env, modules, self.pipeline.folder)
        if found is UNKNOWN:
            text = f"{command.argv[0]} does not tell its packages"
            self.tell(Warned(f"{text}: steps keep results when they change"))
        return found
