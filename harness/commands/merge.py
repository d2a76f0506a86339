"""`harness merge`."""

from __future__ import annotations

from pathlib import Path

import click

from harness.results.text import say


@click.command()
@click.argument("output", type=click.Path(path_type=Path))
@click.argument(
    "run_dirs", type=click.Path(exists=True, path_type=Path), nargs=-1, required=True,
)  # fmt: skip
def merge(output: Path, run_dirs: tuple[Path, ...]) -> None:
    """Join the runs of a suite's shards into one, in OUTPUT.

    They come from `harness run --shard 1/2`, on machines that may differ. The page names the
    hardware of each row, and ranks no speeds across different hardware.

    Example: harness merge runs/whole runs/a runs/b
    """
    from harness.api.shards import merge as join

    say(join(output, run_dirs).summary)
