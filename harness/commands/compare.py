"""`harness compare`."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.as_json import say_json
from harness.commands.numbers import NUMBER
from harness.commands.screen import WHOLE, say_fitted, screen_width
from harness.counting import counted

if TYPE_CHECKING:
    from harness.analysis.contrasts import AxisDifferences
    from harness.analysis.difference import Delta
    from harness.analysis.pairs import Pair
    from harness.analysis.votes import Tally

FOLDER = click.Path(exists=True, path_type=Path)


@click.command()
@click.argument("first", type=FOLDER)
@click.argument("second", type=FOLDER, required=False)
@click.option("--axis", help="With one run: the pairs that differ in this axis alone.")
@click.option("--values", help="With --axis: its values to compare, such as r8,r16.")
@click.option("--pairs", is_flag=True, help="With --axis: every pair of variants, not their mean.")
@click.option(
    "--metric",
    "metrics",
    multiple=True,
    help="A metric to print; may be given again. Default: the primary ones.",
)
@click.option("--margin", type=NUMBER, default=0.0, help="The smallest difference that matters.")
@click.option("--flips", type=click.IntRange(0), default=0, help="Worst regressions to print.")
@click.option("--votes", is_flag=True, help="With one run: what people preferred in its demo.")
@click.option("--json", "as_json", is_flag=True, help="All contrasts and pairs as JSON.")
@click.option("--markdown", is_flag=True, help="A table for a pull request.")
def compare(
    first: Path, second: Path | None, axis: str | None, values: str | None, pairs: bool,
    metrics: tuple[str, ...], margin: float, flips: int, as_json: bool, markdown: bool,
    votes: bool,
) -> None:  # fmt: skip
    """Compare two runs, two cells, or a run along an axis.

    Differences are SECOND minus FIRST, example by example. Along an axis, each is the mean over
    all variants that differ in nothing else.

    Example: harness compare runs/monday runs/tuesday

    Example: harness compare runs/finance --axis adapter --values r8,r16

    Example: harness compare runs/finance --votes
    """
    from harness.api.runs import compare as compare_runs
    from harness.results.text import say

    if votes:
        if second or axis or values or pairs or metrics or flips or margin:
            raise click.UsageError("--votes takes one run and no other way of comparing")
        _print_votes(first, as_json=as_json, markdown=markdown)
        return
    asked = [value.strip() for value in (values or "").split(",") if value.strip()]
    found = compare_runs(first, second, axis=axis, values=asked, margin=margin, metrics=metrics)
    if as_json:
        say_json(found.records())
        return
    if found.along and not pairs:
        _print_along(found.along, markdown=markdown)
        for line in _worst(found, metrics, flips):
            if markdown:
                say(f"- {_of_markdown(line)}")
            else:
                say_fitted(line)
        return
    lines = [f"{pair.name}: {pair.left_out}" for pair in found if pair.left_out]
    lines += _worst(found, metrics, flips)
    if markdown:
        from harness.report.markdown import escaped, markdown_table

        say("\n".join(markdown_table(COLUMNS, _rows(found, metrics))))
        say("".join(f"\n- {escaped(line)}" for line in lines), nl=bool(lines))
    else:
        print_pairs(found, metrics)
        for line in lines:
            say_fitted(line)


def _worst(pairs: Iterable[Pair], metrics: tuple[str, ...], count: int) -> list[str]:
    """The ``count`` worst regressions of each pair and metric, a line each, or that none is."""
    from harness.report.sections.answers import regression

    found, looked = [], set()
    for pair in pairs if count else ():
        for metric in metrics or (pair.first.result.primary_metric,):
            flips = pair.flips(metric) if metric in pair.deltas else None
            if flips is None:  # nothing is known of it
                continue
            looked.add(metric)
            for flip in flips.regressions[:count]:
                found.append(f"{pair.name}, {metric}, example {flip.id}: {regression(flip)}")
    if looked and not found:
        return [f"no example scored worse by {', '.join(sorted(looked))} (first seed of each pair)"]
    return found


COLUMNS = ("pair", "metric", "Δ [95%]", "p (Holm)", "won:lost", "verdict")


def print_pairs(pairs: Iterable[Pair], metrics: tuple[str, ...] = ()) -> None:
    """Print the differences of ``pairs``, the primary metrics' unless ``metrics`` are named."""
    _print(_rows(pairs, metrics))


