"""`harness report`, `harness pack`, `harness score` and `harness show`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.as_json import AS_JSON, say_json
from harness.commands.completion import cells as complete_cells
from harness.commands.numbers import NUMBER
from harness.commands.screen import say_fitted
from harness.counting import counted
from harness.results.text import say

if TYPE_CHECKING:
    from harness.api.reports import Report
    from harness.results.result import CellResult
    from harness.results.run import Run
    from harness.scoring.rescoring import Rescored

RUN_DIR = click.Path(exists=True, path_type=Path)


@click.command()
@click.argument("run_dirs", type=RUN_DIR, nargs=-1, required=True)
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    help="Where the files go; default: the run directory.",
)
@click.option("--title", help="The page's title.")
@click.option("--metric", help="Compare by this metric instead of the primary ones.")
@click.option(
    "--baseline-of",
    type=click.Choice(["model", "quantization", "adapter"]),
    help="The axis whose first value is the baseline; default: adapter, the untouched model.",
)
@click.option(
    "--order-by",
    type=click.Choice(["quality", "quality_per_gib"]),
    help="What ranks the rows; default: as the suite says.",
)
@click.option("--max-latency-ms", type=NUMBER, help="Slower variants are marked as out of bounds.")
@click.option("--max-memory-mib", type=NUMBER, help="Larger variants are marked as out of bounds.")
@click.option("--latex", is_flag=True, help="Write leaderboard.tex (booktabs) too.")
@click.option("--pdf", is_flag=True, help="Print the page's summary to leaderboard.pdf (Chromium).")
@click.option(
    "--template", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of Jinja templates that replace or extend the shipped ones.",
)  # fmt: skip
@click.option(
    "--no-examples", is_flag=True,
    help="Leave out everything that quotes the data: examples, prompts, answers, error messages.",
)  # fmt: skip
@click.option(
    "--json", "as_json", is_flag=True,
    help="Write results.json of a run with more than 20,000 records, too.",
)  # fmt: skip
@click.option(
    "--report-to", multiple=True, metavar="TRACKER",
    help="Send the finished run to tensorboard, mlflow, wandb or trackio, too.",
)  # fmt: skip
@click.option(
    "--lm-eval", is_flag=True,
    help="Write lm_eval/ too: results and samples in the layout of lm-evaluation-harness.",
)  # fmt: skip
@click.option("--open", "open_", is_flag=True, help="Open the page in a browser.")
def report(
    run_dirs: tuple[Path, ...], output: Path | None, title: str | None, metric: str | None,
    baseline_of: str | None, order_by: str | None, max_latency_ms: float | None,
    max_memory_mib: float | None, latex: bool, pdf: bool, template: Path | None,
    no_examples: bool, as_json: bool, lm_eval: bool, report_to: tuple[str, ...], open_: bool,
) -> None:  # fmt: skip
    """Render the leaderboards of one or several runs.

    They come from the runs' files alone. A run may be a file that `harness pack` wrote. Runs of
    other machines are shown side by side; their speed is not compared.

    Example: harness report runs/finance -o reports/finance
    """
    from harness.api.reports import report as write_report

    written = write_report(
        run_dirs, output, title=title, metric=metric, baseline_of=baseline_of, order_by=order_by,
        max_latency_ms=max_latency_ms, max_memory_mib=max_memory_mib, latex=latex,
        pdf=pdf, templates=template, texts=not no_examples, json=as_json, lm_eval=lm_eval,
        report_to=report_to,
    )  # fmt: skip
    say_files(written)
    for warning in written.warnings:
        say(f"warning: {warning}", err=True)
    if open_:
        click.launch(str(written.page))


def say_files(written: Report) -> None:
    """Print the files of a report, and of what it has no file, to standard error."""
    for path in written.files:
        say(path)
    if written.left_out:
        say(written.left_out, err=True)


@click.command()
@click.argument("run_dir", type=RUN_DIR)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="The file: run.tar.xz."
)
@click.option(
    "--no-texts", is_flag=True,
    help="Leave out prompts, references and answers; scores stay, so a report can be rendered.",
)  # fmt: skip
def pack(run_dir: Path, output: Path, no_texts: bool) -> None:
    """Write a run to one small file.

    It holds what a report reads; the same run gives the same bytes. `report`, `compare`, `check`
    and `show` take the file as a run. Adapters and logs are left out, and folders of this machine
    are cut to their names. RUN_DIR may be such a file, to take the texts out of it.

    Example: harness pack runs/finance -o reports/finance/run.tar.xz
    """
    from harness.api.runs import pack as write_pack

    size = write_pack(run_dir, output, texts=not no_texts).stat().st_size
    say(f"{output}: {size / 1024:.0f} KiB")


@click.command()
@click.argument("run_dir", type=RUN_DIR)
@click.option("--metric-code", is_flag=True, help="Run metric modules that the run names.")
@AS_JSON
def score(run_dir: Path, metric_code: bool, as_json: bool) -> None:
    """Read and score a run's stored answers again.

    No model is needed. Says what changed in each cell and renders the reports again. Nothing is
    written if any predictions are missing, damaged or fewer than their result counted. A metric
    that is code of its own is loaded with --metric-code alone: use it for runs that you trust.

    Example: harness score runs/finance
    """
    from harness.api.rescoring import score as score_again

    scored = score_again(run_dir, metric_code=metric_code)
    if as_json:
        cells = [
            {**cell._asdict(), "changes": [change._asdict() for change in cell.changes]}
            for cell in scored.cells
        ]
        say_json({"cells": cells, "files": [str(path) for path in scored.report.files]})
        return
    for cell in scored.cells:
        for line in _changes(cell):
            say_fitted(line)
    say(f"{counted(len(scored.cells), 'cell')} scored again")
    say_files(scored.report)


def _changes(cell: Rescored) -> list[str]:
    """What scoring a cell again changed, a line a metric; no line where nothing did."""
    if not cell.changes and not cell.read_differently:
        return []
    shown = [
        tuple("none" if x is None else f"{x:.4g}" for x in (c.before, c.after))
        for c in cell.changes
    ]
    return [
        f"{cell.key}: {cell.read_differently} of {counted(cell.answers, 'answer')} read"
        " differently",
        *(f"  {c.metric} {a} → {b}" for c, (a, b) in zip(cell.changes, shown, strict=True)),
    ]


@click.command()
@click.argument("run_dir", type=RUN_DIR)
@click.argument("cell", required=False, shell_complete=complete_cells)
@click.option("--full", is_flag=True, help="Print tables and reasons, not only the decisions.")
@click.option(
    "--json", "as_json", is_flag=True, help="Decisions and contrasts, or the cells, as JSON."
)
def show(run_dir: Path, cell: str | None, full: bool, as_json: bool) -> None:
    """Print what to do about the data sets of a run, or a cell.

    CELL is the beginning of a cell's key; every cell that has it is printed with its status,
    values, audit and first answer.

    Example: harness show runs/finance

    Example: harness show runs/finance tiny-qwen2--none--lora-r8
    """
    from harness.api.cells import find_cells
    from harness.api.runs import leaderboard, load_run

    if cell is None:
        from harness.report.terminal import decisions_record, print_leaderboard
        from harness.results.text import console

        board = leaderboard(run_dir)
        if as_json:
            say_json(decisions_record(board))
        else:
            print_leaderboard(board, console(), full=full)
        return
    run = load_run(run_dir)
    if as_json:
        say_json([_cell_record(found) for found in find_cells(run, cell)])
        return
    for found in find_cells(run, cell):
        _show_cell(run, found)


def _cell_record(cell: CellResult) -> dict[str, object]:
    return {
        "key": cell.key,
        "status": cell.status,
        "reason": cell.reason,
        "primary_metric": cell.primary_metric,
        "values": [asdict(value) for value in cell.values],
        "warnings": list(cell.audit.warnings),
    }


def _show_cell(run: Run, cell: CellResult) -> None:
    say_fitted(f"{cell.key}: {cell.status}{f' ({cell.reason})' if cell.reason else ''}")
    for value in cell.values:
        if value.category is None and value.value is not None:
            interval = (
                f" [{value.ci_low:.4g}, {value.ci_high:.4g}]" if value.ci_low is not None else ""
            )
            say(f"  {value.metric:<24} {value.value:.4g}{interval} {value.unit}")
    for warning in cell.audit.warnings:
        say_fitted(f"  warning: {warning}")
    for record in run.predictions(cell)[:1] if run.has_texts else []:
        say_fitted(f"  prompt:     {record.get('prompt')!r}", " " * 12)
        say_fitted(f"  reference:  {record.get('reference')!r}", " " * 12)
        say_fitted(f"  prediction: {record.get('prediction')!r}", " " * 12)
