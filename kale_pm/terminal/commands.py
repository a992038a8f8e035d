"""Commands as people type them: a script is its own command line, a notebook has kale-pm's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

_programs: list[str] = []


@contextmanager
def typed_in(program: str) -> Iterator[None]:
    """Within, the pipeline's commands are those of ``program``, which has it already."""
    _programs.append(program)
    try:
        yield
    finally:
        _programs.pop()


def retry_command(sweep: str) -> str:
    """What tries again what of the sweep is not done; a script knows its newest one."""
    return f"{_programs[-1]} sweep --retry" if _programs else f"kale-pm sweep {sweep} --retry"
