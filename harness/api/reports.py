"""Reports: the files that a run or several are rendered to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pydantic import ValidationError

from harness.api.arguments import RunLike, StrPath, is_packed, listed, run_of
from harness.api.runs import leaderboard
from harness.collector import uncollected
from harness.errors import HarnessError
from harness.registry import did_you_mean
from harness.results.redaction import without_texts
from harness.results.run import Run
from harness.suite.schema import Objectives


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
    with uncollected():
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
        if more or is_packed(first):
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
