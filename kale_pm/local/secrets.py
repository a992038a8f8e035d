"""Secrets on this machine: an environment variable, else a file outside of the repository.

``secret:NAME:KEY:ENVVAR`` is what the environment variable ENVVAR holds, else the content of
the file ``NAME/KEY`` in the folder of secrets: one file for each key, as Kubernetes mounts
them, that nobody else can read.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterable, Mapping
from mmap import ACCESS_READ, mmap
from pathlib import Path

from kale_pm.errors import SecretError
from kale_pm.model import Pipeline
from kale_pm.settings import Secret

_TELLING = 6  # bytes; a shorter value may stand in any file by chance


def secrets_folder(pipeline: Pipeline) -> Path:
    """Where the files lie: the setting ``secrets_dir``, else ``kale-pm/secrets`` of the user's
    configuration.

    Raises SecretError where the setting leads into the repository, or the notebook's folder.
    """
    wanted = pipeline.configuration.secrets_dir
    if wanted is None:
        base = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
        return Path(base).expanduser() / "kale-pm" / "secrets"
    folder = (pipeline.folder / Path(wanted).expanduser()).resolve()
    ours = _repository(pipeline.folder.resolve())
    if folder.is_relative_to(ours):
        raise SecretError(
            f"secrets_dir is {folder}, which lies in {ours}: secrets there would be committed",
            hint="choose a folder elsewhere, such as ~/.config/kale-pm/secrets",
        )
    return folder


def read_secrets(pipeline: Pipeline, steps: Collection[str]) -> dict[str, dict[str, str]]:
    """For each of the ``steps`` the values of its secrets, by the environment variable.

    Raises SecretError for one that is nowhere, or whose file others can read.
    """
    wanted = {step.name: step.options.secrets for step in pipeline.steps if step.name in steps}
    if not any(wanted.values()):
        return {}
    folder = secrets_folder(pipeline)
    return {
        step: {secret.variable: _value(secret, step, folder) for secret in secrets}
        for step, secrets in wanted.items()
    }


def _value(secret: Secret, step: str, folder: Path) -> str:
    value = os.environ.get(secret.variable)
    if value:
        return value
    path = folder / secret.name / secret.key
    what = f"step {step}: the secret {secret.name}:{secret.key}"
    try:
        status = path.stat()
        if stat.S_ISREG(status.st_mode) and status.st_mode & 0o077:
            raise SecretError(
                f"{what}: others can read {path}", hint=f"make it yours alone: chmod 600 {path}"
            )
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise SecretError(
            f"{what} is nowhere to be found",
            hint=f"set the environment variable {secret.variable}, or write it to {path} "
            "(mode 600)",
        ) from None
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise SecretError(f"{what}: cannot read {path}: {reason}") from None
    # An editor, or echo, ends every file with a line break that nobody means.
    return text.removesuffix("\n").removesuffix("\r")


def values(secrets: Mapping[str, Mapping[str, str]]) -> set[str]:
    """All the values."""
    return {value for each in secrets.values() for value in each.values()}


def stored_secrets(
    packs: Iterable[Path], secrets: Mapping[str, Mapping[str, str]]
) -> tuple[str, ...]:
    """The environment variables whose values lie in one of the packs, word by word."""
    known = {name: value.encode() for each in secrets.values() for name, value in each.items()}
    sought = {name: value for name, value in known.items() if len(value) >= _TELLING}
    found: dict[str, None] = {}
    for path in packs:
        with path.open("rb") as file, mmap(file.fileno(), 0, access=ACCESS_READ) as content:
            found |= {name: None for name, value in sought.items() if content.find(value) >= 0}
    return tuple(found)


def _repository(folder: Path) -> Path:
    """The nearest repository around the folder, else the folder itself."""
    for place in (folder, *folder.parents):
        if (place / ".git").exists():
            return place
    return folder
