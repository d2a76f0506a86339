"""The first section: which variant is best, by how much, how certain that is, and at what cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from harness.analysis.cheapest import fastest, least_memory
from harness.analysis.difference import TRAINING_NOISE_UNKNOWN
from harness.analysis.leaderboard import Leaderboard
from harness.analysis.objectives import LATENCY, Standing
from harness.analysis.table import Row, Table
from harness.counting import agreeing, counted
from harness.datasets.overlap import WARN_SHARE
from harness.report.contrast_text import axis_sentences
from harness.report.section import (
    MISSING,
    Section,
    marked,
    mean_text,
    number,
    optional,
    show_delta,
    speed_notes,
)
from harness.suite.schema import BASE

MOST_PAIRS = 5
"""Most rows whose numbers of paired examples the verdict lists."""


def verdict(board: Leaderboard, ranked: Mapping[str, Sequence[Standing]]) -> Section:
    """A few sentences and the best rows of each data set, and why cells did not run.

    Of several runs of one suite it is the verdict of the last one.
    """
    last = board.last
    if last is not None:
        board, ranked = last, last.ranked
    notes = [note for table in board.tables for note in verdict_notes(table)]
    notes += [note for table in board.tables for note in cost_notes(table, ranked[table.dataset])]
    # contrasts with the untouched model are in the sentences above, for each variant
    notes += [
        text for each in board.along.values() for text in axis_sentences(each, with_base=False)
    ]
    notes += dict.fromkeys(note for table in board.tables for note in speed_notes(table))
    for status in ("skipped", "missing"):
        reasons = Counter(c.reason for c in board.run.cells if c.status == status)
        notes += [
            f"{counted(count, 'cell')} {status}: {reason}." for reason, count in reasons.items()
        ]
    failed = [c for c in board.run.cells if c.status == "failed"]
    notes += [f"{cell.key} failed: {cell.reason}." for cell in failed]
    columns = (
        "data set", "what", "variant", "metric", "value", "Δ [95%]", "p (Holm)", "verdict",
        "memory MiB", "latency ms",
    )  # fmt: skip
    rows = tuple(row for table in board.tables for row in _winners(table, ranked[table.dataset]))
    return Section("Verdict", tuple(notes), columns, rows)


def _winners(table: Table, ranked: Sequence[Standing]) -> list[tuple[str, ...]]:
    """The row with the best mean; of those tied with it, the smallest and the fastest."""
    among = _best_and_tied(table, ranked)
    if not among:
        return []
    word = "highest mean" if table.higher_is_better else "lowest mean"
    wins: dict[str, list[str]] = {among[0].row.name: [word]}
    cheapest = {"least memory": least_memory(table, among), "fastest": fastest(among)}
    for what, row in cheapest.items():
        if row.standing is not None:
            wins.setdefault(row.standing.row.name, ["tied"]).append(what)
    by_name = {standing.row.name: standing for standing in among}
    return [_winner(table, ", ".join(whats), by_name[name]) for name, whats in wins.items()]


def _best_and_tied(table: Table, ranked: Sequence[Standing]) -> list[Standing]:
    """The row with the best mean and those tied with it; empty if the rows are not ranked."""
    best = table.best()
    by_name = {s.row.name: s for s in ranked}
    if best is None or best.name not in by_name:
        return []
    return [by_name[name] for name in (best.name, *_tied(table, best)) if name in by_name]


def cost_notes(table: Table, ranked: Sequence[Standing]) -> list[str]:
    """Why no row is named as the smallest or the fastest, if the difference may be noise."""
    among = _best_and_tied(table, ranked)
    notes = []
    for what, unit, cheapest in (
        ("memory", "MiB", least_memory(table, among)), ("latency", "ms", fastest(among)),
    ):  # fmt: skip
        if cheapest.within > 1:
            notes.append(
                f"{table.dataset}: {cheapest.within} of the {counted(len(among), 'tied row')}"
                f" {agreeing(cheapest.within, 'is', 'are')} within {number(cheapest.noise)} {unit}"
                f" of the lowest {what}. That is no more than the measurement's noise, so no row is"
                " named as the lowest."
            )
    return notes


def _winner(table: Table, what: str, standing: Standing) -> tuple[str, ...]:
    row, metric = standing.row, table.primary_metric
    delta = row.deltas.get(metric)
    sure = delta.p_adjusted if delta else None
    return (
        table.dataset, what, row.name, metric, mean_text(row, metric),
        show_delta(delta) if delta else MISSING, MISSING if sure is None else f"{sure:.2g}",
        delta.verdict if delta else MISSING, optional(standing.memory_mib),
        marked(optional(standing.latency_ms), row, LATENCY),
    )  # fmt: skip


def _tied(table: Table, best: Row) -> list[str]:
    """The other rows that share a tie letter with ``best``."""
    letters = table.ties.letters if table.ties else {}
    of_best = set(letters.get(best.name, ""))
    return [name for name, own in letters.items() if of_best & set(own) and name != best.name]


def verdict_notes(table: Table) -> list[str]:
    """The answer for one data set: what fine-tuning changed, and which row is best."""
    metric = table.primary_metric
    deltas = [row.deltas[metric] for row in table.rows if metric in row.deltas]
    best = table.best()
    if not deltas:
        text = f"{table.dataset}: no row can be compared with a baseline."
        notes = [text, *_cautions(table)]
        return [*notes, _best_note(table, best)] if best else notes
    counts = Counter(delta.verdict for delta in deltas)
    totals = ", ".join(f"{n} {word}" for word, n in sorted(counts.items(), key=lambda c: -c[1]))
    seeds = max(len(row.values(metric)) for row in table.rows)
    noise = f"; {TRAINING_NOISE_UNKNOWN}" if seeds < 2 else f"; {counted(seeds, 'seed')}"
    notes = [f"{table.dataset}, {metric}: {_sides(table)}: {totals}{noise}.", *_cautions(table)]
    if table.higher_is_better is None:
        notes.append(f"{table.dataset}: {no_direction(metric)}")
    if best is not None:
        notes += [_best_note(table, best), *_trivial_notes(table, best)]
    return notes


def _sides(table: Table) -> str:
    """What is compared with what."""
    tuned = all(row.baseline.is_baseline for row in table.compared() if row.baseline)
    same = all(row.adapter == BASE for row in table.compared())
    who = "fine-tuned variants" if tuned and not same else "rows"
    return f"{who} compared with their baselines"


def _cautions(table: Table) -> list[str]:
    """Warnings that a reader needs before any number of the table."""
    return [*_overlap_notes(table), *_mixed_notes(table)]


def _overlap_notes(table: Table) -> list[str]:
    """A warning if test prompts also occur in training: a score on them may be memory."""
    data = next((cell.data for row in table.rows for cell in row.finished if cell.data), {})
    exact, near, n = (int(data.get(f) or 0) for f in ("overlap_exact", "overlap_near", "test_rows"))
    if not exact and (not near or near < WARN_SHARE * n):
        return []
    parts = (
        [f"{counted(exact, 'also occurs', 'also occur')} in training word for word"]
        if exact
        else []
    )
    parts += (
        [f"{counted(near, 'nearly repeats', 'nearly repeat')} a training prompt"] if near else []
    )
    return [
        f"Warning: {table.dataset}: of {counted(n, 'test prompt')}, {' and '.join(parts)}. The"
        " scores may show memory instead of skill. `group_by` keeps related examples in the same"
        " split."
    ]


def _mixed_notes(table: Table) -> list[str]:
    """A warning if rows were tested on different examples, with how many were paired."""
    if table.test_sets < 2:
        return []
    note = (
        f"{table.dataset}: rows were tested on {counted(table.test_sets, 'different set')} of"
        " examples. So means are not ranked, and each difference uses only the examples that both"
        " sides have."
    )
    pairs = [f"{row.name}: {row.left_out}" for row in table.rows if row.left_out]
    return [note, *(f"{text}." for text in pairs[:MOST_PAIRS])]


def _trivial_notes(table: Table, best: Row) -> list[str]:
    """A warning if an answer that needs no model scores as well as the best row."""
    sign = 1 if table.higher_is_better else -1
    mean = sign * (best.mean(table.primary_metric) or 0.0)
    return [
        f"{table.dataset}: no row beats {answer}, which scores {number(score)}."
        for answer, score in table.trivial().items()
        if sign * score >= mean
    ]


def no_direction(metric: str) -> str:
    """Why nothing is ranked by ``metric``."""
    return (
        f"no row is ranked, because it is not declared whether a higher {metric} is better"
        " (`higher_is_better` in `evaluation.metrics`)."
    )


def _best_note(table: Table, best: Row) -> str:
    metric = table.primary_metric
    word = "highest" if table.higher_is_better else "lowest"
    delta = best.deltas.get(metric)
    change = f" (Δ {show_delta(delta)})" if delta else ""
    mean = number(best.mean(metric) or 0.0)
    text = f"the {word} mean, {mean}{change}, is that of {best.name}"
    if table.ties is None:
        return f"{table.dataset}: {text}; ties were not computed, so it may not be alone."
    tied = len(_tied(table, best))
    if tied:
        rows = "row does" if tied == 1 else "rows do"
        return f"{table.dataset}: {text}; {tied} other {rows} not differ significantly from it."
    return f"{table.dataset}: {text}; every other row differs significantly from it."
