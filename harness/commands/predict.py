"""`harness predict`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from harness.commands.report import RUN_DIR, load
from harness.errors import HarnessError


@click.command()
@click.argument("run_dir", type=RUN_DIR)
@click.argument("cell")
@click.option("--prompt", "prompts", multiple=True, help="A prompt; may be given again.")
@click.option("--file", type=click.Path(exists=True, path_type=Path), help="One prompt per line.")
def predict(run_dir: Path, cell: str, prompts: tuple[str, ...], file: Path | None) -> None:
    """Answer new prompts with a CELL of RUN_DIR: its base, adapter, prompt style and decoding.

    Prompts come from --prompt, --file or standard input, one per line; answers go out likewise.

    Example: harness predict runs/finance tiny-qwen2--none--lora-r8--finance-qa --prompt "Why save?"
    """
    from harness.commands.report import one_cell
    from harness.plan.cell import cell_of_record
    from harness.results.paths import RunPaths

    run = load(run_dir)
    result = one_cell(run, cell)
    if result.status != "ok" or "cell" not in result.provenance:
        raise HarnessError(f"{result.key} has no model: {result.reason or result.status}")
    texts = [*prompts, *(file.read_text("utf-8").splitlines() if file else ())]
    if not texts:
        texts = sys.stdin.read().splitlines()
    texts = [text for text in texts if text.strip()]
    if not texts:
        raise click.UsageError("no prompt: give --prompt, --file or standard input")
    from harness.run.answer import answers

    meant = cell_of_record(result.provenance["cell"])
    for answer in answers(meant, RunPaths(run_dir).cell(result.key), texts):
        click.echo(answer.replace("\n", " "))
