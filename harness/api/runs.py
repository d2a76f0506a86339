"""Runs: read them, rank and compare their variants, and pack them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from harness.analysis import pairs
from harness.analysis.history import history
from harness.analysis.leaderboard import Leaderboard, build_leaderboard
from harness.analysis.pairs import Comparison
from harness.api.arguments import RunLike, StrPath, listed, load_run, run_of
from harness.errors import HarnessError
from harness.plugins import load_plugins
from harness.registry import did_you_mean
from harness.results.run import Run
from harness.suite.schema import AXES, Objectives

__all__ = ["compare", "leaderboard", "load_run", "pack"]


def leaderboard(
    runs: RunLike | Sequence[RunLike],
    *,
    metric: str | None = None,
    baseline_of: str | None = None,
    objectives: Objectives | None = None,
    title: str | None = None,
) -> Leaderboard:
    """Compare the variants of one run or several with their baselines.

    ``board.to_frame()`` is a table in pandas; in a notebook the board shows itself. Of several
    runs of one suite, in the order given, ``board.history`` has each variant over time and
    ``board.last`` the last run alone: decisions and differences by axis come from it.

    Args:
        runs: One run or several, each a `Run` or where it is.
        metric: Compare by this metric instead of the primary ones.
        baseline_of: The axis whose first value is the baseline: `model`, `quantization` or
            `adapter`; default: `adapter`, the untouched model.
        objectives: What is wanted of a variant; default: as the suite says.
        title: The name of several runs together.
    """
    from harness.results.merging import merged, run_names

    read = [run_of(one) for one in listed(runs)]
    run = merged(read, name=title)
    board = build_leaderboard(run, objectives, metric=metric, baseline_of=baseline_of)
    over_time = history(read, run_names(read)) if len(read) > 1 else None
    if over_time is None:
        return board
    # `merged` keeps the cells of each run together, in the order of the runs
    newest = replace(run, cells=run.cells[len(run.cells) - len(read[-1].cells) :])
    last = build_leaderboard(newest, board.objectives, baseline_of=baseline_of, metric=metric)
    # a reader decides by the last run, so its data sets come first
    places = {table.dataset: place for place, table in enumerate(last.tables)}
    tables = sorted(board.tables, key=lambda table: places.get(table.dataset, len(places)))
    return replace(board, tables=tuple(tables), history=over_time, last=last)


def compare(
    first: RunLike,
    second: RunLike | None = None,
    *,
    axis: str | None = None,
    values: Sequence[str] = (),
    margin: float = 0.0,
    metrics: str | Sequence[str] = (),
) -> Comparison:
    """Compare two runs, two cells, or the variants of one run along ``axis``: second minus first.

    With an axis, ``comparison.contrasts`` has the differences between its values with everything
    else equal, and ``comparison.along`` also those over all data sets.

    ``comparison.to_frame()`` is a table in pandas; in a notebook the comparison shows itself.

    Args:
        first: A run, where it is, or the folder of one of its cells.
        second: The other side; leave it out with ``axis``.
        axis: Pair the variants of ``first`` that differ in this axis alone.
        values: With ``axis``: its values to compare, such as ``["lora-r8", "lora-r16"]``.
        margin: The smallest difference that matters.
        metrics: Names that you will look up in the result; one that no pair has is refused.

    Raises:
        HarnessError: the two have nothing in common, or the axis has a single value.
    """
    load_plugins()
    if (second is None) == (axis is None):
        raise HarnessError(
            "nothing to compare with", hint="Give a second run or cell, or an axis (`--axis`)."
        )
    if values and axis is None:
        raise HarnessError("values of no axis", hint="Say of which one: `--axis`.")
    names = [metrics] if isinstance(metrics, str) else list(metrics)
    if second is not None:
        found = pairs.compare(_side(first), _side(second), margin=margin)
    elif axis not in AXES:
        raise HarnessError(f'unknown axis "{axis}"', hint=did_you_mean(str(axis), AXES))
    else:
        wanted = [values] if isinstance(values, str) else values
        found = pairs.compare_axis(
            run_of(first), str(axis), margin=margin, values=wanted, metrics=names
        )
    _check_metrics(found, names)
    return found


def _check_metrics(found: Comparison, metrics: Sequence[str]) -> None:
    """Refuse a metric that no pair has: nothing would be printed, as if nothing differed."""
    known = {metric for pair in found for metric in pair.deltas}
    for metric in metrics:
        if known and metric not in known:
            what = f'no pair is compared by the metric "{metric}"'
            raise HarnessError(what, hint=did_you_mean(metric, known))


def _side(side: RunLike) -> Run | Path:
    return side if isinstance(side, Run) else Path(side)


def pack(run: RunLike, output: StrPath, *, texts: bool = True) -> Path:
    """Pack everything of ``run`` that a report needs into one small file.

    Args:
        run: A run, or where it is.
        output: The file.
        texts: Keep prompts, references and answers; without, scores and counts alone are kept,
            from which every statistic can be computed again.

    Raises:
        HarnessError: the file's name does not end with ``.tar.xz``.
    """
    from harness.results import packing
    from harness.results.textless import pack_without_texts

    if not Path(output).name.endswith(packing.SUFFIX):
        hint = f"For example run{packing.SUFFIX}."
        raise HarnessError(
            f"the name of a packed run must end with {packing.SUFFIX}", where=str(output), hint=hint
        )
    read = run_of(run)
    if texts and read.has_texts:
        return packing.pack(read.directory, Path(output))
    return pack_without_texts(read, Path(output))
