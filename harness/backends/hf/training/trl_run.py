"""A run of TRL's or transformers' trainer: timed, logged, sealed at checkpoints, gone on with."""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, Trainer, TrainerCallback

from harness.backends.base import TellStep
from harness.backends.hf.counters.memory import MIB, synchronize, training_parts
from harness.backends.hf.training.checkpoints import Checkpoints
from harness.backends.hf.training.trained import Trained


def run_trainer(
    trainer: Any, model: PreTrainedModel, tokens: int, reason: str,
    checkpoints: Checkpoints | None = None,
) -> Trained:  # fmt: skip
    """What ``trainer`` leaves behind, from the checkpoint on that was found, if one was.

    Args:
        trainer: a `Trainer` or `SFTTrainer`.
        model: what it trains.
        tokens: how many are in its rows.
        reason: why it trains and not the harness's engine.
        checkpoints: where they are written, if the suite sets them.
    """
    steps = _Steps()
    trainer.add_callback(steps)
    resumed = None
    if checkpoints:
        trainer.add_callback(_Sealing(trainer, checkpoints, steps, reason))
        resumed = str(checkpoints.place) if checkpoints.found else None
    output = trainer.train(resume_from_checkpoint=resumed)
    synchronize()
    ended = time.monotonic()
    started = ended if steps.began is None else steps.began
    log = [_numbers(record) for record in trainer.state.log_history if "loss" in record]
    loss = output.training_loss
    if loss != loss:
        raise FloatingPointError("the training loss is NaN; lower the learning rate")
    epochs = trainer.state.epoch or 0.0
    peak = torch.cuda.max_memory_allocated() / MIB if torch.cuda.is_available() else None
    return Trained(
        log=log,
        seconds=ended - started + (checkpoints.seconds if checkpoints else 0.0),
        tokens=round(tokens * epochs),
        steps=trainer.state.global_step,
        started=started,
        step=steps.median(),
        parts=training_parts(model, trainer.optimizer, peak),
        how={"engine": "trl", "reason": reason},
    )


def keeps_sums() -> bool:
    """Whether the trainer keeps what it has summed since the last log where `_Sealing` finds it.

    Older and newer versions may hold it in a local variable; without it, the first loss that a
    resumed training logs would be wrong wherever `logging_steps` is above 1.
    """
    loop = getattr(Trainer, "_inner_training_loop", None)
    return loop is not None and set(_SUMS) <= set(loop.__code__.co_names)


_SUMS = ("_tr_loss", "_total_loss_scalar", "_globalstep_last_logged")


class _Steps(TrainerCallback):  # type: ignore[misc]
    """When the first step began and each one ended.

    On CUDA a step may still run when its end is noted. But a number or a batch is copied in each,
    which waits for all that was queued, so that from end to end it is a step's time all the same.
    """

    def __init__(self) -> None:
        self._ends: list[float] = []
        self.began: float | None = None

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Start the clock at the first step: before it the trainer sets itself up."""
        if self.began is None:
            synchronize()
            self.began = time.monotonic()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Note the time."""
        self._ends.append(time.monotonic())

    def median(self) -> float:
        """Median seconds of a step after the first; 0 for a single one."""
        gaps = [b - a for a, b in pairwise(self._ends)]
        return statistics.median(gaps) if gaps else 0.0


class _Telling(TrainerCallback):  # type: ignore[misc]
    """Tells somebody of each record of the log, as the log will hold it."""

    def __init__(self, tell: TellStep) -> None:
        self._tell = tell

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Pass on what an interrupted training had logged, which this one goes on from."""
        for record in state.log_history:
            if "loss" in record:
                self._tell(_numbers(record))

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **_: Any) -> None:
        """Pass on the numbers of a step; the summary at the end has no `loss`."""
        if logs and "loss" in logs:
            self._tell(_numbers({**logs, "step": state.global_step}))


def telling(tell: TellStep | None) -> list[TrainerCallback]:
    """The callbacks of a trainer that pass its log on to ``tell``."""
    return [] if tell is None else [_Telling(tell)]


class _Sealing(TrainerCallback):  # type: ignore[misc]
    """Seals what the trainer saves, and puts back the sums that the trainer itself forgets."""

    def __init__(self, trainer: Any, checkpoints: Checkpoints, steps: _Steps, reason: str) -> None:
        self._trainer, self._checkpoints = trainer, checkpoints
        self._steps, self._reason = steps, reason

    def on_train_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Put back what was summed since the last log, and count the loss from the first step."""
        found, trainer = self._checkpoints.found, self._trainer
        if found is None:
            return
        trainer._tr_loss = torch.tensor(found.sums["loss"], device=args.device)
        trainer._total_loss_scalar = found.sums["total"]
        trainer._globalstep_last_logged = found.sums["logged"]
        trainer._initial_global_step = 0
        if "metrics" in found.sums:  # those of `SFTTrainer`
            trainer._total_train_tokens = found.sums["tokens"]
            for name, values in found.sums["metrics"].items():
                trainer._metrics["train"][name] = list(values)

    def on_save(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Seal the checkpoint, but not that of the end, from which nothing is left to do."""
        if state.global_step >= state.max_steps:
            return
        trainer, checkpoints = self._trainer, self._checkpoints
        sums: dict[str, Any] = {
            "loss": float(trainer._tr_loss),
            "total": float(trainer._total_loss_scalar),
            "logged": int(trainer._globalstep_last_logged),
        }
        if hasattr(trainer, "_total_train_tokens"):
            sums["tokens"] = trainer._total_train_tokens
            sums["metrics"] = {k: list(v) for k, v in trainer._metrics["train"].items()}
        began = self._steps.began or time.monotonic()
        checkpoints.seal(
            Path(args.output_dir) / f"checkpoint-{state.global_step}",
            state.global_step,
            engine="trl",
            seconds=time.monotonic() - began - checkpoints.paused(began),
            reason=self._reason,
            sums=sums,
        )


def _numbers(record: Mapping[str, Any]) -> dict[str, float]:
    return {k: v for k, v in record.items() if isinstance(v, int | float) and v == v}
