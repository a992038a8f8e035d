"""Where Jupyter and others write in a pod whose user has no home."""

from __future__ import annotations

from pathlib import Path

import pytest

from kale_pm.runtime.pod.home import writable_places


@pytest.fixture
def blocked(tmp_path: Path) -> str:
    """A folder that not even root can make, for its parent is a file."""
    (tmp_path / "file").touch()
    return str(tmp_path / "file" / "folder")


def test_without_a_home_one_is_made(tmp_path: Path, blocked: str) -> None:
    changes = writable_places({"HOME": blocked}, tmp_path / "home")
    assert changes == {"HOME": str(tmp_path / "home")}
    assert (tmp_path / "home").is_dir()


def test_folders_that_can_be_written_stay(tmp_path: Path) -> None:
    environment = {"HOME": str(tmp_path), "MPLCONFIGDIR": str(tmp_path / "new" / "one")}
    assert writable_places(environment, tmp_path / "home") == {}


def test_only_what_cannot_be_written_moves(tmp_path: Path, blocked: str) -> None:
    environment = {"HOME": str(tmp_path), "JUPYTER_RUNTIME_DIR": blocked}
    assert set(writable_places(environment, tmp_path / "home")) == {"JUPYTER_RUNTIME_DIR"}
