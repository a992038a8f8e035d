"""The one family of errors that a user may meet.

Every error carries its parts as fields, so that the command line, the report and a script
can each show them in their own way.  ``str(error)`` is the plain text of what went wrong;
``error.hint`` says what to do about it.

>>> raise NotebookError("wine.ipynb", "it is not JSON", hint="save it again from Jupyter")
Traceback (most recent call last):
    ...
kale_pm.errors.NotebookError: wine.ipynb: it is not JSON
→ save it again from Jupyter
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kale_pm.model import Problem


class KalePmError(Exception):
    """Something that the user can mend; the command line shows it without a traceback."""

    exit_code = 1

    def __init__(self, message: str, *, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def hint(self) -> str:
        """What to do about it: Python, Jupyter and pytest show it below the message."""
        return self._hint

    @hint.setter
    def hint(self, text: str) -> None:
        self._hint = text
        self.__notes__ = [f"→ {line}" for line in text.splitlines()]

    def __reduce__(self) -> tuple[Any, ...]:
        """How it is pickled, to reach another process: as its fields, whatever made them.

        Python's own way calls the class with the text alone, and some ask for more.
        """
        return _without_init, (type(self), self.args), self.__dict__.copy()

    def _render_traceback_(self) -> list[str]:
        """What Jupyter shows, of which IPython asks the exception: the user's own lines."""
        from IPython.core.getipython import get_ipython

        from kale_pm.user_frames import traceback_for_users

        shell: Any = get_ipython()
        lines: list[str] = shell.InteractiveTB.structured_traceback(
            type(self), self, traceback_for_users(self)
        )
        return lines


def _without_init(kind: type[KalePmError], args: tuple[object, ...]) -> KalePmError:
    return kind.__new__(kind, *args)


class UsageError(KalePmError):
    """The command or the call was wrong, not the notebook."""

    exit_code = 2


class NotebookError(KalePmError):
    """The notebook cannot be read at all."""

    def __init__(self, path: str | Path, reason: str, *, hint: str = "") -> None:
        super().__init__(f"{path}: {reason}", hint=hint)
        self.path = str(path)
        self.reason = reason


class PipelineError(KalePmError):
    """The notebook was read, but its problems forbid to run or compile it."""

    def __init__(self, path: str | Path, problems: Sequence[Problem]) -> None:
        count = len(problems)
        first = problems[0]
        place = f"cell {first.cell}: " if first.cell else ""
        super().__init__(
            f"{path}: {count} {'error' if count == 1 else 'errors'} "
            f"({place}{first.code}: {first.message}{', ...' if count > 1 else ''})",
            hint=first.hint,
        )
        self.problems = tuple(problems)


class ParameterError(UsageError):
    """An unknown parameter, or a value that does not fit the parameter's type."""

    def __init__(self, name: str, reason: str, known: Sequence[str], *, hint: str = "") -> None:
        listing = ", ".join(known) if known else "this notebook has none"
        super().__init__(f"parameter '{name}': {reason}", hint=hint or f"parameters: {listing}")
        self.name = name
        self.known = tuple(known)


class SecretError(UsageError):
    """A secret that a step asks for is nowhere, or lies where it must not."""


class SaveError(KalePmError):
    """A variable cannot be stored for the next steps.

    ``path`` leads from the variable to the culprit, as in ``model.callbacks[2]._lock``.
    """

    def __init__(self, path: str, reason: str, *, hint: str = "") -> None:
        super().__init__(f"cannot save {path}: {reason}", hint=hint)
        self.path = path
        self.reason = reason


class PackError(KalePmError):
    """A stored file of variables is damaged, missing, or of an unknown format."""


class LoadError(KalePmError):
    """A step's inputs cannot be found."""


class StepFailed(KalePmError):
    """A step of a run failed; ``notebook`` is the executed notebook up to the failure.

    ``run`` is the whole run where the Python face raises the error.
    """

    run: Any = None

    def __init__(self, step: str, message: str, *, notebook: str = "", hint: str = "") -> None:
        super().__init__(f"step {step}: {message}", hint=hint)
        self.step = step
        self.notebook = notebook


class StoreError(KalePmError):
    """The folder of runs cannot be used, or holds no such run."""


class DamagedRecord(StoreError):
    """A run or a sweep is there, but nobody can read what its record says."""


class CompileError(KalePmError):
    """The pipeline cannot be expressed for Kubeflow Pipelines."""


class ServerError(KalePmError):
    """The KFP server cannot be reached, or refuses: with ``status``, if it answered by HTTP."""

    def __init__(self, message: str, *, hint: str = "", status: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status


class ClusterError(KalePmError):
    """Kubernetes cannot be reached, or refuses; ``status`` is its HTTP status, if it answered."""

    def __init__(self, message: str, *, hint: str = "", status: int | None = None) -> None:
        super().__init__(message, hint=hint)
        self.status = status
