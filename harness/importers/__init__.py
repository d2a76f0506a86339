"""Results of other tools as a run directory, so that reports, comparisons and the gate read them.

`lm_eval` reads the per-sample logs of lm-evaluation-harness, `peft_comparison` the result files of
PEFT's method comparison, `mlflow_runs` runs of MLflow, `answers` a table of your own answers. What
a source does not hold stays missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.errors import HarnessError
from harness.importers import answers, lm_eval, mlflow_runs, peft_comparison
from harness.importers.answer_rows import Reading
from harness.importers.imported import Imported, write_run
from harness.importers.mlflow_place import recognises as is_mlflow
from harness.importers.mlflow_runs import MlflowReading, MlflowRuns
from harness.suite.schema import BASE

__all__ = [
    "MlflowReading", "Reading", "import_answers", "import_mlflow", "import_results", "is_mlflow",
]  # fmt: skip


def import_results(sources: Sequence[Path], directory: Path, *, name: str) -> list[Imported]:
    """The cells read from ``sources``, written as the run ``name`` to ``directory``.

    Args:
        sources: Files, or folders that are searched for files of a known kind.
        directory: The run directory; it must not hold a run of another origin.
        name: The run's name, as a suite's.

    Raises:
        HarnessError: nothing is recognised, a file is broken, or two files hold the same cell.
    """
    found = _foreign([path for source in sources for path in _files(source, "*.json*")])
    if not found:
        raise _nothing(sources)
    found = _baselines_first(found)
    write_run(directory, name, found)
    return found


def _foreign(files: Sequence[Path]) -> list[Imported]:
    return [
        *lm_eval.read([path for path in files if lm_eval.recognises(path)]),
        *peft_comparison.read([path for path in files if peft_comparison.recognises(path)]),
    ]


def _nothing(sources: Sequence[Path]) -> HarnessError:
    hint = (
        "Known: samples_*.jsonl of lm-evaluation-harness, results of PEFT's comparison,"
        " folders of MLflow."
        " For a table of your own answers, name its columns:"
        " --columns prompt=question,reference=answer,prediction=output"
    )
    return HarnessError(f"nothing to import in {', '.join(map(str, sources))}", hint=hint)


def _baselines_first(cells: Sequence[Imported]) -> list[Imported]:
    """``cells`` in their order, each base in front of the adapters on it, as a suite has them."""
    places: dict[tuple[str, str, str], int] = {}
    for cell in cells:
        places.setdefault((cell.dataset, cell.model, cell.quantization), len(places))
    return sorted(
        cells,
        key=lambda c: (places[c.dataset, c.model, c.quantization], c.adapter != BASE),
    )


def import_answers(
    sources: Sequence[Path], directory: Path, reading: Reading, *, name: str
) -> answers.Answers:
    """The cells of the tables in ``sources``, scored and written as the run ``name``.

    Sources that are another tool's results become cells of the same run, as the tool scored them.

    Raises:
        HarnessError: a table cannot be read as ``reading`` says, a source holds nothing that can
            be imported, or the directory holds a run of another origin.
    """
    foreign: list[Path] = []
    tables: list[Path] = []
    for source in sources:
        files = _files(source, "*")
        theirs = [p for p in files if lm_eval.recognises(p) or peft_comparison.recognises(p)]
        # such a folder also holds JSON without answers (`results_*.json`)
        ours = [] if theirs else [path for path in files if answers.recognises(path)]
        if not theirs and not ours:
            raise _nothing([source])
        foreign += theirs
        tables += ours
    found = answers.read(tables, reading) if tables else answers.Answers((), ())
    cells = [*found.cells, *_foreign(foreign)]
    if foreign:
        cells = _baselines_first(cells)
    tuned = any(cell.adapter != BASE for cell in cells)
    write_run(directory, name, cells, baseline_of="adapter" if tuned else "model")
    return answers.Answers(tuple(cells), found.notes)


def import_mlflow(
    sources: Sequence[str | Path], directory: Path, reading: MlflowReading, *, name: str
) -> MlflowRuns:
    """The runs of MLflow in ``sources``, written as the run ``name``.

    Raises:
        HarnessError: a parameter or metric is missing, two runs are the same cell, or the
            directory holds a run of another origin.
    """
    found = mlflow_runs.read(sources, reading)
    cells = _baselines_first(found.cells)
    has_base = any(cell.adapter == BASE for cell in cells)
    models = {cell.model for cell in cells}
    write_run(
        directory, name, cells, baseline_of="adapter" if has_base or len(models) < 2 else "model"
    )
    return found


def is_table(source: Path) -> bool:
    """Whether ``source`` can only be a table of answers: no other tool's file has its name."""
    return source.suffix.lower() in (".csv", ".parquet") or (
        source.suffix == ".jsonl" and not lm_eval.recognises(source)
    )


def _files(source: Path, pattern: str) -> list[Path]:
    return sorted(p for p in source.rglob(pattern) if p.is_file()) if source.is_dir() else [source]
