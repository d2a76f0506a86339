"""Reasons not to trust the numbers of a table, gravest first, one sentence each."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import IntEnum

from harness.analysis.leaderboard import Leaderboard
from harness.analysis.table import Row, Table
from harness.analysis.wording import brief, joined, seeds
from harness.counting import agreeing, counted
from harness.datasets.overlap import WARN_SHARE
from harness.metrics.meaning import title_of
from harness.metrics.measurements import STABLE_CV
from harness.suite.endpoint import SERVED

FEW = 30
"""Fewer independent examples than this are called few: an interval over them is a rough guess."""
SMALL = 100e6
"""Models with fewer parameters are called small: none that people ship for text is below it."""


class Gravity(IntEnum):
    """How much a caution takes from the numbers."""

    GRAVE = 3
    """The numbers may not mean what they seem to mean."""
    CAREFUL = 2
    """The numbers hold, but for less than a reader may think."""
    NOTE = 1
    """Worth knowing."""


@dataclass(frozen=True)
class Caution:
    """One reason for doubt."""

    gravity: Gravity
    text: str
    """One sentence in plain English."""
    short: str = ""
    """The same in a few words, for the reason in a headline."""
    dataset: str | None = None
    """None: it concerns the whole run."""


def cautions(board: Leaderboard, table: Table) -> tuple[Caution, ...]:
    """What a reader of ``table`` has to know before any of its numbers, gravest first."""
    found = [
        *_leaks(table), *_unequal_sides(table), *_test_sets(table), *_trivial(table),
        *_one_seed(table), *_few(table), *_no_ties(table), *_unsettled(table), *_machines(table),
        *_shared_cards(table), *_several_devices(table),
    ]  # fmt: skip
    return _sorted([Caution(c.gravity, c.text, c.short, table.dataset) for c in found])


def run_cautions(board: Leaderboard) -> tuple[Caution, ...]:
    """What concerns every table of the run: cells without a result, small models."""
    return _sorted([*_unfinished(board), *_small_models(board)])


def _sorted(found: list[Caution]) -> tuple[Caution, ...]:
    return tuple(sorted(found, key=lambda caution: -caution.gravity))


def _leaks(table: Table) -> list[Caution]:
    data = next((cell.data for row in table.rows for cell in row.finished if cell.data), {})
    exact, near, n = (int(data.get(f) or 0) for f in ("overlap_exact", "overlap_near", "test_rows"))
    if not exact and (not near or near < WARN_SHARE * n):
        return []
    parts = (
        [f"{counted(exact, 'is a training prompt', 'are training prompts')} word for word"]
        if exact
        else []
    )
    parts += (
        [f"{counted(near, 'nearly repeats', 'nearly repeat')} a training prompt"] if near else []
    )
    text = (
        f"Of {counted(n, 'test prompt')}, {joined(parts)}: the scores may show memory, not skill."
    )
    return [Caution(Gravity.GRAVE, text, "test prompts resemble training prompts")]


def _unequal_sides(table: Table) -> list[Caution]:
    answered = {c.answered_by for row in table.rows for c in row.finished}
    if answered > {"generation"} and any(c.is_served for row in table.rows for c in row.finished):
        text = (
            "The served model generates its labels, local variants rank them or have a trained"
            " head: part of the difference may come from that. `classify_by: generation` asks all"
            " of them the same."
        )
        return [Caution(Gravity.GRAVE, text, "the two sides answer in different ways")]
    if not {"head", "likelihood"} <= answered:
        return []
    text = (
        "Baselines rank the labels by likelihood, fine-tuned variants have a trained head: part of"
        " the gain may come from that. `classify_by: likelihood` asks both the same question."
    )
    return [Caution(Gravity.GRAVE, text, "the two sides answer in different ways")]


def _test_sets(table: Table) -> list[Caution]:
    if table.test_sets < 2:
        return []
    text = (
        f"Variants were tested on {counted(table.test_sets, 'different set')} of examples, so they"
        " are not ranked; each difference uses the examples that both sides have."
    )
    return [Caution(Gravity.GRAVE, text, "variants were tested on different examples")]


def _trivial(table: Table) -> list[Caution]:
    best = table.best()
    mean = best.mean(table.primary_metric) if best else None
    if mean is None:
        return []
    sign = 1 if table.higher_is_better else -1
    as_good = {a: score for a, score in table.trivial().items() if sign * score >= sign * mean}
    if not as_good:
        return _barely_above(table, best, mean)
    scores = joined([f"{brief(score)} for {answer}" for answer, score in as_good.items()])
    text = (
        f"No variant beats what needs no model: {title_of(table.primary_metric)} is {scores},"
        f" and {brief(mean)} for the best variant."
    )
    return [Caution(Gravity.GRAVE, text, f"{joined(list(as_good), 'or')} scores as well or better")]


def _barely_above(table: Table, best: Row | None, mean: float) -> list[Caution]:
    """That the best variant's interval reaches down to an answer that needs no model."""
    values = (
        [v for cell in best.finished if (v := cell.value(table.primary_metric))] if best else []
    )
    ends = [v.ci_low if table.higher_is_better else v.ci_high for v in values]
    known = [end for end in ends if end is not None]
    if not known:
        return []
    sign = 1 if table.higher_is_better else -1
    # over seeds their mean: the interval of one seed holds the examples' spread, which all share
    end = sum(known) / len(known)
    near = {a: score for a, score in table.trivial().items() if sign * score >= sign * end}
    if not near:
        return []
    answers = joined([f"{answer} ({brief(score)})" for answer, score in near.items()])
    text = (
        f"The best {title_of(table.primary_metric)}, {brief(mean)}, is barely better than what"
        f" needs no model: {answers} lies within its 95% interval."
    )
    return [Caution(Gravity.CAREFUL, text, f"barely better than {joined(list(near))}")]


