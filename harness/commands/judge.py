"""`harness judge`."""

from __future__ import annotations

from pathlib import Path

import click

from harness.counting import counted
from harness.results.text import say


@click.command()
@click.argument("run_dir", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--suite", type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Take `judge` from this suite; default: from the one that was run.",
)  # fmt: skip
@click.option(
    "--sample", type=click.IntRange(1), metavar="N",
    help="Ask nobody: write N pairs to a file for people to judge.",
)  # fmt: skip
@click.option(
    "-o", "--output", type=click.Path(dir_okay=False, path_type=Path),
    help="The file of --sample; default: labels.csv in the run directory.",
)  # fmt: skip
def judge(run_dir: Path, suite: Path | None, sample: int | None, output: Path | None) -> None:
    """Let a model compare a run's answers in pairs.

    The suite's `judge` names it by its OpenAI-compatible address. Each pair is asked about both
    ways round. It costs requests: two for each example of each cell, but for what was judged
    before. The report then shows win rates, ties, failures, cost, and agreement with people.

    Example: harness judge runs/finance
    """
    from harness.api.judging import judge as judge_run
    from harness.api.judging import judge_sample

    if sample is not None:
        path = output or run_dir / "labels.csv"
        count = judge_sample(run_dir, path, count=sample, suite=suite)
        say(f"{counted(count, 'pair')} to judge in {path}; fill in `verdict`: A, B or tie")
        return
    if output is not None:
        raise click.UsageError("-o is for --sample")
    done = judge_run(run_dir, suite=suite)
    if done.unknown_labels:
        say(
            f"note: {counted(done.unknown_labels, 'label is', 'labels are')} of answers that the"
            " run no longer has",
            err=True,
        )
    say(
        f"{counted(done.pairs, 'pair')} judged: {counted(done.asked, 'request')} asked,"
        f" {done.from_cache} from the cache, {done.failures} without a verdict; {done.page}"
    )
