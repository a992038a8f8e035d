"""Secrets reach the kernels of their steps, and nothing that is written."""

from __future__ import annotations

from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kale_pm.errors import SecretError
from kale_pm.events import CellOutput, Event
from kale_pm.record import State

if TYPE_CHECKING:
    from conftest import Ran, Runner

VALUE = "s3cr'et<\"value\\n&ü"
TAG = "secret:db:password:DB_PASSWORD"


@pytest.fixture(autouse=True)
def _given(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_PASSWORD", VALUE)


def told(ran: Ran) -> str:
    return "".join(map(repr, ran.events)) + repr(ran.record)


def files_with(text: str, folder: Path) -> list[str]:
    """All files below the folder that hold the text in any usual spelling."""
    import html
    import json

    spellings = {text, repr(text)[1:-1], json.dumps(text)[1:-1], html.escape(text)}
    spellings |= {json.dumps(repr(text))[2:-2], json.dumps(text, ensure_ascii=False)[1:-1]}
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and any(spelling.encode() in path.read_bytes() for spelling in spellings)
    )


def assert_nowhere(run: Runner, ran: Ran, text: str = VALUE) -> None:
    from kale_pm.face import Run

    Run(ran.record, ran.folder).write_report()
    assert files_with(text, run.store) == []
    assert text not in told(ran)


def test_the_step_gets_it(run: Runner) -> None:
    code = "import os\nfrom hashlib import sha256\n"
    code += "print(sha256(os.environ['DB_PASSWORD'].encode()).hexdigest())"
    ran = run([(f"block:a {TAG}", code)]).raise_for_failures()
    assert ran.printed("a").strip() == sha256(VALUE.encode()).hexdigest()


SAYING = {
    "printed": "print(os.environ['DB_PASSWORD'])",
    "printed in two pieces": (
        "s = os.environ['DB_PASSWORD']\nprint(s[:4], end='', flush=True)\n"
        "import time\ntime.sleep(0.5)\nprint(s[4:], flush=True)"
    ),
    "shown": "os.environ['DB_PASSWORD']",
    "as html": "from IPython.display import HTML\nHTML(f'<b>{os.environ[\"DB_PASSWORD\"]}</b>')",
    "as json": "from IPython.display import JSON\nJSON({'a': [os.environ['DB_PASSWORD']]})",
    "on stderr": "import sys\nprint(os.environ['DB_PASSWORD'], file=sys.stderr)",
    "past Python": "os.write(1, os.environ['DB_PASSWORD'].encode() + b'\\n')",
    "by a command": '!echo "$DB_PASSWORD"',
    "as a metric": "import kale_pm\nkale_pm.metric('token', os.environ['DB_PASSWORD'])",
    "as a warning": "import warnings\nwarnings.warn(os.environ['DB_PASSWORD'])",
    "in the environment": "os.environ['COPY'] = 'x' + os.environ['DB_PASSWORD']",
    "moved in the environment": "os.environ['COPY'] = os.environ.pop('DB_PASSWORD')",
}


@pytest.mark.parametrize("way", SAYING)
def test_what_a_step_says_of_it_is_never_written(run: Runner, way: str) -> None:
    cells = [
        ("imports", "import os"),
        (f"block:a {TAG}", SAYING[way]),
        ("block:b prev:a", "print('after')"),
    ]
    ran = run(cells).raise_for_failures()
    if way != "printed in two pieces":
        assert_nowhere(run, ran)
    assert files_with(VALUE, run.store) == []
    if way in ("printed", "shown", "as html"):
        assert "•••" in (ran.folder / "notebooks" / "a.ipynb").read_text(encoding="utf-8")
    again = run()
    assert again.executed == []
    assert files_with(VALUE, run.store) == []


RAISING = {
    "raised": "raise ValueError(os.environ['DB_PASSWORD'])",
    "in the code's values": "password = os.environ['DB_PASSWORD']\n{}[password]",
    "at the exit": "import sys\nsys.exit(os.environ['DB_PASSWORD'])",
    "in what cannot be saved": ("kept = {os.environ['DB_PASSWORD']: (n for n in range(3))}"),
}


@pytest.mark.parametrize("way", RAISING)
def test_an_error_that_holds_it_is_told_without_it(run: Runner, way: str) -> None:
    cells = [
        ("imports", "import os"),
        (f"block:a {TAG} retry:1 retry_interval:0", RAISING[way]),
        ("block:b prev:a", "print(len(kept))"),
    ]
    if way != "in what cannot be saved":
        cells[2] = ("block:b prev:a", "print('after')")
    ran = run(cells)
    assert ran.record.state is State.FAILED
    assert_nowhere(run, ran)


