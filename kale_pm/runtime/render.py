"""An executed notebook as HTML that needs nothing else: no network, no file beside it.

What nbconvert makes is freed of everything that a browser would fetch, and laid out by our own
style sheet, for light and dark.  Outputs may still hold scripts (interactive plots do): show
the result where scripts cannot do harm, as in ``<iframe sandbox="allow-scripts" srcdoc=...>``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from functools import cache
from html import escape, unescape
from importlib import resources
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nbformat import NotebookNode

FAILED_CELL = "failed-cell"
"""The HTML id of the cell that failed, for pages that jump to it."""

# Nothing is fetched, whatever an output holds; what stands in the page itself may run.
CONTENT_POLICY = (
    "default-src 'none'; script-src 'unsafe-inline' 'unsafe-eval'; style-src 'unsafe-inline';"
    " img-src data: blob:; media-src data: blob:; font-src data:; frame-src data:; form-action 'none'"
)

_FOLDED = {
    "load": "kale-pm loads the inputs",
    "save": "kale-pm saves the results",
    "parameters": "parameters and their defaults",
}
_INJECTED = "parameters of this run"
_INJECTED_TAG = "injected-parameters"  # the two tags are papermill's words
_MARKER_TAG = "papermill-error-cell-tag"

# Widgets and JavaScript displays need a live page: their plain text stands for them.
_SHOWN_TYPES = [
    "text/html",
    "text/markdown",
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "text/latex",
    "text/plain",
]

_TEMPLATE = """
{%- extends 'basic/index.html.j2' -%}
{%- block any_cell -%}
{%- set view = cell.metadata.kale_view -%}
{%- if view.failed %}<section class="failed"{% if view.anchor %} id="{{ view.anchor }}"{% endif %}>
<p class="notice">{{ view.notice }}</p>{% endif -%}
{%- if view.folded %}<details class="folded"{% if view.failed %} open{% endif %}>
<summary>{{ view.folded }}</summary>{% endif -%}
{{ super() }}
{%- if view.folded %}</details>{% endif -%}
{%- if view.failed %}</section>{% endif -%}
{%- endblock any_cell -%}
{%- block footer -%}{%- endblock footer -%}
"""


def render_fragment(notebook: NotebookNode) -> str:
    """The cells and outputs of an executed notebook as the inside of an HTML body.

    What kale-pm and papermill added stands folded.  A cell that failed has the class
    ``failed``; the one that ended the run has the id :data:`FAILED_CELL`.
    """
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    config = Config()
    config.NbConvertBase.display_data_priority = _SHOWN_TYPES
    config.CoalesceStreamsPreprocessor.enabled = True
    exporter = HTMLExporter(
        template_name="basic", raw_template=_TEMPLATE, exclude_anchor_links=True, config=config
    )
    html, _ = exporter.from_notebook_node(_prepared(notebook))
    return _self_contained(html)


def render_page(notebook: NotebookNode, *, title: str) -> str:
    """The executed notebook as a whole page that works alone, offline and in a sandbox."""
    return frame(render_fragment(notebook), title=title)


def frame(fragment: str, *, title: str, script: str = "") -> str:
    """A whole page around a fragment of :func:`render_fragment`, with a script of the caller's."""
    ending = f"<script>{script}</script>" if script else ""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{CONTENT_POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{style_sheet()}</style></head>\n"
        f"<body><main>{fragment}</main>{ending}</body></html>\n"
    )


@cache
def style_sheet() -> str:
    """The CSS of a notebook page."""
    return (resources.files(__package__) / "style.css").read_text("utf-8")


@cache
def renderer_version() -> str:
    """Changes whenever the same notebook may give another fragment."""
    from importlib.metadata import version

    source = (resources.files(__package__) / "render.py").read_bytes()
    return hashlib.sha256(source + version("nbconvert").encode()).hexdigest()[:16]


def _prepared(notebook: NotebookNode) -> NotebookNode:
    """A copy whose cells say how they want to be seen; the caller's notebook stays as it is."""
    from nbformat import NotebookNode

    cells = [cell for cell in notebook.cells if _MARKER_TAG not in _tags(cell)]
    failed = [index for index, cell in enumerate(cells) if _has_failed(cell)]
    seen = []
    for index, cell in enumerate(cells):
        view = {
            "folded": _folded_title(cell),
            "failed": index in failed,
            "anchor": FAILED_CELL if failed and index == failed[-1] else "",
            "notice": _notice(cell),
        }
        shown = NotebookNode(cell)
        shown.metadata = NotebookNode(cell.metadata) | {"kale_view": view}
        if cell.cell_type == "code":
            shown.outputs = [_without_file_names(output) for output in cell.outputs]
        seen.append(shown)
    metadata = {key: value for key, value in notebook.metadata.items() if key != "widgets"}
    return NotebookNode(
        cells=seen,
        metadata=NotebookNode(metadata),
        nbformat=notebook.nbformat,
        nbformat_minor=notebook.nbformat_minor,
    )


