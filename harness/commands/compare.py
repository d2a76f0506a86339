"""`harness compare`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from harness.compare import Delta
    from harness.comparison import Pair

FOLDER = click.Path(exists=True, file_okay=False, path_type=Path)


@click.command()
@click.argument("first", type=FOLDER)
@click.argument("second", type=FOLDER)
@click.option("--metric", "metrics", multiple=True, help="Only these; default: the primary ones.")
@click.option("--margin", type=float, default=0.0, help="The smallest difference that matters.")
@click.option("--json", "as_json", is_flag=True, help="Every metric of every pair as JSON.")
@click.option("--markdown", is_flag=True, help="A table for a pull request.")
def compare(
    first: Path, second: Path, metrics: tuple[str, ...], margin: float, as_json: bool,
    markdown: bool,
) -> None:  # fmt: skip
    """Compare two runs, or two cells, on the same examples: SECOND minus FIRST.

    Example: harness compare runs/monday runs/tuesday
    """
    import json

    from harness.comparison import as_records
    from harness.comparison import compare as compare_

    pairs = compare_(first, second, margin=margin)
    if as_json:
        click.echo(json.dumps(as_records(pairs), indent=1, ensure_ascii=False))
    elif markdown:
        from harness.report.markdown import markdown_table

        click.echo("\n".join(markdown_table(COLUMNS, _rows(pairs, metrics))))
    else:
        _print(_rows(pairs, metrics))


COLUMNS = ("pair", "metric", "Δ [95%]", "p", "won:lost", "verdict")


def _rows(pairs: Sequence[Pair], metrics: tuple[str, ...]) -> list[tuple[str, ...]]:
    from harness.report.section import MISSING

    rows: list[tuple[str, ...]] = []
    for pair in pairs:
        if pair.reason:
            blank = (MISSING,) * (len(COLUMNS) - 2)
            rows.append((pair.name, *blank, f"not comparable: {pair.reason}"))
        chosen = metrics or (pair.first.result.primary_metric,)
        rows += [_row(pair.name, pair.deltas[m]) for m in chosen if m in pair.deltas]
    return rows


def _row(name: str, delta: Delta) -> tuple[str, ...]:
    from harness.report.section import MISSING, show_delta

    p = MISSING if delta.p_value is None else f"{delta.p_value:.2g}"
    return (name, delta.metric, show_delta(delta), p, f"{delta.won}:{delta.lost}", delta.verdict)


def _print(rows: Sequence[tuple[str, ...]]) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    table = Table(*COLUMNS, box=SIMPLE_HEAD, pad_edge=False, collapse_padding=True)
    for row in rows:
        table.add_row(*row)
    Console().print(table, markup=False)
