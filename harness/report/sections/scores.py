"""Sections on cost, objectives, forgetting, categories and confusion of one data set."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from harness.analysis.leaderboard import Leaderboard
from harness.analysis.objectives import LATENCY, RESERVED, Standing, memory_metrics
from harness.analysis.table import Table
from harness.counting import counted
from harness.metrics.classification import Confusion, per_class
from harness.metrics.measurements import STABLE_CV
from harness.metrics.registry import same_hardware, shown_in
from harness.report.section import (
    IN_CSV,
    MISSING,
    Keeping,
    Section,
    marked,
    mean_text,
    missing_speeds,
    number,
    optional,
    show_delta,
    speed_notes,
)

FEW = 2
"""Categories with at most this many examples get a warning."""


def costs(table: Table) -> Section:
    """Latency, throughput, memory and training of every finished row."""
    machines = table.machines()
    names = [c for c in shown_in("costs") if any(row.values(c) for row in table.rows)]
    notes = (*speed_notes(table), *missing_speeds(table), *_unstable(table))
    extra: tuple[str, ...] = ()
    if len(machines) > 1:
        notes += (
            f"Measured on {counted(len(machines), 'machine')}, whose speeds cannot be compared.",
        )
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
    rest = Keeping(rest=IN_CSV)
    return Section(f"Cost: {table.dataset}", notes, columns, tuple(rows), keeping=rest)


def _unstable(table: Table) -> tuple[str, ...]:
    """Notes on latencies that did not settle, or for which this is unknown."""
    latencies = [latency for row in table.rows for latency in row.values(LATENCY)]
    spreads = [spread for row in table.rows for spread in row.values("latency_cv")]
    above = [spread for spread in spreads if spread > STABLE_CV]
    notes = []
    if above:
        notes.append(
            f"{len(above)} of {counted(len(spreads), 'latency', 'latencies')} did not settle: their"
            f" last rounds vary by up to {max(above):.1%} (`latency_cv`), and {STABLE_CV:.0%} or"
            " less counts as stable."
        )
    if len(spreads) < len(latencies):
        rounds = "had a single round, or were measured by an older version"
        notes.append(
            f"{counted(len(latencies) - len(spreads), 'latency', 'latencies')} without"
            f" `latency_cv` {rounds}."
        )
    return tuple(notes)


def objectives(board: Leaderboard, table: Table, found: Sequence[Standing]) -> Section:
    """Rows by the suite's objective, with the Pareto front over quality, memory and latency."""
    aims = board.objectives
    if all(s.memory_mib is None and s.latency_ms is None for s in found):
        return Section(f"Objectives: {table.dataset}")
    order = "quality per GiB" if aims.order_by == "quality_per_gib" else "quality"
    notes = [
        f"Ordered by {order}. `front` marks the Pareto front: no other row is at least as good in"
        " quality, memory and latency and better in one of them."
    ]
    if memory_metrics(table) == (RESERVED,):
        notes.append(f"Memory is {RESERVED}, because no row was measured while answering.")
    if len(table.machines()) > 1:
        speeds = ", ".join(same_hardware())
        notes.append(f"Left out because rows were measured on different machines: {speeds}.")
    if len(places := table.measured_on(LATENCY)) > 1:
        where = ", ".join(sorted(places))
        notes.append(
            f"Latency is left out: it was measured on several data sets' prompts: {where}."
        )
    notes += speed_notes(table)
    rows = [
        (
            s.row.name, number(s.quality),
            table.ties.letters.get(s.row.name, MISSING) if table.ties else MISSING,
            optional(s.memory_mib), marked(optional(s.latency_ms), s.row, LATENCY),
            optional(s.per_gib), "front" if s.on_front else MISSING, s.outside or MISSING,
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
    """Scores on the control set before and after: what fine-tuning cost outside the task."""
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
    note = "Scores on the control set, which has nothing to do with the task, before and after."
    notes = (note,) if rows else ()
    return Section(f"Forgetting: {table.dataset}", notes, columns, tuple(rows))


def categories(table: Table) -> Section:
    """The primary metric and ROUGE-L per category, means over seeds, with their counts."""
    rows = []
    shown = (table.primary_metric, "rougeL")
    sizes: Counter[str] = Counter()
    for row in table.rows:
        seeds: dict[tuple[str, str], list[tuple[float, int]]] = {}
        for value in (value for cell in row.cells for value in cell.values):
            if value.category and value.metric in shown and value.value is not None:
                of = seeds.setdefault((value.category, value.metric), [])
                of.append((value.value, value.n or 0))
        for (category, metric), found in seeds.items():
            axes = (row.model, row.quantization, row.adapter, category, metric)
            most = max(n for _, n in found)
            rows.append((*axes, number(fmean(value for value, _ in found)), str(most)))
            sizes[category] = max(sizes[category], most)
    few = [f"{name} ({n})" for name, n in sorted(sizes.items()) if n <= FEW]
    notes = (f"Too few examples to judge these categories: {', '.join(few)}.",) if few else ()
    columns = ("model", "quantization", "adapter", "category", "metric", "value", "n")
    rest = Keeping(rest=IN_CSV)
    return Section(f"Categories: {table.dataset}", notes, columns, tuple(rows), keeping=rest)


def confusions(table: Table) -> Section:
    """Counts of gold against predicted labels, unparsed answers apart, and each class's scores."""
    rows: list[tuple[str, ...]] = []
    labels: list[str] = []
    for cell in (cell for row in table.rows for cell in row.cells):
        if cell.confusion:
            labels = list(cell.confusion.labels)
            axes = (cell.model, cell.quantization, cell.adapter)
            counts = cell.confusion.matrix
            scores = per_class(Confusion(tuple(labels), counts))
            for label, line in zip(labels, counts, strict=True):
                of_label = scores[label]
                each = (number(x) for x in (of_label.precision, of_label.recall, of_label.f1))
                rows.append((*axes, label, *map(str, line), *each))
    columns = (
        "model", "quantization", "adapter", "gold", *labels, "unparsed", "precision", "recall",
        "F1",
    )  # fmt: skip
    return Section(f"Confusion: {table.dataset}", (), columns, tuple(rows))
