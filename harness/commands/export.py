"""`harness export`."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.compare import print_pairs
from harness.results.text import say

if TYPE_CHECKING:
    from harness.backends.hf.export.gguf_file import GgufType
    from harness.backends.hf.export.merged import Base
    from harness.sharing.export import Target


@click.command()
@click.argument("run_dir", type=click.Path(exists=True, path_type=Path))
@click.argument("cell")
@click.option(
    "--to", required=True, type=click.Choice(["merged", "gguf", "ollama", "vllm"]),
    help="What to write: merged weights, a GGUF file, that with a Modelfile, or what vLLM serves.",
)  # fmt: skip
@click.option(
    "-o", "--output", required=True, type=click.Path(path_type=Path), help="A new folder."
)
@click.option("--score", is_flag=True, help="Score the exported files and compare with the cell.")
@click.option(
    "--base", default="trained", show_default=True, type=click.Choice(["trained", "original"]),
    help="What the adapter of a quantized cell is merged into: the weights that it was trained on,"
    " written out, or the checkpoint's own.",
)  # fmt: skip
@click.option(
    "--dtype", type=click.Choice(["float32", "float16", "bfloat16"]),
    help="Of merged weights; default: the dtype that the cell ran in.",
)  # fmt: skip
@click.option(
    "--gguf-type", type=click.Choice(["f32", "f16", "bf16", "q8_0", "q4_0"]),
    help="Of a GGUF file; default: what holds the merged weights exactly.",
)  # fmt: skip
def export(
    run_dir: Path, cell: str, to: Target, output: Path, score: bool, base: Base,
    dtype: str | None, gguf_type: GgufType | None,
) -> None:  # fmt: skip
    """Write a cell's model for another engine.

    With --score the exported files answer the cell's test examples, and the difference to the
    trained cell is printed, example by example.

    Example: harness export runs/finance smollm2--nf4--lora-r8 --to ollama -o out/finance --score
    """
    # read where tqdm is first imported: a bar for every tensor says nothing
    os.environ.setdefault("TQDM_DISABLE", "1")
    from harness.api.exporting import export as write

    done = write(
        run_dir, cell, output, to=to, base=base, dtype=dtype, gguf_type=gguf_type, score=score
    )
    exported = done.exported
    for note in exported.notes:
        say(f"note: {note}", err=True)
    if exported.read_back:
        found = exported.read_back
        say(
            f"read again: weights differ by {found['weights_differ_by']:.2g} and logits by"
            f" {found['logits_differ_by']:.2g} of the largest; the likeliest next token is the same"
            f" at {found['same_next_token']:.0%} of the positions"
        )
    say(f"{', '.join(exported.files)}: written to {exported.folder}")
    if exported.command:
        say(exported.command)
    if done.comparison:
        print_pairs(done.comparison)
        same, of = done.same_answers or (0, 0)
        say(f"{same} of {of} answers are the same to the letter")
