"""The cells of a run: found by the beginning of their key, and asked."""

from __future__ import annotations

from collections.abc import Sequence

from harness.api.arguments import RunLike, run_of
from harness.errors import HarnessError
from harness.results.finding import cell_named, cells_named
from harness.results.model_of import model_record
from harness.results.result import CellResult
from harness.results.run import Run


def find_cells(run: RunLike, name: str) -> list[CellResult]:
    """The cells of ``run`` whose key begins with ``name``.

    Raises:
        HarnessError: there is none; the message carries the nearest key.
    """
    read = run_of(run)
    return cells_named(read.cells, name, read.directory)


def predict(run: RunLike, cell: str, prompts: str | Sequence[str]) -> list[str]:
    """Answer ``prompts`` with a cell of ``run``: its base, adapter, prompt style and decoding.

    Args:
        run: A run, or where it is.
        cell: The beginning of a cell's key; it must name one cell.
        prompts: One, or several; those of white space alone are left out.

    Raises:
        HarnessError: no prompt, no such cell, several of them, or its adapter is gone.
    """
    read = run_of(run)
    result = one_cell(read, cell)
    settings = model_record(result)
    asked_for = [prompts] if isinstance(prompts, str) else prompts  # a text is not its letters
    texts = [text for text in asked_for if text.strip()]
    if not texts:
        raise HarnessError(
            "no prompt given", hint="Use --prompt, --file or lines on standard input."
        )
    from harness.plan.cell import cell_of_record
    from harness.run.answer import answers

    asked = cell_of_record(settings)
    return answers(asked, read.paths(result), texts, result.companions)


def one_cell(run: Run, name: str) -> CellResult:
    """The cell of ``run`` whose key begins with ``name``.

    Raises:
        HarnessError: there is none, or there are several.
    """
    return cell_named(run.cells, name, run.directory)
