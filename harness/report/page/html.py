"""Sections, charts and answers as one self-contained HTML page; everything is escaped."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from html import escape
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

from harness.analysis.leaderboard import Leaderboard
from harness.report.card import decided_by_axis
from harness.report.glossary import meaning
from harness.report.page.answers import answers_json, pairs_of
from harness.report.page.arrangement import SHORT, arranged
from harness.report.page.examples import Example, examples
from harness.report.page.leads import Lead, leads
from harness.report.page.rows import body, groupings
from harness.report.page.summary import FirstScreen, first_screen
from harness.report.section import Section, anchor
from harness.results.text import printable

if TYPE_CHECKING:
    from markupsafe import Markup

SCRIPTS = (
    "sortable.min.js", "sortable.a11y.min.js", "tables.js", "state.js", "picture.js", "answers.js",
    "worse.js", "terms.js",
)  # fmt: skip
"""Sorting is the library `sortable-tablesort` 4.1.7 (public domain), from its package."""
LARGE = 2500
"""With more table rows in all, a browser lays out a section only when it comes into view."""
_CODE = re.compile(r"`([^`]+)`")


@dataclass(frozen=True)
class Page:
    """What a page shows beside the sections; without it, a page has the sections alone."""

    variants: tuple[tuple[str, str, str], ...] = ()
    """Model, quantization and adapter; a variant's number is its place here."""
    datasets: tuple[str, ...] = ()
    first: FirstScreen | None = None
    examples: tuple[Example, ...] = ()
    answers: str = "[]"
    """The answers as JSON."""
    choices: str = ""
    """What the choices decide over all data sets, in one sentence; empty if nothing is decided."""
    leads: Mapping[tuple[str, str], Lead] = field(default_factory=dict)
    """Question and data set → its opening sentence and chart."""

    @property
    def numbers(self) -> dict[str, int]:
        """Variant → its number."""
        return {", ".join(axes): number for number, axes in enumerate(self.variants)}


def page_of(board: Leaderboard) -> Page:
    """Everything that the page of ``board`` shows beside its sections."""
    # what could not run here has no number: it cannot be pinned, and its rows say why
    rows = [row for table in board.tables for row in table.rows if row.status != "skipped"]
    variants = tuple(dict.fromkeys((r.model, r.quantization, r.adapter) for r in rows))
    numbers = Page(variants).numbers
    first = first_screen(board, numbers)
    pairs = list(pairs_of(board, numbers)) if board.run.has_texts else []
    return Page(
        variants, tuple(table.dataset for table in board.tables), first,
        tuple(examples(board, first.decisions, pairs)), answers_json(board, pairs),
        decided_by_axis(board.along.values()) if len(board.tables) > 1 else "",
        leads(board, first.decisions, numbers),
    )  # fmt: skip


def render_html(
    title: str,
    sections: Sequence[Section],
    *,
    drawn: Mapping[str, str] | None = None,
    page: Page | None = None,
    templates: Path | None = None,
) -> str:
    """One self-contained HTML document, in light and dark, readable without its script.

    Args:
        title: The page's title.
        sections: In reading order.
        drawn: Figure name → SVG, made by the program from escaped values.
        page: The first screen, the answers and the charts of the page itself.
        templates: A folder whose templates replace or extend the shipped ones.
    """
    from jinja2 import ChoiceLoader, Environment, FileSystemLoader, PackageLoader
    from markupsafe import Markup

    page = page or Page()
    own = [FileSystemLoader(templates)] if templates else []
    environment = Environment(
        loader=ChoiceLoader([*own, PackageLoader("harness", "report/page/templates")]),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    numbers = page.numbers
    environment.globals["anchor"] = anchor
    # of a long table rows are cut, and a link must not lead nowhere
    targets = {name for each in sections for name in each.anchors}
    environment.globals["link_to"] = lambda name: Markup(f' href="#{name}"' * (name in targets))
    environment.globals["body"] = lambda section: Markup(body(section, numbers))
    environment.globals["groupings"] = groupings
    environment.globals["meaning"] = meaning
    environment.filters["spans"] = lambda text: Markup(_CODE.sub(r"<code>\1</code>", escape(text)))
    text: str = environment.get_template("leaderboard.html.j2").render(
        title=title,
        sections=sections,
        groups=arranged(sections, page.datasets),
        short=SHORT,
        drawn={name: Markup(_inner(svg)) for name, svg in (drawn or {}).items()},
        page=page,
        first=page.first,
        examples=page.examples,
        data=_json(json.dumps(_data(page), ensure_ascii=False, separators=(",", ":"))),
        answers=_json(page.answers),
        terms=_terms(sections),
        large=sum(len(section.rows) for section in sections) > LARGE,
        style=Markup(_asset("page.css")),
        scripts=[Markup(_asset(name)) for name in SCRIPTS],
    )
    # Last, over everything: marks that turn the direction of text would let one name pose as
    # another. In the JSON of the answers the spelling is that of JSON itself.
    return printable(text) + "\n"


def _data(page: Page) -> dict[str, object]:
    """What the script must know: names, the place of each data set, and what got worse."""
    fell = page.first.fell if page.first else {}
    return {"variants": page.variants, "sets": page.datasets, "fell": fell}


def _json(text: str) -> Markup:
    """JSON for a script element, which nothing in it can end."""
    from markupsafe import Markup

    return Markup(text.replace("<", "\\u003c").replace("\u2028", "\\u2028"))


def _terms(sections: Sequence[Section]) -> dict[str, str]:
    """Every column that needs an explanation, in the order in which the page uses it."""
    columns = dict.fromkeys(column for section in sections for column in section.columns)
    plain = dict.fromkeys(column.removeprefix("Δ ") if column != "Δ [95%]" else column
                          for column in columns)  # fmt: skip
    wanted = ["variant", "baseline", *plain, "margin", "noise floor", "control set"]
    return {term: text for term in wanted if (text := meaning(term))}


def _asset(name: str) -> str:
    return files("harness.report.page").joinpath("assets", name).read_text("utf-8")


def _inner(svg: str) -> str:
    """The drawing without an XML head."""
    return svg[svg.index("<svg") :]
