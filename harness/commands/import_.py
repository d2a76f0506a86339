"""`harness import`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("import")
@click.argument("sources", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The run.")
@click.option("--name", help="The run's name; default: the output folder's.")
def import_(sources: tuple[Path, ...], output: Path, name: str | None) -> None:
    """Read results of other tools from SOURCES as a run: report, compare and check then work.

    Known: per-sample logs of lm-evaluation-harness, result files of PEFT's method comparison.

    Example: harness import lm_eval_output/ -o runs/imported
    """
    from harness.commands.report import load, write
    from harness.importers import import_results

    found = import_results(sources, output, name=name or output.name)
    click.echo(f"{len(found)} cells imported")
    write(load(output), output)
