"""Answers of a finished cell to new prompts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from harness.backends.base import Alone, AnsweringBackend, Asking, answering_backend
from harness.datasets.example import Example
from harness.errors import HarnessError
from harness.plan.cell import Cell
from harness.results.paths import CellPaths, read_json
from harness.suite.endpoint import SERVED


def saved_adapter(paths: CellPaths) -> Path:
    """The folder of the adapter that a cell has trained.

    Raises:
        HarnessError: it is gone.
    """
    if not paths.adapter.is_dir():
        if _is_served(paths):
            hint = "Name the cell that it was deployed from."
            what = "a server answered for this cell: there is no adapter, and no weights, to take"
            raise HarnessError(what, where=str(paths.directory), hint=hint)
        hint = (
            "It was deleted, or this is a packed run, which holds none: give the run's own "
            "directory, or run the suite again."
        )
        raise HarnessError("the adapter is not there", where=str(paths.adapter), hint=hint)
    return paths.adapter


def _is_served(paths: CellPaths) -> bool:
    return paths.cell.is_file() and read_json(paths.cell)["cell"].get("backend") == SERVED


def answers(cell: Cell, paths: CellPaths, prompts: Sequence[str]) -> list[str]:
    """One answer per prompt, by the cell's own base, adapter, prompt style and decoding.

    Of a classification cell the label; what was said, where it names none.

    Raises:
        HarnessError: the cell's adapter is gone.
    """
    if cell.is_trained:
        saved_adapter(paths)
    if not prompts:
        return []
    examples = [Example(id=str(k), prompt=p, reference="") for k, p in enumerate(prompts)]
    backend = loaded_backend(cell, paths, examples[0])
    asking = Asking(cell.evaluation.batch_size, cell.evaluation.sampling_seed, likelihoods=False)
    records = backend.predict(examples, asking).records
    return [record.get("predicted_label") or record["prediction"] for record in records]


def loaded_backend(cell: Cell, paths: CellPaths, probe: Example) -> AnsweringBackend:
    """The backend of ``cell`` with its model loaded, as the cell was evaluated.

    Args:
        cell: A finished cell.
        paths: Its files; of a tuned cell with its adapter.
        probe: An example on which an attached adapter must change the model's output.

    Raises:
        SkipCell: it cannot run here.
        HarnessError: the cell's adapter changes nothing.
    """
    backend = answering_backend(cell, paths, Alone())
    backend.load(probe)
    return backend
