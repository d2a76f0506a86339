"""`harness push`."""

from __future__ import annotations

from pathlib import Path

import click

from harness.commands.completion import cells as complete_cells
from harness.results.text import say


@click.command()
@click.argument("run_dir", type=click.Path(exists=True, path_type=Path))
@click.argument("cell", shell_complete=complete_cells)
@click.argument("repository")
@click.option("--public", is_flag=True, help="Make a new repository public; default: private.")
@click.option("-y", "--yes", is_flag=True, help="Overwrite a repository without asking.")
@click.option(
    "--dry-run", "folder", type=click.Path(path_type=Path), metavar="DIR",
    help="Write the folder to DIR and upload nothing.",
)  # fmt: skip
def push(
    run_dir: Path, cell: str, repository: str, public: bool, yes: bool, folder: Path | None
) -> None:
    """Upload a cell's adapter, or its model, to the hub.

    Tokenizer and model card go with it: the scores as the hub's `model-index`, the verdict with
    its interval, what it was compared with, doubts, the suite, and the command to repeat it. You
    need a token that may write: `hf auth login`, or HF_TOKEN.

    Example: harness push runs/finance tiny-qwen2--none--lora-r8--finance-qa me/finance-lora
    """
    from harness.api.sharing import push as share

    def ask(question: str) -> bool:
        return click.confirm(question, err=True)

    done = share(
        run_dir, cell, repository, public=public, overwrite=True if yes else ask, dry_run=folder
    )
    for note in done.notes:
        say(f"note: {note}", err=True)
    where = f"written to {done.folder}" if done.folder else done.address
    say(f"{', '.join(done.files)}: {where}")