def _one_seed(table: Table) -> list[Caution]:
    tuned = [row for row in table.compared() if row.baseline and row.baseline.is_baseline]
    counts = {len(row.finished) for row in tuned if row.adapter not in ("base", SERVED)}
    if not counts or min(counts) > 1:
        return []
    text = (
        "Each variant was trained once: how much another training seed would change is unknown, and"
        " the intervals leave it out."
    )
    if max(counts) > 1:
        text = f"Some variants were trained once, others with up to {seeds(max(counts))}."
    return [Caution(Gravity.CAREFUL, text, "one seed: training noise unknown")]


def _few(table: Table) -> list[Caution]:
    metric = table.primary_metric
    counts = [row.deltas[metric].units for row in table.compared() if row.deltas[metric].units]
    if not counts or min(counts) >= FEW:
        return []
    text = f"Only {counted(min(counts), 'independent test example')}: intervals are wide and rough."
    return [Caution(Gravity.CAREFUL, text, f"only {counted(min(counts), 'independent example')}")]


def _no_ties(table: Table) -> list[Caution]:
    scored = sum(bool(row.values(table.primary_metric)) for row in table.rows)
    if table.ties is not None or scored < 2 or table.best() is None:
        return []
    text = (
        f"Which of the {counted(scored, 'variant')} tie with the best was not computed, so others"
        " may be as good: there are too many, or no scores per example."
    )
    return [Caution(Gravity.CAREFUL, text, "ties were not computed")]


def _unsettled(table: Table) -> list[Caution]:
    spreads = [spread for row in table.rows for spread in row.values("latency_cv")]
    above = [spread for spread in spreads if spread > STABLE_CV]
    if not above:
        return []
    text = (
        f"{len(above)} of {counted(len(spreads), 'latency', 'latencies')} did not settle (their"
        f" last rounds vary by up to {max(above):.0%}): do not decide by small differences in"
        " speed."
    )
    return [Caution(Gravity.CAREFUL, text, "latencies did not settle")]


def _machines(table: Table) -> list[Caution]:
    count = len(table.machines())
    if count < 2:
        return []
    text = (
        f"Measured on {counted(count, 'machine')}: times are not compared, nor are they on the"
        " picture."
    )
    return [Caution(Gravity.CAREFUL, text, "several machines")]


def _shared_cards(table: Table) -> list[Caution]:
    """Training beside others takes longer than alone; latency is measured while they stop."""
    trained = [c for row in table.rows for c in row.finished if c.value("train_seconds")]
    at_once = [(c.facts.get("device") or {}).get("cells_at_once", 1) for c in trained]
    shared = [count for count in at_once if count > 1]
    if not shared:
        return []
    text = (
        f"{len(shared)} of {counted(len(trained), 'cell')} trained on a card that up to"
        f" {counted(max(shared) - 1, 'other cell')} used at the same time: their training"
        " times are longer than those of a card alone (`--workers 1`)."
    )
    return [Caution(Gravity.NOTE, text, "training times beside other cells")]


def _several_devices(table: Table) -> list[Caution]:
    """Training on more devices takes less time, and makes no variant faster."""
    numbers = sorted(table.numbers_of_devices())
    if len(numbers) < 2:
        return []
    text = f"Trained on {' or '.join(map(str, numbers))} devices: training times are not compared."
    return [Caution(Gravity.NOTE, text, "training on several devices")]


def _unfinished(board: Leaderboard) -> list[Caution]:
    found = []
    for status, gravity in (("failed", Gravity.GRAVE), ("missing", Gravity.CAREFUL)):
        cells = [cell for cell in board.run.cells if cell.status == status]
        if cells:
            reasons = Counter(cell.reason or "no reason recorded" for cell in cells)
            reason, count = reasons.most_common(1)[0]
            more = f" (and {counted(len(reasons) - 1, 'other reason')})" if len(reasons) > 1 else ""
            of = f"{len(cells)} of {counted(len(board.run.cells), 'cell')} {status}"
            text = f"{of}: {reason.rstrip('.')}{more}."
            found.append(Caution(gravity, text, of))
    skipped = Counter(cell.reason for cell in board.run.cells if cell.status == "skipped")
    if skipped:
        reasons_text = "; ".join(f"{(reason or '').rstrip('.')} ({n})"
                                 for reason, n in skipped.most_common(2))  # fmt: skip
        more = f"; {counted(len(skipped) - 2, 'other reason')}" if len(skipped) > 2 else ""
        count = sum(skipped.values())
        text = (
            f"{count} of {counted(len(board.run.cells), 'cell')} {agreeing(count, 'was', 'were')}"
            f" skipped: {reasons_text}{more}."
        )
        short = f"{counted(count, 'cell')} skipped"
        found.append(Caution(Gravity.NOTE, text, short))
    return found


def _small_models(board: Leaderboard) -> list[Caution]:
    sizes = [s for table in board.tables for row in table.rows if (s := parameters(row))]
    if not sizes or max(sizes) >= SMALL:
        return []
    text = (
        f"The largest model has about {max(1, round(max(sizes) / 1e6))} million parameters. What"
        " helps models as small as that may not help the ones people ship."
    )
    return [Caution(Gravity.CAREFUL, text, "tiny models")]


def parameters(row: Row) -> float | None:
    """How many parameters the row's model has, from what its adapter trains; None if unknown."""
    trained, percent = row.mean("trainable_params"), row.mean("trainable_percent")
    return trained / percent * 100 if trained and percent else None
