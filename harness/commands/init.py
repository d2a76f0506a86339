"""`harness init`: a first suite from a data file."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from harness.counting import counted
from harness.results.text import printable, say

if TYPE_CHECKING:
    from harness.api.starting import Question

KINDS = ("labels", "numbers", "text")


@click.command(context_settings={"allow_extra_args": True})
@click.option("--data", metavar="FILE", help="CSV, JSON, JSONL, Parquet; a hub id; a built-in set.")
@click.option("--test", metavar="FILE", help="Test rows of their own; default: a fifth of --data.")
@click.option(
    "--model", metavar="MODEL", help="A hub id, a folder, a GGUF file, or the name of a card."
)
@click.option("--tiny", is_flag=True, help="The tiny model and few rows: runs anywhere.")
@click.option("--prompt", metavar="COLUMN", help="The column of the question or text.")
@click.option("--reference", metavar="COLUMN", help="The column of the answer or label.")
@click.option("--context", metavar="COLUMN", help="The column of a text that it is about.")
@click.option("--task", "kind", type=click.Choice(KINDS), help="What the answers are.")
@click.option("--encoding", metavar="NAME", help="The encoding of a text file that is not UTF-8.")
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="The suite; default NAME-OF-DATA.yaml."
)
@click.option("--force", is_flag=True, help="Overwrite an existing suite.")
@click.option("-y", "--yes", is_flag=True, help="Ask nothing; take safe defaults.")
def init(
    data: str | None, test: str | None, model: str | None, tiny: bool, prompt: str | None,
    reference: str | None, context: str | None, kind: Any, encoding: str | None,
    output: Path | None, force: bool, yes: bool,
) -> None:  # fmt: skip
    """Write a first suite for your own data.

    Looks at the columns and the answers, chooses metric, split and settings, and writes a suite
    with the reason for each in a comment. It is checked before it is written. On a terminal you
    are asked what the data leave open; elsewhere, or with --yes, nothing is asked: what has no
    safe default is an error that names the option.

    Example: harness init --data mine.jsonl --model HuggingFaceTB/SmolLM2-135M-Instruct
    """
    words = click.get_current_context().args
    if words:  # the first thing that one tries is `harness init rows.csv`
        raise click.UsageError(f"write `--data {shlex.quote(words[0])}`")
    from harness.api.starting import Named, Wanted
    from harness.api.starting import init as start

    wanted = Wanted(
        data, model, output, test, kind, Named(prompt, reference, context, encoding),
        tiny=tiny, force=force,
    )  # fmt: skip
    made = start(wanted, ask=None if yes or not sys.stdin.isatty() else _ask)
    for line in made.found:
        say(line)
    say(f"wrote {made.path}: {counted(made.cells, 'cell')}")
    if made.sample:
        say(f"wrote {made.sample}: the rows that the tiny model can hold")
    path = shlex.quote(str(made.path))
    if made.has_twin:
        say(f"next: harness run {path} --tiny   # a minute or two, with a tiny model")
        say(f"then: harness plan {path}         # what the real run takes")
    else:
        say(f"next: harness run {path}")


def _ask(question: Question) -> str:
    """The answer that a person types, one of the choices where there are any."""
    if question.why:
        say(question.why, err=True)
    kind = click.Choice(question.choices) if question.choices else None
    text = printable(question.text)
    return str(click.prompt(text, type=kind, default=question.default, err=True))
