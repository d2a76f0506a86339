"""The leaderboard of one data set: a row per variant, and notes on how to read it."""

from __future__ import annotations

from harness.analysis.difference import Delta
from harness.analysis.leaderboard import Leaderboard
from harness.analysis.table import Row, Table
from harness.analysis.training_devices import is_training_speed
from harness.counting import counted
from harness.metrics.registry import shown_in
from harness.report.section import (
    MISSING,
    DrawnInterval,
    Keeping,
    Section,
    anchor,
    is_long,
    mean_text,
    number,
    show_delta,
    speed_notes,
)
from harness.report.sections.kept import keeping

BOUNDED = {"share", "F1", "F2"}
"""Units of metrics between 0 and 1."""
MARKS = {"better": " ▲", "worse": " ▼", "equivalent": " ="}
"""Marks for the verdict in a metric other than the primary one."""


def leaders(board: Leaderboard, table: Table) -> Section:
    """A row per variant: primary metric, tie letters, difference, verdict; then other metrics."""
    kept = [row for row in table.rows if row.status != "skipped"]
    if not any(row.values(metric) for row in kept for metric in table.metrics()):
        notes = ("No row has a score. See “Cost” for what was measured.",) if kept else ()
        return Section(f"Leaderboard: {table.dataset}", notes)
    columns = _columns(table, kept)
    page_only = _page_only(table, kept)
    more = _more(table, kept)
    texts = [*columns.values(), *page_only.values(), *more.values()]
    primary = table.primary_metric
    return Section(
        f"Leaderboard: {table.dataset}",
        leader_notes(table),
        (*columns, *page_only, *more),
        tuple(zip(*texts, strict=True)),
        tuple(anchor(table.dataset, row.name) for row in kept),
        intervals={
            primary: tuple(_value_interval(row, primary) for row in kept),
            "Δ [95%]": tuple(_delta_interval(row.deltas.get(primary)) for row in kept),
        },
        extra=len(page_only) + len(more),
        hidden=tuple(more),
        keeping=keeping(board, table, kept) if is_long(len(kept)) else Keeping(),
    )


def _columns(table: Table, rows: list[Row]) -> dict[str, list[str]]:
    """Column → its texts, one per row."""
    metric = table.primary_metric
    others = table.metrics()[1:]
    columns = {axis: [getattr(row, axis) for row in rows] for axis in ("model", "quantization")}
    columns |= {
        "adapter": [row.adapter for row in rows],
        "seeds": [_seeds(row) for row in rows],
        metric: [_with_interval(row, metric) for row in rows],
        "tie": [table.ties.letters.get(row.name, MISSING) if table.ties else MISSING
                for row in rows],
        "Δ [95%]": [_difference(row, metric) for row in rows],
        "p (Holm)": [_adjusted(row.deltas.get(metric)) for row in rows],
        "verdict": [_verdict(row, metric) for row in rows],
    }  # fmt: skip
    for other in others:
        columns |= _compared(rows, other)
    shown = shown_in("leaderboard", "answer")
    accounts = [name for name in table.accounts() if name in shown]
    return columns | {name: [mean_text(row, name) for row in rows] for name in accounts}


def _page_only(table: Table, rows: list[Row]) -> dict[str, list[str]]:
    """Costs, if a single machine measured all of them, and the status."""
    names = shown_in("leaderboard", "measurement") if len(table.machines()) < 2 else []
    if len(table.numbers_of_devices()) > 1:  # a column of the page can be sorted by
        names = [name for name in names if not is_training_speed(name)]
    measured = [name for name in names if any(row.values(name) for row in rows)]
    costs = {name: [mean_text(row, name) for row in rows] for name in measured}
    return costs | {"status": [row.status for row in rows]}


def _more(table: Table, rows: list[Row]) -> dict[str, list[str]]:
    """Every other metric of the answers, in columns that the page shows when they are selected."""
    columns: dict[str, list[str]] = {}
    for name in table.more_metrics():
        columns |= _compared(rows, name)
    shown = shown_in("leaderboard", "answer")
    accounts = [name for name in table.accounts() if name not in shown]
    return columns | {name: [mean_text(row, name) for row in rows] for name in accounts}


def _compared(rows: list[Row], metric: str) -> dict[str, list[str]]:
    """The columns of a metric other than the primary one: before → after, and its difference."""
    columns = {metric: [_change(row, metric) for row in rows]}
    if any(metric in row.deltas for row in rows):
        columns[f"Δ {metric}"] = [_marked(row.deltas.get(metric)) for row in rows]
    return columns


def _seeds(row: Row) -> str:
    if row.status != "ok":
        return "0"
    return MISSING if row.adapter == "base" else str(len(row.finished))


def _difference(row: Row, metric: str) -> str:
    if row.status != "ok":
        return row.reason or ""
    delta = row.deltas.get(metric)
    return show_delta(delta) if delta else row.incomparable or MISSING


def _adjusted(delta: Delta | None) -> str:
    return f"{delta.p_adjusted:.2g}" if delta and delta.p_adjusted is not None else MISSING


def _verdict(row: Row, metric: str) -> str:
    if row.status != "ok":
        return row.status
    return row.deltas[metric].verdict if metric in row.deltas else MISSING


