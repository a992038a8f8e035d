"""What Kubernetes takes as the reference of an image; test_tags has most of the other words."""

from __future__ import annotations

import pytest

from kale_pm.notebook import kubernetes_syntax


@pytest.mark.parametrize(
    "text",
    [
        "python",
        "python:3.12-slim",
        "localhost:5000/a:1",
        "registry.example.org/Team_1.x".lower(),
        "ghcr.io/org/sub/image__x:V1.2_rc",
        "REGISTRY.example.org:5000/a",
        "[::1]:5000/a",
        f"python@sha256:{'0f' * 32}",
        f"host/python:3.12@sha256:{'0f' * 32}",
    ],
)
def test_references_of_images(text: str) -> None:
    assert kubernetes_syntax.image(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "", " python", "python ", "a b", "a\n", "python:", "python:-1", "Python", "a//b", "a/",
        "host:port/a", "python@sha256:0f", "https://host/a", "a:1:2", "a:{{x}}", f"a:{'x' * 129}",
    ],
)  # fmt: skip
def test_texts_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="no reference of an image"):
        kubernetes_syntax.image(text)
