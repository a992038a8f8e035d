"""Which image ``compile`` and ``submit`` choose when no step names one, and what they say of it."""

from __future__ import annotations

from pathlib import Path

import pytest

from kale_pm.commands.shared import image_of_steps
from kale_pm.errors import ClusterError
from kale_pm.face import Pipeline
from kale_pm.kfp.cluster.notebook_server import NotebookServer
from kale_pm.settings import Configuration

SERVER = NotebookServer("lab-0", "me", "registry/lab:2", "default", ())


def pipeline(image: str | None = None) -> Pipeline:
    return Pipeline(Path("nb.ipynb"), Configuration("nb", image=image), (), ())


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    where = "kale_pm.kfp.cluster.notebook_server.notebook_server"
    monkeypatch.setattr(where, lambda environment: SERVER)
    return monkeypatch


def test_the_option_comes_first_then_the_setting(
    server: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert image_of_steps(pipeline("setting:1"), "option:1") == "option:1"
    assert image_of_steps(pipeline("setting:1"), None) == "setting:1"
    assert capsys.readouterr() == ("", "")


def test_then_the_notebook_servers_own_which_is_told(
    server: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert image_of_steps(pipeline(), None) == "registry/lab:2"
    assert capsys.readouterr().out == "image registry/lab:2  (this notebook server's)\n"


def test_outside_of_a_notebook_server_nothing_is_said(capsys: pytest.CaptureFixture[str]) -> None:
    assert image_of_steps(pipeline(), None) is None
    assert capsys.readouterr() == ("", "")


def test_a_server_that_may_not_be_asked_is_told_and_passed_over(
    server: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(environment: object) -> None:
        raise ClusterError("Kubernetes refuses to read it: no right", status=403)

    server.setattr("kale_pm.kfp.cluster.notebook_server.notebook_server", refuse)
    assert image_of_steps(pipeline(), None) is None
    said = capsys.readouterr().err
    assert "no right" in said
    assert "--image" in said
