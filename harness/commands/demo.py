"""`harness demo`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click

from harness.results.text import say


@click.command()
@click.argument("run_dir", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--cells",
    nargs=2,
    metavar="FIRST SECOND",
    help="Two cells; default: the baseline, and the one that the report says to ship.",
)
@click.option("--port", type=click.IntRange(1, 65535), help="Default: the first free from 7860.")
@click.option("--no-browser", is_flag=True, help="Print the address; open nothing.")
@click.option(
    "--export",
    "folder",
    type=click.Path(path_type=Path),
    help="Write an app of the two cells to this folder, for a Space of the hub, and stop.",
)
@click.option(
    "--questions",
    type=click.IntRange(0),
    default=0,
    help="With --export: test questions that the app offers. Whoever sees it reads them.",
)
def demo(
    run_dir: Path, cells: tuple[str, str] | None, port: int | None, no_browser: bool,
    folder: Path | None, questions: int,
) -> None:  # fmt: skip
    """Ask two variants of a run the same question, side by side.

    Answers grow as they are decoded, with each cell's own quantization, prompt and settings. Vote
    on them, blind if you like: `harness compare RUN --votes` counts. The page is on 127.0.0.1, for
    this machine alone. It needs the extra `demo`.

    Example: harness demo runs/finance

    Example: harness demo runs/finance --cells tiny-qwen2--none--base tiny-qwen2--none--lora-r8

    Example: harness demo runs/finance --export my-space
    """
    if folder is not None:
        _export(run_dir, folder, cells or (), questions)
        return
    if questions:
        raise click.UsageError("--questions goes with --export; the page offers all of them")
    from harness.api.demo import demo as serve

    serve(
        run_dir, cells=cells or (), port=port, browser=not no_browser,
        loading=lambda keys: say(f"loading {' and '.join(keys)} …", err=True),
        ready=lambda address: say(f"{address} (Ctrl-C ends it)"),
    )  # fmt: skip


def _export(run: Path, folder: Path, cells: Sequence[str], questions: int) -> None:
    from harness.api.demo import export_demo

    made = export_demo(run, folder, cells=cells, questions=questions)
    for name in made.files:
        say(f"{folder / name}")
    for note in made.notes:
        say(f"note: {note}", err=True)
