"""The training engine: flat batches, loss on the learned tokens alone, no trainer around them.

What it does in a step is what `SFTTrainer` does with the same arguments: the same rows in the same
order, the same loss (summed over the learned tokens of all accumulated batches, over their number),
clipping, optimizer, schedule and log. `evidence` says what it takes, `check` tries it on the model.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import torch
from transformers import PreTrainedModel, set_seed

from harness.backends.hf.counters.memory import MIB, synchronize, training_parts
from harness.backends.hf.training.flat_attention import flat_attention, reading
from harness.backends.hf.training.flat_batch import flat_batch, learn, learned_tokens
from harness.backends.hf.training.steps import (
    Step,
    counts_first_label,
    optimizer_of,
    rates_of,
    steps_of,
)
from harness.backends.hf.training.trained import Trained

Rows = Sequence[Mapping[str, Any]]
LOOK_EVERY = 16
"""Steps between looks at the device's numbers on CUDA: a look waits for it."""
LOSS, ENTROPY, ACCURACY, NORM = range(4)
"""Columns of what is noted of a step."""


@dataclass
class FlatTraining:
    """One training of a model on flat batches."""

    model: PreTrainedModel
    rows: Rows
    arguments: Any
    """The `SFTConfig` of the suite's keys."""
    ratio: float | None = None
    """LoRA+'s ratio of learning rates."""
    optimizer: torch.optim.Optimizer = field(init=False)
    _trained: list[torch.nn.Parameter] = field(init=False)
    _first: bool = field(init=False)
    """Whether a row's first label counts among those that a loss is divided by."""
    _noted: torch.Tensor = field(init=False)
    """The numbers of each step, on the device."""
    _ends: list[tuple[int, float]] = field(init=False, default_factory=list)
    """Steps that had ended at a time, on the host's clock."""

    def run(self, tokens: int) -> Trained:
        """Train; ``tokens`` is the number of them in the rows.

        Raises:
            FloatingPointError: a loss is not a number.
        """
        model, arguments = self.model, self.arguments
        set_seed(arguments.seed)
        self._first = counts_first_label(model)
        steps = steps_of(len(self.rows), arguments)
        self._trained = [p for p in model.parameters() if p.requires_grad]
        self._noted = torch.zeros(len(steps), 4, device=model.device)
        self.optimizer = optimizer_of(model, arguments, self.ratio)
        rates = rates_of(self.optimizer, arguments, len(steps))
        if arguments.gradient_checkpointing:
            _checkpoint(model)
        model.train()
        synchronize()
        started = time.monotonic()
        self._ends.append((0, started))
        with flat_attention(model):
            for number, (step, rate) in enumerate(zip(steps, rates, strict=True)):
                self._step(number, step, rate)
                self._look(number + 1, last=number + 1 == len(steps))
        synchronize()
        seconds = time.monotonic() - started
        peak = torch.cuda.max_memory_allocated() / MIB if torch.cuda.is_available() else None
        return Trained(
            log=self._log(steps, rates),
            seconds=seconds,
            tokens=round(tokens * steps[-1].epoch),
            steps=len(steps),
            started=started,
            step=self._median(),
            parts=training_parts(model, self.optimizer, peak),
            how={"engine": "flat"},
        )

    def _step(self, number: int, step: Step, rate: tuple[float, ...]) -> None:
        if step.opens_epoch:
            # a data loader draws its workers' seed here; on a CPU, dropout comes from the same
            # generator, so that its masks are the trainer's where rows are equally long
            torch.empty((), dtype=torch.int64).random_()
        for group, value in zip(self.optimizer.param_groups, rate, strict=True):
            group["lr"] = value
        batches = [[self.rows[i] for i in batch] for batch in step.batches]
        count = max(1, sum(learned_tokens(rows, first=self._first) for rows in batches))
        for rows in batches:
            self._learn(number, rows, count, share=1 / len(batches))
        limit = self.arguments.max_grad_norm or float("inf")  # the norm is noted without clipping
        self._noted[number, NORM] = torch.nn.utils.clip_grad_norm_(self._trained, limit)
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def _learn(self, number: int, rows: Rows, count: int, *, share: float) -> None:
        batch = flat_batch(rows, self.model.device)
        with reading(batch.segments):  # the backward pass reads it too, under checkpointing
            found = learn(self.model, batch, half=self.arguments.bf16)
            loss = found.nll / count
            loss.backward()
        self._noted[number, LOSS] += loss.detach()
        self._noted[number, ENTROPY] += found.entropy * share
        self._noted[number, ACCURACY] += found.accuracy * share

    def _look(self, done: int, *, last: bool) -> None:
        """Note the time, where that does not make the device wait; stop at a loss of NaN."""
        if self.model.device.type == "cuda" and not last and done % LOOK_EVERY:
            return
        since = self._ends[-1][0]
        losses = self._noted[since:done, LOSS].tolist()  # waits for the device
        self._ends.append((done, time.monotonic()))
        if any(loss != loss for loss in losses):
            raise FloatingPointError("the training loss is NaN; lower the learning rate")

    def _median(self) -> float:
        """Median seconds of a step after the first; 0 for a single one."""
        ends = self._ends[1:]
        gaps = [(b - a) / (j - i) for (i, a), (j, b) in pairwise(ends)]
        return statistics.median(gaps) if gaps else 0.0

    def _log(self, steps: list[Step], rates: list[tuple[float, ...]]) -> list[dict[str, float]]:
        """What the trainer would have logged, from the numbers of each step."""
        noted = self._noted.tolist()
        every = int(self.arguments.logging_steps)
        log, tokens, since = list[dict[str, float]](), 0, 0
        for number, step in enumerate(steps):
            tokens += sum(len(self.rows[i]["input_ids"]) for batch in step.batches for i in batch)
            if (number + 1) % every:
                continue
            # losses are averaged over steps, the rest over batches
            part, weights = noted[since : number + 1], [len(s.batches) for s in steps[since:]]
            weights = weights[: len(part)]
            mean = {
                column: sum(row[column] * w for row, w in zip(part, weights, strict=True))
                / sum(weights)
                for column in (ENTROPY, ACCURACY)
            }
            log.append({
                "loss": sum(row[LOSS] for row in part) / len(part),
                "grad_norm": part[-1][NORM],
                "learning_rate": rates[number][0],
                "entropy": mean[ENTROPY],
                "mean_token_accuracy": mean[ACCURACY],
                "num_tokens": float(tokens),
                "epoch": step.epoch,
                "step": number + 1,
            })  # fmt: skip
            since = number + 1
        return log


def in_float32(model: PreTrainedModel) -> None:
    """Hold the trained weights in float32: one policy for every cell and engine."""
    for parameter in model.parameters():
        if parameter.requires_grad:
            parameter.data = parameter.data.to(torch.float32)


def _checkpoint(model: PreTrainedModel) -> None:
    """Recompute each layer in the backward pass, under the name that this transformers has."""
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    if hasattr(base, "activation_checkpointing_enable"):
        base.activation_checkpointing_enable()
    else:
        base.gradient_checkpointing_enable(gradient_checkpointing_kwargs={"use_reentrant": False})
