"""`harness check` and `harness baseline`."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.as_json import AS_JSON, say_json
from harness.commands.screen import say_fitted
from harness.counting import counted
from harness.results.text import say

if TYPE_CHECKING:
    from harness.gate.verdict import GateVerdict

FILE = click.Path(dir_okay=False, path_type=Path)
RUN_DIR = click.Path(exists=True, path_type=Path)


@click.command()
@click.argument("run_dir", type=RUN_DIR)
@click.option("--against", help="Baseline: a file, a run, git:REF[:PATH]; default: the suite's.")
@click.option("--rules", type=FILE, help="A YAML file of `rules:`; default: the suite's `gate`.")
@click.option("--junit", type=FILE, help="Write JUnit XML here.")
@click.option("--summary", type=FILE, help="Append Markdown here; default $GITHUB_STEP_SUMMARY.")
@click.option("--comment", type=FILE, help="Write a comment for the pull request here.")
@click.option("--link", help="Where the comment leads; default: the run of GitHub Actions.")
@click.option("--json", "as_json", is_flag=True, help="Print every check as JSON.")
@click.option("-v", "--verbose", is_flag=True, help="Print the checks that pass, too.")
def check(
    run_dir: Path, against: str | None, rules: Path | None, junit: Path | None,
    summary: Path | None, comment: Path | None, link: str | None, as_json: bool, verbose: bool,
) -> None:  # fmt: skip
    """Compare a run with its baseline: the regression gate.

    Exit code 0: nothing is shown to be worse; 1: a regression; 2: wrong input; 3: no baseline, or
    not comparable; 4: a cell failed; 70: a fault of the harness.

    Example: harness check runs/ci --against suites/ci.baseline.json
    """
    from harness.api.gate import check as check_run
    from harness.api.runs import load_run
    from harness.gate.render import as_json as json_of
    from harness.gate.render import as_junit, as_markdown, workflow_commands
    from harness.results.paths import write_text

    run = load_run(run_dir)
    verdict = check_run(run, against=against, rules=rules)
    if junit:
        write_text(junit, as_junit(verdict, run))
    step = summary or _step_summary()
    if step:
        with step.open("a", encoding="utf-8") as file:
            file.write(as_markdown(verdict, run))
    if comment:
        from harness.gate.comment import as_comment

        write_text(comment, as_comment(verdict, run, _link(link)))
    if as_json:
        say(json_of(verdict), nl=False)
    else:
        _print(verdict, verbose)
        if os.environ.get("GITHUB_ACTIONS") == "true":
            say("\n".join(workflow_commands(verdict)))
    sys.exit(verdict.exit_code)


def _link(given: str | None) -> str | None:
    """The address that the comment leads to; on GitHub Actions that of the workflow's run."""
    if given is None:
        names = ("GITHUB_SERVER_URL", "GITHUB_REPOSITORY", "GITHUB_RUN_ID")
        server, repository, run = (os.environ.get(name, "") for name in names)
        return f"{server}/{repository}/actions/runs/{run}" if server and run else None
    if not re.fullmatch(r"https?://[^\s<>()]+", given):
        raise click.BadParameter("give an address that begins with https://", param_hint="--link")
    return given


def _step_summary() -> Path | None:
    named = os.environ.get("GITHUB_STEP_SUMMARY")
    return Path(named) if named else None


def _print(verdict: GateVerdict, verbose: bool) -> None:
    """Problems and warnings in full, the rest counted by rule, then the summary."""
    from collections import Counter

    quiet: Counter[str] = Counter()
    for item in verdict.ordered():
        rule = f"{item.metric} ({item.rule.test})"
        if verbose or not item.passed:
            say_fitted(f"{item.outcome}: {item.row}: {rule}")
            for line in item.text.splitlines():
                say_fitted(f"    {line}", "")
        else:
            quiet[f"{item.outcome}: {rule}"] += 1
    for outcome, count in quiet.items():
        say_fitted(f"{outcome}, {counted(count, 'cell')}")
    say_fitted(verdict.summary)


@click.group()
def baseline() -> None:
    """Write and read the baselines of `check`."""


@baseline.command()
@click.argument("run_dir", type=RUN_DIR)
@click.option("--reason", required=True, help="Why the baseline changes; kept in the file.")
@click.option("-o", "--output", type=FILE, help="Default: beside the suite, NAME.baseline.json.")
def update(run_dir: Path, reason: str, output: Path | None) -> None:
    """Record a run as the baseline of later checks.

    The file keeps scores per example, values, hashes, hardware and the reason.

    Example: harness baseline update runs/ci --reason "rank 8 to 16"
    """
    from harness.api.gate import update_baseline

    recorded = update_baseline(run_dir, reason, path=output)
    say(f"{recorded.path}: {counted(recorded.cells, 'cell')}")


@baseline.command()
@click.argument("path", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@AS_JSON
def show(path: Path, as_json: bool) -> None:
    """Print what a baseline holds, and why it was taken.

    Example: harness baseline show suites/ci.baseline.json
    """
    from harness.api.gate import load_baseline

    found = load_baseline(path)
    if as_json:
        cells = [
            {
                "name": cell.name,
                "status": cell.status,
                "reason": cell.reason,
                "examples": len(cell.examples.get("id", ())),
                "primary_metric": cell.primary_metric,
                "hardware": cell.hardware,
            }
            for cell in found.cells
        ]
        say_json({"history": list(found.history), "cells": cells})
        return
    for entry in found.history:
        say_fitted(f"{entry['revision'][:12]:<12} {entry['reason']}", " " * 13)
    for cell in found.cells:
        size = len(cell.examples.get("id", ()))
        what = f"{counted(size, 'example')}, {cell.primary_metric}"
        say_fitted(f"{cell.status:<8} {cell.name}: {what}", " " * 9)
