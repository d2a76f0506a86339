"""One chart: a Vega-Lite specification, drawn to SVG without a browser (vl-convert).

An SVG needs no script, can be printed, and shows in a pull request next to the Markdown. Colours
are Okabe and Ito's, which colour-blind readers can distinguish; verdicts differ in shape too. The
grey of the text is readable on a light and on a dark page. A mark's tooltip is its SVG title.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence, Set
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import Any

from harness.results.text import printable

Spec = dict[str, Any]
# readable on both themes: contrast (WCAG) of INK is 3.9 to white and 5.4 to black
INK, GRID = "#7a828c", "#8a929c"
COLOURS = {
    "better": "#0072B2", "worse": "#D55E00", "equivalent": "#009E73", "undecided": "#8a8f98",
    "no direction": "#7a828c",
}  # fmt: skip
PALETTE = ["#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#8a8f98"]
"""For names without an order."""
DASHES = [[1, 0], [4, 3], [1, 2], [8, 2], [8, 2, 1, 2]]
SHAPES = {"better": "triangle-up", "worse": "triangle-down", "equivalent": "square",
          "undecided": "circle", "no direction": "diamond"}  # fmt: skip
MAX_ROWS = 60
"""Most rows in a chart; tables show all of them."""
BASE_URL = "https://vega.github.io/vega-datasets/"
"""The drawing library makes relative links absolute with this; it is taken away again."""
FONT = "Liberation Sans, Arial, sans-serif"
"""The first font comes with the drawing library, so a chart is as wide on every machine."""
TOOLTIP = "tooltip"
"""The field of a data record that holds the tooltip of its mark."""
_LABEL = re.compile(r'<(path|text|rect|line)((?: [\w:-]+="[^"]*")*?) aria-label="([^"]*)"([^>]*)/>')
_ROLES = re.compile(r' (?:role|aria-(?!hidden)[a-z]+)="[^"]*"')
_PLACE = re.compile(r' (?:d|transform|[xy][12]?|width|height)="[^"]*"')
_LONG = re.compile(r"-?\d+\.\d{3,}")


@dataclass(frozen=True)
class Figure:
    """One chart with a sentence that describes it."""

    name: str
    """File name without its suffix, unique in a report."""
    text: str
    spec: Spec
    choice: str = ""
    """Its name in the page's chooser among similar charts; empty: always shown."""
    page_only: bool = False
    """Whether Markdown leaves it out."""

    @property
    def svg(self) -> str:
        """The chart drawn."""
        import vl_convert

        drawn = vl_convert.vegalite_to_svg(_shown(self.spec)).replace(f'"{BASE_URL}#', '"#')
        return _own_names(_with_titles(_rounded(drawn)), self.name)

    def without_links_to(self, gone: Set[str]) -> Figure:
        """The chart without links to the anchors ``gone``; its marks stay."""
        return replace(self, spec=_unlinked(self.spec, gone))


def _unlinked(part: Any, gone: Set[str]) -> Any:
    """``part`` of a spec with an empty ``href``, of which Vega makes no link, for each of ``gone``.

    Of a missing or a null one it makes a link to ``undefined`` or ``null``.
    """
    if isinstance(part, dict):
        return {
            key: "" if key == "href" and isinstance(value, str) and value.removeprefix("#") in gone
            else _unlinked(value, gone)
            for key, value in part.items()
        }  # fmt: skip
    return [_unlinked(item, gone) for item in part] if isinstance(part, list | tuple) else part


def _shown(part: Any) -> Any:
    """``part`` of a spec with control characters of its texts spelled out.

    XML cannot hold them: an ESC in a model's name would abort the whole process, in the library.
    """
    if isinstance(part, str):
        return printable(part)
    if isinstance(part, dict):
        return {_shown(key): _shown(value) for key, value in part.items()}
    return [_shown(item) for item in part] if isinstance(part, list | tuple) else part


def _with_titles(svg: str) -> str:
    """``svg`` with tooltips as titles of the marks, and without other ARIA roles.

    The drawing library writes descriptions as ARIA labels. Browsers show no tooltip for those, and
    a screen reader would read out hundreds of them in a chart.
    """
    with_titles = _LABEL.sub(
        lambda m: (
            f"<{m[1]}{m[2]}{m[4]}><title>{m[3]}</title></{m[1]}>"
            if f'aria-roledescription="{TOOLTIP}"' in m[4]
            else m[0]
        ),
        svg,
    )
    return _ROLES.sub("", with_titles)


