"""Running a suite's plan, and what came of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from harness.api.arguments import StrPath, load_run
from harness.api.suites import ignore, need_packages, plan
from harness.counting import counted
from harness.errors import CELL_FAILED, AllSkipped, HarnessError
from harness.extras import MissingPackage
from harness.plan.plan import Plan, is_planned
from harness.plugins import load_plugins
from harness.results.locking import locked, remove_drafts
from harness.results.run import Run
from harness.run.executors.base import Event
from harness.run.executors.main_module import end_if_run_again
from harness.scoring.rescoring import is_outdated

if TYPE_CHECKING:
    from harness.analysis.leaderboard import Leaderboard


@dataclass(frozen=True)
class Outcome:
    """The outcome of `run`."""

    directory: Path
    """The run directory."""
    counts: dict[str, int]
    """Number of cells by outcome: `ok`, `failed`, `skipped`, `current`."""
    board: Leaderboard | None
    """The leaderboard; None if nothing has changed since it was written."""
    rescored: int = 0
    """Cells that were scored again by newer metrics, without training."""
    warnings: tuple[str, ...] = ()
    """What experiment trackers say that could not be told of the run."""

    @property
    def left_out(self) -> str | None:
        """The lines that say which tables the report lacks, and how to get them."""
        from harness.report.tables import tables_left_out

        return tables_left_out(self.directory)

    @cached_property
    def run(self) -> Run:
        """The run, read from its files on first use."""
        return self.board.run if self.board else load_run(self.directory)

    @property
    def page(self) -> Path:
        """The rendered page."""
        return self.directory / "leaderboard.html"

    @property
    def summary(self) -> str:
        """The counts in words, and the path of the page."""
        text = ", ".join(f"{number} {kind}" for kind, number in self.counts.items() if number)
        if self.board is None:
            text = f"{text}: nothing to do"
        return f"{text or 'nothing to do'}; {self.page}"

    def exit_code(self, *, strict: bool = False) -> int:
        """4 if a cell failed, or all were skipped, or, if ``strict``, one was; else 0."""
        nothing = not (self.counts["ok"] or self.counts["current"])  # nothing has a result
        skipped = self.counts["skipped"] and (strict or nothing)
        return CELL_FAILED if self.counts["failed"] or skipped else 0


def run(
    suite: StrPath | Plan,
    *,
    output: StrPath | None = None,
    select: str | None = None,
    workers: int | None = None,
    executor: str | None = None,
    devices: Sequence[int] | None = None,
    address: str | None = None,
    backend: str | None = None,
) -> Run:
    """Train and score the missing cells of a suite, and render its leaderboards.

    A cell that fails does not raise: its status and reason are in the run.

    Args:
        suite: What `plan` returned, a suite's path, or the name of a shipped one.
        output: The run directory; default ``runs/<suite>``.
        select: Which cells: ``model=tiny-*,adapter=base|lora-r8``.
        workers: Cells at a time; default: on a GPU as many as its memory surely holds, else one
            for each core.
        executor: `local` or `in_process`, or a plug-in's; default: the plan's, or `local`.
        devices: Numbers of the GPUs to use, as `nvidia-smi` counts them; default: all.
        address: The cluster to run on, for an executor that runs on one.
        backend: What trains, answers and measures; default: the plan's, or `hf`.

    Raises:
        HarnessError: the suite or an argument is wrong.
    """
    end_if_run_again()  # before the plan, which takes seconds for a large suite
    if isinstance(suite, Plan):
        given = {
            "output": output, "select": select, "executor": executor, "devices": devices,
            "address": address, "backend": backend,
        }  # fmt: skip
        names = [name for name, value in given.items() if value is not None]
        if names:
            hint = f"Pass it to harness.plan instead: plan(…, {names[0]}=…)."
            raise HarnessError(f"{', '.join(names)}: already decided by the plan", hint=hint)
        return execute(suite, workers=workers).run
    made = plan(
        suite, output=output, select=select, executor=executor or "local", devices=devices,
        address=address, backend=backend or "hf",
    )  # fmt: skip
    return execute(made, workers=workers).run


def execute(
    plan: Plan,
    *,
    on_event: Callable[[Event], None] = ignore,
    workers: int | None = None,
    fail_fast: bool = False,
    cell_timeout: float | None = None,
    retry: int | None = None,
    wait: bool = False,
) -> Outcome:
    """Run ``plan``, render its leaderboards and return the outcome.

    Args:
        plan: What `plan` returned.
        on_event: Is called with the news of each cell.
        workers: Cells at a time.
        fail_fast: Stop at the first cell that fails.
        cell_timeout: Seconds that a cell may take; without, as long as it takes.
        retry: How often a cell is tried again whose worker was lost, or whose hub timed out.
        wait: Wait while another process writes to the run directory, instead of refusing.

    Raises:
        HarnessError: another process writes to the run directory, or it cannot be written to.
    """
    end_if_run_again()
    load_plugins()
    if _is_up_to_date(plan):
        counts = {"ok": 0, "failed": 0, "skipped": len(plan.of("skip"))}
        counts["current"] = len(plan.of("current"))
        return Outcome(plan.run.directory, counts, None)
    need_packages(plan, "`harness run`")
    from harness.report.preload import preload
    from harness.run.runner import run_here, still_missing

    with locked(plan.run.directory, wait=wait):
        # another run may have done some of it: waited for, or between this plan and the lock
        plan = still_missing(plan)
        _refuse_to_empty(plan)
        remove_drafts(plan.run.directory)
        # in this very process no core idles, and the model's libraries are imported meanwhile
        if plan.of("run") and plan.executor != "in_process":
            preload()
        counts = run_here(
            plan, on_event, workers=workers, fail_fast=fail_fast, cell_timeout=cell_timeout,
            retry=retry,
        )  # fmt: skip
        return _reported(plan, counts)


def _refuse_to_empty(plan: Plan) -> None:
    """Keep plan and page of a run with results where nothing of ``plan`` can run or is current.

    After an update of the harness, say, on a machine without the GPU that the run was made on:
    the results of its former settings would stay on the disk, and be shown nowhere any more.

    Raises:
        AllSkipped: there are such results.
    """
    skipped = plan.of("skip")
    if len(skipped) < len(plan.decisions) or not plan.run.plan.is_file():
        return
    try:
        kept = sum(cell.status == "ok" for cell in load_run(plan.run.directory).cells)
    except HarnessError:  # not to be shown as it is: a plan is written anew
        return
    if kept:
        what = (
            f"no cell can run here, and the {counted(kept, 'result there is', 'results there are')}"
            " of other settings or code"
        )
        hint = (
            f"Nothing was changed. The first cell: {skipped[0].reason}. `-o` names another"
            " directory; `harness report` renders what is there."
        )
        raise AllSkipped(what, where=str(plan.run.directory), hint=hint)


def _reported(plan: Plan, counts: dict[str, int]) -> Outcome:
    """The outcome of a run that has ended, its scores brought up to date and its report written."""
    from harness.analysis.leaderboard import build_leaderboard
    from harness.report.files import write_report
    from harness.scoring.rescoring import rescore

    found = load_run(plan.run.directory)
    named = {m.source for d in plan.decisions for m in d.cell.task.evaluation.metrics}
    rescored = rescore(found, only_outdated=True, code=named)
    if rescored:
        found = load_run(plan.run.directory)
    board = build_leaderboard(found)
    write_report(board, plan.run.directory)
    warnings: list[str] = []
    if names := _trackers(plan):
        from harness.report.tracked import track

        warnings = track(board, names, report=plan.run.directory)
    return Outcome(plan.run.directory, counts, board, len(rescored), tuple(warnings))


def _trackers(plan: Plan) -> tuple[str, ...]:
    """Every tracker that a cell of ``plan`` reports to."""
    return tuple(dict.fromkeys(name for d in plan.decisions for name in d.cell.report_to))


def missing_here(plan: Plan) -> str | None:
    """The package that this installation lacks to run ``plan``, and how to get it; or None."""
    try:
        need_packages(plan, "running it")
    except MissingPackage as missing:
        return str(missing)
    return None


def _is_up_to_date(plan: Plan) -> bool:
    """Whether every cell is current or skipped, and the written reports show their results."""
    from harness.report.files import is_written
    from harness.report.tracked import is_tracked

    if plan.of("run") or not is_planned(plan) or not is_written(plan.run.directory):
        return False
    if not is_tracked(plan.run.directory, _trackers(plan)):
        return False
    return not any(is_outdated(cell) for cell in load_run(plan.run.directory).cells)
