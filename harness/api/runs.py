"""Runs: read them, rank and compare their variants, render, score, pack and import them."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import ValidationError

from harness.analysis import pairs
from harness.analysis.history import history
from harness.analysis.leaderboard import Leaderboard, build_leaderboard
from harness.analysis.pairs import Comparison
from harness.api.arguments import RunLike, StrPath, listed, load_run, run_of
from harness.errors import HarnessError
from harness.plugins import load_plugins
from harness.registry import did_you_mean
from harness.results.locking import locked
from harness.results.redaction import without_texts
from harness.results.result import CellResult, Run
from harness.scoring.rescoring import Rescored, rescore
from harness.suite.schema import AXES, Objectives

__all__ = [
    "compare", "find_cells", "leaderboard", "load_run", "pack", "predict", "report", "score",
]  # fmt: skip


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
    runs of one suite, in the order given, ``board.history`` has each variant over time.

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
    return replace(board, history=history(read, run_names(read)) if len(read) > 1 else None)


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


@dataclass(frozen=True)
class Report:
    """The files of a report."""

    page: Path
    """The HTML page."""
    files: tuple[Path, ...]
    """All files but the charts; the page among them."""
    warnings: tuple[str, ...] = ()
    """What experiment trackers say that could not be told of the run."""

    @property
    def left_out(self) -> str | None:
        """The lines that say which tables the report lacks, and how to get them."""
        from harness.report.tables import tables_left_out

        return tables_left_out(self.page.parent)


def report(
    runs: RunLike | Sequence[RunLike],
    output: StrPath | None = None,
    *,
    title: str | None = None,
    metric: str | None = None,
    baseline_of: str | None = None,
    order_by: str | None = None,
    max_latency_ms: float | None = None,
    max_memory_mib: float | None = None,
    latex: bool = False,
    pdf: bool = False,
    templates: StrPath | None = None,
    texts: bool = True,
    json: bool = False,
    report_to: str | Sequence[str] = (),
    lm_eval: bool = False,
) -> Report:
    """Render the leaderboards of one run or several, from their files alone.

    Args:
        runs: One run or several, each a `Run` or where it is.
        output: Where the files go; default: the run's directory, if it is one run.
        title: The page's title.
        metric: Compare by this metric instead of the primary ones.
        baseline_of: The axis whose first value is the baseline; default: `adapter`.
        order_by: `quality` or `quality_per_gib`; default: as the suite says, like the bounds.
        max_latency_ms: Slower variants are marked as out of bounds.
        max_memory_mib: Larger variants are marked as out of bounds.
        latex: Write ``leaderboard.tex``, too.
        pdf: Print the page's summary of two pages to ``leaderboard.pdf``; needs a Chromium.
        templates: A folder of Jinja templates that replace or extend the shipped ones.
        texts: Quote prompts, references and answers; without, the report can be shown where the
            data may not.
        json: Write ``results.json`` of a run with more than 20,000 records, too, which has
            ``results.parquet`` and ``results.csv`` alone otherwise.
        report_to: Experiment trackers that get the run too: `tensorboard`, `mlflow`, `wandb`,
            `trackio`, one or several.
        lm_eval: Write results and samples in the layout of lm-evaluation-harness, too, to
            ``lm_eval/``.

    Raises:
        HarnessError: several runs, or a packed one, without ``output``; or ``pdf`` without a
            browser that prints.
    """
    from harness.report.files import write_report
    from harness.report.lm_eval_layout import refuse_textless, write_lm_eval
    from harness.report.pdf import browser, print_pdf

    given = listed(runs)
    if output is None:
        output = _own_directory(given)
    if lm_eval and not texts:
        refuse_textless()
    if pdf:
        browser()  # a missing one is said now, not after the work
    trackers = _trackers(report_to, given)
    asked = {
        "order_by": order_by, "max_latency_ms": max_latency_ms, "max_memory_mib": max_memory_mib,
    }  # fmt: skip
    with _uncollected():
        read = [run_of(one) if texts else without_texts(run_of(one)) for one in given]
        wanted = {key: value for key, value in asked.items() if value is not None}
        objectives = _objectives({**read[0].suite.get("objectives", {}), **wanted})
        board = leaderboard(
            read, metric=metric, baseline_of=baseline_of, objectives=objectives, title=title
        )
        folder = Path(templates) if templates else None
        files = write_report(
            board, Path(output), title=title, latex=latex, templates=folder, json=json
        )
        if lm_eval:
            files.append(write_lm_eval(board.run, Path(output)))
    page = Path(output) / "leaderboard.html"
    if pdf:
        files.append(print_pdf(page, page.with_suffix(".pdf")))
    warnings: list[str] = []
    if trackers:
        from harness.report.tracked import track

        warnings = track(board, trackers, report=Path(output))
    return Report(page, tuple(files), tuple(warnings))


def _trackers(report_to: str | Sequence[str], runs: Sequence[RunLike]) -> tuple[str, ...]:
    """The trackers ``report_to``, which can be told of the one run in its own directory.

    Raises:
        HarnessError: one is not known or not installed, or the run has no directory of its own.
    """
    from harness.trackers.names import TRACKERS, missing_reason, named

    names = named([report_to] if isinstance(report_to, str) else list(report_to))
    for name in names:
        if name not in TRACKERS:
            raise HarnessError(f'unknown tracker "{name}"', hint=did_you_mean(name, TRACKERS))
        if reason := missing_reason(name):
            raise HarnessError(reason)
    if names:
        (first, *more) = runs
        if more or (not isinstance(first, Run) and Path(first).is_file()):
            hint = "What a tracker knows of a run is noted in the run's directory."
            raise HarnessError("trackers take one run, in its own directory", hint=hint)
    return names


def _objectives(wanted: Mapping[str, object]) -> Objectives:
    try:
        return Objectives.model_validate(wanted)
    except ValidationError as error:
        (first, *_) = error.errors()
        raise HarnessError(f"{first['loc'][0]}: {first['msg']}") from None


def _own_directory(runs: Sequence[RunLike]) -> Path:
    (run, *more) = runs
    place = run.directory if isinstance(run, Run) else Path(run)
    if more or place.is_file():
        hint = "Say where to write it: `-o FOLDER`, in Python `output=`."
        raise HarnessError(
            "a report of several runs, or of a packed one, needs a folder", hint=hint
        )
    return place


@contextmanager
def _uncollected() -> Iterator[None]:
    """Skip the search for cycles: a run's many records have none, and looking takes a second."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@dataclass(frozen=True)
