"""The report's sections as data: titles, notes and tables, no markup."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

from harness.compare import TRAINING_NOISE_UNKNOWN, Delta
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
        found += [_leaderboard(table), _costs(table)]
    for table in board.tables:
        found += _categories(table) + _confusions(table)
    return [*found, _data(board), _samples(board), _method(board)]


def _verdict(board: Leaderboard) -> Section:
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
    if not deltas:
        return [f"{table.dataset}: nothing to compare."]
    counts = Counter(delta.verdict for delta in deltas)
    said = ", ".join(f"{n} {word}" for word, n in sorted(counts.items(), key=lambda c: -c[1]))
    seeds = max(len(row.values(metric)) for row in table.rows)
    noise = f"; {TRAINING_NOISE_UNKNOWN}" if seeds < 2 else f"; {seeds} seeds"
    notes = [f"{table.dataset}, {metric}: fine-tuned against its baseline, {said}{noise}."]
    best = table.best()
    if best is not None:
        notes.append(_best_note(table, best))
    return notes


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


def _leaderboard(table: Table) -> Section:
    metrics = table.metrics()
    columns = (
        "model", "quantization", "adapter", "seeds", metrics[0], "tie", "Δ [95%]", "p (Holm)",
        "verdict", *metrics[1:], *_parse_columns(table),
    )  # fmt: skip
    rows = [_leader_row(table, row, metrics) for row in table.rows if row.status != "skipped"]
    return Section(f"Leaderboard: {table.dataset}", _leader_notes(table), columns, tuple(rows))


def _leader_notes(table: Table) -> tuple[str, ...]:
    metric = table.primary_metric
    notes = [f"Primary metric: {metric}. Rows stand in matrix order, not ranked."]
    if table.ties:
        notes.append(
            f"Rows that share a letter under `tie` are not shown to differ"
            f" ({table.ties.pairs} pairs, Holm)."
        )
    deltas = [row.deltas[metric] for row in table.rows if metric in row.deltas]
    gaps = sorted(delta.detectable for delta in deltas if delta.detectable)
    if gaps:
        notes.append(
            f"With {deltas[0].n} examples a difference of {number(gaps[len(gaps) // 2])} to the"
            " baseline is found with 80% power (median row); smaller ones may be missed."
        )
    trivial = next((r for r in table.rows if r.values("f1_macro_majority")), None)
    if trivial:
        share, f1 = trivial.mean("accuracy_majority"), trivial.mean("f1_macro_majority")
        notes.append(f"Always the majority label: accuracy {share:.3f}, f1_macro {f1:.3f}.")
    copied = next((r for r in table.rows if r.values("rougeL_copied_prompt")), None)
    if copied:
        mean = copied.mean("rougeL_copied_prompt") or 0.0
        notes.append(f"The prompt copied as the answer: rougeL {number(mean)}.")
    skipped = sum(row.status == "skipped" for row in table.rows)
    if skipped:
        notes.append(f"{skipped} rows are skipped here; the verdict names the reasons.")
    return tuple(notes)


def _parse_columns(table: Table) -> list[str]:
    names = ("unparsed_share", "ambiguous_share", "truncated_share")
    return [name for name in names if any(row.values(name) for row in table.rows)]


def _leader_row(table: Table, row: Row, metrics: list[str]) -> tuple[str, ...]:
    axes = (row.model, row.quantization, row.adapter)
    tail = [*metrics[1:], *_parse_columns(table)]
    if row.status != "ok":
        blank = (MISSING,) * len(tail)
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
        *(_mean(row, name) for name in tail),
    )


def _with_interval(row: Row, metric: str) -> str:
    """One seed: the value with its interval over examples; several: mean and spread over seeds."""
    if len(row.values(metric)) != 1:
        return _mean(row, metric)
    value = next(v for c in row.cells if (v := c.value(metric)) and v.value is not None)
    if value.ci_low is None or value.ci_high is None:
        return _mean(row, metric)
    return f"{number(value.value or 0.0)} [{value.ci_low:.3f}, {value.ci_high:.3f}]"


def _costs(table: Table) -> Section:
    costs = [c for c in COSTS if any(row.values(c) for row in table.rows)]
    rows = [
        (row.model, row.quantization, row.adapter, *(_mean(row, cost) for cost in costs))
        for row in table.rows
        if row.status == "ok"
    ]
    return Section(
        f"Cost: {table.dataset}", (), ("model", "quantization", "adapter", *costs), tuple(rows)
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
        " clustered t where groups repeat, Agresti-Min for right or wrong, else BCa bootstrap;"
        " several seeds enter as a crossed factor. With one seed it holds no training noise.",
        "A verdict is `better` or `worse` when the whole interval lies beyond the margin and"
        " Holm's p-value, over all contrasts to a baseline of the table, is at most 0.05;"
        " `equivalent` when it lies within the margin; else `undecided`.",
        "± is the standard deviation over seeds. RSS includes the interpreter and libraries.",
        f"Signatures: {'; '.join(signatures)}.",
        f"Machine: {machine.get('cpu')}, {machine.get('cores')} cores,"
        f" {machine.get('memory_gib')} GiB, GPU: {machine.get('gpu') or 'none'}.",
        f"Packages: {', '.join(f'{k} {v}' for k, v in packages.items() if v)}.",
        f"Git: {git.get('revision')}{' (dirty)' if git.get('dirty') else ''}.",
        f"Command: harness run {run.suite.get('path')}",
    )
    return Section("How", notes)
