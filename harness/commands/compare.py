"""`harness compare`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from harness.analysis.difference import Delta
    from harness.analysis.pairs import Pair

FOLDER = click.Path(exists=True, path_type=Path)


@click.command()
@click.argument("first", type=FOLDER)
@click.argument("second", type=FOLDER, required=False)
@click.option("--axis", help="With one run: the pairs that differ in this axis alone.")
@click.option("--metric", "metrics", multiple=True, help="Only these; default: the primary ones.")
@click.option("--margin", type=float, default=0.0, help="The smallest difference that matters.")
@click.option("--flips", type=click.IntRange(0), default=0, help="Worst regressions to print.")
@click.option("--json", "as_json", is_flag=True, help="Every metric of every pair as JSON.")
@click.option("--markdown", is_flag=True, help="A table for a pull request.")
def compare(
    first: Path, second: Path | None, axis: str | None, metrics: tuple[str, ...], margin: float,
    flips: int, as_json: bool, markdown: bool,
) -> None:  # fmt: skip
    """Compare two runs, two cells, or one run along an axis: SECOND minus FIRST.

    Example: harness compare runs/monday runs/tuesday

    Example: harness compare runs/finance --axis quantization
    """
    import json

    from harness.analysis.pairs import as_records

    pairs = _pairs(first, second, axis, margin)
    if as_json:
        click.echo(json.dumps(as_records(pairs), indent=1, ensure_ascii=False))
        return
    lines = [f"{pair.name}: {pair.left_out}" for pair in pairs if pair.left_out]
    lines += [line for pair in pairs for line in _worst(pair, metrics, flips)]
    if markdown:
        from harness.report.markdown import markdown_table

        click.echo("\n".join(markdown_table(COLUMNS, _rows(pairs, metrics))))
        click.echo("".join(f"\n- {line}" for line in lines), nl=bool(lines))
    else:
        _print(_rows(pairs, metrics))
        for line in lines:
            click.echo(line)


def _pairs(first: Path, second: Path | None, axis: str | None, margin: float) -> list[Pair]:
    from harness.analysis.pairs import compare as compare_two
    from harness.analysis.pairs import compare_axis
    from harness.registry import did_you_mean
    from harness.suite.schema import AXES

    if (second is None) == (axis is None):
        raise click.UsageError("give a second run or cell, or --axis")
    if second is not None:
        return compare_two(first, second, margin=margin)
    if axis not in AXES:
        raise click.UsageError(f'no axis "{axis}". {did_you_mean(str(axis), AXES)}')
    return compare_axis(first, axis, margin=margin)


def _worst(pair: Pair, metrics: tuple[str, ...], count: int) -> list[str]:
    """The ``count`` worst regressions of each metric, a line each."""
    from harness.report.sections.answers import regression

    found = []
    for metric in metrics or (pair.first.result.primary_metric,):
        flips = pair.flips(metric) if count and metric in pair.deltas else None
        for flip in flips.regressions[:count] if flips else ():
            found.append(f"{pair.name}, {metric}, example {flip.id}: {regression(flip)}")
    return found


COLUMNS = ("pair", "metric", "Δ [95%]", "p (Holm)", "won:lost", "verdict")


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

    value = delta.p_value if delta.p_adjusted is None else delta.p_adjusted
    p = MISSING if value is None else f"{value:.2g}"
    return (name, delta.metric, show_delta(delta), p, f"{delta.won}:{delta.lost}", delta.verdict)


def _print(rows: Sequence[tuple[str, ...]]) -> None:
    """Each pair's name on a line of its own, so that 80 columns hold the numbers."""
    import itertools

    from rich.console import Console
    from rich.table import Table

    console = Console()
    for pair, group in itertools.groupby(rows, key=lambda row: row[0]):
        console.print(pair, markup=False, highlight=False)
        table = Table.grid(padding=(0, 2))
        for _, metric, delta, p, counts, said in group:
            table.add_row("", metric, delta, f"p {p}", counts, said)
        console.print(table, markup=False, highlight=False)
