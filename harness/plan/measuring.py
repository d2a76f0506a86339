"""Which cell of a variant measures its speed; the others show what that one measured.

Latency is a property of the served model far more than of the data set: measuring it again for
every data set and seed cost a sixth of a run, with all other cells stopped meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from harness.plan.cell import Cell
from harness.results.measured import MeasuredIn


class Measuring(NamedTuple):
    """A cell, with whether it measures settled, and where its variant is measured."""

    cell: Cell
    elsewhere: MeasuredIn | None
    """The cell of the same variant that measures in its place; None if it measures itself."""


def settle_measuring(
    cells: Sequence[Cell],
    *,
    wanted: Callable[[Cell], bool],
    can_run: Callable[[Cell], bool],
) -> list[Measuring]:
    """The ``wanted`` of ``cells``, one of each variant left to measure: the first that can run.

    Cells that are not wanted count too: a cell that measured only when it was selected alone would
    have two results under one name.

    Args:
        cells: All cells of the suite, in its order.
        wanted: Whether a cell is selected.
        can_run: Whether a cell can run on this machine. If none of a variant can, the first is
            taken, so that the choice is the same on a machine where all can.
    """
    groups: dict[tuple[object, ...], list[Cell]] = {}
    for cell in cells:
        if _shares(cell):
            groups.setdefault(_work(cell), []).append(cell)
    chosen: dict[tuple[object, ...], Cell] = {}
    found = []
    for cell in filter(wanted, cells):
        if not _shares(cell):
            found.append(Measuring(cell, None))
            continue
        work = _work(cell)
        if work not in chosen:  # asked for wanted variants alone: it may look a model up on the hub
            group = groups[work]
            chosen[work] = next((one for one in group if can_run(one)), group[0])
        found.append(_settled(cell, chosen[work]))
    return found


def _settled(cell: Cell, measuring: Cell) -> Measuring:
    if measuring is cell:
        return Measuring(cell, None)
    place = MeasuredIn(measuring.dataset.name, measuring.seed)
    return Measuring(replace(cell, measures=False), place)


def _shares(cell: Cell) -> bool:
    return cell.is_measured and cell.has_answers and cell.evaluation.latency_per == "variant"


def _work(cell: Cell) -> tuple[object, ...]:
    """What must be equal for one measurement to speak for two cells.

    A label head, a ranking of labels and a generation are different work, and so is another
    number of prompts or tokens. What `cell.axes` names apart from data set and seed holds the
    weights, the quantization and how the adapter is served.
    """
    task, evaluation = cell.task, cell.evaluation
    # a task of lm-evaluation-harness is timed as what it is asked through: text is generated
    kind = "generation" if task.task == "lm_eval" else task.task
    return (
        cell.model.name, cell.quantization, cell.adapter, kind, task.answered_by,
        len(task.labels), evaluation.batch_size, evaluation.latency_prompts,
        evaluation.latency_new_tokens,
    )  # fmt: skip
