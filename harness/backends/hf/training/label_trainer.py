"""Fine-tuning a head: by the harness's engine where that is known to be right, else `Trainer`."""

from __future__ import annotations

from pathlib import Path

import torch
from transformers import (
    DataCollatorWithPadding,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainingArguments,
)

from harness.backends.base import TellStep
from harness.backends.hf.decoding.heads import training_side
from harness.backends.hf.encoding import TrainingRows
from harness.backends.hf.models.limits import check_context
from harness.backends.hf.training.checkpoints import Checkpoints
from harness.backends.hf.training.engine import FlatTraining, in_float32
from harness.backends.hf.training.head import LABELS, head_rows
from harness.backends.hf.training.head_check import head_disagreement, trainer_reason
from harness.backends.hf.training.row_store import dataset_of
from harness.backends.hf.training.trained import Trained
from harness.backends.hf.training.trainer import (
    OWN,
    arguments_of,
    by_engine_or_why,
    loraplus,
    on_one_device,
    usable,
    within_memory,
)
from harness.backends.hf.training.trl_run import run_trainer, telling
from harness.backends.hf.training.unpacked import unpacked
from harness.plan.cell import Cell
from harness.suite.options import trainer_keys
from harness.suite.parts import Options


def train_labels(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    cell: Cell,
    rows: TrainingRows,
    scratch: Path,
    checkpoints: Checkpoints | None = None,
    *,
    tell: TellStep | None = None,
) -> Trained:
    """``model``'s adapter and head trained on ``rows`` of ``input_ids`` and ``labels``."""
    checkpoints = usable(checkpoints, model, cell.training)
    known = trainer_keys() | OWN
    options = {
        k: v for k, v in arguments_of(cell, model, scratch, checkpoints).items() if k in known
    }
    return train_head(model, tokenizer, options, rows, checkpoints, tell=tell)


def train_head(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    options: Options,
    rows: TrainingRows,
    checkpoints: Checkpoints | None = None,
    *,
    tell: TellStep | None = None,
) -> Trained:
    """``model``'s adapter and head trained with ``options``: those of `Trainer`, and `OWN`."""
    check_context(model, (len(row["input_ids"]) for row in rows.rows), "training rows")
    own = {key: options.pop(key, None) for key in OWN}
    in_float32(model)
    arguments = on_one_device(TrainingArguments(**options))
    ratio = own["loraplus_lr_ratio"]
    with unpacked(model, wanted=bool(own["unpack_4bit"])):
        # no check compares fused operations under a head
        flat = FlatTraining(
            model, [], arguments, ratio, fuse=False, checkpoints=checkpoints, tell=tell,
            objective=LABELS,
        )  # fmt: skip
        reason = by_engine_or_why(
            own["engine"],
            lambda: trainer_reason(model, options, arguments, rows.rows),
            lambda: _by_engine(flat, rows),
            checkpoints,
            other="`Trainer`",
        )
        if isinstance(reason, Trained):
            return reason
        optimizer = loraplus(model, arguments, ratio) if ratio else None
        trainer = _trainer(model, tokenizer, arguments, rows, optimizer, tell)
        try:
            return run_trainer(trainer, model, rows.audit["tokens"], reason, checkpoints)
        finally:
            tokenizer.padding_side = "right"  # as it is loaded, saved and asked


def _by_engine(training: FlatTraining, rows: TrainingRows) -> Trained | str:
    """Train by the harness's engine; where that cannot be, why not, and the model as it was."""
    model, arguments = training.model, training.arguments
    some = list(rows.rows)[: arguments.per_device_train_batch_size]
    longest = max(len(row["input_ids"]) for row in rows.rows)
    reason = head_disagreement(model, some, arguments, longest=longest)
    if reason is not None:
        return reason
    training.rows = head_rows(rows.rows, model)
    return within_memory(training, rows.audit["tokens"])


def _trainer(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, arguments: TrainingArguments,
    rows: TrainingRows, optimizer: torch.optim.Optimizer | None, tell: TellStep | None,
) -> Trainer:  # fmt: skip
    """Transformers' `Trainer`, for which ``tokenizer`` pads on the side that the head needs."""
    tokenizer.padding_side = training_side(model)
    trainer = Trainer(
        model=model, args=arguments, train_dataset=dataset_of(rows.rows),
        data_collator=DataCollatorWithPadding(tokenizer), callbacks=telling(tell),
        optimizers=(optimizer, None),
    )  # fmt: skip
    # The loss of a head is a mean over its batch, whatever it is passed. Taken for a sum over all
    # rows of a step, loss and gradients come out multiplied by the batches that are accumulated.
    trainer.model_accepts_loss_kwargs = False
    return trainer
