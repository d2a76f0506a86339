"""Fill the tables of real.md from the packed runs: ``python docs/real_tables.py [--check]``.

A block between ``<!-- NAME: WHAT -->`` and ``<!-- end -->`` is written by the function of WHAT from
the run packed in ``reports/NAME/``. A block whose run is not there yet stays as it is. Texts
outside the blocks are written by hand. ``--check`` writes nothing and fails if the page would
change.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from dataclasses import replace
from functools import cache
from pathlib import Path

from harness.analysis.decision import decisions
from harness.analysis.leaderboard import Leaderboard, build_leaderboard
from harness.report.markdown import markdown_table
from harness.report.section import MISSING, mean_text, number, show_delta
from harness.results.run import Run, load_run
from harness.suite.schema import Objectives

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "real.md"
CARD_MIB = 8192
"""The memory that the page asks for."""
BLOCK = re.compile(r"(<!-- ([a-z-]+): ([a-z ]+) -->\n).*?(<!-- end -->)", re.DOTALL)


@cache
def run_of(name: str) -> Run:
    """The run packed in ``reports/name``."""
    return load_run(ROOT / "reports" / name / "run.tar.xz")


@cache
def board_of(directory: Path) -> Leaderboard:
    """The leaderboard of the run in ``directory``."""
    return build_leaderboard(load_run(directory))


def about(run: Run) -> list[str]:
    """Machine, packages, cells, and the seconds that they took."""
    done = [cell for cell in run.cells if cell.status == "ok"]
    failed = sum(cell.status == "failed" for cell in run.cells)
    trained = sum(not cell.is_baseline for cell in done)
    seconds = sum(cell.timings.get("total", 0.0) for cell in done)
    machines = sorted({cell.hardware for cell in done if cell.hardware})
    packages = done[0].provenance.environment.packages if done else {}
    names = ("torch", "transformers", "peft", "trl", "bitsandbytes")
    versions = ", ".join(f"{name} {packages[name]}" for name in names if packages.get(name))
    return [
        f"- machine: {', '.join(machines)}",
        f"- packages: {versions}",
        f"- cells: {len(done)} of {len(run.cells)} done, {trained} trained, {failed} failed",
        f"- seconds of all cells together: {seconds:,.0f}",
    ]


def leaders(run: Run) -> list[str]:
    """A table for each data set: value, difference, verdict, memory and latency."""
    columns = (
        "model", "quantization", "adapter", "seeds", "value", "Δ [95%]", "verdict", "tie",
        "memory MiB", "latency ms",
    )  # fmt: skip
    lines = []
    for table in board_of(run.directory).tables:
        metric, rows = table.primary_metric, []
        letters = table.ties.letters if table.ties else {}
        for row in table.rows:
            delta = row.deltas.get(metric)
            costs = (row.mean(name) for name in ("infer_peak_vram_mib", "latency_p50_ms"))
            rows.append((
                row.model, row.quantization, row.adapter, str(len(row.finished)),
                mean_text(row, metric), show_delta(delta) if delta else MISSING,
                delta.verdict if delta else MISSING, letters.get(row.name, MISSING),
                *(MISSING if cost is None else number(cost) for cost in costs),
            ))  # fmt: skip
        trivial = "; ".join(f"{text} {number(score)}" for text, score in table.trivial().items())
        lines += [f"**{table.dataset}**, {metric}. Answers without a model: {trivial or 'none'}."]
        lines += ["", *markdown_table(columns, rows), ""]
    return lines[:-1]


def decided(run: Run) -> list[str]:
    """What the harness says to do about each data set, within `CARD_MIB`."""
    board = build_leaderboard(run, Objectives(max_memory_mib=CARD_MIB))
    return [f"- **{each.dataset}**: {' '.join(each.sentences())}" for each in decisions(board)]


def by_seeds(run: Run) -> list[str]:
    """The verdict on each variant from its first seed, its first two, and so on."""
    seeds = sorted({cell.seed for cell in run.cells if cell.seed is not None})
    boards = [_with_seeds(run, seeds[: k + 1]) for k in range(len(seeds))]
    rows = []
    for tables in zip(*(board.tables for board in boards), strict=True):
        for same in zip(*(table.rows for table in tables), strict=True):
            deltas = [row.deltas.get(tables[0].primary_metric) for row in same]
            if all(deltas):
                verdicts = [delta.verdict for delta in deltas if delta]
                steady = next(k for k in range(len(verdicts)) if len(set(verdicts[k:])) == 1)
                rows.append((tables[0].dataset, same[0].name, *verdicts, str(steady + 1)))
    counts = [f"{k + 1} seed{'s' if k else ''}" for k in range(len(seeds))]
    columns = ("data set", "variant", *counts, "settled by")
    return markdown_table(columns, rows)


def _with_seeds(run: Run, seeds: list[int]) -> Leaderboard:
    kept = tuple(cell for cell in run.cells if cell.seed is None or cell.seed in seeds)
    return build_leaderboard(replace(run, cells=kept))


def rates(run: Run) -> list[str]:
    """The primary metric of each adapter at each learning rate, on held-out rows."""
    lines = []
    for table in board_of(run.directory).tables:
        found: dict[str, dict[float, float]] = {}
        for row in table.rows:
            way, swept, rate = row.adapter.partition("+lr")
            mean = row.mean(table.primary_metric)
            if swept and mean is not None:
                found.setdefault(way, {})[float(rate)] = mean
        steps = sorted({rate for each in found.values() for rate in each})
        rows = [
            (way, *(number(each[s]) if s in each else MISSING for s in steps),
             f"{max(each, key=lambda s: each[s]):g}")
            for way, each in found.items()
        ]  # fmt: skip
        columns = ("adapter", *(f"{step:g}" for step in steps), "best")
        lines += [f"**{table.dataset}**, {table.primary_metric}"]
        lines += ["", *markdown_table(columns, rows), ""]
    return lines[:-1]


WRITERS: dict[str, Callable[[Run], list[str]]] = {
    "about": about, "leaders": leaders, "decisions": decided, "seeds": by_seeds, "rates": rates,
}  # fmt: skip
"""What a block holds → what writes it."""


def filled(page: str) -> str:
    """``page`` with every block written again whose run is there."""

    def block(found: re.Match[str]) -> str:
        head, name, what, end = found.groups()
        if not (ROOT / "reports" / name / "run.tar.xz").is_file():
            return found[0]
        return "\n".join([head, *WRITERS[what](run_of(name)), "", end])

    return BLOCK.sub(block, page)


if __name__ == "__main__":
    text = PAGE.read_text("utf-8")
    if "--check" not in sys.argv:
        PAGE.write_text(filled(text), "utf-8")
        print(PAGE)
    elif filled(text) != text:
        sys.exit(f"{PAGE} is not what its runs give now: run `python docs/real_tables.py`")
