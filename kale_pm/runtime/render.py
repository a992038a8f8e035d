"""An executed notebook as HTML that needs nothing else: no network, no file beside it.

What nbconvert makes is freed of everything that a browser would fetch, and laid out by our own
style sheet, for light and dark.  Outputs may still hold scripts (interactive plots do): show
the result where scripts cannot do harm, as in ``<iframe sandbox="allow-scripts" srcdoc=...>``.
"""

from __future__ import annotations

import hashlib
import re
import warnings
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
    " img-src data: blob:; media-src data: blob:; font-src data:; frame-src data:;"
    " form-action 'none'"
)

_FOLDED = {
    "load": "kale-pm loads the inputs",
    "save": "kale-pm saves the results",
    "parameters": "parameters and their defaults",
}
_INJECTED = "parameters of this run"
_INJECTED_TAG = "injected-parameters"  # the two tags are papermill's words
_MARKER_TAG = "papermill-error-cell-tag"
_LONGEST_TEXT = 200_000  # characters of one output

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

# nbconvert cleans what it has highlighted itself, too, which takes as long as to highlight it.
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
{%- block input %}
<div class="inner_cell">
    <div class="input_area">
{{ cell.source | highlight_code(metadata=cell.metadata) }}
    </div>
</div>
{%- endblock input %}
{%- block footer -%}{%- endblock footer -%}
"""


def render_fragment(notebook: NotebookNode) -> str:
    """The cells and outputs of an executed notebook as the inside of an HTML body.

    What kale-pm and papermill added stands folded.  A cell that failed has the class
    ``failed``; the one that ended the run has the id :data:`FAILED_CELL`.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # scraps, for instance, are not meant to be shown
        html, _ = exporter().from_notebook_node(_prepared(notebook))
    return _self_contained(html)


@cache
def exporter() -> Any:
    """What makes HTML of notebooks; the first call in a process takes a while."""
    from nbconvert import HTMLExporter
    from traitlets.config import Config

    config = Config()
    config.NbConvertBase.display_data_priority = _SHOWN_TYPES
    config.CoalesceStreamsPreprocessor.enabled = True
    return HTMLExporter(
        template_name="basic", raw_template=_TEMPLATE, exclude_anchor_links=True, config=config
    )


def get_ready() -> None:
    """Import and compile what pages need: most of the time that a first page takes."""
    from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

    render_fragment(new_notebook(cells=[new_markdown_cell("ready"), new_code_cell("ready")]))


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
            shown.outputs = [_shortened(_without_file_names(o)) for o in cell.outputs]
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
    """The output for nbconvert, which would prefer these files to the picture in the notebook."""
    from nbformat import NotebookNode

    shown = NotebookNode({key: value for key, value in output.items() if key != "svg_filename"})
    if "metadata" in shown:
        kept = {key: value for key, value in shown.metadata.items() if key != "filenames"}
        shown.metadata = NotebookNode(kept)
    return shown


def _shortened(output: NotebookNode) -> NotebookNode:
    """The output without the middle of a text that no browser shows in sensible time."""
    from nbformat import NotebookNode

    if output.output_type == "stream" and len(output.text) > _LONGEST_TEXT:
        output.text = _ends(output.text)
    elif "text/plain" in output.get("data", {}) and len(output.data["text/plain"]) > _LONGEST_TEXT:
        output.data = NotebookNode(output.data) | {"text/plain": _ends(output.data["text/plain"])}
    return output


def _ends(text: str) -> str:
    half = _LONGEST_TEXT // 2
    left_out = f"{len(text) - 2 * half:,} characters are left out here; the notebook has them"
    return f"{text[:half]}\n… {left_out} …\n{text[-half:]}"


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
_IMPORT_IN_STYLE = re.compile(r"@import\b[^;}<]*;?", re.IGNORECASE)
_ADDRESS_IN_STYLE = re.compile(r"""url\(\s*["']?(?!["']?\s*(?:data:|#))[^)]*\)""", re.IGNORECASE)
_SOURCES = {"src", "srcset", "poster", "data", "href", "xlink:href"}
_INSIDE = ("data:", "blob:", "#")
_NO_DESCRIPTION = "No description has been provided for this image"  # set by nbconvert
_ELSEWHERE = 'target="_blank" rel="noopener noreferrer"'


def _self_contained(html: str) -> str:
    """Take out what a browser would fetch; pictures and frames elsewhere become links."""
    return _FETCHING.sub(_without_fetching, html)


def _without_fetching(match: re.Match[str]) -> str:
    whole = match[0]
    if match["comment"]:
        return whole
    if match["style"]:
        return _without_imports(whole)
    if match["script"]:
        return "" if "src" in _attributes(match["of_script"]) else whole
    tag, attributes = match["tag"].lower(), _attributes(match["of_tag"])
    if tag in ("link", "base", "meta"):
        return ""
    if tag == "a":
        inside = "target" in attributes or attributes.get("href", "#").startswith("#")
        return whole if inside else f"<a {_ELSEWHERE} {match['of_tag']}>"
    source = attributes.get("src", "")
    if tag in ("img", "iframe") and source and not source.lower().startswith(_INSIDE):
        texts = (attributes.get("alt"), attributes.get("title"), source)
        return _link(source, next(text for text in texts if text and text != _NO_DESCRIPTION))
    return _ATTRIBUTE.sub(_without_source, whole)


def _attributes(text: str) -> dict[str, str]:
    return {name.lower(): _unquoted(value) for name, value in _ATTRIBUTE.findall(text)}


def _unquoted(value: str) -> str:
    return unescape(value.strip("\"'")).strip()


def _without_imports(style: str) -> str:
    return _ADDRESS_IN_STYLE.sub("none", _IMPORT_IN_STYLE.sub("", style))


def _without_source(attribute: re.Match[str]) -> str:
    if attribute[1].lower() not in _SOURCES:
        return attribute[0]
    return attribute[0] if _unquoted(attribute[2]).lower().startswith(_INSIDE) else ""


def _link(source: str, text: str) -> str:
    if not source.lower().startswith(("http:", "https:")):
        return f"<em>{escape(text)}</em>"  # a file beside the notebook is not there any more
    return f'<a {_ELSEWHERE} href="{escape(source)}">{escape(text)}</a>'
