"""Files that appear at once or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from kale_pm.errors import StoreError
from kale_pm.local.files import write_text


def test_a_file_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "file"
    write_text(path, "old")
    with pytest.raises(UnicodeEncodeError):
        write_text(path, "new \ud800")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_a_store_error_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match="cannot write") as caught:
        write_text(tmp_path / "file" / "below", "text")
    assert "--dir" in caught.value.hint
