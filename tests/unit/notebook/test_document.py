"""A notebook file becomes cells, whatever wrote it; what cannot be read says why."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from kale_pm.errors import NotebookError
from kale_pm.notebook import Document, read_document


def code(source: Any, tags: list[str] | None = None, **more: Any) -> dict[str, Any]:
    metadata = {} if tags is None else {"tags": tags}
    return {
        "cell_type": "code",
        "source": source,
        "metadata": metadata,
        "outputs": [],
        "execution_count": None,
        **more,
    }


def notebook(*cells: dict[str, Any], minor: int = 5, **metadata: Any) -> dict[str, Any]:
    return {"nbformat": 4, "nbformat_minor": minor, "metadata": metadata, "cells": list(cells)}


def save(tmp_path: Path, content: object, name: str = "wine.ipynb") -> Path:
    path = tmp_path / name
    path.write_text(json.dumps(content), encoding="utf-8")
    return path


def read(tmp_path: Path, *cells: dict[str, Any], minor: int = 5, **metadata: Any) -> Document:
    return read_document(save(tmp_path, notebook(*cells, minor=minor, **metadata)))


def failure(path: Path) -> NotebookError:
    with pytest.raises(NotebookError) as caught:
        read_document(path)
    assert str(path) in str(caught.value)
    assert caught.value.hint
    return caught.value


class TestCells:
    @pytest.mark.parametrize("minor", range(6))
    def test_every_minor_version_of_format_4_reads(self, tmp_path: Path, minor: int) -> None:
        document = read(tmp_path, code("x = 1", ["block:a"]), minor=minor)
        (cell,) = document.cells
        assert (cell.number, cell.kind, cell.source) == (1, "code", "x = 1")
        assert cell.tags == ("block:a",)

    def test_all_cells_count(self, tmp_path: Path) -> None:
        markdown = {"cell_type": "markdown", "source": "# Title", "metadata": {}}
        raw = {"cell_type": "raw", "source": "raw", "metadata": {}}
        document = read(tmp_path, markdown, raw, code("x"))
        found = [(cell.number, cell.kind) for cell in document.cells]
        assert found == [(1, "markdown"), (2, "raw"), (3, "code")]

    def test_sources_that_are_lists_of_lines_are_joined(self, tmp_path: Path) -> None:
        assert read(tmp_path, code(["x = 1\n", "y = 2"])).cells[0].source == "x = 1\ny = 2"

    def test_every_line_ends_in_a_line_feed(self, tmp_path: Path) -> None:
        assert (
            read(tmp_path, code("x = 1\r\ny = 2\rz = 3")).cells[0].source == "x = 1\ny = 2\nz = 3"
        )

    def test_unicode_and_a_byte_order_mark(self, tmp_path: Path) -> None:
        path = tmp_path / "wine.ipynb"
        text = json.dumps(notebook(code("größe = '日本'")), ensure_ascii=False)
        path.write_bytes(b"\xef\xbb\xbf" + text.encode())
        assert read_document(path).cells[0].source == "größe = '日本'"

    def test_odd_tags_do_not_hurt(self, tmp_path: Path) -> None:
        odd: list[object] = ["skip", None, [3, " skip "], {}]
        cells = [code("x", metadata={"tags": tags}) for tags in odd]
        cells.append({"cell_type": "code", "source": "x"})
        found = [cell.tags for cell in read(tmp_path, *cells).cells]
        assert found == [("skip",), (), ("skip",), (), ()]

    @pytest.mark.parametrize("tags", [{"block:a": 1}, "block:a, prev:b", "block:a prev:b", 3])
    def test_tags_that_are_no_list_are_refused(self, tmp_path: Path, tags: object) -> None:
        path = save(tmp_path, notebook(code("1"), code("x", metadata={"tags": tags})))
        error = failure(path)
        assert error.reason == "the tags of cell 2 are no list"
        assert 'tags=["block:NAME"' in error.hint

    def test_the_file_is_not_written(self, tmp_path: Path) -> None:
        path = save(tmp_path, notebook(code("x"), minor=4))
        before = path.read_bytes()
        read_document(path)
        assert path.read_bytes() == before


class TestIds:
    def ids(self, tmp_path: Path, *cells: dict[str, Any], minor: int = 5) -> list[str]:
        return [cell.id for cell in read(tmp_path, *cells, minor=minor).cells]

    def test_good_ids_stay(self, tmp_path: Path) -> None:
        cells = [code("x", id="load-data_1"), code("y", id="A")]
        assert self.ids(tmp_path, *cells) == ["load-data_1", "A"]

    def test_missing_ids_are_the_same_at_every_reading(self, tmp_path: Path) -> None:
        cells = [code("x"), code("x"), code("y")]
        first = self.ids(tmp_path, *cells, minor=4)
        assert first == self.ids(tmp_path, *cells, minor=4)
        assert len(set(first)) == 3
        assert all(len(id_) == 8 for id_ in first)

    def test_of_equal_ids_the_first_keeps_it(self, tmp_path: Path) -> None:
        cells = [code("x", id="a"), code("y", id="a"), code("z", id="a")]
        first, *others = self.ids(tmp_path, *cells)
        assert first == "a"
        assert len({first, *others}) == 3
        assert self.ids(tmp_path, *cells) == [first, *others]

    @pytest.mark.parametrize("bad", ["", "a b", "ä", "x" * 65, 7, None])
    def test_illegal_ids_are_replaced(self, tmp_path: Path, bad: object) -> None:
        (made,) = self.ids(tmp_path, code("x", id=bad))
        assert len(made) == 8

    def test_nothing_is_printed_or_warned(
        self,
        tmp_path: Path,
        recwarn: pytest.WarningsRecorder,
        capfd: pytest.CaptureFixture[str],
    ) -> None:
        self.ids(tmp_path, code("x", id="a"), code("y", id="a"), code("z"))
        assert not recwarn.list
        assert capfd.readouterr() == ("", "")


class TestMetadata:
    def test_kernel_and_language(self, tmp_path: Path) -> None:
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        document = read(tmp_path, code("x"), kernelspec=kernel, language_info={"name": "Python"})
        assert document.kernelspec == kernel
        assert document.language == "python"

    def test_without_metadata_it_is_python(self, tmp_path: Path) -> None:
        document = read(tmp_path, code("x"))
        assert document.kernelspec == {}
        assert document.language == "python"

    def test_the_language_of_the_kernel_will_do(self, tmp_path: Path) -> None:
        assert read(tmp_path, code("x"), kernelspec={"language": "R"}).language == "r"


class TestRefusals:
    def test_a_missing_file_and_the_nearest_one(self, tmp_path: Path) -> None:
        save(tmp_path, notebook(code("x")), "wine.ipynb")
        error = failure(tmp_path / "wien.ipynb")
        assert "no such file" in error.reason
        assert "wine.ipynb" in error.hint

    def test_a_missing_folder(self, tmp_path: Path) -> None:
        assert "nowhere" in failure(tmp_path / "nowhere" / "wine.ipynb").hint

    def test_a_folder(self, tmp_path: Path) -> None:
        save(tmp_path, notebook(code("x")))
        error = failure(tmp_path)
        assert "folder" in error.reason
        assert "wine.ipynb" in error.hint

    def test_no_permission(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        def refuse(path: Path) -> bytes:
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(Path, "read_bytes", refuse)
        assert "permission" in failure(tmp_path / "wine.ipynb").reason

    def test_not_utf8(self, tmp_path: Path) -> None:
        path = tmp_path / "wine.ipynb"
        path.write_bytes('{"cells": "größe"}'.encode("latin-1"))
        assert "UTF-8" in failure(path).reason

    def test_an_empty_file(self, tmp_path: Path) -> None:
        path = tmp_path / "wine.ipynb"
        path.touch()
        assert "empty" in failure(path).reason

    def test_not_json(self, tmp_path: Path) -> None:
        path = tmp_path / "wine.ipynb"
        path.write_text('{"cells": [1, 2')
        assert "not JSON" in failure(path).reason

    @pytest.mark.parametrize(
        "content",
        [
            [],
            {},
            {"nbformat": "4"},
            {"nbformat": 4},
            {"nbformat": 4, "cells": {}},
            {"nbformat": 4, "cells": [3]},
            {"nbformat": 4, "cells": [{"source": "x"}]},
            {"nbformat": 4, "cells": [{"cell_type": "code", "source": 3}]},
            {"nbformat": 4, "cells": [], "metadata": [1]},
        ],
    )
    def test_json_that_is_no_notebook(self, tmp_path: Path, content: object) -> None:
        assert "not a notebook" in failure(save(tmp_path, content)).reason

    def test_format_3_says_how_to_convert(self, tmp_path: Path) -> None:
        error = failure(save(tmp_path, {"nbformat": 3, "worksheets": [], "metadata": {}}))
        assert "format 3" in error.reason
        assert "nbconvert" in error.hint

    def test_a_format_of_the_future(self, tmp_path: Path) -> None:
        assert "newer" in failure(save(tmp_path, {"nbformat": 5, "cells": []})).reason

    def test_no_code_cell(self, tmp_path: Path) -> None:
        markdown = {"cell_type": "markdown", "source": "# Title", "metadata": {}}
        assert "no code cell" in failure(save(tmp_path, notebook(markdown))).reason


class TestTextNotebooks:
    SCRIPT = """\