class Scored:
    """The outcome of scoring a run again."""

    cells: tuple[Rescored, ...]
    """The changes of each cell."""
    report: Report


def score(run: RunLike, *, metric_code: bool = False) -> Scored:
    """Read and score the stored answers of ``run`` again with the installed metrics; report them.

    Args:
        run: A run's directory.
        metric_code: Load and run the metric modules that the run names. It may name any file:
            allow it for runs of your own.

    Raises:
        HarnessError: predictions are missing, damaged or fewer than their result counted, or a
            metric is code that was not allowed; nothing is written then.
    """
    if not isinstance(run, Run) and Path(run).is_file():
        hint = "Give the run's own directory: the new scores are written into it."
        raise HarnessError("a packed run cannot be scored again", where=str(run), hint=hint)
    found = run_of(run)
    if not found.has_texts:
        what = "a run without texts cannot be scored again"
        raise HarnessError(what, where=str(found.directory), hint="Score the run it came from.")
    with locked(found.directory):
        cells = rescore(found, code=None if metric_code else ())
        return Scored(tuple(cells), report(found.directory))


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


def find_cells(run: RunLike, name: str) -> list[CellResult]:
    """The cells of ``run`` whose key begins with ``name``.

    Raises:
        HarnessError: there is none; the message carries the nearest key.
    """
    read = run_of(run)
    found = [cell for cell in read.cells if cell.key.startswith(name)]
    if not found:
        hint = did_you_mean(name, [cell.key for cell in read.cells])
        raise HarnessError(f'no cell "{name}"', where=str(read.directory), hint=hint)
    return found


def predict(run: RunLike, cell: str, prompts: str | Sequence[str]) -> list[str]:
    """Answer ``prompts`` with a cell of ``run``: its base, adapter, prompt style and decoding.

    Args:
        run: A run, or where it is.
        cell: The beginning of a cell's key; it must name one cell.
        prompts: One, or several; those of white space alone are left out.

    Raises:
        HarnessError: no prompt, no such cell, several of them, or its adapter is gone.
    """
    read = run_of(run)
    result = one_cell(read, cell)
    if result.status != "ok" or not result.provenance.cell:
        raise HarnessError(f"{result.key} has no model: {result.reason or result.status}")
    asked_for = [prompts] if isinstance(prompts, str) else prompts  # a text is not its letters
    texts = [text for text in asked_for if text.strip()]
    if not texts:
        raise HarnessError(
            "no prompt given", hint="Use --prompt, --file or lines on standard input."
        )
    from harness.plan.cell import cell_of_record
    from harness.run.answer import answers

    asked = cell_of_record(result.provenance.cell)
    return answers(asked, read.paths(result), texts)


def one_cell(run: Run, name: str) -> CellResult:
    """The cell of ``run`` whose key begins with ``name``.

    Raises:
        HarnessError: there is none, or there are several.
    """
    found = find_cells(run, name)
    if len(found) > 1:
        hint = f"Give more of the name: {', '.join(cell.key for cell in found[:4])}."
        raise HarnessError(f'"{name}" matches {len(found)} cells', hint=hint)
    return found[0]
