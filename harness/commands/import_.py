"""`harness import`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.commands.as_json import AS_JSON, say_json
from harness.counting import counted


class _Source(click.Path):
    """A file or folder that is there, or `mlflow:NAME` on a tracking server."""

    name = "source"

    def convert(self, value: Any, param: Any, ctx: click.Context | None) -> Any:
        """The text of a server's source as it is; a path otherwise."""
        if isinstance(value, str) and value.startswith("mlflow:"):
            return value
        return super().convert(value, param, ctx)


@click.command("import")
@click.argument("sources", nargs=-1, required=True, type=_Source(exists=True, path_type=Path))
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
@AS_JSON
def import_(
    sources: tuple[Path | str, ...], output: Path, name: str | None, columns: tuple[str, ...],
    labels: str | None, dataset: str | None, language: str, metric: str | None,
    baseline: str | None, as_json: bool,
) -> None:  # fmt: skip
    """Read other tools' results or your answers as a run.

    `report`, `compare` and `check` then work on it. Known: per-sample logs of
    lm-evaluation-harness, result files of PEFT's method comparison, runs of MLflow (a folder, or
    mlflow:EXPERIMENT at MLFLOW_TRACKING_URI), and tables (CSV, JSON, JSONL, Parquet) of answers.
    Columns of a table: id, model, prompt, reference, prediction, and label or gold; also category,
    group, adapter, quantization, dataset, seed. Of MLflow, columns are parameters.

    Example: harness import lm_eval_output/ -o runs/imported

    Example: harness import mlflow:my-experiment --columns model=base_model -o runs/tracked

    Example: harness import answers.csv --columns prompt=question,prediction=output -o runs/mine
    """
    from harness.api.importing import (
        import_answers,
        import_mlflow,
        import_results,
        is_mlflow,
        is_table,
    )
    from harness.commands.report import say_files
    from harness.results.text import say

    if any(is_mlflow(source) for source in sources):
        if labels or baseline or not all(is_mlflow(source) for source in sources):
            what = "runs of MLflow are imported alone, without --labels and --baseline"
            raise click.UsageError(what)
        found = import_mlflow(
            sources, output, name=name, columns=_named(columns), dataset=dataset, metric=metric
        )
    elif columns or labels or any(is_table(path) for path in sources):
        found = import_answers(
            sources, output, name=name, columns=_named(columns), labels=_listed(labels),
            dataset=dataset, language="ru" if language == "ru" else "en", metric=metric,
            baseline=baseline,
        )  # fmt: skip
    else:
        found = import_results(sources, output, name=name)
    if as_json:
        cells = [{"key": cell.key, "status": cell.status} for cell in found.run.cells]
        files = [str(path) for path in found.report.files]
        say_json({"cells": cells, "notes": list(found.notes), "files": files})
        return
    for note in found.notes:
        say(f"note: {note}", err=True)
    say(f"{counted(len(found.run.cells), 'cell')} imported")
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
