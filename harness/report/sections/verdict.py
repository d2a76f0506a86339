"""The answer in words and in one table: who wins, by how much, how sure, at what cost."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

from harness.analysis.cheapest import fastest, least_memory
from harness.analysis.difference import TRAINING_NOISE_UNKNOWN
from harness.analysis.leaderboard import Leaderboard
from harness.analysis.objectives import Standing
from harness.analysis.table import Row, Table
from harness.report.section import MISSING, Section, mean_text, number, optional, show_delta
from harness.suite.schema import BASE

NEARLY = 0.05
"""Share of test prompts that nearly repeat a training prompt from which the verdict warns."""
MOST_PAIRS = 5
"""Rows whose paired examples are counted in the verdict."""


def verdict(board: Leaderboard, ranked: Mapping[str, Sequence[Standing]]) -> Section:
    """One or two sentences per data set, its best rows, and the reasons of what did not run."""
    notes = [note for table in board.tables for note in verdict_notes(table)]
    notes += [note for table in board.tables for note in cost_notes(table, ranked[table.dataset])]
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
    among = _not_told_apart(table, ranked)
    if not among:
        return []
    word = "highest mean" if table.higher_is_better else "lowest mean"
    wins: dict[str, list[str]] = {among[0].row.name: [word]}
    cheapest = {"least memory": least_memory(table, among), "fastest": fastest(among)}
    for what, found in cheapest.items():
        if found.standing is not None:
            wins.setdefault(found.standing.row.name, ["tied"]).append(what)
    by_name = {standing.row.name: standing for standing in among}
    return [_winner(table, ", ".join(whats), by_name[name]) for name, whats in wins.items()]


def _not_told_apart(table: Table, ranked: Sequence[Standing]) -> list[Standing]:
    """The row with the best mean and those that tie with it; empty where nothing is ranked."""
    best = table.best()
    found = {s.row.name: s for s in ranked}
    if best is None or best.name not in found:
        return []
    return [found[name] for name in (best.name, *_tied(table, best)) if name in found]


def cost_notes(table: Table, ranked: Sequence[Standing]) -> list[str]:
    """Where noise leaves no row that takes least memory, or none that is fastest."""
    among = _not_told_apart(table, ranked)
    notes = []
    for what, unit, cheapest in (
        ("memory", "MiB", least_memory(table, among)), ("latency", "ms", fastest(among)),
    ):  # fmt: skip
        if cheapest.within > 1:
            notes.append(
                f"{table.dataset}: {cheapest.within} of the {len(among)} tied rows lie within"
                f" {number(cheapest.noise)} {unit} of the least {what}, which is noise: none of"
                " them is named."
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
        notes = [f"{table.dataset}: nothing to compare with a baseline.", *_cautions(table)]
        return [*notes, _best_note(table, best)] if best else notes
    counts = Counter(delta.verdict for delta in deltas)
    said = ", ".join(f"{n} {word}" for word, n in sorted(counts.items(), key=lambda c: -c[1]))
    seeds = max(len(row.values(metric)) for row in table.rows)
    noise = f"; {TRAINING_NOISE_UNKNOWN}" if seeds < 2 else f"; {seeds} seeds"
    notes = [f"{table.dataset}, {metric}: {_sides(table)}, {said}{noise}.", *_cautions(table)]
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


def _cautions(table: Table) -> list[str]:
    """What a reader has to know before any number of the table."""
    return [*_overlap_notes(table), *_mixed_notes(table)]


def _overlap_notes(table: Table) -> list[str]:
    """That test prompts are in training too: a score on them may be memory."""
    data = next((cell.data for row in table.rows for cell in row.finished if cell.data), {})
    exact, near, n = (int(data.get(f) or 0) for f in ("overlap_exact", "overlap_near", "test_rows"))
    if not exact and near < NEARLY * n:
        return []
    parts = [f"{exact} are in training word for word"] if exact else []
    parts += [f"{near} nearly repeat a training prompt"] if near else []
    return [
        f"Warning: {table.dataset}: of {n} test prompts {' and '.join(parts)}. The scores may show"
        " memory instead of skill; `group_by` keeps what belongs together on one side."
    ]


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
