"""The answer in words and in one table: who wins, by how much, how sure, at what cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from harness.analysis.difference import TRAINING_NOISE_UNKNOWN
from harness.analysis.leaderboard import Leaderboard
from harness.analysis.objectives import Standing
from harness.analysis.table import Row, Table
from harness.report.section import MISSING, Section, mean_text, number, optional, show_delta
from harness.suite.schema import BASE

MOST_PAIRS = 5
"""Rows whose paired examples are counted in the verdict."""


def verdict(board: Leaderboard, ranked: Mapping[str, Sequence[Standing]]) -> Section:
    """One or two sentences per data set, its best rows, and the reasons of what did not run."""
    notes = [note for table in board.tables for note in verdict_notes(table)]
    for status in ("skipped", "missing"):
        reasons = Counter(c.reason for c in board.run.cells if c.status == status)
        notes += [f"{count} cells {status}: {reason}." for reason, count in reasons.items()]
    failed = [c for c in board.run.cells if c.status == "failed"]
    notes += [f"{cell.key} failed: {cell.reason}." for cell in failed]
    columns = (
        "data set", "what", "variant", "metric", "value", "Δ [95%]", "p (Holm)", "verdict",
        "memory MiB", "latency ms",
    )  # fmt: skip
    rows = tuple(row for table in board.tables for row in _winners(table, ranked[table.dataset]))
    return Section("Verdict", tuple(notes), columns, rows)


def _winners(table: Table, ranked: Sequence[Standing]) -> list[tuple[str, ...]]:
    """The best mean, and of the rows not told apart from it the smallest and the fastest."""
    best = table.best()
    found = {s.row.name: s for s in ranked}
    if best is None:
        return []
    word = "highest mean" if table.higher_is_better else "lowest mean"
    tied = [found[name] for name in _tied(table, best) if name in found]
    rows = [_winner(table, word, found[best.name])]
    small = min((s for s in tied if s.memory_mib), key=lambda s: s.memory_mib or 0.0, default=None)
    quick = min((s for s in tied if s.latency_ms), key=lambda s: s.latency_ms or 0.0, default=None)
    if small is not None and small is quick:
        return [*rows, _winner(table, "tied, least memory and fastest", small)]
    for what, standing in (("tied, least memory", small), ("tied, fastest", quick)):
        if standing is not None:
            rows.append(_winner(table, what, standing))
    return rows


def _winner(table: Table, what: str, standing: Standing) -> tuple[str, ...]:
    row, metric = standing.row, table.primary_metric
    delta = row.deltas.get(metric)
    sure = delta.p_adjusted if delta else None
    return (
        table.dataset, what, row.name, metric, mean_text(row, metric),
        show_delta(delta) if delta else MISSING, MISSING if sure is None else f"{sure:.2g}",
        delta.verdict if delta else MISSING, optional(standing.memory_mib),
        optional(standing.latency_ms),
    )  # fmt: skip


def _tied(table: Table, best: Row) -> list[str]:
    """The other rows that share a letter with ``best``."""
    letters = table.ties.letters if table.ties else {}
    mine = set(letters.get(best.name, ""))
    return [name for name, theirs in letters.items() if mine & set(theirs) and name != best.name]


def verdict_notes(table: Table) -> list[str]:
    """The answer of one data set in two sentences: what fine-tuning did, and which row is best."""
    metric = table.primary_metric
    deltas = [row.deltas[metric] for row in table.rows if metric in row.deltas]
    best = table.best()
    if not deltas:
        notes = [f"{table.dataset}: nothing to compare with a baseline.", *_mixed_notes(table)]
        return [*notes, _best_note(table, best)] if best else notes
    counts = Counter(delta.verdict for delta in deltas)
    said = ", ".join(f"{n} {word}" for word, n in sorted(counts.items(), key=lambda c: -c[1]))
    seeds = max(len(row.values(metric)) for row in table.rows)
    noise = f"; {TRAINING_NOISE_UNKNOWN}" if seeds < 2 else f"; {seeds} seeds"
    notes = [f"{table.dataset}, {metric}: {_sides(table)}, {said}{noise}.", *_mixed_notes(table)]
    if table.higher_is_better is None:
        notes.append(f"{table.dataset}: {no_direction(metric)}")
    if best is not None:
        notes += [_best_note(table, best), *_trivial_notes(table, best)]
    return notes


def _sides(table: Table) -> str:
    """What the differences are between."""
    tuned = all(row.baseline.is_baseline for row in table.compared() if row.baseline)
    same = all(row.adapter == BASE for row in table.compared())
    return "fine-tuned against its baseline" if tuned and not same else "against the baseline"


def _mixed_notes(table: Table) -> list[str]:
    """That rows were tested on different examples, and how many were paired."""
    if table.test_sets < 2:
        return []
    found = [
        f"{table.dataset}: rows were tested on {table.test_sets} different sets of examples: means"
        " are not ranked, and a difference is taken over the examples that both sides have."
    ]
    pairs = [f"{row.name}: {row.left_out}" for row in table.rows if row.left_out]
    return found + [f"{text}." for text in pairs[:MOST_PAIRS]]


def _trivial_notes(table: Table, best: Row) -> list[str]:
    """A warning where an answer that needs no model scores as well as the best row."""
    sign = 1 if table.higher_is_better else -1
    mean = sign * (best.mean(table.primary_metric) or 0.0)
    return [
        f"{table.dataset}: no row beats {answer}, which scores {number(score)}."
        for answer, score in table.trivial().items()
        if sign * score >= mean
    ]


def no_direction(metric: str) -> str:
    """Why nothing is ranked by ``metric``."""
    return f"nobody says whether a higher {metric} is better, so no row is ranked."


def _best_note(table: Table, best: Row) -> str:
    metric = table.primary_metric
    word = "highest" if table.higher_is_better else "lowest"
    delta = best.deltas.get(metric)
    change = f" (Δ {show_delta(delta)})" if delta else ""
    text = f"{word} mean: {best.name}, {number(best.mean(metric) or 0.0)}{change}"
    if table.ties is None:
        return f"{table.dataset}: {text}; ties were not computed."
    tied = len(_tied(table, best))
    if tied:
        rows = "row is" if tied == 1 else "rows are"
        return f"{table.dataset}: {text}; {tied} other {rows} not told apart from it."
    return f"{table.dataset}: {text}; every other row differs from it."
