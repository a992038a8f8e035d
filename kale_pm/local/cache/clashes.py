"""Clashes: of two executions that write one file at the same time nobody knows whose it is."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock

from kale_pm.record import Task


@dataclass
class Clashes:
    """What is written by whom, among all that is executed together."""

    _met: dict[Task, dict[str, set[str]]] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)
    _lock: Lock = field(default_factory=Lock)

    @contextmanager
    def watched(self, task: Task) -> Iterator[None]:
        """During the block ``task`` is executed, and its result stored."""
        with self._lock:
            self._met[task] = {}
        try:
            yield
        finally:
            with self._lock:
                del self._met[task]

    def wrote(self, task: Task, files: Collection[str], key: str) -> Mapping[str, Collection[str]]:
        """Note that ``task``, whose result is stored under ``key``, has written ``files``.

        Gives those of them that others wrote while it was executed, with the keys of these.
        """
        with self._lock:
            for other, met in self._met.items():
                for name in files if other != task else ():
                    met.setdefault(name, set()).add(key)
            met = self._met[task]
            return {name: frozenset(met[name]) for name in sorted(files) if name in met}

    def is_news(self, file: str) -> bool:
        """Whether nobody has asked this of the file before: a thousand trials may write it."""
        with self._lock:
            is_news = file not in self._told
            self._told.add(file)
        return is_news
