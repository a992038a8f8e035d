"""The words of ``@step``, Kale's and ours, as the tags of a notebook's cell."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypedDict

from kale_pm.errors import UsageError
from kale_pm.notebook.spelling import nearest
from kale_pm.notebook.tags import parse_default
from kale_pm.notebook.vocabulary import WORDS as TAGS
from kale_pm.sdk.script.wording import in_words_of_a_script

_UNITS = {"": 1, "s": 1, "m": 60, "h": 3600}
_NO_TEXTS = (Mapping, list, tuple, set, bytes, bytearray)
_EXAMPLES = {
    "image": '"python:3.12"',
    "pull_policy": '"Always"',
    "packages": '["pandas>=2"]',
    "limits": '{"cpu": "2"}',
    "requests": '{"memory": "1Gi"}',
    "retry_count": "3",
    "retry": "3",
    "retry_interval": '"30s"',
    "retry_factor": "1.5",
    "retry_max_interval": '"10m"',
    "timeout": '"2m"',
    "artifacts": '{"chart": "chart.svg"}',
    "labels": '{"team": "blue"}',
    "annotations": '{"owner": "blue"}',
    "env": '{"MODE": "fast"}',
    "secrets": '{"TOKEN": "vault:key"}',
    "secret_files": '{"/keys": "vault"}',
    "nodes": '{"disktype": "ssd"}',
    "tolerations": '["gpu:NoSchedule"]',
    "shared_memory": '"2Gi"',
}


class StepWords(TypedDict, total=False):
    """What a step may ask of the place it runs in; docs/sdk.md says what each means.

    Times are in seconds, or texts such as ``"90s"``, ``"2m"`` and ``"1h"``.
    """

    image: str
    pull_policy: str
    packages: Sequence[str] | str
    install: bool
    limits: Mapping[str, object]
    requests: Mapping[str, object]
    retry_count: int
    retry: int
    retry_interval: int | str
    retry_factor: float
    retry_max_interval: int | str
    timeout: int | str
    artifacts: Mapping[str, str]
    labels: Mapping[str, object]
    annotations: Mapping[str, object]
    cache: bool
    report: bool
    env: Mapping[str, object]
    secrets: Mapping[str, str] | Sequence[str]
    secret_files: Mapping[str, str] | Sequence[str]
    nodes: Mapping[str, object]
    tolerations: Sequence[str]
    shared_memory: str


def _one(value: Any) -> Iterator[str]:
    yield f"{value:g}" if isinstance(value, float) else str(value)


def _switch(value: Any) -> Iterator[str]:
    if not isinstance(value, bool):
        raise ValueError("it is neither True nor False")
    yield "enabled" if value else "disabled"


def _text(value: Any) -> Iterator[str]:
    if not isinstance(value, str):
        raise ValueError(f"write a text, such as {_EXAMPLES['image']}")
    yield value


def _pairs(word: str) -> Callable[[Any], Iterator[str]]:
    def texts(value: Any) -> Iterator[str]:
        if not isinstance(value, Mapping):
            raise ValueError(f"write a table, such as {_EXAMPLES[word]}")
        for key, entry in value.items():
            if entry is None or isinstance(entry, _NO_TEXTS):
                raise ValueError(
                    f"'{key}' has no text nor number; write them, such as {_EXAMPLES[word]}"
                )
            yield f"{key}:{str(entry).lower() if isinstance(entry, bool) else entry}"

    return texts


def _seconds(value: Any) -> Iterator[str]:
    found = re.fullmatch(r"\s*(\d+)\s*([smh]?)\s*", str(value))
    if found is None:
        raise ValueError('write seconds, such as 90, or "2m" or "1h"')
    yield str(int(found[1]) * _UNITS[found[2]])


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        value = [value]
    if not isinstance(value, Sequence):
        raise ValueError("write a list of texts")
    yield from map(str, value)


def _secrets(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from (f"{secret}:{variable}" for variable, secret in value.items())
    else:
        yield from _texts(value)


def _secret_files(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from (f"{secret}:{path}" for path, secret in value.items())
    else:
        yield from _texts(value)


WORDS: dict[str, tuple[str, Callable[[Any], Iterator[str]]]] = {
    "image": ("image", _text),
    "pull_policy": ("pull", _one),
    "packages": ("package", _texts),
    "install": ("install", _switch),
    "limits": ("limit", _pairs("limits")),
    "requests": ("request", _pairs("requests")),
    "retry_count": ("retry", _one),
    "retry": ("retry", _one),
    "retry_interval": ("retry_interval", _seconds),
    "retry_factor": ("retry_factor", _one),
    "retry_max_interval": ("retry_max_interval", _seconds),
    "timeout": ("timeout", _seconds),
    "artifacts": ("artifact", _pairs("artifacts")),
    "labels": ("label", _pairs("labels")),
    "annotations": ("annotation", _pairs("annotations")),
    "cache": ("cache", _switch),
    "report": ("report", _switch),
    "env": ("env", _pairs("env")),
    "secrets": ("secret", _secrets),
    "secret_files": ("secret_files", _secret_files),
    "nodes": ("node", _pairs("nodes")),
    "tolerations": ("toleration", _texts),
    "shared_memory": ("shm", _one),
}


def option_tags(words: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """The tags that say the same; ``where`` is for messages.  Words that are None say nothing.

    Raises UsageError for an unknown word, or a value that cannot be used.
    """
    found = []
    for word, value in words.items():
        if word not in WORDS:
            near = nearest(word, WORDS)
            raise UsageError(
                f"{where}: there is no option '{word}'",
                hint=f"did you mean {near}?" if near else f"options: {', '.join(WORDS)}",
            )
        if value is None:
            continue
        tag, texts = WORDS[word]
        try:
            tags = [f"{tag}:{text}" for text in texts(value)]
            for each in tags:
                parse_default(each)
        except ValueError as error:
            # Nobody wrote that tag.
            why = str(error).replace(f"write {TAGS[tag].usage}", f"write {word}={_example(word)}")
            hint = in_words_of_a_script(why)
            raise UsageError(f"{where}: {word}={value!r} cannot be used", hint=hint) from None
        found += tags
    return tuple(found)


def _example(word: str) -> str:
    return _EXAMPLES.get(word, "False")  # of a switch
