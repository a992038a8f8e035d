"""How what a step carries travels."""

from __future__ import annotations

import json
import zlib
from typing import Any

import pytest

from kale_pm.runtime.pod.packing import packed, unpacked


def bundle(source: str) -> dict[str, Any]:
    cell = {
        "cell_type": "code", "execution_count": None, "id": "c1", "outputs": [],
        "metadata": {"kale_pm": {"cell": 1, "role": "step"}, "tags": ["step:a"]},
        "source": source,
    }  # fmt: skip
    return {
        "facts": {"parameters": {}, "report": True, "secrets": [], "timeout": None, "users": {}},
        "files": {},
        "notebook": {"cells": [cell], "metadata": {}, "nbformat": 4, "nbformat_minor": 5},
    }


@pytest.mark.parametrize(
    "source", ["", "x = 1", "text = 'ü {{$}} <&> 👩‍🔬'", "half \ud83d", "x = 1\n" * 10_000]
)
def test_what_was_packed_comes_out(source: str) -> None:
    assert unpacked(packed(bundle(source))) == bundle(source)


def test_equal_content_gives_equal_text() -> None:
    content = bundle("x = 1")
    assert packed(content) == packed(dict(reversed(content.items())))


def test_the_frame_of_a_bundle_takes_little_room() -> None:
    assert len(packed(bundle("x = 1"))) < len(json.dumps(bundle("x = 1"))) / 3


def test_neither_json_nor_kfp_nor_a_shell_has_to_escape_it() -> None:
    assert set(packed(bundle("text = '<&> {{$}} \"'"))).isdisjoint("<>&{}\"'\\$ \n")


def test_another_text_is_refused() -> None:
    with pytest.raises(zlib.error):
        unpacked("bm90aGluZw==")
