"""An executed notebook as HTML: everything in it, nothing outside it."""

from __future__ import annotations

import base64
import re
from html.parser import HTMLParser

import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from kale_pm.runtime.render import FAILED_CELL, frame, render_fragment, render_page, style_sheet

PICTURE = base64.b64encode(b"a picture").decode()


def code(source="x = 1", *outputs, role=None, number=None, tags=()):
    metadata = {"tags": list(tags)}
    if role:
        metadata["kale_pm"] = {"role": role, **({"cell": number} if number else {})}
    return new_code_cell(source, outputs=list(outputs), metadata=metadata, execution_count=1)


def html_output(html):
    return new_output("display_data", data={"text/html": html, "text/plain": "plain"})


def failure(message="bad"):
    traceback = [
        "\x1b[31mValueError\x1b[39m: \x1b[38;5;28;01mdef\x1b[39;00m \x1b[30;43mhere\x1b[0m"
    ]
    return new_output("error", ename="ValueError", evalue=message, traceback=traceback)


def fragment(*cells):
    return render_fragment(new_notebook(cells=list(cells)))


class Elements(HTMLParser):
    """All elements of a page, as (tag, attributes)."""

    def __init__(self, html):
        super().__init__()
        self.found = []
        self.feed(html)

    def handle_starttag(self, tag, attributes):
        self.found.append((tag, dict(attributes)))

    def named(self, tag):
        return [attributes for name, attributes in self.found if name == tag]


def assert_fetches_nothing(html):
    for tag, attributes in Elements(html).found:
        for name in {"src", "srcset", "poster", "data", "xlink:href"} & set(attributes):
            assert attributes[name].startswith("data:"), (tag, attributes)
        assert tag != "link"
    assert "@import" not in html
    assert not re.search(r"url\(\s*[\"']?(?!data:|#)", html)


class TestContent:
    def test_source_markdown_and_outputs_are_there(self):
        html = fragment(
            new_markdown_cell("# Wine\n\nsome *words*"),
            code("total = 41 + 1", new_output("stream", text="the answer\n")),
            code("df", html_output("<table><tr><td>cell</td></tr></table>")),
        )
        assert re.search(r"<h1[^>]*>Wine", html)
        assert "<em>words</em>" in html
        assert "total" in html
        assert "the answer" in html
        assert "<td>cell</td>" in html

    @pytest.mark.parametrize(
        "output",
        [
            new_output("stream", text="first\n" + "x" * 1_000_000 + "\nlast"),
            new_output("display_data", data={"text/plain": "first" + "x" * 1_000_000 + "last"}),
        ],
    )
    def test_of_a_very_long_text_the_ends_and_how_much_is_left_out(self, output):
        notebook = new_notebook(cells=[code("print(rows)", output)])
        html = render_fragment(notebook)
        assert "first" in html
        assert "last" in html
        assert re.search(r"800,0\d\d characters are left out here", html)
        assert len(html) < 300_000
        assert len(str(notebook.cells[0].outputs[0])) > 1_000_000

    def test_pictures_are_inside(self):
        html = fragment(code("plot()", new_output("display_data", data={"image/png": PICTURE})))
        assert f'src="data:image/png;base64,{PICTURE}' in html

    def test_pictures_stay_inside_when_a_tool_named_a_file_for_them(self):
        output = new_output(
            "display_data",
            data={"image/png": PICTURE},
            metadata={"filenames": {"image/png": "plot.png"}},
        )
        html = fragment(code("plot()", output))
        assert "plot.png" not in html
        assert PICTURE in html

    def test_what_a_program_printed_is_escaped(self):
        html = fragment(code("'<b>'", new_output("stream", text="<script>alert(1)</script>")))
        assert "<script>alert" not in html
        assert "&lt;script&gt;" in html

    def test_a_progress_bar_shows_its_last_state_only(self):
        output = new_output("stream", text="10%\r50%\r100%\n")
        html = fragment(code("work()", output))
        assert "100%" in html
        assert "50%" not in html

    def test_a_widget_shows_its_text(self):
        data = {"application/vnd.jupyter.widget-view+json": {}, "text/plain": "IntSlider(3)"}
        html = fragment(code("slider", new_output("display_data", data=data)))
        assert "IntSlider(3)" in html
        assert "<script" not in html

    def test_a_traceback_has_its_colours(self):
        html = fragment(code("1/0", failure()))
        assert '<span class="ansi-red-fg">ValueError</span>' in html
        assert "ansi-yellow-bg" in html
        assert "rgb(0,135,0)" in html
        assert "\x1b" not in html

    def test_the_notebook_itself_is_left_alone(self):
        notebook = new_notebook(cells=[code("1/0", failure(), role="step", number=3)])
        before = repr(notebook)
        render_fragment(notebook)
        assert repr(notebook) == before


