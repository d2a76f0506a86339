"""`harness report`, `harness pack`, `harness score` and `harness show`."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.errors import HarnessError

if TYPE_CHECKING:
    from harness.results.result import CellResult, Run
    from harness.scoring.rescoring import Rescored

RUN_DIR = click.Path(exists=True, path_type=Path)
WRITABLE = click.Path(exists=True, file_okay=False, path_type=Path)


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
@click.option("--order-by", type=click.Choice(["quality", "quality_per_gib"]), help="Objective.")
@click.option("--max-latency-ms", type=float, help="Rows above are outside the bounds.")
@click.option("--max-memory-mib", type=float, help="Rows above are outside the bounds.")
@click.option("--latex", is_flag=True, help="Write leaderboard.tex (booktabs) too.")
@click.option(
    "--template", type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="A folder of Jinja templates that replace or extend the shipped ones.",
)  # fmt: skip
@click.option("--open", "open_", is_flag=True, help="Open the page in a browser.")
def report(
    run_dirs: tuple[Path, ...], output: Path | None, title: str | None, metric: str | None,
    baseline_of: str | None, order_by: str | None, max_latency_ms: float | None,
    max_memory_mib: float | None, latex: bool, template: Path | None, open_: bool,
) -> None:  # fmt: skip
    """Render the leaderboards of one or several RUN_DIRS again, from their files alone.

    A run may be a file that `harness pack` wrote. Runs of other machines stand side by side; their
    speed is not compared.

    Example: harness report runs/finance -o reports/finance
    """
    from harness.analysis.leaderboard import build_leaderboard
    from harness.report.files import write_report
    from harness.results.merging import merged
    from harness.suite.schema import Objectives

    if output is None and (len(run_dirs) > 1 or run_dirs[0].is_file()):
        raise click.UsageError("several runs, or a packed one, need -o: where the report goes")
    run = merged([load(path) for path in run_dirs], name=title)
    asked = {
        "order_by": order_by, "max_latency_ms": max_latency_ms, "max_memory_mib": max_memory_mib,
    }  # fmt: skip
    wanted = {key: value for key, value in asked.items() if value is not None}
    objectives = Objectives(**{**run.suite.get("objectives", {}), **wanted})
    with _uncollected():
        board = build_leaderboard(run, objectives, metric=metric, baseline_of=baseline_of)
        files = write_report(
            board, output or run_dirs[0], title=title, latex=latex, templates=template
        )
    for path in files:
        click.echo(str(path))
    if open_:
        click.launch(str(files[1]))


@contextmanager
def _uncollected() -> Iterator[None]:
    """Looks for no cycles: the many records of a run hold none, and looking takes a second."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@click.command()
@click.argument("run_dir", type=WRITABLE)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), required=True, help="The file: run.tar.xz."
)
def pack(run_dir: Path, output: Path) -> None:
    """Write what a report reads of RUN_DIR to one small file: the same run, the same bytes.

    `report`, `compare`, `check` and `show` take the file as a run. Adapters and logs are left out,
    and folders of this machine are cut to their names.

    Example: harness pack runs/finance -o reports/finance/run.tar.xz
    """
    from harness.results.packing import SUFFIX
    from harness.results.packing import pack as write_pack

    if not output.name.endswith(SUFFIX):
        raise click.UsageError(f"a packed run's name ends with {SUFFIX}")
    size = write_pack(run_dir, output).stat().st_size
    click.echo(f"{output}: {size / 1024:.0f} KiB")


@click.command()
@click.argument("run_dir", type=WRITABLE)
def score(run_dir: Path) -> None:
    """Read and score the stored answers of RUN_DIR again: no model needed.

    Says what changed in each cell and renders the reports again. Nothing is written if any
    predictions are missing, damaged or fewer than their result counted.

    Example: harness score runs/finance
    """
    from harness.scoring.rescoring import rescore

    cells = rescore(load(run_dir))
    for cell in cells:
        for line in _changes(cell):
            click.echo(line)
    click.echo(f"{len(cells)} cells scored again")
    write(load(run_dir), run_dir)


def _changes(cell: Rescored) -> list[str]:
    """What scoring a cell again changed, a line a metric; no line where nothing did."""
    if not cell.changes and not cell.read_differently:
        return []
    shown = [
        tuple("none" if x is None else f"{x:.4g}" for x in (c.before, c.after))
        for c in cell.changes
    ]
    return [
        f"{cell.key}: {cell.read_differently} of {cell.answers} answers read differently",
        *(f"  {c.metric} {a} → {b}" for c, (a, b) in zip(cell.changes, shown, strict=True)),
    ]


def write(run: Run, directory: Path) -> None:
    """Render the reports of ``run`` and name their files."""
    from harness.analysis.leaderboard import build_leaderboard
    from harness.report.files import write_report

    for path in write_report(build_leaderboard(run), directory):
        click.echo(str(path))


def load(run_dir: Path) -> Run:
    """The run in ``run_dir``, or one clear error."""
    from harness.results.packing import no_run
    from harness.results.result import load_run

    try:
        return load_run(run_dir)
    except FileNotFoundError:
        raise no_run(run_dir) from None


@click.command()
@click.argument("run_dir", type=RUN_DIR)
@click.argument("cell")
def show(run_dir: Path, cell: str) -> None:
    """Print one CELL of RUN_DIR: its status, values, audit and first prediction.

    Example: harness show runs/finance tiny-qwen2--none--lora-r8
    """
    loaded = load(run_dir)
    for item in _named(loaded, cell):
        _show_cell(loaded, item)


def one_cell(run: Run, name: str) -> CellResult:
    """The one cell of ``run`` whose key begins with ``name``."""
    found = _named(run, name)
    if len(found) > 1:
        hint = f"It fits {', '.join(c.key for c in found[:4])}."
        raise HarnessError(f'"{name}" names {len(found)} cells', hint=hint)
    return found[0]


def _named(run: Run, name: str) -> list[CellResult]:
    found = [c for c in run.cells if c.key.startswith(name)]
    if not found:
        from harness.registry import did_you_mean

        hint = did_you_mean(name, [c.key for c in run.cells])
        raise HarnessError(f'no cell "{name}"', where=str(run.directory), hint=hint)
    return found


def _show_cell(loaded: Run, item: CellResult) -> None:
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
