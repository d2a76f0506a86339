"""What to do about a data set: one typed answer, in words that every output shares.

The page, Markdown, the terminal and JSON write the same sentences, so that none of them can say
more than the numbers allow.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

from harness.analysis.alternatives import cheaper, why_this_one
from harness.analysis.cautions import Caution, Gravity, cautions
from harness.analysis.fallen import Fallen, fallen
from harness.analysis.leaderboard import Leaderboard
from harness.analysis.more_examples import LEAST
from harness.analysis.objectives import LATENCY, Standing
from harness.analysis.table import Row, Table
from harness.analysis.undecided import Undecided, undecided, why_no_gain
from harness.analysis.wording import (
    about,
    brief,
    duration,
    gain,
    interval,
    joined,
    memory,
    seeds,
    signed,
    variant,
)
from harness.counting import counted
from harness.metrics.meaning import title_of
from harness.suite.schema import BASE

Outcome = Literal["ship", "candidate", "keep", "no gain", "unknown"]
"""`ship`: a gain beyond noise over several seeds, and no grave caution. `candidate`: a gain, with a
reason not to ship yet. `keep`: the untouched model is as good. `no gain`: none is shown. `unknown`:
nothing can be said, for the reason in the headline."""


@dataclass(frozen=True)
class Decision:
    """What to do about one data set, and why."""

    dataset: str
    metric: str
    outcome: Outcome
    headline: str
    """One sentence: what to do. Names of variants are in code marks."""
    facts: tuple[str, ...] = ()
    """Gain, value, memory, latency of the variant, each a few words."""
    more: tuple[str, ...] = ()
    """Further sentences: the reason, cheaper variants, what is not decided."""
    cautions: tuple[Caution, ...] = ()
    """Gravest first."""
    row: Row | None = field(default=None, repr=False)
    """The variant that the headline names."""
    fallen: Fallen | None = field(default=None, repr=False)
    """What got worse for it."""

    def sentences(self) -> list[str]:
        """All of it as plain sentences, cautions last."""
        facts = [f"{'; '.join(self.facts)}."] if self.facts else []
        return [self.headline, *facts, *self.more, *(c.text for c in self.cautions)]

    def record(self) -> dict[str, object]:
        """The decision as JSON."""
        row = self.row
        axes = (row.model, row.quantization, row.adapter) if row else None
        falls = self.fallen.falls if self.fallen else ()
        return {
            "dataset": self.dataset, "metric": self.metric, "outcome": self.outcome,
            "variant": list(axes) if axes else None, "headline": self.headline,
            "facts": list(self.facts), "more": list(self.more),
            "cautions": [{"gravity": c.gravity.name.lower(), "text": c.text}
                         for c in self.cautions],
            "got_worse": [fall.text for fall in falls],
        }  # fmt: skip


def decisions(board: Leaderboard) -> tuple[Decision, ...]:
    """One decision for each data set, in the suite's order.

    Of several runs of one suite the last one decides. Data sets that it lacks have no decision:
    nobody can ship what an earlier run had.
    """
    current = board.deciding
    return tuple(decide(current, table) for table in current.tables)


def decision_of(board: Leaderboard, table: Table) -> Decision:
    """The decision for the data set of ``table``: by the last run, where that has it."""
    last = board.last.tables if board.last else ()
    latest = next((each for each in last if each.dataset == table.dataset), None)
    return decide(board.last, latest) if board.last and latest else decide(board, table)


def decide(board: Leaderboard, table: Table) -> Decision:
    """What the numbers of ``table`` allow to be said."""
    doubts = cautions(board, table)
    ranked = [s for s in board.ranked[table.dataset] if s.outside is None]
    best = _best(table, ranked)
    if best is None:
        return _nothing(board, table, doubts)
    if len({s.quality for s in ranked}) == 1 < len(ranked):
        return _all_equal(table, best, doubts)
    gained = _gained(table, ranked, best)
    if gained is not None:
        return _of_gain(board, table, gained, ranked, doubts)
    return _no_gain(board, table, best, doubts)


def _best(table: Table, ranked: Sequence[Standing]) -> Standing | None:
    if table.higher_is_better is None:
        return None
    sign = 1 if table.higher_is_better else -1
    return max(ranked, key=lambda s: sign * s.quality, default=None)


def _gained(table: Table, ranked: Sequence[Standing], best: Standing) -> Standing | None:
    """Of the best row and those tied with it, the best one that gained beyond noise."""
    sign = 1 if table.higher_is_better else -1
    among = sorted(_tied(table, ranked, best), key=lambda s: -sign * s.quality)
    return next((s for s in among if _verdict(table, s.row) == "better"), None)


def _tied(table: Table, ranked: Sequence[Standing], best: Standing) -> list[Standing]:
    """``best`` and the standings that share a tie letter with it."""
    letters = table.ties.letters if table.ties else {}
    own = set(letters.get(best.row.name, ""))
    return [s for s in ranked if s.row is best.row or own & set(letters.get(s.row.name, ""))]


def _verdict(table: Table, row: Row) -> str:
    delta = row.deltas.get(table.primary_metric)
    return delta.verdict if delta else ""


def _nothing(board: Leaderboard, table: Table, doubts: tuple[Caution, ...]) -> Decision:
    scored = [row for row in table.rows if row.values(table.primary_metric)]
    title = title_of(table.primary_metric)
    if not scored:
        states = joined(sorted({row.status for row in table.rows if row.status != "ok"}))
        why = f"no variant has a score{f' ({states})' if states else ''}"
        if any(row.finished for row in table.rows):
            why += "; what they take in time and memory was measured"
    elif table.test_sets > 1:
        why = "variants were tested on different examples, so their means cannot be compared"
    elif table.higher_is_better is None:
        why = f"it is not declared whether a higher {title} is better"
    else:
        why = "no variant is within the memory and latency that the suite allows"
    return Decision(
        table.dataset, table.primary_metric, "unknown", f"Nothing can be recommended: {why}.",
        cautions=doubts,
    )  # fmt: skip


def _all_equal(table: Table, best: Standing, doubts: tuple[Caution, ...]) -> Decision:
    title = title_of(table.primary_metric)
    text = f"Nothing can be told apart: every variant has {brief(best.quality)} {title}."
    return Decision(table.dataset, table.primary_metric, "unknown", text, cautions=doubts)


def _of_gain(
    board: Leaderboard,
    table: Table,
    chosen: Standing,
    ranked: Sequence[Standing],
    doubts: tuple[Caution, ...],
) -> Decision:
    row, count = chosen.row, len(chosen.row.finished)
    reasons = [c.short for c in doubts if c.gravity is Gravity.GRAVE]
    if count < 2:
        reasons.append("one seed, so training noise is unknown")
    name = variant(row)
    text = f"Ship {name}." if not reasons else f"Best candidate: {name}. Not ready to ship: "
    text += "; ".join(reasons) + ("." if reasons else "")
    delta = row.deltas[table.primary_metric]
    facts = [f"{gain(delta)}, {seeds(count)}, {counted(delta.n, 'example')}", *costs(chosen)]
    tied = [s for s in _tied(table, ranked, chosen) if _verdict(table, s.row) == "better"]
    return Decision(
        table.dataset, table.primary_metric, "candidate" if reasons else "ship", text,
        tuple(facts),
        (*cheaper(table, chosen, tied, delta.n), *why_this_one(table, tied, delta.n),
         *_open(board, table, row)),
        doubts, row, fallen(board, table, row),
    )  # fmt: skip


def costs(standing: Standing) -> list[str]:
    """Memory and latency in a few words, where they are known."""
    found = [memory(standing.memory_mib)] if standing.memory_mib is not None else []
    if standing.latency_ms is not None:
        place = standing.row.place_of(LATENCY)
        found.append(f"{duration(standing.latency_ms)} an answer{place}")
    return found


def _open(board: Leaderboard, table: Table, row: Row) -> list[str]:
    """What the test is too small to decide, one step away from ``row`` on each axis."""
    found = undecided(board, table, row)
    if not found:
        return []
    texts = "; ".join(map(_open_text, found))
    return [f"Not decided, everything else equal (first minus second): {texts}."]


def _open_text(each: Undecided) -> str:
    names = f"`{each.chosen}` or `{each.other}`"
    if each.more is None:
        seen = "no difference seen" if abs(each.gap) < LEAST else signed(each.gap)
        return f"{names} ({seen})"
    return f"{names} ({signed(each.gap)}; needs {about(each.more)} more examples)"


def _no_gain(
    board: Leaderboard, table: Table, best: Standing, doubts: tuple[Caution, ...]
) -> Decision:
    row, metric = best.row, table.primary_metric
    compared = table.compared()
    word = "highest" if table.higher_is_better else "lowest"
    mean = f"{word} mean, {brief(best.quality)} {title_of(metric)}"
    made = Decision(table.dataset, metric, "unknown", "", tuple(costs(best)), (), doubts, row)
    if not compared:
        untuned = all(other.adapter == BASE for other in table.rows)
        known = sorted({other.incomparable for other in table.rows if other.incomparable})
        why = "; ".join(known) or "no variant has a baseline here"
        why = "only untouched models were run" if untuned else why
        text = f"No gain can be shown: {why}. {variant(row)} has the {mean}."
        return _with(made, "unknown", text, ())
    delta = row.deltas.get(metric)
    if delta is None and row.adapter == BASE:
        text = f"Keep the untouched model: {variant(row)} has the {mean}{_but(doubts)}."
        return _with(made, "keep", text, tuple(_gains_elsewhere(table)))
    if delta is None:
        why = row.incomparable or "it has no baseline with results"
        text = f"No gain can be shown: {variant(row)} has the {mean}, but {why}."
        return _with(made, "unknown", text, ())
    text = f"No gain shown. {variant(row)} has the {mean}, {signed(delta.delta)} over its baseline"
    why = why_no_gain(board, table, row)
    text += f" ({interval(delta)}, {seeds(len(row.finished))}): {why}{_but(doubts)}."
    return _with(made, "no gain", text, (), fallen(board, table, row))


def _but(doubts: tuple[Caution, ...]) -> str:
    """What a mean must not be read without: that it may mean nothing at all."""
    grave = [c.short for c in doubts if c.gravity is Gravity.GRAVE and c.short]
    return f"; but {joined(grave)}" if grave else ""


def _with(
    made: Decision, outcome: Outcome, headline: str, more: tuple[str, ...],
    fell: Fallen | None = None,
) -> Decision:  # fmt: skip
    return Decision(
        made.dataset, made.metric, outcome, headline, made.facts, more, made.cautions, made.row,
        fell,
    )  # fmt: skip


def _gains_elsewhere(table: Table) -> list[str]:
    better = [row for row in table.compared() if _verdict(table, row) == "better"]
    if not better:
        return ["No fine-tuned variant gained beyond noise."]
    name = variant(better[0])
    more = f" and {len(better) - 1} more" if len(better) > 1 else ""
    return [f"{name}{more} gained over their own baselines, without reaching that mean."]