def _change(row: Row, metric: str) -> str:
    """``before → after`` if the row has a baseline, else the row's own mean."""
    after = mean_text(row, metric)
    if row.baseline is None or any(cell.key == row.baseline.key for cell in row.cells):
        return after
    before = row.baseline.value(metric)
    if before is None or before.value is None or after == MISSING:
        return after
    return f"{number(before.value)} → {after}"


def _marked(delta: Delta | None) -> str:
    return f"{show_delta(delta)}{MARKS.get(delta.verdict, '')}" if delta else MISSING


def _with_interval(row: Row, metric: str) -> str:
    """One seed: the value with its interval over examples; several: mean and spread over seeds."""
    drawn = _value_interval(row, metric)
    if drawn is None or len(row.values(metric)) > 1:
        return mean_text(row, metric)
    return f"{number(drawn.value)} [{drawn.low:.3f}, {drawn.high:.3f}]"


def _value_interval(row: Row, metric: str) -> DrawnInterval | None:
    """The value with its interval over examples; with several seeds, ± one standard deviation."""
    mean, spread = row.mean(metric), row.spread(metric)
    before = row.baseline.value(metric) if row.baseline else None
    reference = before.value if before else None
    if mean is None:
        return None
    if spread is not None:
        return DrawnInterval(mean, *_bounded(row, metric, mean - spread, mean + spread), reference)
    value = next(v for c in row.finished if (v := c.value(metric)) and v.value is not None)
    if value.ci_low is None or value.ci_high is None:
        return None
    return DrawnInterval(mean, value.ci_low, value.ci_high, reference)


def _bounded(row: Row, metric: str, low: float, high: float) -> tuple[float, float]:
    """The ends of a bar, clipped to the metric's range: a share lies between 0 and 1."""
    units = {v.unit for cell in row.finished if (v := cell.value(metric))}
    return (max(0.0, low), min(1.0, high)) if units <= BOUNDED else (low, high)


def _delta_interval(delta: Delta | None) -> DrawnInterval | None:
    return DrawnInterval(delta.delta, delta.low, delta.high, 0.0) if delta else None


def leader_notes(table: Table) -> tuple[str, ...]:
    """How to read the table: ties, power, noise, trivial baselines, and what is left out."""
    notes = [_direction(table)]
    notes += _tie_notes(table) + _power_notes(table) + _noise_notes(table)
    trivial = [f"{answer}, {number(score)}" for answer, score in table.trivial().items()]
    if trivial:
        notes.append(f"Scores that need no model: {'; '.join(trivial)}.")
    answered = {c.answered_by for row in table.rows for c in row.finished}
    if {"head", "likelihood"} <= answered:
        notes.append(
            "Baselines are asked a question and rank the labels by likelihood; fine-tuned rows read"
            " the bare text with a trained classification head. With `classify_by: likelihood` both"
            " get the same question."
        )
    notes += speed_notes(table)
    skipped = sum(row.status == "skipped" for row in table.rows)
    if skipped:
        notes.append(
            f"{counted(skipped, 'row was', 'rows were')} skipped and not shown: see “Not run”."
        )
    return tuple(notes)


def _direction(table: Table) -> str:
    text = f"Primary metric: {table.primary_metric}. Rows are in the suite's order, not ranked."
    others = [m for m in table.metrics()[1:] if any(m in row.deltas for row in table.rows)]
    if others:
        text += " In the other metrics, ▲ means better, ▼ worse and = equivalent, each judged by"
        text += " itself, without Holm's correction."
    # only the unusual direction is worth a word: most metrics are better when higher
    low = [m for m in table.metrics() if table.direction(m) is False]
    return f"{text} Lower is better: {', '.join(low)}." if low else text


def _tie_notes(table: Table) -> list[str]:
    if not table.ties:
        return []
    text = "Rows that share a letter under `tie` do not differ significantly"
    how = "" if table.ties.paired else ", unpaired because no scores per example were kept"
    return [f"{text} ({counted(table.ties.pairs, 'pair')}, Holm's correction{how})."]


def _power_notes(table: Table) -> list[str]:
    deltas = [d for row in table.rows if (d := row.deltas.get(table.primary_metric))]
    notes = (
        [f"p (Holm) is corrected over the {counted(len(deltas), 'row')} with a Δ."]
        if deltas
        else []
    )
    gaps = sorted(delta.detectable for delta in deltas if delta.detectable)
    if gaps:
        counts = sorted({delta.n for delta in deltas})
        one, most = f"{counts[0]} to " if len(counts) > 1 else "", counts[-1]
        many = f"{one}{counted(most, 'example')}"
        notes.append(
            f"With {many}, a true difference of {number(gaps[len(gaps) // 2])} to the"
            " baseline is detected with 80% power (median over rows). Smaller ones may be missed."
        )
    return notes


def _noise_notes(table: Table) -> list[str]:
    """The noise floor of the primary metric: a difference below it is undecided."""
    measured = [row.noise for row in table.rows if row.noise]
    if not measured:
        return []
    floor = max(noise.floor.get(table.primary_metric, 0.0) for noise in measured)
    flips = max(share for noise in measured for share in noise.flip_rate.values())
    return [
        f"Noise floor: baselines answered {counted(measured[0].examples, 'example')} again in other"
        f" batches. At most {flips:.1%} of the answers changed, and {table.primary_metric} by"
        f" {number(floor)}; a smaller difference is undecided."
    ]