def _rows(pairs: Iterable[Pair], metrics: tuple[str, ...]) -> list[tuple[str, ...]]:
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


def _of_markdown(line: str) -> str:
    from harness.report.markdown import escaped

    return escaped(line)


def _print_along(along: Iterable[AxisDifferences], *, markdown: bool) -> None:
    """The contrasts of an axis, as a table in Markdown or as lines within 80 columns."""
    from harness.report.contrast_text import along_lines, along_table
    from harness.results.text import say

    if markdown:
        from harness.report.markdown import markdown_table

        table = along_table(list(along))
        say("\n".join(markdown_table(table.columns, table.rows)))
        return
    for each in along:
        for line in along_lines(each):
            say_fitted(line, "  ")


def _print(rows: Sequence[tuple[str, ...]]) -> None:
    """Each pair's name on a line of its own, so that 80 columns hold the numbers."""
    import itertools

    from rich.table import Table

    from harness.report.section import MISSING
    from harness.results.text import console

    screen = console(width=screen_width() or WHOLE)
    for pair, group in itertools.groupby(rows, key=lambda row: row[0]):
        say_fitted(pair)
        rows_of_pair = list(group)
        # a pair that is not comparable has no numbers: the reason stays
        if all(set(row[1:-1]) == {MISSING} for row in rows_of_pair):
            for *_, verdict in rows_of_pair:
                say_fitted(f"  {verdict}", "  ")
            continue
        table = Table.grid(padding=(0, 2))
        for _, metric, delta, p, counts, verdict in rows_of_pair:
            table.add_row("", metric, delta, f"p {p}", counts, verdict)
        screen.print(table)


VOTE_COLUMNS = ("votes", "pair", "win rate [95%]", "won:lost:tied", "p (Holm)", "preferred")


def _print_votes(run: Path, *, as_json: bool, markdown: bool) -> None:
    """The votes of ``run``, a row for each pair of variants."""
    from harness.api.demo import votes
    from harness.results.text import say

    found = votes(run)
    if as_json:
        say_json(found.records())
        return
    rows = [_vote_row(row) for row in found.rows]
    if markdown:
        from harness.report.markdown import markdown_table

        say("\n".join(markdown_table(VOTE_COLUMNS, rows)))
    else:
        for kind, pair, rate, counts, p, preferred in rows:
            say_fitted(f"{pair} ({kind})")
            say_fitted(f"  win rate {rate}  {counts} (won:lost:tied)  p {p}  {preferred}", "  ")
    if found.left_out:
        say(
            f"{counted(found.left_out, 'vote is', 'votes are')} on cells of earlier settings and"
            " left out",
            err=True,
        )
    if not found.rows:
        say(
            f"no votes yet: `harness demo {shlex.quote(str(run))}` opens the page to vote on",
            err=True,
        )


def _vote_row(row: Tally) -> tuple[str, ...]:
    from harness.report.section import MISSING

    rate, p = f"{row.win_rate:.0%}", MISSING
    if row.interval and row.delta:
        rate += f" [{row.interval.low:.0%}, {row.interval.high:.0%}]"
        p = MISSING if row.delta.p_adjusted is None else f"{row.delta.p_adjusted:.2g}"
    kind = f"{row.votes} {'blind' if row.blind else 'open'}"
    kind += "" if row.questions == row.votes else f", {counted(row.questions, 'question')}"
    counts = f"{row.won}:{row.lost}:{row.tied}"
    return (kind, row.pair, rate, counts, p, row.words)
