"""Sections, charts and examples as one self-contained HTML page; everything is escaped."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from html import escape
from importlib.resources import files
from pathlib import Path

from harness.report.page.examples import Shown
from harness.report.page.rows import body, groupings
from harness.report.section import Section, anchor

SCRIPTS = ("sortable.min.js", "sortable.a11y.min.js", "page.js")
"""Sorting is the library `sortable-tablesort` 4.1.7 (public domain), from its package."""


LARGE = 2500
"""With more table rows in all, a browser lays out a section only when it comes into view."""
_CODE = re.compile(r"`([^`]+)`")


def render_html(
    title: str,
    sections: Sequence[Section],
    *,
    drawn: Mapping[str, str] | None = None,
    examples: Sequence[Shown] = (),
    templates: Path | None = None,
) -> str:
    """One self-contained HTML document, in light and dark, readable without its script.

    Args:
        title: The page's title.
        sections: In reading order.
        drawn: Figure name → SVG, made by the program from escaped values.
        examples: Shown with filters and links.
        templates: A folder whose templates replace or extend the shipped ones.
    """
    from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader
    from markupsafe import Markup

    own = [FileSystemLoader(templates)] if templates else []
    environment = Environment(
        loader=ChoiceLoader([*own, PackageLoader("harness", "report/page/templates")]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals["anchor"] = anchor
    environment.globals["body"] = lambda section: Markup(body(section))
    environment.globals["groupings"] = groupings
    environment.filters["spans"] = lambda text: Markup(_CODE.sub(r"<code>\1</code>", escape(text)))
    page: str = environment.get_template("leaderboard.html.j2").render(
        title=title,
        sections=sections,
        drawn={name: Markup(_inner(svg)) for name, svg in (drawn or {}).items()},
        examples=examples,
        kinds=list(dict.fromkeys(example.kind for example in examples)),
        variants=list(dict.fromkeys(f"{e.dataset}, {e.row}" for e in examples)),
        chapters=_chapters(sections),
        large=sum(len(section.rows) for section in sections) > LARGE,
        scripts=[Markup(_asset(name)) for name in SCRIPTS],
    )
    return page + "\n"


def _chapters(sections: Sequence[Section]) -> dict[str, list[Section]]:
    """Data set, the part of a title after its colon → its sections, for the table of contents."""
    chapters: dict[str, list[Section]] = {}
    for section in sections:
        chapters.setdefault(section.title.partition(": ")[2], []).append(section)
    return chapters


def _asset(name: str) -> str:
    return files("harness.report.page").joinpath("assets", name).read_text("utf-8")


def _inner(svg: str) -> str:
    """The drawing without an XML head."""
    return svg[svg.index("<svg") :]
