"""Scores and costs: the leaderboard, what rows cost, objectives, categories, confusion."""

from __future__ import annotations

from collections import Counter

from harness.leaderboard import COSTS, SPEEDS, Leaderboard, Row, Table
from harness.metrics.classification import Confusion, per_class
from harness.objectives import standings
from harness.report.section import (
    MISSING,
    Section,
    anchor,
    mean_text,
    number,
    optional,
    show_delta,
)

FEW = 2
"""A category of up to so many examples says nothing by itself."""
PARSE = ("unparsed_share", "ambiguous_share", "truncated_share")


def leaders(table: Table) -> Section:
    """A row per variant: the primary metric with its tie, difference and verdict, then the rest."""
    first, *others = table.metrics()
    others += _parse_columns(table)
    columns = (
        "model", "quantization", "adapter", "seeds", first, "tie", "Δ [95%]", "p (Holm)",
        "verdict", *others,
    )  # fmt: skip
    kept = [row for row in table.rows if row.status != "skipped"]
    rows = tuple(_leader_row(table, row, others) for row in kept)
    anchors = tuple(anchor(table.dataset, row.name) for row in kept)
    return Section(f"Leaderboard: {table.dataset}", leader_notes(table), columns, rows, anchors)


def leader_notes(table: Table) -> tuple[str, ...]:
    """What to read the table by: ties, power, noise, trivial baselines, what is left out."""
    notes = [f"Primary metric: {table.primary_metric}. Rows stand in matrix order, not ranked."]
    notes += _tie_notes(table) + _power_notes(table) + _noise_notes(table)
    trivial = [f"{answer}, {number(score)}" for answer, score in table.trivial().items()]
    if trivial:
        notes.append(f"Without a model: {'; '.join(trivial)}.")
    answered = {c.answered_by for row in table.rows for c in row.cells if c.status == "ok"}
    if {"head", "likelihood"} <= answered:
        notes.append(
            "Baselines rank the labels as answers to a question; fine-tuned rows read the bare text"
            " with a trained head. `classify_by: likelihood` asks both the same."
        )
    skipped = sum(row.status == "skipped" for row in table.rows)
    if skipped:
        notes.append(f"{skipped} rows are skipped here; the verdict names the reasons.")
    return tuple(notes)


def _tie_notes(table: Table) -> list[str]:
    if not table.ties:
        return []
    text = "Rows that share a letter under `tie` are not shown to differ"
    how = "" if table.ties.paired else ", unpaired: no score per example is kept"
    return [f"{text} ({table.ties.pairs} pairs, Holm{how})."]


def _power_notes(table: Table) -> list[str]:
    deltas = [d for row in table.rows if (d := row.deltas.get(table.primary_metric))]
    notes = [f"Family of the Δ column: {len(deltas)} contrasts, Holm."] if deltas else []
    gaps = sorted(delta.detectable for delta in deltas if delta.detectable)
    if gaps:
        notes.append(
            f"With {deltas[0].n} examples a difference of {number(gaps[len(gaps) // 2])} to the"
            " baseline is found with 80% power (median row); smaller ones may be missed."
        )
    return notes


def _noise_notes(table: Table) -> list[str]:
    """The noise floor of the primary metric: a gain below it is undecided."""
    measured = [row.noise for row in table.rows if row.noise]
    if not measured:
        return []
    floor = max(noise["floor"].get(table.primary_metric, 0.0) for noise in measured)
    flips = max(share for noise in measured for share in noise["flip_rate"].values())
    return [
        f"Noise floor: baselines evaluated again on {measured[0]['examples']} examples, at the same"
        f" and at half the batch size, change {flips:.1%} of their answers at most and"
        f" {table.primary_metric} by {number(floor)}; a smaller gain is undecided."
    ]


def _parse_columns(table: Table) -> list[str]:
    return [name for name in PARSE if any(row.values(name) for row in table.rows)]


def _leader_row(table: Table, row: Row, others: list[str]) -> tuple[str, ...]:
    axes = (row.model, row.quantization, row.adapter)
    if row.status != "ok":
        blank = (MISSING,) * len(others)
        return (*axes, "0", MISSING, MISSING, row.reason or "", MISSING, row.status, *blank)
    metric = table.primary_metric
    delta = row.deltas.get(metric)
    return (
        *axes,
        str(len(row.cells)) if row.adapter != "base" else MISSING,
        _with_interval(row, metric),
        table.ties.letters.get(row.name, MISSING) if table.ties else MISSING,
        show_delta(delta) if delta else row.incomparable or MISSING,
        f"{delta.p_adjusted:.2g}" if delta and delta.p_adjusted is not None else MISSING,
        delta.verdict if delta else MISSING,
        *(mean_text(row, name) for name in others),
    )


