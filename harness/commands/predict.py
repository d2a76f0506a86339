"""`harness predict`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from harness.results.text import say


@click.command()
@click.argument("run_dir", type=click.Path(exists=True, path_type=Path))
@click.argument("cell")
@click.option("--prompt", "prompts", multiple=True, help="A prompt; may be given again.")
@click.option("--file", type=click.Path(exists=True, path_type=Path), help="One prompt per line.")
def predict(run_dir: Path, cell: str, prompts: tuple[str, ...], file: Path | None) -> None:
    """Answer new prompts with a cell of a run.

    Its base, adapter, prompt style and decoding are used. Prompts come from --prompt, --file or
    standard input, one per line; answers go out likewise.

    Example: harness predict runs/finance tiny-qwen2--none--lora-r8--finance-qa --prompt "Why save?"
    """
    from harness.api.runs import predict as answer

    texts = [*prompts, *(file.read_text("utf-8").splitlines() if file else ())]
    for text in answer(run_dir, cell, texts or sys.stdin.read().splitlines()):
        say(text.replace("\n", " "))
