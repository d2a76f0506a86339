"""The `harness` command: arguments in, one call, print."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.runner import Plan

EXISTING = click.Path(path_type=Path)


class _Group(click.Group):
    """Prints what a user can fix without a traceback, and exits with 2."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except HarnessError as error:
            click.echo(f"error: {error}", err=True)
            ctx.exit(2)


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="finetune-harness")
def main() -> None:
    """Which fine-tuned variant to ship, and is the gain real."""


@main.command()
@click.argument("suite", type=EXISTING)
@click.option("--select", help="Cells to run: 'model=tiny-*,adapter=base|lora-r8'.")
@click.option("-o", "--output", type=EXISTING, help="Run directory; default runs/<suite>.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Cells at a time; default: 1 on a GPU, else the cores.",
)
@click.option("--dry-run", is_flag=True, help="Print the plan and stop.")
@click.option("--strict", is_flag=True, help="A skipped cell is a failure.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first failed cell.")
def run(
    suite: Path, select: str | None, output: Path | None, workers: int | None, dry_run: bool,
    strict: bool, fail_fast: bool,
) -> None:  # fmt: skip
    """Train and score every cell of SUITE, then render its leaderboards.

    Example: harness run suites/finance.yaml
    """
    from harness.runner import make_plan

    plan_ = make_plan(suite, output, select=select)
    if dry_run:
        _print_plan(plan_)
        return
    counts = _execute(plan_, workers, fail_fast)
    _write_reports(plan_)
    summary = ", ".join(f"{number} {kind}" for kind, number in counts.items() if number)
    click.echo(f"{summary or 'nothing to do'}; {plan_.run.directory / 'leaderboard.html'}")
    sys.exit(1 if counts["failed"] or (strict and counts["skipped"]) else 0)


def _execute(plan_: Plan, workers: int | None, fail_fast: bool) -> dict[str, int]:
    from harness.environment import machine
    from harness.executors.local import LocalExecutor
    from harness.progress import SuiteProgress
    from harness.runner import run_suite

    todo = len(plan_.of("run"))
    here = machine()
    at_once = workers or (1 if here.gpu else here.cores)
    executor = LocalExecutor(min(at_once, max(todo, 1)), max(1, here.cores // at_once))
    with SuiteProgress(todo) as progress:
        return run_suite(plan_, executor, progress, fail_fast=fail_fast)


def _write_reports(plan_: Plan) -> None:
    from rich.console import Console

    from harness.leaderboard import build_leaderboard
    from harness.report import write_report
    from harness.report.terminal import print_leaderboard
    from harness.results import load_run

    loaded = load_run(plan_.run.directory)
    write_report(loaded, plan_.run.directory)
    print_leaderboard(build_leaderboard(loaded), Console())


@main.command()
@click.argument("suite", type=EXISTING)
@click.option("--select", help="Cells to plan: 'model=tiny-*'.")
@click.option("-o", "--output", type=EXISTING, help="Run directory; default runs/<suite>.")
def plan(suite: Path, select: str | None, output: Path | None) -> None:
    """Print what `run` would do with SUITE: run, current or skip, and why.

    Example: harness plan suites/finance.yaml
    """
    from harness.runner import make_plan

    _print_plan(make_plan(suite, output, select=select))


def _print_plan(plan_: Plan) -> None:
    for decision in plan_.decisions:
        reason = f"  ({decision.reason})" if decision.reason else ""
        click.echo(f"{decision.action:<8} {decision.key}{reason}")
    counts = {a: len(plan_.of(a)) for a in ("run", "current", "skip")}
    click.echo(", ".join(f"{number} {action}" for action, number in counts.items()))


@main.command()
@click.argument("suites", type=EXISTING, nargs=-1, required=True)
def validate(suites: tuple[Path, ...]) -> None:
    """Check SUITES without running anything; every problem with its line.

    Example: harness validate suites/finance.yaml
    """
    from harness.cell import expand
    from harness.suite import load_suite

    failed = False
    for path in suites:
        try:
            cells = expand(load_suite(path), path)
            click.echo(f"{path}: ok, {len(cells)} cells")
        except HarnessError as error:
            failed = True
            click.echo(f"error: {error}", err=True)
    sys.exit(2 if failed else 0)


@main.command()
def schema() -> None:
    """Print the JSON Schema of a suite, for editors.

    Example: harness schema > docs/suite.schema.json
    """
    import json

    from harness.suite import Suite

    click.echo(json.dumps(Suite.model_json_schema(), indent=2, ensure_ascii=False))


@main.command()
@click.argument("run_dir", type=click.Path(exists=True, path_type=Path))
@click.option(
    "-o", "--output", type=EXISTING, help="Where the files go; default: the run directory."
)
def report(run_dir: Path, output: Path | None) -> None:
    """Render the leaderboards of RUN_DIR again, from its files alone.

    Example: harness report runs/finance -o reports/finance
    """
    from harness.report import write_report
    from harness.results import load_run

    for path in write_report(_run(load_run, run_dir), output or run_dir):
        click.echo(str(path))


def _run(load: Any, run_dir: Path) -> Any:
    try:
        return load(run_dir)
    except FileNotFoundError:
        hint = "Give a directory that `harness run` wrote, such as runs/finance."
        raise HarnessError(
            "no plan.json: this is no run directory", where=str(run_dir), hint=hint
        ) from None


@main.command()
@click.argument("run_dir", type=click.Path(exists=True, path_type=Path))
@click.argument("cell")
def show(run_dir: Path, cell: str) -> None:
    """Print one CELL of RUN_DIR: its status, values, audit and first prediction.

    Example: harness show runs/finance tiny-qwen2--none--lora-r8
    """
    from harness.results import load_run

    loaded = _run(load_run, run_dir)
    found = [c for c in loaded.cells if c.key.startswith(cell)]
    if not found:
        from harness.registry import did_you_mean

        hint = did_you_mean(cell, [c.key for c in loaded.cells])
        raise HarnessError(f'no cell "{cell}"', where=str(run_dir), hint=hint)
    for item in found:
        _show_cell(loaded, item)


def _show_cell(loaded: Any, item: Any) -> None:
    click.echo(f"{item.key}: {item.status}{f' ({item.reason})' if item.reason else ''}")
    for value in item.values:
        if value.category is None and value.value is not None:
            interval = (
                f" [{value.ci_low:.4g}, {value.ci_high:.4g}]" if value.ci_low is not None else ""
            )
            click.echo(f"  {value.metric:<24} {value.value:.4g}{interval} {value.unit}")
    for warning in item.audit.get("warnings", []):
        click.echo(f"  warning: {warning}")
    for record in loaded.predictions(item)[:1]:
        click.echo(f"  prompt:     {record['prompt']!r}")
        click.echo(f"  reference:  {record['reference']!r}")
        click.echo(f"  prediction: {record['prediction']!r}")


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
