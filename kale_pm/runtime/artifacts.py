"""Artifacts: files of a step that its executed notebook shows, and holds where they are small.

So they go wherever the notebook goes: into the report, and to people it is sent to.  The run
keeps the files themselves (``kept_files``), of whatever size.
"""

from __future__ import annotations

import base64
import html
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

MIME = "application/vnd.kale-pm.artifact+json"
LARGEST = 20_000_000  # bytes: an executed notebook is opened as a whole

_IMAGES = {".png": "image/png", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif"}
_TEXTS = (".csv", ".tsv", ".txt", ".log", ".json", ".yaml", ".yml")
_SHOWN = 2_000  # characters of a text


@dataclass(frozen=True)
class Artifact:
    """A file as the step left it: its name as an artifact, the file's own name, its bytes.

    ``path`` is where the run keeps it, None where only the executed notebook does.
    """

    name: str
    file: str
    embedded: bytes = field(default=b"", repr=False)
    path: Path | None = None

    @property
    def content(self) -> bytes:
        return self.embedded if self.path is None else self.path.read_bytes()

    def save(self, folder: str | Path = ".") -> Path:
        """Write the file into ``folder`` under its own name; its path."""
        path = Path(folder) / self.file
        if self.path is None:
            path.write_bytes(self.embedded)
        else:
            shutil.copyfile(self.path, path)
        return path


def keep(name: str, path: str | Path) -> None:
    """Show the file at ``path``, and keep it in this notebook as the artifact ``name``.

    One that is larger than :data:`LARGEST` is only named.  Raises FileNotFoundError where there
    is none, IsADirectoryError for a folder.
    """
    from IPython.display import display

    file = Path(path)
    if file.is_dir():
        raise IsADirectoryError(f"artifact '{name}': {file} is a folder, and a file is kept")
    if not file.is_file():
        raise FileNotFoundError(f"artifact '{name}': the step has written no file {file}")
    size = file.stat().st_size
    data: dict[str, Any] = {"text/plain": f"artifact {name}: {file.name}, {size:,} bytes"}
    if size <= LARGEST:
        content = file.read_bytes()
        kept = {"name": name, "file": file.name, "content": base64.b64encode(content).decode()}
        data |= {**_shown(file, content), MIME: kept}
    display(data, raw=True)  # type: ignore[no-untyped-call]


def artifacts(notebook: Mapping[str, Any]) -> dict[str, Artifact]:
    """The artifacts in an executed notebook, by name."""
    return {found.name: found for found in _artifacts(notebook)}


def _artifacts(notebook: Mapping[str, Any]) -> Iterator[Artifact]:
    for cell in notebook["cells"]:
        for output in cell.get("outputs", ()):
            kept = output.get("data", {}).get(MIME)
            if isinstance(kept, Mapping):
                # The notebook may come from elsewhere: a name is no way out of a folder.
                file = Path(str(kept["file"])).name
                yield Artifact(str(kept["name"]), file, base64.b64decode(kept["content"]))


def _shown(file: Path, content: bytes) -> dict[str, str]:
    """What a browser shows of it; nothing for a kind that it cannot show."""
    suffix = file.suffix.lower()
    if suffix in _IMAGES:
        return {_IMAGES[suffix]: base64.b64encode(content).decode()}
    text = content.decode("utf-8", errors="replace")
    if suffix == ".svg":
        return {"image/svg+xml": text}
    if suffix == ".md":
        return {"text/markdown": text}
    if suffix in (".html", ".htm"):
        # A page of its own: its styles must not reach the notebook's.
        page = html.escape(text, quote=True)
        style = "width: 100%; height: 32em; border: 1px solid #ccc"
        frame = f'<iframe srcdoc="{page}" sandbox="allow-scripts" style="{style}"></iframe>'
        return {"text/html": frame}
    if suffix in _TEXTS:
        more = "" if len(text) <= _SHOWN else "\n…"
        return {"text/html": f"<pre>{html.escape(text[:_SHOWN])}{more}</pre>"}
    return {}
