"""The report's sections as data: titles, notes and tables, no markup."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from harness.compare import Delta
from harness.leaderboard import COSTS, Leaderboard, Row, Table
from harness.results import CellResult

MISSING = "–"


@dataclass(frozen=True)
class Section:
    """One part of the report."""

    title: str
    notes: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def sections_of(board: Leaderboard) -> list[Section]:
    """Every section, in reading order."""
    found = [_verdict(board)]
    for table in board.tables:
        found.append(_leaderboard(table))
    for table in board.tables:
        found += _categories(table) + _confusions(table)
    return [*found, _data(board), _samples(board), _method(board)]


def _verdict(board: Leaderboard) -> Section:
    notes = [_sentence(table, row) for table in board.tables for row in table.rows if row.deltas]
    skipped = Counter(c.reason for c in board.run.cells if c.status == "skipped")
    notes += [f"{number} cells skipped: {reason}." for reason, number in skipped.items()]
    failed = [c for c in board.run.cells if c.status in ("failed", "missing")]
    notes += [f"{cell.key} {cell.status}: {cell.reason}." for cell in failed]
    return Section("Verdict", tuple(notes))


def _sentence(table: Table, row: Row) -> str:
    metric = table.primary_metric if table.primary_metric in row.deltas else "accuracy"
    delta = row.deltas.get(metric) or next(iter(row.deltas.values()))
    seeds = len(row.values(delta.metric))
    noise = "; one seed: training noise unknown" if seeds < 2 else f"; {seeds} seeds"
    name = f"{row.model}, {row.quantization}, {row.adapter}"
    return f"{table.dataset}: {name}: {delta.metric} {show_delta(delta)}, {delta.verdict}{noise}."


def _leaderboard(table: Table) -> Section:
    metrics = table.metrics()
    costs = [c for c in COSTS if any(row.values(c) for row in table.rows)]
    columns = ("model", "quantization", "adapter", "seeds", *metrics, "Δ [95%]", "verdict", *costs)
    rows = [
        _leader_row(table, row, metrics, costs) for row in table.rows if row.status != "skipped"
    ]
    skipped = sum(row.status == "skipped" for row in table.rows)
    notes = [f"Primary metric: {table.primary_metric}. Rows stand in matrix order, not ranked."]
    trivial = next((r for r in table.rows if r.values("f1_macro_majority")), None)
    if trivial:
        share, f1 = trivial.mean("accuracy_majority"), trivial.mean("f1_macro_majority")
        notes.append(f"Always the majority label: accuracy {share:.3f}, f1_macro {f1:.3f}.")
    if skipped:
        notes.append(f"{skipped} rows are skipped here; the verdict names the reasons.")
    return Section(f"Leaderboard: {table.dataset}", tuple(notes), columns, tuple(rows))


def _leader_row(table: Table, row: Row, metrics: list[str], costs: list[str]) -> tuple[str, ...]:
    axes = (row.model, row.quantization, row.adapter)
    if row.status != "ok":
        blank = (MISSING,) * (len(metrics) + len(costs))
        return (
            *axes,
            "0",
            *blank[: len(metrics)],
            row.reason or "",
            row.status,
            *blank[len(metrics) :],
        )
    shown = [_mean(row, metric) for metric in metrics]
    delta = row.deltas.get(table.primary_metric)
    named = "" if delta is None or delta.metric == table.primary_metric else f"{delta.metric} "
    return (
        *axes,
        str(len(row.cells)) if row.adapter != "base" else MISSING,
        *shown,
        f"{named}{show_delta(delta)}" if delta else MISSING,
        delta.verdict if delta else MISSING,
        *(_mean(row, cost) for cost in costs),
    )


def show_delta(delta: Delta) -> str:
    """``+0.123 [+0.050, +0.190]``."""
    return f"{delta.delta:+.3f} [{delta.low:+.3f}, {delta.high:+.3f}]"


def _mean(row: Row, metric: str) -> str:
    mean, spread = row.mean(metric), row.spread(metric)
    if mean is None:
        return MISSING
    text = number(mean)
    return f"{text} ± {number(spread)}" if spread is not None else text


def number(value: float) -> str:
    """``value`` to four significant digits, integers whole."""
    if value == int(value) and abs(value) >= 1000:
        return f"{int(value):,}"
    return f"{value:,.0f}" if abs(value) >= 10_000 else f"{value:.4g}"


def _categories(table: Table) -> list[Section]:
    rows = []
    for row in table.rows:
        for cell in row.cells:
            for value in cell.values:
                known = (table.primary_metric, "rougeL")
                if value.category and value.metric in known and value.value is not None:
                    few = " (few)" if (value.n or 0) < 5 else ""
                    axes = (row.model, row.quantization, row.adapter, value.category, value.metric)
                    rows.append((*axes, number(value.value), f"{value.n}{few}"))
    columns = ("model", "quantization", "adapter", "category", "metric", "value", "n")
    return [Section(f"Categories: {table.dataset}", (), columns, tuple(rows))] if rows else []


def _confusions(table: Table) -> list[Section]:
    rows: list[tuple[str, ...]] = []
    labels: list[str] = []
    for cell in (cell for row in table.rows for cell in row.cells):
        if cell.confusion:
            labels = cell.confusion["labels"]
            axes = (cell.model, cell.quantization, cell.adapter)
            for label, counts in zip(labels, cell.confusion["matrix"], strict=True):
                rows.append((*axes, label, *map(str, counts)))
    columns = ("model", "quantization", "adapter", "gold", *labels, "unparsed")
    return [Section(f"Confusion: {table.dataset}", (), columns, tuple(rows))] if rows else []


def _data(board: Leaderboard) -> Section:
    rows = []
    for table in board.tables:
        cells = [c for row in table.rows for c in row.cells if c.status == "ok"]
        for cell in cells[:1]:
            counts = {k: v for k, v in cell.data.items() if isinstance(v, int)}
            rows.append((table.dataset, ", ".join(f"{k} {v}" for k, v in counts.items())))
        warnings = sorted({w for c in cells for w in c.audit.get("warnings", [])})
        rows += [(table.dataset, f"warning: {w}") for w in warnings]
    return Section("Data and audit", (), ("data set", "count"), tuple(rows))


def _samples(board: Leaderboard) -> Section:
    rows: list[tuple[str, ...]] = []
    for table in board.tables:
        row = next((r for r in table.rows if r.deltas and r.baseline), None)
        if row is None or row.baseline is None:
            continue
        before = {r["id"]: r for r in board.run.predictions(row.baseline)}
        for record in board.run.predictions(_ok(row))[:3]:
            base = before.get(record["id"], {})
            rows.append(
                (
                    table.dataset, record["example_prompt"], record["reference"],
                    base.get("prediction", MISSING), record["prediction"],
                )
            )  # fmt: skip
    columns = ("data set", "prompt", "reference", "baseline", "fine-tuned")
    note = "The first three examples of the first compared row; all are in predictions.jsonl."
    return Section("Samples", (note,), columns, tuple(rows))


def _ok(row: Row) -> CellResult:
    return next(cell for cell in row.cells if cell.status == "ok")


def _method(board: Leaderboard) -> Section:
    run = board.run
    signatures = sorted({v.signature for c in run.cells for v in c.values if v.signature})
    machine = run.environment.get("machine", {})
    packages = run.environment.get("packages", {})
    git = run.environment.get("git") or {}
    notes = (
        "Δ is fine-tuned minus baseline on the same examples, with a 95% interval over examples:"
        " clustered t where groups repeat, else BCa bootstrap. It holds no training noise.",
        "A verdict is `better` or `worse` when the whole interval lies on one side of zero.",
        "± is the standard deviation over seeds. RSS includes the interpreter and libraries.",
        f"Signatures: {'; '.join(signatures)}.",
        f"Machine: {machine.get('cpu')}, {machine.get('cores')} cores,"
        f" {machine.get('memory_gib')} GiB, GPU: {machine.get('gpu') or 'none'}.",
        f"Packages: {', '.join(f'{k} {v}' for k, v in packages.items() if v)}.",
        f"Git: {git.get('revision')}{' (dirty)' if git.get('dirty') else ''}.",
        f"Command: harness run {run.suite.get('path')}",
    )
    return Section("How", notes)
