"""`harness check` and `harness baseline`."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.report import RUN_DIR, load
from harness.errors import HarnessError
from harness.results.text import say

if TYPE_CHECKING:
    from harness.gate.check import Verdict

FILE = click.Path(dir_okay=False, path_type=Path)


@click.command()
@click.argument("run_dir", type=RUN_DIR)
@click.option("--against", help="Baseline: a file, a run, git:REF[:PATH]; default: the suite's.")
@click.option("--rules", type=FILE, help="A YAML file of `rules:`; default: the suite's `gate`.")
@click.option("--junit", type=FILE, help="Write JUnit XML here.")
@click.option("--summary", type=FILE, help="Append Markdown here; default $GITHUB_STEP_SUMMARY.")
@click.option("--json", "as_json", is_flag=True, help="Print every check as JSON.")
@click.option("-v", "--verbose", is_flag=True, help="Print the checks that pass, too.")
def check(
    run_dir: Path, against: str | None, rules: Path | None, junit: Path | None,
    summary: Path | None, as_json: bool, verbose: bool,
) -> None:  # fmt: skip
    """Compare RUN_DIR with a baseline: the regression gate.

    Exit code 0: nothing is shown to be worse; 1: a regression; 2: wrong usage; 3: no baseline, or
    not comparable; 4: a cell failed.

    Example: harness check runs/ci --against suites/ci.baseline.json
    """
    from harness.gate import render as views
    from harness.gate.check import baseline_path, gate_run
    from harness.results.paths import write_text

    try:
        run = load(run_dir)
        verdict = gate_run(run, against, rules)
    except (HarnessError, click.ClickException):
        raise
    except Exception as error:  # Python's own exit code would be 1: a regression
        traceback.print_exc()
        say(f"not checked, the comparison failed: {type(error).__name__}: {error}", err=True)
        sys.exit(3)
    if verdict is None:
        where = against or baseline_path(run)
        hint = f'Write one: harness baseline update {run_dir} --reason "first baseline".'
        click.echo(f"no-baseline: there is no {where}\n  {hint}", err=True)
        sys.exit(3)
    if junit:
        write_text(junit, views.as_junit(verdict, run))
    step = summary or _step_summary()
    if step:
        with step.open("a", encoding="utf-8") as file:
            file.write(views.as_markdown(verdict, run))
    if as_json:
        click.echo(views.as_json(verdict), nl=False)
    else:
        _print(verdict, verbose)
        if os.environ.get("GITHUB_ACTIONS") == "true":
            click.echo("\n".join(views.workflow_commands(verdict)))
    sys.exit(verdict.exit_code)


def _step_summary() -> Path | None:
    named = os.environ.get("GITHUB_STEP_SUMMARY")
    return Path(named) if named else None


def _print(verdict: Verdict, verbose: bool) -> None:
    """Problems and warnings in full, the rest counted by rule, then the summary."""
    from collections import Counter

    from rich.console import Console
    from rich.padding import Padding

    console = Console()
    quiet: Counter[str] = Counter()
    for item in verdict.ordered():
        rule = f"{item.metric} ({item.rule.test})"
        if item.level or verbose:
            console.print(f"{item.outcome}: {item.row}: {rule}", highlight=False, markup=False)
            console.print(Padding(item.text, (0, 0, 0, 4)), highlight=False, markup=False)
        else:
            quiet[f"{item.outcome}: {rule}"] += 1
    for said, count in quiet.items():
        console.print(f"{said}, {count} cells", highlight=False, markup=False)
    console.print(verdict.summary, highlight=False, markup=False)


@click.group()
def baseline() -> None:
    """Write and read the baselines that `check` compares with."""


@baseline.command()
@click.argument("run_dir", type=RUN_DIR)
@click.option("--reason", required=True, help="Why the baseline changes; kept in the file.")
@click.option("-o", "--output", type=FILE, help="Default: beside the suite, NAME.baseline.json.")
def update(run_dir: Path, reason: str, output: Path | None) -> None:
    """Record RUN_DIR as the baseline: scores per example, values, hashes, hardware.

    Example: harness baseline update runs/ci --reason "rank 8 to 16"
    """
    from harness.gate.check import baseline_path, update_baseline

    run = load(run_dir)
    path = output or baseline_path(run)
    count = update_baseline(run, path, reason)
    click.echo(f"{path}: {count} cells")


@baseline.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def show(path: Path) -> None:
    """Print what the baseline in PATH holds, and the reasons why it was taken.

    Example: harness baseline show suites/ci.baseline.json
    """
    from harness.gate.baseline import load_snapshot

    found = load_snapshot(str(path), path)
    for entry in found.history:
        click.echo(f"{entry['revision'][:12]:<12} {entry['reason']}")
    for cell in found.cells:
        size = len(cell.examples.get("id", ()))
        click.echo(f"{cell.status:<8} {cell.name}: {size} examples, {cell.primary_metric}")
