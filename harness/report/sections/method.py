"""Where the numbers come from: data, audit, method, machine, command."""

from __future__ import annotations

from typing import Any

from harness.analysis.leaderboard import Leaderboard
from harness.report.section import MISSING, Section
from harness.results.records import Environment


def data(board: Leaderboard) -> Section:
    """Rows read, dropped, used and overlapping of each data set, its content's hash, warnings."""
    counts: dict[str, dict[str, Any]] = {}
    rest: dict[str, tuple[str, str]] = {}
    for table in board.tables:
        cells = [c for row in table.rows for c in row.finished]
        if cells:
            found = cells[0].data
            counts[table.dataset] = {k: v for k, v in found.items() if isinstance(v, int)}
            warnings = sorted({w for c in cells for w in c.audit.warnings})
            content = (found.get("content") or {}).get("data") or MISSING
            rest[table.dataset] = (content, "; ".join(warnings) or MISSING)
    names = list(dict.fromkeys(name for found in counts.values() for name in found))
    rows = tuple(
        (dataset, *(str(found.get(name, MISSING)) for name in names), *rest[dataset])
        for dataset, found in counts.items()
    )
    columns = ("data set", *(name.replace("_", " ") for name in names), "content", "warnings")
    return Section("Data and audit", (), columns, rows)


def loaded(board: Leaderboard) -> Section:
    """What the loaded models turned out to be: layer classes and dtypes, read and not assumed."""
    rows: dict[tuple[str, ...], None] = {}
    for cell in board.run.cells:
        facts = cell.facts.get("loaded")
        if cell.status == "ok" and facts:
            layers = ", ".join(f"{n} {name}" for name, n in facts["linear_modules"].items())
            dtypes = (
                ", ".join(facts.get(key) or ()) or MISSING
                for key in ("compute_dtypes", "adapter_dtypes", "norm_dtypes")
            )
            axes = (cell.model, cell.quantization, cell.adapter)
            rows[(*axes, layers, *dtypes, facts.get("head_dtype") or MISSING)] = None
    columns = (
        "model", "quantization", "adapter", "linear layers", "4-bit compute", "adapter dtype",
        "norms", "head",
    )  # fmt: skip
    return Section("Loaded", (), columns, tuple(rows))


def method(board: Leaderboard) -> Section:
    """What bars and letters mean, how scores are computed, on what, and the command."""
    run = board.run
    signatures = sorted({v.signature for c in run.cells for v in c.values if v.signature})
    notes = (
        "Δ is fine-tuned minus baseline on the same examples, with a 95% interval over examples:"
        " clustered t where groups repeat, Agresti-Min for right or wrong, else BCa bootstrap;"
        " several seeds enter as a crossed factor. With one seed it holds no training noise.",
        "A verdict is `better` or `worse` when the whole interval lies beyond the margin, the"
        " difference exceeds the noise floor, and Holm's p-value over all contrasts to a baseline"
        " of the table is at most 0.05; `equivalent` when it lies within the margin; else"
        " `undecided`.",
        "± is the standard deviation over seeds. RSS includes the interpreter and libraries.",
        f"Signatures: {'; '.join(signatures)}.",
        *(note for environment in _environments(board) for note in _where(environment)),
        f"Command: harness run {run.suite.get('path')}",
    )
    return Section("How", notes)


def _environments(board: Leaderboard) -> list[Environment]:
    """What the cells ran in, each once; the run's own where its cells do not say."""
    found = []
    for environment in (cell.provenance.environment for cell in board.run.cells):
        if environment != Environment() and environment not in found:
            found.append(environment)
    return found or [board.run.environment]


def _where(environment: Environment) -> list[str]:
    machine, packages, git = environment.machine, environment.packages, environment.git
    return [
        f"Machine: {machine.get('cpu')}, {machine.get('cores')} cores,"
        f" {machine.get('memory_gib')} GiB, GPU: {machine.get('gpu') or 'none'}.",
        f"Packages: {', '.join(f'{k} {v}' for k, v in packages.items() if v)}.",
        f"Git: {git.revision if git else None}{' (dirty)' if git and git.dirty else ''}.",
    ]
