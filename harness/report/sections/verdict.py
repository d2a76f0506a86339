"""The answer in words: what fine-tuning did, which row is best, what was left out."""

from __future__ import annotations

from collections import Counter

from harness.compare import TRAINING_NOISE_UNKNOWN
from harness.leaderboard import Leaderboard, Row, Table
from harness.report.section import Section, number, show_delta


def verdict(board: Leaderboard) -> Section:
    """One or two sentences per data set, and the reasons of what did not run."""
    notes = [note for table in board.tables for note in verdict_notes(table)]
    for status in ("skipped", "missing"):
        reasons = Counter(c.reason for c in board.run.cells if c.status == status)
        notes += [f"{count} cells {status}: {reason}." for reason, count in reasons.items()]
    failed = [c for c in board.run.cells if c.status == "failed"]
    notes += [f"{cell.key} failed: {cell.reason}." for cell in failed]
    return Section("Verdict", tuple(notes))


def verdict_notes(table: Table) -> list[str]:
    """The answer of one data set in two sentences: what fine-tuning did, and which row is best."""
    metric = table.primary_metric
    deltas = [row.deltas[metric] for row in table.rows if metric in row.deltas]
    best = table.best()
    if not deltas:
        notes = [f"{table.dataset}: nothing to compare with a baseline."]
        return [*notes, _best_note(table, best)] if best else notes
    counts = Counter(delta.verdict for delta in deltas)
    said = ", ".join(f"{n} {word}" for word, n in sorted(counts.items(), key=lambda c: -c[1]))
    seeds = max(len(row.values(metric)) for row in table.rows)
    noise = f"; {TRAINING_NOISE_UNKNOWN}" if seeds < 2 else f"; {seeds} seeds"
    notes = [f"{table.dataset}, {metric}: fine-tuned against its baseline, {said}{noise}."]
    if best is not None:
        notes += [_best_note(table, best), *_trivial_notes(table, best)]
    return notes


def _trivial_notes(table: Table, best: Row) -> list[str]:
    """A warning where an answer that needs no model scores as well as the best row."""
    sign = 1 if table.higher_is_better else -1
    mean = sign * (best.mean(table.primary_metric) or 0.0)
    return [
        f"{table.dataset}: no row beats {answer}, which scores {number(score)}."
        for answer, score in table.trivial().items()
        if sign * score >= mean
    ]


def _best_note(table: Table, best: Row) -> str:
    metric = table.primary_metric
    word = "highest" if table.higher_is_better else "lowest"
    delta = best.deltas.get(metric)
    change = f" (Δ {show_delta(delta)})" if delta else ""
    text = f"{word} mean: {best.name}, {number(best.mean(metric) or 0.0)}{change}"
    if table.ties is None:
        return f"{table.dataset}: {text}; ties were not computed."
    letters = table.ties.letters
    tied = sum(bool(set(letters[best.name]) & set(mine)) for mine in letters.values()) - 1
    if tied:
        rows = "row is" if tied == 1 else "rows are"
        return f"{table.dataset}: {text}; {tied} other {rows} not told apart from it."
    return f"{table.dataset}: {text}; every other row differs from it."
