"""Published claims held against arithmetic and against what was measured here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from harness.plan.adapter_shape import trainable_params
from harness.plan.architecture import architecture_of, model_bytes, shape_of
from harness.plan.cell import Cell
from harness.registry import did_you_mean
from harness.suite.options import training_value
from harness.suite.published import Claim

GIB = 1024**3


def meant(claim: Claim, cells: Sequence[Cell]) -> Cell | None:
    """The first of ``cells`` that the claim is about."""
    return next((cell for cell in cells if fits(claim.cell, cell.axes)), None)


def arithmetic(claim: Claim, cell: Cell) -> float | None:
    """The claim's number from its cell's settings and the model's configuration alone."""
    if claim.metric is None:
        return None
    if claim.metric == "effective_batch":
        each = training_value(cell.training, "per_device_train_batch_size")
        return float(each * training_value(cell.training, "gradient_accumulation_steps"))
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


def fits(wanted: Mapping[str, object], axes: Mapping[str, object]) -> bool:
    """Whether ``axes`` has every value of ``wanted``."""
    return all(axes.get(axis) == value for axis, value in wanted.items())
