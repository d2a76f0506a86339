"""The training engine: flat batches, loss on the learned tokens alone, no trainer around them.

What it does in a step is what `SFTTrainer` does with the same arguments: the same rows in the same
order, the same loss (summed over the learned tokens of all accumulated batches, over their number),
clipping, optimizer, schedule and log. `evidence` says what it takes, `check` tries it on the model.
On CUDA the steps are captured where that pays (`captured`).
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from transformers import PreTrainedModel, set_seed

from harness.backends.base import TellStep
from harness.backends.hf.counters.memory import MIB, free, synchronize, training_parts
from harness.backends.hf.training.buckets import ROUND_TO, size_for, sizes_of
from harness.backends.hf.training.captured import CannotCapture, CannotFuse, CapturedSteps
from harness.backends.hf.training.checkpoints import Checkpoints
from harness.backends.hf.training.dropout import drops_out, masks_reason
from harness.backends.hf.training.eager import EagerSteps, Steps
from harness.backends.hf.training.engine_state import load_state, save_state, saving_steps
from harness.backends.hf.training.flat_attention import flat_attention
from harness.backends.hf.training.flat_batch import Row
from harness.backends.hf.training.fused import Fused, fused
from harness.backends.hf.training.objective import TEXT, Objective
from harness.backends.hf.training.step_log import ENTROPY, LOSS, NORM, StepLog, steps_ahead
from harness.backends.hf.training.steps import Step, optimizer_of, rates_of, steps_of
from harness.backends.hf.training.trained import Trained
from harness.counting import counted

WORTH_CAPTURING = 10
"""Steps below which a capture, which takes some four eager steps, does not pay."""


@dataclass
class FlatTraining:
    """One training of a model on flat batches."""

    model: PreTrainedModel
    rows: list[Row]
    arguments: Any
    """The `SFTConfig` of the suite's keys."""
    ratio: float | None = None
    """LoRA+'s ratio of learning rates."""
    capture: bool = True
    """Whether steps are captured, on a CUDA device, where they can be."""
    fuse: bool = True
    """Whether the model's small operations are fused, where they can be, on a CUDA device."""
    unfused_reason: str | None = None
    """Why the small operations are not fused: what the cell's check found, or its capture."""
    checkpoints: Checkpoints | None = None
    """Where checkpoints are written, and the one to go on from, where the suite sets them."""
    tell: TellStep | None = None
    """Gets each record of the log when it is there, on CUDA some steps later."""
    objective: Objective = TEXT
    """What is learned from a row."""
    _optimizer: torch.optim.Optimizer = field(init=False)
    _peaks: list[float] = field(init=False)
    """The learning rate that each of its groups begins with."""
    _fused: Fused = field(init=False)
    _noted: torch.Tensor = field(init=False)
    """The numbers of each step, on the device."""
    _ends: list[tuple[int, float]] = field(init=False, default_factory=list)
    """Steps that had ended at a time, on the host's clock."""

    def run(self, tokens: int) -> Trained:
        """Train; ``tokens`` is the number of them in the rows.

        Raises:
            FloatingPointError: a loss is not a number.
        """
        if self.fuses:
            self.unfused_reason = masks_reason(self.model, self._most_tokens())
        synchronize()
        started = time.monotonic()
        try:
            return self._run(tokens, started)
        except CannotFuse as error:  # before the first step: all is as it was
            self.unfused_reason = str(error)
        self._forget()
        return self._run(tokens, started)

    def release(self) -> None:
        """Let go of all that a training that did not end holds on the device: another one comes."""
        for name in ("_optimizer", "_fused", "_noted"):
            vars(self).pop(name, None)
        self._forget()

    def _most_tokens(self) -> int:
        """At most so many are in one batch, padded as captured ones are."""
        lengths = sorted(len(row.ids) for row in self.rows)
        most = sum(lengths[-int(self.arguments.per_device_train_batch_size) :])
        return -(-most // ROUND_TO) * ROUND_TO

    def _run(self, tokens: int, started: float) -> Trained:
        model, arguments = self.model, self.arguments
        set_seed(arguments.seed)
        steps = steps_of(len(self.rows), arguments)
        self._noted = torch.zeros(len(steps), 4, device=model.device)
        model.train()
        with flat_attention(model), self._fusing() as self._fused:
            if arguments.gradient_checkpointing:
                _checkpoint(model, keep_random=not self._fused.draws(model))
            maker = self._maker(steps)
            rates = rates_of(arguments, self._peaks, len(steps))
            log = self._log(steps, rates)
            first, saves = self._resume(), saving_steps(steps, arguments)
            passes = sum(len(step.batches) for step in steps[:first])
            self._fused.copies.reseed(int(arguments.seed), passes)
            self._ends.append((first, time.monotonic()))
            for number in range(first, len(steps)):
                done = number + 1
                self._step(maker, number, steps[number], rates[number])
                self._look(log, done, last=done == len(steps) or done in saves)
                if done in saves:
                    self._save(done, started)
        synchronize()
        seconds = time.monotonic() - started
        if self.checkpoints:
            seconds += self.checkpoints.seconds
        peak = torch.cuda.max_memory_allocated() / MIB if torch.cuda.is_available() else None
        return Trained(
            log=log.records,
            seconds=seconds,
            tokens=round(tokens * steps[-1].epoch),
            steps=len(steps),
            started=started,
            step=self._median(),
            parts=training_parts(model, self._optimizer, peak),
            how={"engine": "flat", **maker.describe(), **self._unfused()},
        )

    def _log(self, steps: list[Step], rates: list[tuple[float, ...]]) -> StepLog:
        every, tokens = int(self.arguments.logging_steps), self.objective.counts_tokens
        return StepLog(steps, rates, self.rows, every, self.tell, counts_tokens=tokens)

    def _unfused(self) -> dict[str, object]:
        return {"unfused_reason": self.unfused_reason} if self.unfused_reason else {}

    @property
    def fuses(self) -> bool:
        """Whether the model's small operations are to be fused."""
        wanted = self.fuse and self.model.device.type == "cuda"
        return wanted and self.unfused_reason is None

    def _fusing(self) -> AbstractContextManager[Fused]:
        return fused(self.model, half=bool(self.arguments.bf16), wanted=self.fuses)

    def _resume(self) -> int:
        """Put back the state of an interrupted sitting; the number of steps that it had done."""
        if self.checkpoints is None or self.checkpoints.found is None:
            return 0
        load_state(self.checkpoints.place, self.model, self._optimizer, self._noted)
        return self.checkpoints.found.step

    def _save(self, done: int, started: float) -> None:
        if self.checkpoints is None:
            return
        seconds = time.monotonic() - started - self.checkpoints.paused(started)
        self.checkpoints.write(
            done,
            lambda folder: save_state(folder, self.model, self._optimizer, self._noted),
            seconds=seconds,
        )

    def _maker(self, steps: list[Step]) -> Steps:
        """What makes the steps: captured graphs where they can be had and pay, else eager ones."""
        if self.model.device.type != "cuda":
            return self._eager()
        reason = self._eager_reason(steps)
        if reason is None:
            try:
                return self._captured(steps)
            except (CannotCapture, torch.OutOfMemoryError) as error:
                reason = [*str(error).splitlines(), ""][0]
            self._forget()
        return self._eager(reason)

    def _forget(self) -> None:
        """Release what a capture that failed has left."""
        for parameter in self.model.parameters():
            parameter.grad = None
        free()

    def _eager(self, reason: str | None = None, **more: Any) -> EagerSteps:
        self._optimizer = optimizer_of(self.model, self.arguments, self.ratio, **more)
        self._peaks = [float(group["lr"]) for group in self._optimizer.param_groups]
        trained = [p for p in self.model.parameters() if p.requires_grad]
        # without clipping the norm is noted all the same; the trainer takes 0 and less for none,
        # and a norm below 0 as the limit would turn the gradient around
        norm = self.arguments.max_grad_norm
        limit = float(norm) if norm and norm > 0 else math.inf
        half = bool(self.arguments.bf16)
        return EagerSteps(
            self.model, trained, self._optimizer, half, limit, self._fused, reason, self.objective
        )

    def _captured(self, steps: list[Step]) -> CapturedSteps:
        groups = [[self.rows[i] for i in batch] for step in steps for batch in step.batches]
        tokens = [sum(len(row.ids) for row in rows) for rows in groups]
        sizes = sizes_of(tokens)
        samples: dict[int, list[list[Row]]] = {size: [] for size in sizes}
        for rows, count in zip(groups, tokens, strict=True):
            samples[size_for(sizes, count)].append(rows)
        # bitsandbytes' optimizers look at their state on the host
        plain = str(getattr(self.arguments.optim, "value", self.arguments.optim))
        captures_update = plain.startswith("adamw_torch")
        eager = self._eager(capturable=True) if captures_update else self._eager()
        found = CapturedSteps(
            eager,
            rows=max(map(len, groups)),
            longest=max(len(row.ids) for row in self.rows),
            captures_update=captures_update,
            dropout=drops_out(self.model),
        )
        found.capture(samples)
        return found

    def _eager_reason(self, steps: list[Step]) -> str | None:
        if not self.capture:
            return "capturing is turned off"
        if len(steps) < WORTH_CAPTURING:
            return f"{counted(len(steps), 'step')}, too few for a capture to pay"
        if self.arguments.gradient_checkpointing and not self._fused.draws(self.model):
            # the masks of the forward pass are drawn again from a state kept on the host
            return "checkpointing with dropout"
        return None

    def _step(self, maker: Steps, number: int, step: Step, rate: tuple[float, ...]) -> None:
        if step.opens_epoch:
            # a data loader draws its workers' seed here; on a CPU, dropout comes from the same
            # generator, so that its masks are the trainer's where rows are equally long
            torch.empty((), dtype=torch.int64).random_()
        batches = [[self.rows[i] for i in batch] for batch in step.batches]
        count = self.objective.count(self.model, batches)
        for rows in batches:
            numbers = maker.learn(rows, max(1, count))
            self._noted[number, LOSS] += numbers[LOSS]
            self._noted[number, ENTROPY:NORM] += numbers[ENTROPY:NORM] / len(batches)
        self._noted[number, NORM] = maker.update(rate)

    def _look(self, log: StepLog, done: int, *, last: bool) -> None:
        """Note the time and the log, where the device need not wait; stop at a loss of NaN."""
        ahead = done - self._ends[-1][0]
        if self.model.device.type == "cuda" and not last and ahead < steps_ahead(self._ends):
            return
        since = self._ends[-1][0]
        begin = min(since, log.begin)  # of a resumed training all that it had noted before
        noted = self._noted[begin:done].tolist()  # waits for the device
        self._ends.append((done, time.monotonic()))
        log.take(noted[log.begin - begin :], done)
        if any(row[LOSS] != row[LOSS] for row in noted[since - begin :]):
            raise FloatingPointError("the training loss is NaN; lower the learning rate")

    def _median(self) -> float:
        """Median seconds of a step after the first; 0 for a single one."""
        # of one look alone, the steps before it: on CUDA none of them makes or warms anything
        ends = self._ends[1:] if len(self._ends) > 2 else self._ends
        gaps = [(b - a) / (j - i) for (i, a), (j, b) in pairwise(ends)]
        return statistics.median(gaps) if gaps and ends[-1][0] > 1 else 0.0


def in_float32(model: PreTrainedModel) -> None:
    """Hold the trained weights in float32: one policy for every cell and engine."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(torch.float32)


def _checkpoint(model: PreTrainedModel, *, keep_random: bool) -> None:
    """Recompute each layer in the backward pass, under the name that this transformers has.

    Without dropout there is no random state to keep, and keeping it cannot be captured.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    options: Mapping[str, bool] = {"use_reentrant": False, "preserve_rng_state": keep_random}
    if hasattr(base, "activation_checkpointing_enable"):
        base.activation_checkpointing_enable(activation_checkpointing_kwargs=dict(options))
    else:
        base.gradient_checkpointing_enable(gradient_checkpointing_kwargs=dict(options))
