"""Where secrets are looked for on this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from kale_pm.errors import SecretError
from kale_pm.local.secrets import read_secrets, secrets_folder, stored_secrets
from kale_pm.model import Pipeline, Step
from kale_pm.settings import Configuration, Secret, StepOptions

SECRET = Secret("db", "password", "DB_PASSWORD")


def pipeline(folder: Path, **settings: str) -> Pipeline:
    steps = (Step("a", (), options=StepOptions(secrets=(SECRET,))), Step("b", ()))
    return Pipeline(folder / "nb.ipynb", Configuration("nb", **settings), (), steps)  # type: ignore[arg-type]


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("DB_PASSWORD", raising=False)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("HOME", str(tmp_path))
    path = tmp_path / "config/kale-pm/secrets/db/password"
    path.parent.mkdir(parents=True)
    path.touch(mode=0o600)
    return path


@pytest.mark.parametrize(
    ("content", "value"),
    [
        (b"plain", "plain"),
        (b"one\n", "one"),
        (b"one\r\n", "one"),
        (b"two\n\n", "two\n"),
        (b" spaces ", " spaces "),
        (b"a\nb\n", "a\nb"),
        ("ü€".encode(), "ü€"),
        (b"", ""),
    ],
)
def test_the_file_says_the_value(tmp_path: Path, home: Path, content: bytes, value: str) -> None:
    home.write_bytes(content)
    assert read_secrets(pipeline(tmp_path), ["a", "b"]) == {"a": {"DB_PASSWORD": value}, "b": {}}


def test_an_empty_environment_variable_says_nothing(
    tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home.write_text("file")
    monkeypatch.setenv("DB_PASSWORD", "")
    assert read_secrets(pipeline(tmp_path), ["a"])["a"] == {"DB_PASSWORD": "file"}
    monkeypatch.setenv("DB_PASSWORD", "set")
    assert read_secrets(pipeline(tmp_path), ["a"])["a"] == {"DB_PASSWORD": "set"}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o777])
def test_a_file_that_is_not_private_is_refused(tmp_path: Path, home: Path, mode: int) -> None:
    home.write_text("value")
    home.chmod(mode)
    with pytest.raises(SecretError, match="others can read"):
        read_secrets(pipeline(tmp_path), ["a"])


def test_a_link_as_kubernetes_mounts_it_is_followed(tmp_path: Path, home: Path) -> None:
    target = tmp_path / "data"
    target.write_text("linked")
    target.chmod(0o400)
    home.unlink()
    home.symlink_to(target)
    assert read_secrets(pipeline(tmp_path), ["a"])["a"] == {"DB_PASSWORD": "linked"}


@pytest.mark.parametrize("harm", ["missing", "folder", "binary"])
def test_what_cannot_be_had_is_said_with_its_step_and_place(
    tmp_path: Path, home: Path, harm: str
) -> None:
    home.write_bytes(b"\xff\xfe")
    if harm != "binary":
        home.unlink()
    if harm == "folder":
        home.mkdir()
    with pytest.raises(SecretError) as caught:
        read_secrets(pipeline(tmp_path), ["a"])
    assert "step a: the secret db:password" in str(caught.value)
    assert str(home) in f"{caught.value} {caught.value.hint}"


def test_steps_that_are_not_asked_for_are_not_looked_up(tmp_path: Path, home: Path) -> None:
    home.unlink()
    assert read_secrets(pipeline(tmp_path), ["b"]) == {}


def test_the_folder_that_is_set(tmp_path: Path, home: Path) -> None:
    del home
    notebook = tmp_path / "work"
    notebook.mkdir()
    found = secrets_folder(pipeline(notebook, secrets_dir="~/mine"))
    assert found == (tmp_path / "mine").resolve()
    assert secrets_folder(pipeline(notebook, secrets_dir="../beside")) == tmp_path / "beside"


@pytest.mark.parametrize("place", ["private", ".", "../private", "../.git/private"])
def test_a_folder_of_the_repository_is_refused(tmp_path: Path, place: str) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / "notebooks").mkdir()
    with pytest.raises(SecretError, match="would be committed"):
        secrets_folder(pipeline(tmp_path / "notebooks", secrets_dir=place))


def test_the_own_folder_is_fine_even_in_a_repository_of_everything(
    tmp_path: Path, home: Path
) -> None:
    (tmp_path / ".git").mkdir()  # as of people who keep their configuration in git
    assert secrets_folder(pipeline(tmp_path)) == home.parents[1]


def test_packs_are_searched_for_values(tmp_path: Path) -> None:
    one, two = tmp_path / "one.pack", tmp_path / "two.pack"
    one.write_bytes(b"\0\0the value of it\0")
    two.write_bytes(b"nothing here")
    secrets = {"a": {"HELD": "the value", "ABSENT": "something else", "SHORT": "it"}}
    assert stored_secrets([one, two], secrets) == ("HELD",)
    assert stored_secrets([two], secrets) == ()
