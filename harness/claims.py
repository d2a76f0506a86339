"""Published claims held against arithmetic and against what was measured here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from harness.cell import Cell
from harness.geometry import architecture_of, model_bytes, shape_of, trainable_params
from harness.leaderboard import Leaderboard
from harness.published import Claim
from harness.registry import did_you_mean
from harness.table import Row

GIB = 1024**3


@dataclass(frozen=True)
class Judgement:
    """One claim and what became of it."""

    claim: Claim
    model: str
    """The model that it is about."""
    here: float | None
    """Our number."""
    how: str
    """`arithmetic`, `measured`, `read` or `–`."""
    verdict: str
    """`agrees`, `disagrees` or `not runnable here`."""
    why: str


def meant(claim: Claim, cells: Sequence[Cell]) -> Cell | None:
    """The first of ``cells`` that the claim is about."""
    return next((cell for cell in cells if _fits(claim.cell, cell.axes)), None)


def arithmetic(claim: Claim, cell: Cell) -> float | None:
    """The claim's number from its cell's settings and the model's configuration alone."""
    if claim.metric is None:
        return None
    if claim.metric == "effective_batch":
        each = cell.training.get("per_device_train_batch_size", 8)
        return float(each * cell.training.get("gradient_accumulation_steps", 1))
    shape = shape_of(architecture_of(cell.model))
    if shape is None:
        return None
    trained = trainable_params(shape, cell.adapter_config) if cell.adapter_config else 0
    numbers = {
        "parameters": shape.parameters,
        "weights_16bit_gib": model_bytes(shape, {}, "bfloat16") / GIB,
        "weights_gib": model_bytes(shape, cell.quantization_config, cell.model.dtype) / GIB,
    }
    if trained is not None:
        numbers["trainable_params"] = trained
        numbers["trainable_percent"] = 100 * trained / (shape.parameters + trained)
    found = numbers.get(claim.metric)
    return None if found is None else float(found)


def unknown_cells(claims: Sequence[Claim], cells: Sequence[Cell]) -> list[str]:
    """A sentence for each claim whose `cell` is none of ``cells``."""
    problems = []
    for number, claim in enumerate(claims):
        if claim.cell and meant(claim, cells) is None:
            names = [", ".join(str(v) for v in cell.axes.values()) for cell in cells]
            hint = did_you_mean(", ".join(map(str, claim.cell.values())), names)
            problems.append(f"published.{number}.cell: no cell is {claim.cell}. {hint}")
    return problems


def judge(planned: Sequence[Mapping[str, Any]], board: Leaderboard) -> list[Judgement]:
    """Every claim of a run's plan, decided where it can be."""
    return [_judged(record, board) for record in planned]


def _judged(record: Mapping[str, Any], board: Leaderboard) -> Judgement:
    claim = Claim(**record["claim"])
    if claim.holds is not None:
        verdict = "agrees" if claim.holds == "yes" else "disagrees"
        return Judgement(claim, record["model"], None, "read", verdict, claim.finding)
    if record["arithmetic"] is not None:
        return _compared(claim, record["model"], record["arithmetic"], "arithmetic")
    wanted = {"model": record["model"], **claim.cell}
    rows = [row for table in board.tables for row in table.rows if _fits(wanted, _axes(row))]
    means = [m for row in rows if claim.metric and (m := row.mean(claim.metric)) is not None]
    if means:
        return _compared(claim, record["model"], means[0], "measured")
    why = record.get("skip") or "no row of this run measures it"
    return Judgement(
        claim,
        record["model"],
        None,
        "–",
        "not runnable here",
        f"{why}. {claim.finding}".strip(". ") + ".",
    )


def _compared(claim: Claim, model: str, here: float, how: str) -> Judgement:
    value = claim.value or 0.0
    close = abs(here - value) <= claim.tolerance * max(abs(value), abs(here))
    ratio = f"{here / value:.3g} times the published number" if value and not close else ""
    why = ". ".join(part for part in (ratio, claim.finding) if part)
    return Judgement(claim, model, here, how, "agrees" if close else "disagrees", why)


def _fits(wanted: Mapping[str, Any], axes: Mapping[str, Any]) -> bool:
    return all(axes.get(axis) == value for axis, value in wanted.items())


def _axes(row: Row) -> dict[str, Any]:
    """The axes that the row's seeds share."""
    return {**row.cells[0].axes, "seed": None}
