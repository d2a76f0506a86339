"""Sections as one self-contained HTML page; everything is escaped."""

from __future__ import annotations

from collections.abc import Sequence

from harness.report.section import Section


def render_html(title: str, sections: Sequence[Section]) -> str:
    """One HTML document: no script, no network, light and dark."""
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("harness", "report/templates"),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    page: str = environment.get_template("leaderboard.html.j2").render(
        title=title, sections=sections
    )
    return page + "\n"
