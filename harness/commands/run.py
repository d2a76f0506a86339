"""`harness run` and `harness plan`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from harness.plan.plan import Plan
    from harness.plan.preflight import Decision
    from harness.run.calibrate import Expected

PATH = click.Path(path_type=Path)


class _Memory(click.ParamType):  # type: ignore[type-arg]
    """A size such as `8GB`, `12 GiB` or `24`, in GiB."""

    name = "size"

    def convert(self, value: object, param: object, ctx: click.Context | None) -> float:
        """GiB, as a number."""
        text = str(value).strip().lower().removesuffix("gib").removesuffix("gb").strip()
        try:
            size = float(text)
        except ValueError:
            self.fail(f'"{value}" is no size: write 8GB', None, ctx)
        return size


MEMORY = _Memory()


@click.command()
@click.argument("suite", type=PATH)
@click.option("--select", help="Cells to run: 'model=tiny-*,adapter=base|lora-r8'.")
@click.option("-o", "--output", type=PATH, help="Run directory; default runs/<suite>.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Cells at a time; default: 1 on a GPU, else the cores.",
)
@click.option("--tiny", is_flag=True, help="The suite's tiny twin: the same path on a CPU.")
@click.option("--max-vram", type=MEMORY, help="Skip cells expected to need more: 8GB.")
@click.option("--dry-run", is_flag=True, help="Print the plan and stop.")
@click.option("--strict", is_flag=True, help="A skipped cell is a failure.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first failed cell.")
def run(
    suite: Path, select: str | None, output: Path | None, workers: int | None, tiny: bool,
    max_vram: float | None, dry_run: bool, strict: bool, fail_fast: bool,
) -> None:  # fmt: skip
    """Train and score every cell of SUITE, then render its leaderboards.

    Example: harness run suites/finance.yaml
    """
    from harness.plan.plan import make_plan

    plan_ = make_plan(suite, output, select=select, tiny=tiny, max_vram_gib=max_vram)
    if dry_run:
        _print_plan(plan_)
        return
    if _nothing_changed(plan_):
        kept = ", ".join(f"{len(plan_.of(a))} {a}" for a in ("current", "skip") if plan_.of(a))
        click.echo(f"{kept}: nothing to do; {plan_.run.directory / 'leaderboard.html'}")
        sys.exit(1 if strict and plan_.of("skip") else 0)
    try:
        counts = _execute(plan_, workers, fail_fast)
    except KeyboardInterrupt:
        click.echo("stopped; the same command goes on where this one was", err=True)
        sys.exit(130)
    _write_reports(plan_)
    summary = ", ".join(f"{number} {kind}" for kind, number in counts.items() if number)
    click.echo(f"{summary or 'nothing to do'}; {plan_.run.directory / 'leaderboard.html'}")
    sys.exit(1 if counts["failed"] or (strict and counts["skipped"]) else 0)


def _nothing_changed(plan_: Plan) -> bool:
    """Whether every cell is current or skipped, and the reports are of these very cells."""
    from harness.plan.plan import is_planned
    from harness.report.files import is_written
    from harness.results.result import load_run
    from harness.scoring.rescoring import is_outdated

    if plan_.of("run") or not is_planned(plan_) or not is_written(plan_.run.directory):
        return False
    return not any(is_outdated(cell) for cell in load_run(plan_.run.directory).cells)


def _execute(plan_: Plan, workers: int | None, fail_fast: bool) -> dict[str, int]:
    from harness.run.progress import SuiteProgress
    from harness.run.runner import run_here

    with SuiteProgress(len(plan_.of("run"))) as progress:
        return run_here(plan_, progress, workers=workers, fail_fast=fail_fast)


def _write_reports(plan_: Plan) -> None:
    from rich.console import Console

    from harness.analysis.leaderboard import build_leaderboard
    from harness.report.files import write_report
    from harness.report.terminal import print_leaderboard
    from harness.results.result import load_run
    from harness.scoring.rescoring import rescore

    directory = plan_.run.directory
    loaded = load_run(directory)
    again = rescore(loaded, only_outdated=True)
    if again:
        click.echo(f"{len(again)} cells scored again by newer metrics, without training")
        loaded = load_run(directory)
    board = build_leaderboard(loaded)
    write_report(board, directory)
    print_leaderboard(board, Console())


@click.command()
@click.argument("suite", type=PATH)
@click.option("--select", help="Cells to plan: 'model=tiny-*'.")
@click.option("-o", "--output", type=PATH, help="Run directory; default runs/<suite>.")
@click.option("--tiny", is_flag=True, help="The suite's tiny twin.")
@click.option("--max-vram", type=MEMORY, help="Skip cells expected to need more: 8GB.")
@click.option("--calibrate", is_flag=True, help="Run some cells cut short to estimate the time.")
def plan(
    suite: Path, select: str | None, output: Path | None, tiny: bool, max_vram: float | None,
    calibrate: bool,
) -> None:  # fmt: skip
    """Print what `run` would do with SUITE: run, current or skip, why, and the memory it takes.

    The memory is estimated from the architecture's numbers; the card is the smallest usual one
    that holds it. With --calibrate the time too: one cell of every model × quantization × data
    set trains for four steps and answers one batch.

    Example: harness plan suites/finance.yaml
    """
    from harness.plan.plan import make_plan

    plan_ = make_plan(suite, output, select=select, tiny=tiny, max_vram_gib=max_vram)
    _print_plan(plan_, _expected(plan_) if calibrate else None)


def _expected(plan_: Plan) -> Expected:
    from harness.run.calibrate import calibrate, shortened
    from harness.run.progress import SuiteProgress

    with SuiteProgress(shortened(plan_)) as progress:
        return calibrate(plan_, progress)


def _memory(decision: Decision) -> str:
    found = decision.memory
    if found is None:
        return ""
    trained = "" if found.training is None else f"training {found.training / 1024:.1f}, "
    card = f"a card of {found.card_gib} GiB" if found.card_gib else "more than 80 GiB"
    return f"\n         {trained}inference {found.inference / 1024:.1f} GiB; {card}"


def _duration(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def _print_plan(plan_: Plan, expected: Expected | None = None) -> None:
    cells = expected.cells if expected else {}
    for decision in plan_.decisions:
        reason = f"  ({decision.reason})" if decision.reason else ""
        time = f"; {_duration(cells[decision.key])}" if decision.key in cells else ""
        click.echo(f"{decision.action:<8} {decision.key}{reason}{_memory(decision)}{time}")
    counts = {a: len(plan_.of(a)) for a in ("run", "current", "skip")}
    click.echo(", ".join(f"{number} {action}" for action, number in counts.items()))
    if expected:
        click.echo(
            f"about {_duration(expected.total)}, {expected.at_once} at a time"
            f" (from {_duration(expected.spent)} of shortened cells)"
        )
        missing = len(plan_.of("run")) - len(cells)
        if missing:
            click.echo(f"{missing} cells without an estimate: their shortened cell failed")
