"""`harness export`."""

from __future__ import annotations

import os
import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from harness.commands.as_json import AS_JSON, say_json
from harness.commands.compare import print_pairs
from harness.commands.screen import say_fitted
from harness.results.text import say

if TYPE_CHECKING:
    from harness.analysis.pairs import Pair
    from harness.api.exporting import Export
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
@AS_JSON
def export(
    run_dir: Path, cell: str, to: Target, output: Path, score: bool, base: Base,
    dtype: str | None, gguf_type: GgufType | None, as_json: bool,
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
    if as_json:
        say_json(_record(done))
        return
    for note in exported.notes:
        say(f"note: {note}", err=True)
    if exported.read_back:
        found = exported.read_back
        say_fitted(
            f"read again: weights differ by {found['weights_differ_by']:.2g} and logits by"
            f" {found['logits_differ_by']:.2g} of the largest; the likeliest next token is the same"
            f" at {found['same_next_token']:.0%} of the positions"
        )
    say(f"{', '.join(exported.files)}: written to {exported.folder}")
    if exported.command:
        say(exported.command)
    if done.comparison and done.run:
        _say_scores(run_dir, done.comparison[0], done.run, done.same_answers or (0, 0))


def _say_scores(run: Path, pair: Pair, scores: Path, counts: tuple[int, int]) -> None:
    from harness.report.exported import exported_lines
    from harness.results.paths import RunPaths

    same, answers = counts
    sides = ((run, pair.first.result), (scores, pair.second.result))
    folders = [str(RunPaths(place).cell(result.key).directory) for place, result in sides]
    if same < answers:  # of equal answers, an interval would only raise doubt
        print_pairs([pair])
    command = f"harness compare {shlex.join(folders)}"
    for line in exported_lines(pair, same=same, answers=answers, margin_command=command):
        say_fitted(line)


def _record(done: Export) -> dict[str, object]:
    exported, (same, answers) = done.exported, done.same_answers or (None, None)
    return {
        "folder": str(exported.folder), "files": exported.files, "notes": exported.notes,
        "command": exported.command, "read_back": exported.read_back, "scores": done.run,
        "comparison": done.comparison.records() if done.comparison else None,
        "same_answers": same, "answers": answers,
    }  # fmt: skip
