"""Where the numbers come from: data and audit, models as loaded, method, machine, command."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.analysis.leaderboard import Leaderboard
from harness.counting import counted
from harness.report.section import MISSING, Section, optional
from harness.results.records import Environment
from harness.user_path import typed

WITHOUT_TEXTS = (
    "This report leaves out all texts of the data: prompts, references, answers, examples, names of"
    " categories, and the reasons why cells failed."
)


def data(board: Leaderboard) -> Section:
    """Counts of each data set's rows (read, dropped, used, overlapping), content hash, warnings."""
    counts: dict[str, dict[str, int]] = {}
    rest: dict[str, tuple[str, str]] = {}
    for table in board.tables:
        cells = [c for row in table.rows for c in row.finished]
        if cells:
            facts = cells[0].data
            counts[table.dataset] = {k: v for k, v in facts.items() if isinstance(v, int)}
            warnings = sorted({w for c in cells for w in c.audit.warnings})
            hashes = facts.get("content")
            content = hashes.get("data") if isinstance(hashes, dict) else None
            rest[table.dataset] = (str(content or MISSING), "; ".join(warnings) or MISSING)
    names = list(dict.fromkeys(name for numbers in counts.values() for name in numbers))
    rows = tuple(
        (dataset, *(str(numbers.get(name, MISSING)) for name in names), *rest[dataset])
        for dataset, numbers in counts.items()
    )
    columns = ("data set", *(name.replace("_", " ") for name in names), "content", "warnings")
    return Section("Data and audit", (), columns, rows)


def loaded(board: Leaderboard) -> Section:
    """Layer classes and dtypes of the models in memory: what was loaded, not what was asked for."""
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
            head = facts.get("head_dtype") or MISSING
            # TRL trains no head
            other = "Trainer" if cell.answered_by == "head" else "TRL"
            rows[(*axes, layers, *dtypes, head, trained_by(cell.facts, other))] = None
    columns = (
        "model", "quantization", "adapter", "linear layers", "4-bit compute", "adapter dtype",
        "norms", "head", "trained by",
    )  # fmt: skip
    return Section("Models as loaded", (), columns, tuple(rows))


def trained_by(facts: Mapping[str, Any], other: str = "TRL") -> str:
    """The engine that trained the cell of ``facts``, and why it was not the faster one.

    ``other`` is the library's trainer, which trains what the harness's engine does not.

    Nothing for a baseline, an adapter from elsewhere, or a run of a version that had one engine.
    """
    how = (facts.get("trained") or {}).get("training")
    if not how:
        return MISSING
    if how.get("devices"):
        on = "GPUs" if how["on"] == "cuda" else "processes on the CPU"
        peaks = " and ".join(optional(peak) for peak in how["peaks_mib"])
        rows = how["rows_a_step"]
        return (
            f"{other} on {how['devices']} {on}, {counted(rows, 'row')} a step, peaks of {peaks} MiB"
        )
    if how["engine"] == "trl":
        return f"{other}: {how['reason']}"
    if how.get("captured"):
        unfused = how.get("unfused_reason")
        return "harness, captured steps" + (f", unfused: {unfused}" if unfused else "")
    reason = how.get("eager_reason")
    return f"harness, eager steps: {reason}" if reason else "harness"


def method(board: Leaderboard) -> Section:
    """How intervals, verdicts and scores are computed, on which machine, and by which command."""
    run = board.run
    signatures = sorted({v.signature for c in run.cells for v in c.values if v.signature})
    notes = (
        "Δ is fine-tuned minus baseline on the same examples, with a 95% interval over examples:"
        " clustered t if examples come in groups, Agresti-Min for right-or-wrong scores, else a BCa"
        " bootstrap. Several seeds enter as a crossed random factor. With one seed, the interval"
        " does not cover the noise between trainings.",
        "The verdict is `better` or `worse` if the whole interval lies beyond the margin, the"
        " difference exceeds the noise floor, and p, corrected by Holm over all of the table's"
        " comparisons with a baseline, is at most 0.05. It is `equivalent` if the interval lies"
        " within the margin, and otherwise `undecided`.",
        "± is the standard deviation over seeds. RSS, the memory of the process, includes the"
        " interpreter and libraries.",
        f"How each metric was computed (signatures): {'; '.join(signatures)}.",
        *(note for environment in _environments(board) for note in _where(environment)),
        *([] if run.has_texts else [WITHOUT_TEXTS]),
        _origin(run.suite),
    )
    return Section("Method", notes)


def _environments(board: Leaderboard) -> list[Environment]:
    """The distinct environments of the cells; the run's own if its cells recorded none."""
    distinct: list[Environment] = []
    for environment in (cell.provenance.environment for cell in board.run.cells):
        if environment != Environment() and environment not in distinct:
            distinct.append(environment)
    return distinct or [board.run.environment]


def _where(environment: Environment) -> list[str]:
    """What is recorded of it: another tool's results may record nothing."""
    machine, packages, git = environment.machine, environment.packages, environment.git
    found = []
    if machine:
        found.append(f"Machine: {_machine(machine)}.")
    if packages:
        found.append(f"Packages: {', '.join(f'{k} {v}' for k, v in packages.items() if v)}.")
    if git:
        found.append(f"Git: {git.revision}{' with uncommitted changes' if git.dirty else ''}.")
    return found or ["Machine, packages and revision are not recorded."]


def _machine(machine: Mapping[str, object]) -> str:
    """What is known of it: another tool's results may name the GPU alone."""
    measured_here = "gpu" in machine and machine.get("cores") is not None
    gpu = machine.get("gpu") or ("none" if measured_here else None)
    parts = (
        machine.get("cpu"),
        f"{machine['cores']} cores" if machine.get("cores") is not None else None,
        f"{machine['memory_gib']} GiB" if machine.get("memory_gib") is not None else None,
        f"GPU: {gpu}" if gpu else None,
    )
    return ", ".join(str(part) for part in parts if part) or "not recorded"


def _origin(suite: Mapping[str, Any]) -> str:
    """The command that ran the suite; of results that were imported, where from."""
    if suite.get("imported"):
        # `imported: FILES`, as the importers write it
        where = str(suite.get("description", "")).removeprefix("imported: ")
        return f"Imported by `harness import` from {where or 'files that are not recorded'}."
    paths = suite.get("paths") or [suite.get("path")]  # several: runs that one report shows
    return f"Command: harness run {' '.join(typed(str(path)) for path in paths)}"
