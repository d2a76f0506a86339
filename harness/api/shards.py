"""Runs of one suite's shards, joined."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.api.arguments import StrPath, load_run, refuse_packed
from harness.api.running import Outcome
from harness.plugins import load_plugins
from harness.results.shards import join


def merge(output: StrPath, runs: Sequence[StrPath]) -> Outcome:
    """Join run directories of one suite's shards into a new one, and render its leaderboards.

    Args:
        output: The new run directory.
        runs: Those that `run` wrote with ``shard``; each may be unfinished.

    Raises:
        HarnessError: ``output`` is not empty, the runs are not of one suite and its data, two of
            them have different results of a cell, or a file of a result is damaged.
    """
    from harness.analysis.leaderboard import build_leaderboard
    from harness.report.files import write_report

    load_plugins()
    for run in runs:
        hint = "Give the directory that `harness run --shard` wrote."
        refuse_packed(run, "a packed run cannot be merged", hint)
    target = Path(output)
    counts = join([Path(run) for run in runs], target)
    board = build_leaderboard(load_run(target))
    write_report(board, target)
    return Outcome(target, counts, board)
