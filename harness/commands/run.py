"""`harness run` and `harness plan`."""

from __future__ import annotations

import math
import re
import sys
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.as_json import AS_JSON, say_json
from harness.commands.completion import suites as complete_suites
from harness.commands.screen import say_fitted, screen_width
from harness.counting import counted
from harness.results.text import console, say

if TYPE_CHECKING:
    from harness.api.running import Outcome
    from harness.plan.plan import Plan
    from harness.run.calibrate import Expected

WORDS = ("train", "predict", "measure", "score", "current", "skip", "elsewhere")
"""What the plan does with a cell: start at a stage, keep it as it is, skip it, or leave it to
another shard."""
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
            size = math.nan
        if not 0 < size < math.inf:
            self.fail(f'"{value}" is not a size: write 8GB', None, ctx)
        return size


MEMORY = _Memory()


class _Duration(click.ParamType):  # type: ignore[type-arg]
    """A time such as `90`, `90s`, `30m` or `2h`, in seconds."""

    name = "time"

    def convert(self, value: object, param: object, ctx: click.Context | None) -> float:
        """Seconds, as a number."""
        found = re.fullmatch(r"(\d{1,9}(?:\.\d{1,9})?) ?([smh]?)", str(value).strip().lower())
        if not found or not float(found[1]):
            self.fail(f'"{value}" is not a time: write 90s, 30m or 2h', None, ctx)
        return float(found[1]) * {"": 1, "s": 1, "m": 60, "h": 3600}[found[2]]


DURATION = _Duration()
EXECUTOR = click.option(
    "--executor",
    default="local",
    metavar="NAME",
    help="Where cells run: local (default), in_process for a debugger, or a plug-in's.",
)


class _Numbers(click.ParamType):  # type: ignore[type-arg]
    """Numbers such as `0,1`."""

    name = "numbers"

    def convert(self, value: object, param: object, ctx: click.Context | None) -> tuple[int, ...]:
        """The numbers, in the order that they were written in."""
        parts = [part.strip() for part in str(value).split(",")]
        if not all(part.isdecimal() and len(part) < 5 for part in parts):
            self.fail(f'"{value}" are no device numbers: write 0,1', None, ctx)
        return tuple(map(int, parts))


DEVICES = click.option(
    "--devices",
    type=_Numbers(),
    metavar="0,1",
    help="GPUs to use, as nvidia-smi counts them; default: all.",
)
ADDRESS = click.option(
    "--address", metavar="ADDRESS", help="The cluster, for an executor that runs on one."
)
SHARD = click.option(
    "--shard", metavar="3/8", help="Run this part of the cells; `harness merge` joins the parts."
)
BACKEND = click.option(
    "--backend",
    default="hf",
    metavar="NAME",
    help="What trains and answers: hf (default), or a plug-in's.",
)


@click.command()
@click.argument("suite", type=PATH, shell_complete=complete_suites)
@click.option("--select", help="Cells to run: 'model=tiny-*,adapter=base|lora-r8'.")
@click.option("-o", "--output", type=PATH, help="Run directory; default runs/<suite>.")
@click.option(
    "--workers",
    type=click.IntRange(1),
    help="Cells at a time; default: what a GPU's memory holds, else the cores.",
)
@EXECUTOR
@DEVICES
@ADDRESS
@BACKEND
@SHARD
@click.option("--tiny", is_flag=True, help="The suite's tiny twin: the same path on a CPU.")
@click.option("--max-vram", type=MEMORY, help="Skip cells expected to need more: 8GB.")
@click.option("--dry-run", is_flag=True, help="Print the plan and stop.")
@click.option("--strict", is_flag=True, help="A skipped cell is a failure.")
@click.option("--full", is_flag=True, help="Print tables and reasons, not only the decisions.")
@click.option("--fail-fast", is_flag=True, help="Stop at the first failed cell.")
@click.option(
    "--cell-timeout",
    type=DURATION,
    metavar="TIME",
    help="End a cell that takes longer: 90s, 30m, 2h; default: no limit.",
)
@click.option(
    "--retry",
    type=click.IntRange(0),
    metavar="N",
    help="Try again, so often, a cell whose worker was lost or whose hub timed out.",
)
@click.option("--wait", is_flag=True, help="Wait while another run writes to the directory.")
@AS_JSON
def run(
    suite: Path, select: str | None, output: Path | None, workers: int | None, executor: str,
    devices: tuple[int, ...] | None, address: str | None, backend: str, shard: str | None,
    tiny: bool, max_vram: float | None, dry_run: bool, strict: bool, full: bool, fail_fast: bool,
    cell_timeout: float | None, retry: int | None, wait: bool, as_json: bool,
) -> None:  # fmt: skip
    """Train and score every cell of a suite.

    What is done already is kept; the leaderboards are rendered at the end. A worker that uses no
    processor time for ten minutes is hung and is ended; set a limit for one that works yourself.

    Example: harness run suites/finance.yaml
    """
    from harness.api.running import execute
    from harness.api.suites import plan as make_plan
    from harness.run.progress import SuiteProgress

    found = make_plan(
        suite, output=output, select=select, tiny=tiny, max_vram_gib=max_vram, executor=executor,
        devices=devices, address=address, backend=backend, shard=shard,
    )  # fmt: skip
    if dry_run:
        _print_plan(found, as_json=as_json)
        return
    for line in _reasons(found):
        say(line, err=True)
    try:
        with SuiteProgress(len(found.of("run"))) as progress:
            outcome = execute(
                found, on_event=progress, workers=workers, fail_fast=fail_fast,
                cell_timeout=cell_timeout, retry=retry, wait=wait,
            )  # fmt: skip
    except KeyboardInterrupt:
        say("stopped; the same command goes on where this one was", err=True)
        sys.exit(130)
    if as_json:
        say_json(_outcome_record(outcome, strict=strict))
        sys.exit(outcome.exit_code(strict=strict))
    if outcome.rescored:
        say(f"{counted(outcome.rescored, 'cell')} scored again by newer metrics, without training")
    if outcome.board:
        from harness.report.terminal import print_leaderboard

        print_leaderboard(outcome.board, console(), full=full)
        if outcome.left_out:
            say(outcome.left_out, err=True)
    for warning in outcome.warnings:
        say(f"warning: {warning}", err=True)
    say_fitted(outcome.summary)
    sys.exit(outcome.exit_code(strict=strict))


