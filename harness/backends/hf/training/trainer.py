"""Fine-tuning on text: by the harness's engine where that is known to be right, else by TRL."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import torch
import transformers
import trl
from transformers import (
    PreTrainedModel,
    PreTrainedTokenizerBase,
    Trainer,
    TrainerCallback,
)
from trl import SFTConfig

from harness.backends.base import TellStep
from harness.backends.hf.encoding import TrainingRows
from harness.backends.hf.models.limits import check_context
from harness.backends.hf.training.check import disagreement, fused_disagreement
from harness.backends.hf.training.checkpoints import Checkpoints, unresumable_reason
from harness.backends.hf.training.engine import FlatTraining, in_float32
from harness.backends.hf.training.evidence import trl_reason
from harness.backends.hf.training.flat_batch import rows_of
from harness.backends.hf.training.packing import check_packing
from harness.backends.hf.training.row_store import dataset_of
from harness.backends.hf.training.steps import kept_rows
from harness.backends.hf.training.trained import Trained
from harness.backends.hf.training.trl_run import keeps_sums, run_trainer, telling
from harness.backends.hf.training.unpacked import unpacked
from harness.errors import HarnessError
from harness.plan.cell import Cell
from harness.suite.engine_keys import is_checkpointed
from harness.suite.options import HARNESS_TRAINING_KEYS
from harness.suite.parts import Options

OWN = frozenset({"loraplus_lr_ratio", "engine", "unpack_4bit"})
"""Keys of the harness that training itself reads; the others are read before it."""


def train_text(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    cell: Cell,
    rows: TrainingRows,
    scratch: Path,
    checkpoints: Checkpoints | None = None,
    *,
    tell: TellStep | None = None,
) -> Trained:
    """``model``'s adapter trained on ``rows`` with the suite's `SFTConfig` keys."""
    checkpoints = usable(checkpoints, model, cell.training)
    options = arguments_of(cell, model, scratch, checkpoints)
    tokens = rows.audit["tokens"]
    return train_rows(model, tokenizer, options, rows.rows, tokens, checkpoints, tell=tell)


def train_rows(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    options: Options,
    rows: Sequence[Mapping[str, Any]],
    tokens: int,
    checkpoints: Checkpoints | None = None,
    *,
    tell: TellStep | None = None,
) -> Trained:
    """``model``'s adapter trained on ``rows`` of ids and labels, ``tokens`` in all.

    ``tell`` gets each record of the log when it is there, from either engine.
    """
    check_context(model, (len(row["input_ids"]) for row in rows), "training rows")
    if options.get("packing") or options.get("padding_free"):
        check_packing(model, rows)
    own = {key: options.pop(key, None) for key in OWN}
    if options.get("padding_free") and not options.get("packing"):
        options["max_length"] = None  # the rows are cut already; TRL takes no other value here
    in_float32(model)
    arguments = on_one_device(SFTConfig(**options))
    ratio = own["loraplus_lr_ratio"]
    with unpacked(model, wanted=bool(own["unpack_4bit"])):
        flat = FlatTraining(model, [], arguments, ratio, checkpoints=checkpoints, tell=tell)
        reason = by_engine_or_why(
            own["engine"],
            lambda: trl_reason(model, options, arguments),
            lambda: _by_engine(flat, rows, tokens),
            checkpoints,
            other="TRL",
        )
        if isinstance(reason, Trained):
            return reason
        # imported only where it trains: it loads Weights & Biases, where that is installed, which
        # takes a third of a second
        from trl import SFTTrainer

        trainer = SFTTrainer(
            model=model, args=arguments, train_dataset=dataset_of(rows),
            processing_class=tokenizer, callbacks=[*_callbacks(model), *telling(tell)],
            optimizers=(loraplus(model, arguments, ratio) if ratio else None, None),
        )  # fmt: skip
        in_float32(model)  # again: TRL halves them when quantized
        return run_trainer(trainer, model, tokens, reason, checkpoints)


def by_engine_or_why(
    asked: str | None,
    refuses: Callable[[], str | None],
    train: Callable[[], Trained | str],
    checkpoints: Checkpoints | None,
    *,
    other: str,
) -> Trained | str:
    """The training by the harness's engine, or why it is left to the ``other`` trainer.

    Args:
        asked: the suite's `engine`.
        refuses: why the engine does not take the model and its settings; None if it does.
        train: trains by the engine, or says why that cannot be.
        checkpoints: those of earlier sittings, which begin anew where the trainer changes.
        other: the trainer's name, for a note.
    """
    reason = "the suite says `engine: trl`" if asked == "trl" else refuses()
    earlier = checkpoints.look() if checkpoints else None
    others = earlier is not None and earlier.engine == "trl"
    if earlier and others:  # the engine may have been tried, and left
        reason = reason or earlier.reason
    if reason is None:
        found = train()
        if isinstance(found, Trained):
            return found
        reason = found
    # those of this sitting too: it may have run out of memory after it wrote one, which the next
    # sitting would take for newer than the other trainer's
    if checkpoints and not others:
        checkpoints.begin_anew(f"{other} trains ({reason}), which cannot read it")
    return reason


def usable(
    checkpoints: Checkpoints | None, model: PreTrainedModel, training: Options
) -> Checkpoints | None:
    """``checkpoints``; None, with a note for the result, where ``model`` has no use for them."""
    if checkpoints is None:
        return None
    reason = unresumable_reason(model, training)
    if reason is None and not keeps_sums():
        reason = "this version of transformers keeps its running loss elsewhere"
    if reason is None:
        return checkpoints
    checkpoints.notes.append(f"no checkpoints were written: {reason}")
    return None


def _by_engine(
    training: FlatTraining, rows: Sequence[Mapping[str, Any]], tokens: int
) -> Trained | str:
    """Train by the harness's engine; where that cannot be, why not, and the model as it was."""
    model, arguments = training.model, training.arguments
    kept = kept_rows(rows, arguments)
    if not kept:
        return "no row has a token to learn"
    if not all(row["input_ids"] for row in kept):
        return "a row without tokens"
    some = kept[: arguments.per_device_train_batch_size]
    longest = max(len(row["input_ids"]) for row in kept)
    reason = disagreement(model, some, arguments, longest=longest)
    if reason is not None:
        return reason
    if training.fuses:
        training.unfused_reason = fused_disagreement(model, some, arguments)
    training.rows = rows_of(kept)
    return within_memory(training, tokens)