# ---
# jupyter:
#   kale_pm:
#     name: wine
#   kernelspec:
#     name: python3
#     display_name: Python 3
#     language: python
# ---

# %% [markdown]
# # Wine

# %% tags=["parameters"]
n = 3

# %% tags=["block:a", "limit:cpu:2"]
# %matplotlib inline
x = n
"""

    def test_a_script_with_cell_markers(self, tmp_path: Path) -> None:
        pytest.importorskip("jupytext")
        path = tmp_path / "wine.py"
        path.write_text(self.SCRIPT)
        document = read_document(path)
        assert [cell.kind for cell in document.cells] == ["markdown", "code", "code"]
        assert document.cells[2].tags == ("block:a", "limit:cpu:2")
        assert document.cells[2].source == "%matplotlib inline\nx = n"
        assert document.metadata["kale_pm"] == {"name": "wine"}
        assert document.kernelspec["name"] == "python3"
        assert read_document(path) == document

    def test_markdown_with_code_blocks(self, tmp_path: Path) -> None:
        pytest.importorskip("jupytext")
        path = tmp_path / "wine.md"
        path.write_text('# Wine\n\n```python tags=["block:a"]\nx = 1\n```\n')
        code_cell = read_document(path).cells[-1]
        assert (code_cell.source, code_cell.tags) == ("x = 1", ("block:a",))

    @pytest.mark.parametrize("tags", ["block:a", "[block:a]", '["block:a"', '["block:a" prev:b]'])
    def test_tags_that_do_not_read(self, tmp_path: Path, tags: str) -> None:
        pytest.importorskip("jupytext")
        path = tmp_path / "wine.py"
        path.write_text(f'# %% tags=["imports"]\nimport os\n\n# %% tags={tags}\nx = 1\n')
        error = failure(path)
        assert error.reason == f"the tags of cell 2 cannot be read: tags={tags}"
        assert 'tags=["block:NAME"' in error.hint

    def test_tags_that_are_one_text(self, tmp_path: Path) -> None:
        pytest.importorskip("jupytext")
        path = tmp_path / "wine.py"
        path.write_text('# %% tags="block:a"\nx = 1\n')
        assert "tags of a cell are no list" in failure(path).reason
        assert 'tags=["block:NAME"' in failure(path).hint

    def test_without_jupytext_the_hint_installs_it(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(sys.modules, "jupytext", None)
        path = tmp_path / "wine.py"
        path.write_text(self.SCRIPT)
        assert "kale-pm[jupytext]" in failure(path).hint

    def test_an_empty_script_has_no_code_cell(self, tmp_path: Path) -> None:
        pytest.importorskip("jupytext")
        path = tmp_path / "wine.md"
        path.write_text("# only words\n")
        assert "no code cell" in failure(path).reason