def test_other_steps_cannot_tell_it_either(run: Runner) -> None:
    """The variable may stand in the environment of the whole run."""
    cells = [
        (f"block:a {TAG}", "print('here')"),
        ("block:b", "import os\nprint(os.environ.get('DB_PASSWORD'))"),
    ]
    assert_nowhere(run, run(cells).raise_for_failures())


def test_the_listener_hears_dots(run: Runner) -> None:
    ran = run(
        [("imports", "import os"), (f"block:a {TAG}", "print('<', os.environ['DB_PASSWORD'])")]
    )
    said = "".join(event.text for event in ran.events if isinstance(event, CellOutput))
    assert said == "< •••\n"


def test_another_value_is_no_other_result(run: Runner, monkeypatch: pytest.MonkeyPatch) -> None:
    cells = [("imports", "import os"), (f"block:a {TAG}", "len(os.environ['DB_PASSWORD'])")]
    run(cells).raise_for_failures()
    keys = sorted(path.name for path in (run.store / "cache").iterdir())
    monkeypatch.setenv("DB_PASSWORD", "another")
    assert run().executed == []
    assert sorted(path.name for path in (run.store / "cache").iterdir()) == keys


def test_a_variable_that_holds_it_is_handed_on_with_a_warning(run: Runner) -> None:
    cells = [
        ("imports", "import os"),
        (f"block:a {TAG}", "password = [os.environ['DB_PASSWORD']]"),
        ("block:b prev:a", "print(len(password[0]))"),
    ]
    ran = run(cells).raise_for_failures()
    assert ran.printed("b") == f"{len(VALUE)}\n"
    [warning] = ran.warnings
    assert "holds the secret DB_PASSWORD" in warning
    assert all(name.startswith("packs/") for name in files_with(VALUE, run.store))


# -- where it comes from --------------------------------------------------------------------


@pytest.fixture
def home(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's folder for configuration, and no environment variable."""
    monkeypatch.delenv("DB_PASSWORD")
    folder = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    return folder


def put(path: Path, text: str, mode: int = 0o600) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(mode)
    return path


SHOW_LENGTH = [
    ("imports", "import os"),
    (f"block:a {TAG}", "print(len(os.environ['DB_PASSWORD']))"),
]


def test_it_comes_from_a_file_of_the_user(run: Runner, home: Path) -> None:
    put(home / "kale-pm/secrets/db/password", "from a file\n")
    ran = run(SHOW_LENGTH).raise_for_failures()
    assert ran.printed("a") == "11\n"
    assert_nowhere(run, ran, "from a file")


def test_the_environment_comes_first(
    run: Runner, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(home / "kale-pm/secrets/db/password", "from a file")
    monkeypatch.setenv("DB_PASSWORD", "environment")
    assert run(SHOW_LENGTH).printed("a") == "11\n"


def test_the_folder_is_a_setting(run: Runner, home: Path) -> None:
    put(home / "elsewhere/db/password", "four")
    configured = run.with_metadata(kale_pm={"secrets_dir": str(home / "elsewhere")})
    assert configured(SHOW_LENGTH).printed("a") == "4\n"


@pytest.mark.usefixtures("home")
def test_one_that_is_nowhere_is_said_before_anything_runs(run: Runner) -> None:
    events: list[Event] = []
    with pytest.raises(SecretError) as caught:
        run([("block:first", "print(1)"), *SHOW_LENGTH])
    assert str(caught.value) == "step a: the secret db:password is nowhere to be found"
    assert "DB_PASSWORD" in caught.value.hint
    assert "db/password" in caught.value.hint
    assert events == []
    assert not run.store.exists()


def test_a_file_that_others_can_read_is_refused(run: Runner, home: Path) -> None:
    path = put(home / "kale-pm/secrets/db/password", "open to all", 0o644)
    with pytest.raises(SecretError, match="others can read") as caught:
        run(SHOW_LENGTH)
    assert caught.value.hint == f"make it yours alone: chmod 600 {path}"
    assert "open to all" not in str(caught.value)


@pytest.mark.usefixtures("home")
def test_a_folder_inside_of_the_repository_is_refused(run: Runner) -> None:
    (run.folder / ".git").mkdir()
    inner = run.with_metadata(kale_pm={"secrets_dir": "private"})
    with pytest.raises(SecretError, match="would be committed"):
        inner(SHOW_LENGTH)


@pytest.mark.usefixtures("home")
def test_a_step_that_is_not_asked_for_needs_no_secret(run: Runner) -> None:
    cells = [("block:first", "print(1)"), *SHOW_LENGTH]
    ran = run.with_options(only="first")(cells)
    assert ran.states() == {"first": "done"}