def _with_interval(row: Row, metric: str) -> str:
    """One seed: the value with its interval over examples; several: mean and spread over seeds."""
    if len(row.values(metric)) != 1:
        return mean_text(row, metric)
    value = next(v for c in row.cells if (v := c.value(metric)) and v.value is not None)
    if value.ci_low is None or value.ci_high is None:
        return mean_text(row, metric)
    return f"{number(value.value or 0.0)} [{value.ci_low:.3f}, {value.ci_high:.3f}]"


def costs(table: Table) -> Section:
    """Latency, throughput, memory and training of every finished row."""
    machines = table.machines()
    names = [c for c in COSTS if any(row.values(c) for row in table.rows)]
    notes: tuple[str, ...] = ()
    extra: tuple[str, ...] = ()
    if len(machines) > 1:
        notes = (f"Measured on {len(machines)} machines: speed is not compared across them.",)
        extra = ("machine",)
    rows = [
        (
            row.model, row.quantization, row.adapter,
            *((", ".join(sorted(row.machines())),) if extra else ()),
            *(mean_text(row, name) for name in names),
        )
        for row in table.rows
        if row.status == "ok" and names
    ]  # fmt: skip
    columns = ("model", "quantization", "adapter", *extra, *names)
    return Section(f"Cost: {table.dataset}", notes, columns, tuple(rows))


def objectives(board: Leaderboard, table: Table) -> Section:
    """Rows by the suite's objective, with the Pareto front over quality, memory and latency."""
    wanted = board.objectives
    found = standings(table, wanted)
    if all(s.memory_mib is None and s.latency_ms is None for s in found):
        return Section(f"Objectives: {table.dataset}")
    order = "quality per GiB" if wanted.order_by == "quality_per_gib" else "quality"
    notes = [f"Ordered by {order}; `front` marks rows that no other row beats in everything."]
    if len(table.machines()) > 1:
        notes.append(f"{', '.join(SPEEDS)}: left out, measured on different machines.")
    rows = [
        (
            s.row.name, number(s.quality),
            table.ties.letters.get(s.row.name, MISSING) if table.ties else MISSING,
            optional(s.memory_mib), optional(s.latency_ms), optional(s.per_gib),
            "front" if s.on_front else MISSING, s.outside or MISSING,
        )
        for s in found
    ]  # fmt: skip
    columns = (
        "variant", table.primary_metric, "tie", "memory MiB", "latency ms", "quality per GiB",
        "front", "outside the bounds",
    )  # fmt: skip
    return Section(
        f"Objectives: {table.dataset}", tuple(notes) if rows else (), columns, tuple(rows)
    )


def forgetting(table: Table) -> Section:
    """Scores on the control set before and after: what fine-tuning cost outside its domain."""
    rows = []
    for row in table.rows:
        for metric, delta in row.control.items():
            after = row.mean(metric)
            before = None if after is None else after - delta.delta
            rows.append(
                (
                    row.model, row.quantization, row.adapter, metric, optional(before),
                    optional(after), show_delta(delta), delta.verdict, str(delta.n),
                )
            )  # fmt: skip
    columns = (
        "model", "quantization", "adapter", "metric", "before", "after", "Δ [95%]", "verdict", "n",
    )  # fmt: skip
    return Section(f"Forgetting: {table.dataset}", (), columns, tuple(rows))


def categories(table: Table) -> Section:
    """The primary metric and ROUGE-L per category, with their counts."""
    rows = []
    sizes: Counter[str] = Counter()
    for row in table.rows:
        for cell in row.cells:
            for value in cell.values:
                known = (table.primary_metric, "rougeL")
                if value.category and value.metric in known and value.value is not None:
                    axes = (row.model, row.quantization, row.adapter, value.category, value.metric)
                    rows.append((*axes, number(value.value), str(value.n)))
                    sizes[value.category] = max(sizes[value.category], value.n or 0)
    few = [f"{name} ({n})" for name, n in sorted(sizes.items()) if n <= FEW]
    notes = (f"One or two examples say nothing of a category: {', '.join(few)}.",) if few else ()
    columns = ("model", "quantization", "adapter", "category", "metric", "value", "n")
    return Section(f"Categories: {table.dataset}", notes, columns, tuple(rows))


def confusions(table: Table) -> Section:
    """Counts of gold against predicted labels, unparsed answers apart, and each class's scores."""
    rows: list[tuple[str, ...]] = []
    labels: list[str] = []
    for cell in (cell for row in table.rows for cell in row.cells):
        if cell.confusion:
            labels = cell.confusion["labels"]
            axes = (cell.model, cell.quantization, cell.adapter)
            counts = tuple(map(tuple, cell.confusion["matrix"]))
            scores = per_class(Confusion(tuple(labels), counts))
            for label, line in zip(labels, counts, strict=True):
                found = scores[label]
                each = (number(x) for x in (found.precision, found.recall, found.f1))
                rows.append((*axes, label, *map(str, line), *each))
    columns = (
        "model", "quantization", "adapter", "gold", *labels, "unparsed", "precision", "recall",
        "F1",
    )  # fmt: skip
    return Section(f"Confusion: {table.dataset}", (), columns, tuple(rows))