def within_memory(training: FlatTraining, tokens: int) -> Trained | str:
    """Run ``training``; where memory is short, say so, and leave the model as it was."""
    trained = [p for p in training.model.parameters() if p.requires_grad and p.is_cuda]
    before = [p.detach().to("cpu", copy=True) for p in trained]
    try:
        return training.run(tokens)
    except torch.OutOfMemoryError:
        # it holds the logits of all answer tokens, of which TRL holds a few
        with torch.no_grad():
            for parameter, value in zip(trained, before, strict=True):
                parameter.copy_(value)
    training.release()
    return "the engine ran out of device memory"


def on_one_device(arguments: Any) -> Any:
    """``arguments`` for one device, also where this process sees more of them.

    Workers see one (`keep_gpus`); a process that had initialized CUDA before, a notebook say,
    may see all. The trainer would then use `DataParallel` and multiply the batch size.
    """
    if arguments.n_gpu > 1:
        arguments._n_gpu = 1
    return arguments


def loraplus(model: PreTrainedModel, arguments: Any, ratio: float) -> torch.optim.Optimizer:
    """The suite's optimizer with LoRA+'s two learning rates."""
    from peft.optimizers import create_loraplus_optimizer

    kind, options = Trainer.get_optimizer_cls_and_kwargs(arguments)
    found: torch.optim.Optimizer = create_loraplus_optimizer(
        model, kind, loraplus_lr_ratio=ratio, **options
    )
    return found


class _Allocation(TrainerCallback):  # type: ignore[misc]
    """AdaLoRA's reallocation of ranks, which trainers leave to their callers."""

    def on_optimizer_step(
        self, args: Any, state: Any, control: Any, model: Any = None, **_: Any
    ) -> None:
        """Move the budget after each optimizer step, while gradients are there."""
        model.base_model.update_and_allocate(state.global_step)


def _callbacks(model: PreTrainedModel) -> list[TrainerCallback]:
    base = getattr(model, "base_model", None)
    return [_Allocation()] if hasattr(base, "update_and_allocate") else []


def _check_known(training: Options) -> None:
    """Refuse keys that the suite's schema has from newer libraries than the installed ones."""
    newer = sorted(training.keys() - OWN - {field.name for field in fields(SFTConfig)})
    if newer:
        raise HarnessError(
            f"the installed trl {trl.__version__} and transformers {transformers.__version__} do"
            f" not know {', '.join(f'`{key}`' for key in newer)} of `training`",
            hint="Update them, or delete what they do not know.",
        )


def arguments_of(
    cell: Cell, model: PreTrainedModel, scratch: Path, checkpoints: Checkpoints | None = None
) -> Options:
    """The suite's keys over the harness's defaults; what the harness manages is set last."""
    half = getattr(model, "dtype", torch.float32) == torch.bfloat16
    defaults = {
        "bf16": half,
        "logging_steps": 1,
        "dataloader_pin_memory": torch.cuda.is_available(),
    }
    if not cell.training.get("fp16"):  # whose scaling leaves out a step that overflows
        # the trainer would log the mean of the steps before, 0 at first, where a loss is NaN
        defaults["logging_nan_inf_filter"] = False
    # older versions of transformers do not know the newer name, newer ones know both
    own = (HARNESS_TRAINING_KEYS.keys() - OWN) | {"activation_checkpointing"}
    suite = {k: v for k, v in cell.training.items() if k not in own}
    _check_known(suite)
    managed = {
        "gradient_checkpointing": is_checkpointed(cell.training),
        "output_dir": str(checkpoints.folder if checkpoints else scratch),
        # older ones are deleted by us, once the newer one is sealed: the trainer does it before
        "save_total_limit": None,
        "use_cpu": not torch.cuda.is_available(),
        "seed": cell.seed or 0,
        "data_seed": cell.seed or 0,
        "report_to": "none",
        "auto_find_batch_size": False,  # the next attempt does that, and says so: `run/batch_size`
        "disable_tqdm": True,
    }
    if checkpoints is None:
        managed["save_strategy"] = "no"
    return {**defaults, **suite, **managed}
