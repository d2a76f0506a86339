"""The data set that trains the adapters which are tested on a task of lm-evaluation-harness."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from harness.errors import HarnessError
from harness.plan.task import resolve_task
from harness.registry import did_you_mean
from harness.suite.dataset_entry import DatasetEntry
from harness.suite.model_card import ModelCard
from harness.suite.schema import Evaluation


def trainer_of(
    dataset: DatasetEntry, entries: Mapping[str, DatasetEntry], suite: Path
) -> DatasetEntry | None:
    """What `train_on` of ``dataset`` names; None of a data set that has training rows itself.

    Args:
        dataset: A data set on the axis.
        entries: Name → entry of all of the axis.
        suite: The suite's file.

    Raises:
        HarnessError: it names none, or one that cannot train a language model.
    """
    if dataset.lm_eval_task is None:
        return None
    place = f'data set "{dataset.name}"'
    trainers = {
        name: entry
        for name, entry in entries.items()
        if entry.lm_eval_task is None and not entry.only_tests
    }
    if dataset.train_on is None:
        text = f"{place}: a task of lm-evaluation-harness has no rows to train adapters on"
        names = ", ".join(trainers)
        hint = f"Set `train_on` to one of {names}" if names else "Add a data set for `train_on`"
        raise HarnessError(text, where=str(suite), hint=f"{hint}, or give adapters a `source`.")
    if dataset.train_on not in trainers:
        text = f'{place}: train_on: no data set "{dataset.train_on}" with training rows'
        hint = did_you_mean(dataset.train_on, trainers)
        raise HarnessError(text, where=str(suite), hint=hint)
    trainer = trainers[dataset.train_on]
    task = resolve_task(trainer, suite.resolve().parent, Evaluation(), baseline=False)
    if task.answered_by == "head":
        text = f"{place}: train_on: {trainer.name} trains a label head, which writes no text"
        hint = f"Set `classify_by: likelihood` or `generation` on {trainer.name}."
        raise HarnessError(text, where=str(suite), hint=hint)
    return trainer


def refuse_served_task(dataset: DatasetEntry, card: ModelCard, suite: Path) -> None:
    """Refuse a task for a model behind a server, which gives neither logits nor a tokenizer.

    Raises:
        HarnessError: ``dataset`` is a task.
    """
    if dataset.lm_eval_task is None:
        return
    text = f'data set "{dataset.name}": tasks of lm-evaluation-harness run on a loaded model'
    hint = f"Exclude it for the served model: {{model: {card.name}, dataset: {dataset.name}}}."
    raise HarnessError(text, where=str(suite), hint=hint)
