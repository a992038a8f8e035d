"""The whole IR of one example, for reviewers: what changes in it shows as a difference.

KALE_PM_RENEW_GOLDEN=1 writes the file anew.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import yaml

import kale_pm

GOLDEN = Path(__file__).parent / "golden" / "candies.yaml"
EXAMPLE = Path(__file__).parents[2] / "examples" / "candies.ipynb"
HEADING = f"""\
# examples/candies.ipynb as a package, made by tests/kfp/{Path(__file__).name}.
# Archives and versions are masked, and texts that stand in it already.
"""

MASKS = (
    (r'"""\n[A-Za-z0-9+/=\n]{80,}\n"""', '"""\n<archive in base64>\n"""'),
    (r"(?<===)[0-9][\w.+-]*", "<version>"),
    (r"python:3\.\d+-slim", "python:<minor>-slim"),
    (r"kfp-[0-9.]+", "kfp-<version>"),
    (re.escape(kale_pm.__version__), "<version>"),
    (r"(?<=\S) {2,}", " "),
    (r"[ \t]+$", ""),
)


class Dumper(yaml.SafeDumper):
    """Writes programs as they are, line by line."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _text(dumper: Dumper, text: str) -> yaml.ScalarNode:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style)


Dumper.add_representer(str, _text)


class Masked:
    """A package without what changes from release to release, or stands in it twice."""

    def __init__(self) -> None:
        self._texts: set[str] = set()

    def of(self, value: Any) -> Any:
        match value:
            case dict():
                return {name: self.of(inner) for name, inner in sorted(value.items())}
            case list():
                return [self.of(inner) for inner in value]
            case str():
                return self._text(value)
        return value

    def _text(self, text: str) -> str:
        for pattern, mask in MASKS:
            text = re.sub(pattern, mask, text, flags=re.MULTILINE)
        if "\n" not in text:
            return text
        if text in self._texts:
            return "<as above>"
        self._texts.add(text)
        functions = re.split(r"\n+(?=def )", text.strip())
        return "\n\n".join(map(self._function, functions)) + "\n"

    def _function(self, source: str) -> str:
        is_new = source not in self._texts
        self._texts.add(source)
        return source if is_new else f"# {source.splitlines()[0]} ... as above"


def test_the_ir_of_an_example_is_as_reviewed(tmp_path: Path) -> None:
    path = kale_pm.compile(EXAMPLE, tmp_path / "candies.yaml").path
    masked = Masked()
    documents = list(yaml.safe_load_all(path.read_text(encoding="utf-8")))
    text = HEADING + yaml.dump_all(
        map(masked.of, documents), Dumper=Dumper, width=100, default_flow_style=None
    )
    if os.environ.get("KALE_PM_RENEW_GOLDEN"):
        GOLDEN.write_text(text, encoding="utf-8")
    assert text == GOLDEN.read_text(encoding="utf-8")