class TestFolding:
    @pytest.mark.parametrize("role", ["load", "save", "parameters"])
    def test_what_kale_pm_adds_is_folded(self, role):
        html = fragment(code("kale_pm.runtime.anything()", role=role))
        assert [a for a in Elements(html).named("details") if "open" not in a]

    def test_what_papermill_injects_is_folded(self):
        html = fragment(code("alpha = 0.5", tags=["injected-parameters"]))
        assert "parameters of this run" in html
        assert Elements(html).named("details")

    @pytest.mark.parametrize("role", [None, "prelude", "step"])
    def test_the_cells_of_the_user_are_not(self, role):
        assert not Elements(fragment(code("mine", role=role))).named("details")

    def test_the_marks_that_papermill_leaves_are_dropped(self):
        mark = new_markdown_cell(
            "An Exception was encountered", metadata={"tags": ["papermill-error-cell-tag"]}
        )
        assert "encountered" not in fragment(mark, code())


class TestFailure:
    def test_a_failed_cell_can_be_jumped_to_and_names_its_number(self):
        html = fragment(code(), code("1/0", failure(), role="step", number=17))
        assert [a["class"] for a in Elements(html).named("section")] == ["failed"]
        assert html.count(f'id="{FAILED_CELL}"') == 1
        assert "Cell 17 failed" in html

    def test_a_failed_cell_of_ours_stands_open(self):
        html = fragment(code("kale_pm.runtime.save('x')", failure(), role="save"))
        assert [a for a in Elements(html).named("details") if "open" in a]

    def test_an_error_that_the_notebook_wants_is_no_failure(self):
        html = fragment(code("1/0", failure(), tags=["raises-exception"]))
        assert "failed" not in html

    def test_the_last_failure_has_the_anchor(self):
        html = fragment(code("first", failure()), code("second", failure()))
        assert len(Elements(html).named("section")) == 2
        assert html.count(f'id="{FAILED_CELL}"') == 1
        assert html.index("first") < html.index(f'id="{FAILED_CELL}"')


class TestSelfContained:
    @pytest.mark.parametrize(
        "html",
        [
            '<script src="https://cdn.example/plot.js"></script>',
            "<script src=//cdn.example/plot.js></script>",
            '<link rel="stylesheet" href="https://cdn.example/a.css">',
            "<style>@import url('https://cdn.example/a.css'); p { color: red }</style>",
            "<style>p { background: url(https://cdn.example/a.png) }</style>",
            '<img src="https://example.org/a.png" alt="a picture">',
            '<img src="data:image/png;base64,AA" srcset="https://example.org/2x.png 2x">',
            '<iframe src="https://example.org/map"></iframe>',
            '<video src="https://example.org/a.mp4" poster="b.png"></video>',
            '<object data="https://example.org/a.svg"></object>',
            '<base href="https://example.org/">',
            '<meta http-equiv="refresh" content="0; https://example.org">',
        ],
    )
    def test_nothing_of_an_output_is_fetched(self, html):
        made = fragment(code("show()", html_output(f"<p>before</p>{html}<p>after</p>")))
        assert_fetches_nothing(made)
        assert not {"base", "meta"} & {tag for tag, _ in Elements(made).found}
        assert "<p>before</p>" in made
        assert "<p>after</p>" in made

    def test_a_remote_picture_becomes_a_link(self):
        made = fragment(new_markdown_cell("![the badge](https://example.org/badge.svg)"))
        link = Elements(made).named("a")[0]
        assert link["href"] == "https://example.org/badge.svg"
        assert ">the badge</a>" in made

    def test_without_a_description_the_link_shows_where_it_leads(self):
        made = fragment(new_markdown_cell("![](https://example.org/badge.svg)"))
        assert ">https://example.org/badge.svg</a>" in made

    def test_a_picture_beside_the_notebook_becomes_its_name(self):
        assert "<em>map</em>" in fragment(new_markdown_cell("![map](map.png)"))

    def test_scripts_in_the_page_itself_stay_as_they_are(self):
        script = "<script>draw('<img src=\"https://example.org/a.png\">', 1 < 2)</script>"
        assert script in fragment(code("plot()", html_output(script)))

    def test_links_open_elsewhere_and_anchors_here(self):
        made = fragment(new_markdown_cell("[out](https://example.org) [in](#here)"))
        out, anchor = Elements(made).named("a")
        assert (out["target"], out["rel"]) == ("_blank", "noopener noreferrer")
        assert "target" not in anchor


class TestPage:
    def page(self):
        cells = [new_markdown_cell("# Hello"), code("1/0", failure())]
        return render_page(new_notebook(cells=cells), title="a <step> & more")

    def test_it_needs_nothing_else(self):
        assert_fetches_nothing(self.page())

    def test_the_browser_is_told_to_fetch_nothing(self):
        policy = Elements(self.page()).named("meta")[1]["content"]
        assert "default-src 'none'" in policy
        assert "http" not in policy

    def test_the_title_is_escaped(self):
        assert "<title>a &lt;step&gt; &amp; more</title>" in self.page()

    def test_the_styles_are_small_and_know_the_dark(self):
        assert len(style_sheet()) < 10_000
        assert "prefers-color-scheme: dark" in style_sheet()
        assert style_sheet() in self.page()

    def test_a_frame_runs_the_script_of_the_caller(self):
        assert frame("<p>x</p>", title="t", script="go()").count("<script>go()</script>") == 1