@click.command()
@click.argument("suite", type=PATH, shell_complete=complete_suites)
@click.option("--select", help="Cells to plan: 'model=tiny-*'.")
@click.option("-o", "--output", type=PATH, help="Run directory; default runs/<suite>.")
@EXECUTOR
@DEVICES
@ADDRESS
@BACKEND
@SHARD
@click.option("--tiny", is_flag=True, help="The suite's tiny twin.")
@click.option("--max-vram", type=MEMORY, help="Skip cells expected to need more: 8GB.")
@click.option("--keys", is_flag=True, help="Print a line per cell, with its key.")
@click.option("--calibrate", is_flag=True, help="Run some cells cut short to estimate the time.")
@AS_JSON
def plan(
    suite: Path, select: str | None, output: Path | None, executor: str,
    devices: tuple[int, ...] | None, address: str | None, backend: str, shard: str | None,
    tiny: bool, max_vram: float | None, keys: bool, calibrate: bool, as_json: bool,
) -> None:  # fmt: skip
    """Print what `run` would do with a suite, and why.

    A cell starts at `train`, `predict`, `measure` or `score`, whichever comes first of what has
    changed, keeps what does not depend on it, or is `current` or skipped. The memory it takes is
    estimated from the architecture's numbers; the card is the smallest usual one that holds it.
    With --calibrate the time too: one cell of every model × quantization × data set trains for
    four steps and answers one batch.

    Example: harness plan suites/finance.yaml
    """
    from harness.api.running import missing_here
    from harness.api.suites import plan as make_plan

    found = make_plan(
        suite, output=output, select=select, tiny=tiny, max_vram_gib=max_vram, executor=executor,
        devices=devices, address=address, backend=backend, shard=shard,
    )  # fmt: skip
    _print_plan(found, _expected(found) if calibrate else None, keys=keys, as_json=as_json)
    missing = missing_here(found)
    if missing:
        say(missing, err=True)


def _by_key(plan_: Plan) -> list[str]:
    places = [f"  (latency: {d.measured_in})" if d.measured_in else "" for d in plan_.decisions]
    return [f"{d.word:<8} {d.key}{p}" for d, p in zip(plan_.decisions, places, strict=True)]


def _expected(plan_: Plan) -> Expected:
    from harness.api.suites import calibrate, cells_to_calibrate
    from harness.run.progress import SuiteProgress

    with SuiteProgress(cells_to_calibrate(plan_)) as progress:
        return calibrate(plan_, on_event=progress)


def _outcome_record(outcome: Outcome, *, strict: bool) -> dict[str, object]:
    from harness.api.runs import leaderboard
    from harness.report.terminal import decisions_record

    return {
        "directory": str(outcome.directory),
        "page": str(outcome.page),
        "counts": outcome.counts,
        "rescored": outcome.rescored,
        "exit_code": outcome.exit_code(strict=strict),
        "cells": [
            {"key": cell.key, "status": cell.status, "reason": cell.reason}
            for cell in outcome.run.cells
        ],
        **decisions_record(outcome.board or leaderboard(outcome.run)),
    }


def _print_plan(
    plan_: Plan, expected: Expected | None = None, *, keys: bool = False, as_json: bool = False
) -> None:
    from harness.report.plan_table import duration, plan_lines, plan_record

    if as_json:
        times = expected.cells if expected else {}
        total = {"expected_seconds": expected.total} if expected else {}
        say_json({**plan_record(plan_, times), **total})
        return
    cells = expected.cells if expected else {}
    for line in _by_key(plan_) if keys else plan_lines(plan_, cells, screen_width()):
        say_fitted(line)
    counts = Counter(decision.word for decision in plan_.decisions)
    shown = [word for word in WORDS if counts[word] or word in ("current", "skip")]
    say(", ".join(f"{counts[word]} {word}" for word in shown))
    if expected:
        say_fitted(
            f"about {duration(expected.total)}, {expected.at_once} at a time"
            f" (from {duration(expected.spent)} of shortened cells)"
        )
        missing = len(plan_.of("run")) - len(cells)
        if missing:
            say(f"{counted(missing, 'cell')} without an estimate: their shortened cell failed")


def _reasons(plan_: Plan) -> list[str]:
    """Why cells are done again: the cell's key with it, or how many there are of one reason."""
    keys: dict[str, list[str]] = {}
    for decision in plan_.of("run"):
        if decision.reason:
            keys.setdefault(decision.reason, []).append(decision.key)
    return [
        f"{found[0] if len(found) == 1 else counted(len(found), 'cell')}: {reason}"
        for reason, found in keys.items()
    ]
