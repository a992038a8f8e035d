"""Files that a step keeps in its notebook, and what of them is seen there."""

from __future__ import annotations

import sys
from importlib import import_module

import pytest

from kale_pm.runtime import artifacts


@pytest.fixture
def shown(monkeypatch):
    """What ``keep`` displays, as outputs of a cell."""
    import IPython.display

    outputs = []

    def display(data, raw):
        assert raw
        outputs.append({"output_type": "display_data", "data": data, "metadata": {}})

    monkeypatch.setattr(IPython.display, "display", display)
    return outputs


@pytest.mark.parametrize(
    ("name", "kind", "part"),
    [
        ("a.html", "text/html", 'srcdoc="&lt;b&gt;&quot;x&quot;&lt;/b&gt;"'),
        ("a.png", "image/png", "PGI+Ingi"),
        ("a.svg", "image/svg+xml", '<b>"x"</b>'),
        ("a.csv", "text/html", "<pre>&lt;b&gt;"),
        ("a.md", "text/markdown", '<b>"x"</b>'),
        ("a.bin", "text/plain", "artifact one: a.bin, 10 bytes"),
    ],
)
def test_it_is_shown_and_kept(tmp_path, shown, name, kind, part):
    path = tmp_path / name
    path.write_text('<b>"x"</b>')
    artifacts.keep("one", path)

    (output,) = shown
    assert part in output["data"][kind]
    assert "text/plain" in output["data"]
    found = artifacts.artifacts({"cells": [{"outputs": shown}, {"source": "markdown"}]})
    assert found == {"one": artifacts.Artifact("one", name, b'<b>"x"</b>')}
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    assert found["one"].save(folder).read_bytes() == path.read_bytes()


def test_a_long_text_is_kept_whole_and_shown_in_part(tmp_path, shown):
    path = tmp_path / "log.txt"
    path.write_text("a" * 5000)
    artifacts.keep("log", path)
    assert len(shown[0]["data"]["text/html"]) < 2100
    assert len(artifacts.artifacts({"cells": [{"outputs": shown}]})["log"].content) == 5000


def test_a_file_that_is_not_there(tmp_path, shown):
    with pytest.raises(FileNotFoundError, match="'one': the step has written no file"):
        artifacts.keep("one", tmp_path / "nowhere.html")
    assert not shown


def test_a_folder_is_no_file(tmp_path, shown):
    with pytest.raises(IsADirectoryError, match="is a folder, and a file is kept"):
        artifacts.keep("one", tmp_path)
    assert not shown


def test_a_large_file_is_named_and_not_even_read(tmp_path, shown, monkeypatch):
    path = tmp_path / "model.html"
    with path.open("wb") as file:
        file.truncate(artifacts.LARGEST + 1)
    monkeypatch.setattr(type(path), "read_bytes", lambda _: pytest.fail("it was read"))
    artifacts.keep("model", path)
    assert shown[0]["data"] == {"text/plain": "artifact model: model.html, 20,000,001 bytes"}
    assert artifacts.artifacts({"cells": [{"outputs": shown}]}) == {}


def test_a_name_from_elsewhere_leads_out_of_no_folder(tmp_path, shown):
    (tmp_path / "a.txt").write_text("x")
    artifacts.keep("one", tmp_path / "a.txt")
    shown[0]["data"][artifacts.MIME]["file"] = "../../etc/x"
    assert artifacts.artifacts({"cells": [{"outputs": shown}]})["one"].file == "x"


def test_in_a_pod_the_decorators_change_nothing(write, monkeypatch):
    """There is the runtime only, and a module of helpers may define steps as well."""
    monkeypatch.delitem(sys.modules, "kale_pm.sdk.decorators", raising=False)

    class Missing:
        def find_spec(self, name, path=None, target=None):
            if name == "kale_pm.sdk.decorators":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    monkeypatch.setattr(sys, "meta_path", [Missing(), *sys.meta_path])
    write(
        "helpers.py",
        """
        from kale_pm.sdk import artifact, metric, pipeline, step

        @artifact("a", "a.txt")
        @step(name="one", retry_count=2)
        def one():
            return 1

        @step
        def two():
            return 2

        @pipeline(name="small")
        def small():
            return one() + two()
        """,
    )
    helpers = import_module("helpers")
    assert (helpers.one(), helpers.two(), helpers.small()) == (1, 2, 3)
    assert helpers.metric.__module__ == "kale_pm.runtime.metrics"
