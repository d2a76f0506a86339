"""`harness import`."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("import")
@click.argument("sources", nargs=-1, required=True, type=click.Path(exists=True, path_type=Path))
@click.option("-o", "--output", required=True, type=click.Path(path_type=Path), help="The run.")
@click.option("--name", help="The run's name; default: the output folder's.")
@click.option("--columns", multiple=True, help="Your table: prompt=question,prediction=output,…")
@click.option("--labels", help="The labels of a classification set: negative,neutral,positive.")
@click.option("--dataset", help="The data set's name; default: the run's.")
@click.option(
    "--language",
    type=click.Choice(["en", "ru"]),
    default="en",
    help="How numbers are written in the answers.",
)
@click.option("--metric", help="The metric shown first; default: by the kind of answers.")
@click.option("--baseline", help="The model that others are compared with; default: the first.")
def import_(
    sources: tuple[Path, ...], output: Path, name: str | None, columns: tuple[str, ...],
    labels: str | None, dataset: str | None, language: str, metric: str | None,
    baseline: str | None,
) -> None:  # fmt: skip
    """Read other tools' results or your answers as a run.

    `report`, `compare` and `check` then work on it. Known: per-sample logs of
    lm-evaluation-harness, result files of PEFT's method comparison, and tables (CSV, JSON, JSONL,
    Parquet) of answers. Columns of a table: id, model, prompt, reference, prediction, and label or
    gold; also category, group, adapter, quantization, dataset, seed.

    Example: harness import lm_eval_output/ -o runs/imported

    Example: harness import answers.csv --columns prompt=question,prediction=output -o runs/mine
    """
    from harness.api.importing import import_answers, import_results, is_table
    from harness.commands.report import say_files
    from harness.results.text import say

    if columns or labels or any(is_table(path) for path in sources):
        found = import_answers(
            sources, output, name=name, columns=_named(columns), labels=_listed(labels),
            dataset=dataset, language="ru" if language == "ru" else "en", metric=metric,
            baseline=baseline,
        )  # fmt: skip
    else:
        found = import_results(sources, output, name=name)
    for note in found.notes:
        say(f"note: {note}", err=True)
    say(f"{len(found.run.cells)} cells imported")
    say_files(found.report)


def _named(columns: tuple[str, ...]) -> dict[str, str]:
    """`field=column` pairs; several in one option are separated by commas."""
    found = {}
    for text in (part for option in columns for part in option.split(",") if part.strip()):
        name, equals, column = text.partition("=")
        if not equals or not column.strip():
            raise click.UsageError(f'--columns: "{text}" is not field=column')
        found[name.strip()] = column.strip()
    return found


def _listed(labels: str | None) -> tuple[str, ...]:
    return tuple(label.strip() for label in (labels or "").split(",") if label.strip())