def _rounded(svg: str) -> str:
    """``svg`` with coordinates to a hundredth: smaller, and the same on other processors."""

    def short(match: re.Match[str]) -> str:
        return f"{float(match[0]):.2f}".rstrip("0").rstrip(".")

    return _PLACE.sub(lambda place: _LONG.sub(short, place[0]), svg)


def _own_names(svg: str, figure: str) -> str:
    """``svg`` with its ids renamed after the figure.

    The library numbers ids through the process, so they would depend on what was drawn before.
    """
    names = dict.fromkeys(re.findall(r'\bid="([^"]+)"', svg))
    for number, name in enumerate(names, start=1):
        svg = re.sub(rf'(?<=["#]){re.escape(name)}(?=["\)])', f"{figure}-{number}", svg)
    return svg


def can_draw() -> bool:
    """Whether vl-convert is installed."""
    return find_spec("vl_convert") is not None


def anchor(*parts: str) -> str:
    """``parts`` as one stable name for a link or a file.

    A checksum distinguishes what Latin letters alone cannot: where one part ends and the next
    begins, and names in other scripts.
    """
    text = "-".join(parts).lower()
    kept = re.sub(r"[^a-z0-9]+", "-", text).strip("-")[:60]
    lost = len(parts) > 1 or any(c.isalnum() and not c.isascii() for c in text)
    return f"{kept}-{zlib.crc32(text.encode()):08x}" if lost else kept or "section"


def hover(mark: Spec) -> Spec:
    """``mark`` with a tooltip; its encoding needs `tooltip` too."""
    return {**mark, "ariaRoleDescription": TOOLTIP}


def tooltip() -> Spec:
    """The encoding of a mark's tooltip."""
    return {"description": {"field": TOOLTIP}}


def quantity(field: str, title: str | None, *, zero: bool = True) -> Spec:
    """A number's encoding."""
    return {"field": field, "type": "quantitative", "title": title, "scale": {"zero": zero}}


def names(field: str, *, longest: int = 52) -> Spec:
    """The encoding of names, in the order of the data, cut to ``longest`` characters.

    A limit in pixels would make the library measure every label, which is slow.
    """
    short = f"slice(datum.label, 0, {longest - 1}) + '…'"
    cut = f"length(datum.label) > {longest} ? {short} : datum.label"
    return {"field": field, "type": "nominal", "sort": None, "title": None,
            "axis": {"labelLimit": 0, "labelExpr": cut}}  # fmt: skip


def by_name(field: str, values: Sequence[str]) -> Spec:
    """The encoding of names as colours, with other dashes once the colours repeat."""
    dashes = [DASHES[k // len(PALETTE) % len(DASHES)] for k in range(len(values))]
    legend = {"field": field, "type": "nominal", "title": None, "sort": None,
            "legend": {"labelLimit": 300, "symbolType": "stroke"}}  # fmt: skip
    return {
        "color": {**legend, "scale": {"domain": list(values)}},
        "strokeDash": {**legend, "scale": {"domain": list(values), "range": dashes}},
    }


def by_verdict(values: dict[str, str]) -> Spec:
    """The encoding of a verdict as `COLOURS` or `SHAPES`."""
    scale = {"domain": list(values), "range": list(values.values())}
    return {"field": "verdict", "type": "nominal", "scale": scale, "title": "verdict"}


def drawn_on(spec: Spec) -> Spec:
    """``spec`` with the common colours and font.

    Numbers and fixed words have no limit in pixels: to cut none of them, the library would measure
    them all a second time, a third of the time that a chart takes.
    """
    axis = {"labelColor": INK, "titleColor": INK, "domainColor": GRID, "tickColor": GRID,
            "gridColor": GRID, "gridOpacity": 0.25}  # fmt: skip
    config = {
        "background": None, "view": {"stroke": None}, "axis": axis, "font": FONT,
        "axisQuantitative": {"labelLimit": 0}, "range": {"category": PALETTE},
        "legend": {"labelColor": INK, "titleColor": INK, "labelLimit": 0, "titleLimit": 0},
        "header": {"labelColor": INK, "titleColor": INK},
    }  # fmt: skip
    return {"$schema": "https://vega.github.io/schema/vega-lite/v6.json", "config": config, **spec}