def _tags(cell: NotebookNode) -> list[str]:
    return list(cell.metadata.get("tags", []))


def _kale_pm(cell: NotebookNode) -> dict[str, Any]:
    ours = cell.metadata.get("kale_pm", {})
    return ours if isinstance(ours, dict) else {}


def _folded_title(cell: NotebookNode) -> str:
    if _INJECTED_TAG in _tags(cell):
        return _INJECTED
    return _FOLDED.get(str(_kale_pm(cell).get("role")), "")


def _has_failed(cell: NotebookNode) -> bool:
    """Whether the cell ended in an error that it was not meant to show."""
    return (
        cell.cell_type == "code"
        and any(output.output_type == "error" for output in cell.outputs)
        and "raises-exception" not in _tags(cell)
    )


def _notice(cell: NotebookNode) -> str:
    number = _kale_pm(cell).get("cell")
    return f"Cell {number} failed" if isinstance(number, int) else "This cell failed"


def _without_file_names(output: NotebookNode) -> NotebookNode:
    # nbconvert would refer to these files instead of the picture in the notebook.
    shown = type(output)(output)
    shown.pop("svg_filename", None)
    if "filenames" in shown.get("metadata", {}):
        kept = {key: value for key, value in shown.metadata.items() if key != "filenames"}
        shown.metadata = type(output)(kept)
    return shown


# A tag up to its end; quoted values may hold ">".
_ATTRIBUTES = r"""(?:"[^"]*"|'[^']*'|[^"'>])*+"""
_FETCHING = re.compile(
    rf"(?P<script><script\b(?P<of_script>{_ATTRIBUTES})>.*?</script\s*>)"
    rf"|(?P<style><style\b{_ATTRIBUTES}>.*?</style\s*>)"
    r"|(?P<comment><!--.*?-->)"
    rf"|<(?P<tag>a|img|iframe|link|base|meta|embed|object|video|audio|source|track|input|image|use)"
    rf"\b(?P<of_tag>{_ATTRIBUTES})>",
    re.IGNORECASE | re.DOTALL,
)
_ATTRIBUTE = re.compile(r"""([^\s=/"'>]+)\s*=\s*("[^"]*"|'[^']*'|[^\s"'>]+)""")
_INSIDE = ("data:", "blob:", "#")


def _self_contained(html: str) -> str:
    """Take out what a browser would fetch; pictures and frames elsewhere become links."""
    return _FETCHING.sub(_without_fetching, html)


def _without_fetching(match: re.Match[str]) -> str:
    whole = match[0]
    if match["script"]:
        return "" if "src" in _attributes(match["of_script"]) else whole
    if match["style"]:
        return _without_imports(whole)
    if match["comment"]:
        return whole
    return _TAGS.get(match["tag"].lower(), _drop_sources)(whole, match["of_tag"])


def _attributes(text: str) -> dict[str, str]:
    return {
        name.lower(): unescape(value.strip("\"'")).strip()
        for name, value in _ATTRIBUTE.findall(text)
    }


def _without_imports(style: str) -> str:
    style = re.sub(r"@import\b[^;}]*;?", "", style, flags=re.IGNORECASE)
    return re.sub(
        r"""url\(\s*["']?(?!\s*["']?(?:data:|#))[^)]*\)""", "none", style, flags=re.IGNORECASE
    )


def _open_elsewhere(whole: str, attributes: str) -> str:
    given = _attributes(attributes)
    if "target" in given or given.get("href", "#").startswith("#"):
        return whole
    return f'<a target="_blank" rel="noopener noreferrer"{attributes}>'


def _link_instead(whole: str, attributes: str) -> str:
    given = _attributes(attributes)
    source = given.get("src", "")
    if source.lower().startswith(_INSIDE) or "src" not in given:
        return _drop_sources(whole, attributes, {"srcset"})
    text = escape(given.get("alt") or given.get("title") or source)
    if not source.lower().startswith(("http:", "https:")):
        return f"<em>{text}</em>"
    return f'<a target="_blank" rel="noopener noreferrer" href="{escape(source)}">{text}</a>'


def _drop_sources(
    whole: str,
    attributes: str,
    names: frozenset[str] | set[str] = frozenset(
        {"src", "srcset", "poster", "data", "href", "xlink:href"}
    ),
) -> str:
    def kept(match: re.Match[str]) -> str:
        value = match[2].strip("\"' ").lower()
        return "" if match[1].lower() in names and not value.startswith(_INSIDE) else match[0]

    start = whole[: whole.index(attributes, 1)] if attributes else whole[:-1]
    return f"{start}{_ATTRIBUTE.sub(kept, attributes)}>"


def _nothing(whole: str, attributes: str) -> str:  # noqa: ARG001 - one signature for all tags
    return ""


_TAGS: dict[str, Callable[[str, str], str]] = {
    "a": _open_elsewhere,
    "img": _link_instead,
    "iframe": _link_instead,
    "link": _nothing,
    "base": _nothing,
    "meta": _nothing,
}
