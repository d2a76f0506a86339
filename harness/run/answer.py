"""Answers of a finished cell to new prompts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from harness.backends.base import Alone, AnsweringBackend, Asking, answering_backend
from harness.datasets.example import Example
from harness.errors import HarnessError
from harness.plan.cell import Cell
from harness.results.companions import ADAPTER, Companion, check_adapter
from harness.results.paths import CellPaths, read_json
from harness.suite.endpoint import SERVED


def saved_adapter(paths: CellPaths, companions: Mapping[str, Companion]) -> Path:
    """The folder of the adapter, or model, that a cell has trained and was scored with.

    Args:
        paths: The cell's folder.
        companions: What the cell's result recorded. Scores, a card and a verdict are of these
            bytes: others under the same name must not be answered with, or given away.

    Raises:
        HarnessError: it is gone, or another one.
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
    if ADAPTER in companions:
        check_adapter(paths.adapter, companions[ADAPTER])
    return paths.adapter


def _is_served(paths: CellPaths) -> bool:
    return paths.cell.is_file() and read_json(paths.cell)["cell"].get("backend") == SERVED


def answers(
    cell: Cell, paths: CellPaths, prompts: Sequence[str], companions: Mapping[str, Companion]
) -> list[str]:
    """One answer per prompt, by the cell's own base, adapter, prompt style and decoding.

    Of a classification cell the label; what was said, where it names none.

    Raises:
        HarnessError: the cell's adapter is gone, or is not the one of ``companions``.
    """
    if cell.is_trained:
        saved_adapter(paths, companions)
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
