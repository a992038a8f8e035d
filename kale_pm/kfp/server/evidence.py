"""What is known of the steps of a run before anything of theirs is fetched.

The log of a step's pod says where its outputs lie or, after a failure, holds the executed
notebook itself.  Of a step without a log, because KFP's cache had its result or because its
pod is gone, the steps after it tell: their inputs lie beside its other outputs.  Where the
pipeline has a volume, its exit task has published the notebooks of all steps.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kale_pm.errors import ServerError
from kale_pm.kfp.server.artifacts import WANTED, native_uris, sibling
from kale_pm.kfp.server.compiled import Inputs
from kale_pm.kfp.server.connection import Connection
from kale_pm.kfp.server.framed import Told, is_frame, read_told
from kale_pm.kfp.server.logs import read_log
from kale_pm.kfp.server.record import Task, step_pods
from kale_pm.record import State
from kale_pm.runtime.atomic import replacing
from kale_pm.runtime.pod.announce import CLOSING

_LOGGED = (State.RUNNING, State.DONE, State.FAILED, State.INTERRUPTED)


@dataclass(frozen=True)
class Evidence:
    """What is known of a step.

    ``told`` is what its tries have told, the last one last, ``uris`` where its outputs lie, by
    their names, ``published`` the folder with all notebooks that the run's exit task gave, and
    ``gone`` why there is no log of it.
    """

    told: tuple[Told, ...] = ()
    uris: Mapping[str, str] = field(default_factory=dict)
    published: str = ""
    gone: str = ""

    @property
    def last(self) -> Told:
        return self.told[-1] if self.told else Told()


@dataclass(frozen=True)
class Search:
    """A look at the steps of one run; ``log`` is where the log of a step is written."""

    connection: Connection
    run: Any
    tasks: Mapping[str, Task]
    states: Mapping[str, State]
    inputs: Inputs
    log: Callable[[str], Path]

    def evidence(self, steps: Iterable[str], pool: Executor) -> dict[str, Evidence]:
        """What is known of the ``steps``.

        Raises ServerError if the server cannot be reached, OSError if a log cannot be written.
        """
        steps = list(steps)
        found = dict(zip(steps, pool.map(self._of_log, steps), strict=True))
        lacking = [name for name in steps if self._lacks(name, found[name])]
        beside = [n for n in self._children(lacking) if n not in found]
        others = dict(zip(beside, pool.map(self._of_log, beside), strict=True))
        told = self._told_by_children({**found, **others})
        native = None
        for name in lacking:
            uris = told.get(name)
            if uris is None:
                native = self._native() if native is None else native
                uris = native.get(name, {})
            found[name] = replace(found[name], uris=uris)
        silent = [name for name in steps if self._is_silent(name, found[name])]
        if silent and (published := self._published()):
            found |= {name: replace(found[name], published=published) for name in silent}
        return found

    def _is_silent(self, step: str, evidence: Evidence) -> bool:
        """Whether a step has ended and nothing leads to its notebook."""
        if self.states[step].is_success:
            return "notebook" not in evidence.uris
        ended = self.states[step] in (State.FAILED, State.INTERRUPTED)
        return ended and evidence.last.notebook is None

    def _published(self) -> str:
        """Where the exit task has put the notebooks of all steps, if there is one."""
        for pod in step_pods(self.run, Task(CLOSING, "close-run")):
            with suppress(ServerError):
                for (name, _), told in read_told(
                    read_log(self.connection, self.run.run_id, pod, created=self.run.created_at)
                ).items():
                    if name == CLOSING and told.outputs is not None:
                        return str(told.outputs["outputs"].get("notebooks", ""))
        return ""

    def _lacks(self, step: str, evidence: Evidence) -> bool:
        return self.states[step].is_success and not evidence.uris

    def _of_log(self, step: str) -> Evidence:
        """What the logs of the step's pods say; they are kept."""
        if self.states[step] not in _LOGGED:
            return Evidence()
        pods = step_pods(self.run, self.tasks[step])
        gone = "" if pods else "the server names no pod of it"
        told: list[Told] = []
        for_people: list[str] = []
        for pod in pods:
            try:
                log = read_log(self.connection, self.run.run_id, pod, created=self.run.created_at)
                lines = list(log)
            except ServerError as error:
                if error.status is None:
                    raise
                gone = error.message
                continue
            tries = read_told(lines)
            told += [tries[key] for key in sorted(tries) if key[0] == step]
            for_people += [line for line in lines if not is_frame(line)]
        if for_people:
            with replacing(self.log(step)) as temporary:
                temporary.write_text("\n".join(for_people) + "\n", encoding="utf-8")
        outputs = (told[-1].outputs or {}) if told else {}
        return Evidence(tuple(told), dict(outputs.get("outputs", {})), gone=gone)

    def _children(self, steps: Iterable[str]) -> list[str]:
        wanted = set(steps)
        return [
            name
            for name, inputs in self.inputs.items()
            if any(producer in wanted for producer, _ in inputs.values())
        ]

    def _told_by_children(self, evidence: Mapping[str, Evidence]) -> dict[str, dict[str, str]]:
        """The outputs of a step, by what those that took one of them say."""
        found: dict[str, dict[str, str]] = {}
        for name, known in evidence.items():
            for told in known.told:
                arrived = (told.outputs or {}).get("inputs", {})
                for artifact, (producer, _) in self.inputs[name].items():
                    if artifact in arrived:
                        uri = str(arrived[artifact])
                        found[producer] = {output: sibling(uri, output) for output in WANTED}
        return found

    def _native(self) -> dict[str, dict[str, str]]:
        by_key = {task.key: name for name, task in self.tasks.items()}
        found: dict[str, dict[str, str]] = {}
        for (key, output), uri in native_uris(self.connection, self.run.run_id).items():
            if key in by_key:
                found.setdefault(by_key[key], {})[output] = uri
        return found
