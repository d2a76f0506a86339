"""`harness predict`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from harness.commands.as_json import say_json
from harness.commands.completion import cells as complete_cells
from harness.results.text import say


@click.command()
@click.argument("run_dir", type=click.Path(exists=True, path_type=Path))
@click.argument("cell", shell_complete=complete_cells)
@click.option("--prompt", "prompts", multiple=True, help="A prompt; may be given again.")
@click.option("--file", type=click.Path(exists=True, path_type=Path), help="One prompt per line.")
@click.option("--json", "as_json", is_flag=True, help="Prompts and answers, line breaks kept.")
def predict(
    run_dir: Path, cell: str, prompts: tuple[str, ...], file: Path | None, as_json: bool
) -> None:
    """Answer new prompts with a cell of a run.

    Its base, adapter, prompt style and decoding are used. Prompts come from --prompt, --file or
    standard input, one per line; answers go out likewise.

    Example: harness predict runs/finance tiny-qwen2--none--lora-r8--finance-qa --prompt "Why save?"
    """
    from harness.api.cells import predict as answer

    texts = [*prompts, *(_lines(file) if file else ())]
    asked = texts or sys.stdin.read().splitlines()
    _check_text(asked)
    answers = answer(run_dir, cell, asked)
    if as_json:
        asked = [text for text in asked if text.strip()]  # others are not answered
        say_json([{"prompt": p, "answer": a} for p, a in zip(asked, answers, strict=True)])
        return
    for text in answers:
        say(text.replace("\n", " "))


def _lines(file: Path) -> list[str]:
    from harness.errors import HarnessError

    try:
        return file.read_text("utf-8-sig").splitlines()
    except UnicodeDecodeError as error:
        what = f"not UTF-8: byte {error.start} cannot be read"
        raise HarnessError(what, where=str(file), hint="Save the file as UTF-8.") from None


def _check_text(prompts: list[str]) -> None:
    """Refuse bytes of a pipe or an argument that Python could not read: it keeps them halved."""
    from harness.errors import HarnessError

    for number, text in enumerate(prompts, start=1):
        if not text.isascii() and any("\ud800" <= char <= "\udfff" for char in text):
            hint = "Give text in the encoding of your terminal, or UTF-8 in a file by --file."
            raise HarnessError(f"prompt {number} is not UTF-8", hint=hint)
