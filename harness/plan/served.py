"""The cell of a served model: nothing of it is quantized, trained or measured here."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from harness.endpoint.chat import sampling
from harness.errors import HarnessError
from harness.plan.cell import Cell
from harness.plan.task import resolve_task
from harness.registry import did_you_mean
from harness.suite.endpoint import SERVED
from harness.suite.model_card import ModelCard
from harness.suite.schema import DatasetEntry, Evaluation, Options

PROMPT_KEYS = (
    "prompt", "system", "template", "template_kwargs", "template_date", "description", "generation",
)  # fmt: skip
"""Fields of a model card that a served model takes over with `like`: its prompts, not its weights.
"""


def served_cell(
    card: ModelCard,
    dataset: DatasetEntry,
    evaluation: Evaluation,
    *,
    generation: Options,
    suite: Path,
    local: Collection[str],
) -> Cell:
    """The cell of ``card`` on ``dataset``.

    Args:
        card: A card with an `endpoint`.
        dataset: The data set, without overrides of its own.
        evaluation: How answers are scored.
        generation: How they are generated.
        suite: The suite's file.
        local: The names of the models on the axis that no server answers for.

    Raises:
        HarnessError: a key of ``generation`` cannot be sent, or `baseline` is not on the axis.
    """
    assert card.endpoint is not None
    try:
        sampling(generation, card.endpoint, seed=0)
        _check_baseline(card.endpoint.baseline, local)
    except HarnessError as error:
        what = f'model "{card.name}": {error.what}'
        raise HarnessError(what, where=str(suite), hint=error.hint) from None
    folder = suite.resolve().parent
    return Cell(
        model=card,
        quantization=SERVED,
        quantization_config={},
        adapter=SERVED,
        adapter_config={},
        dataset=dataset,
        seed=None,
        training={},
        task=resolve_task(dataset, folder, evaluation, baseline=False, served=True),
        generation=generation,
        base_folder=str(folder),
        backend=SERVED,
    )


def _check_baseline(name: str | None, local: Collection[str]) -> None:
    if name is not None and name not in local:
        hint = did_you_mean(name, local) if local else "Put one on the axis, or delete the key."
        raise HarnessError(f'endpoint.baseline: no local model "{name}" on the axis', hint=hint)
