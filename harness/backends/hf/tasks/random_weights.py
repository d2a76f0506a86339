"""A cell of random weights: memory, training throughput and decoding speed, without any quality.

Sequences are random token ids of fixed lengths: `training.max_length` in training,
`evaluation.prompt_tokens` and `generation.max_new_tokens` in decoding. Values do not change what a
kernel costs, so the numbers are those of the published architecture on this device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from harness.backends.base import Asking, BackendResult, TellStep, without_missing
from harness.backends.hf.counters.ceilings import (
    decoding_share,
    multiplied_params,
    training_share,
)
from harness.backends.hf.counters.energy import energy
from harness.backends.hf.counters.memory import device_memory, memory_peak
from harness.backends.hf.decoding.decode import decode, fixed_length
from harness.backends.hf.encoding import TrainingRows
from harness.backends.hf.latency.latency import generation_latency
from harness.backends.hf.models.loading import add_adapter
from harness.backends.hf.models.placing import device
from harness.backends.hf.models.random import random_model
from harness.backends.hf.training.checkpoints import Checkpoints
from harness.backends.hf.training.trained import Trained
from harness.backends.hf.training.trainer import arguments_of, train_rows
from harness.datasets.example import Example
from harness.metrics.prediction import Prediction
from harness.plan.cell import Cell
from harness.suite.options import training_value
from harness.suite.shipped import shipped

DEFAULT_STEPS = 6
"""Optimizer steps where the suite sets no `max_steps`."""


class RandomWeights:
    """An architecture filled with random numbers: what it costs, without what it knows."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        # the decoding engine wants one; ids are random, so any does
        folder = shipped("models")[0] / "tiny" / "tiny-qwen2"
        self.tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(folder)

    def trainable(self) -> PreTrainedModel:
        """The random base under a fresh adapter."""
        return add_adapter(random_model(self.cell, device()), self.cell, classification=False)

    def rows(self, train: Sequence[Example], folder: Path) -> TrainingRows:
        """As many rows of random ids as the steps need; ``train`` is left alone."""
        options = self.cell.training
        length = int(training_value(options, "max_length"))
        each = int(training_value(options, "per_device_train_batch_size"))
        steps = self._steps() * int(training_value(options, "gradient_accumulation_steps"))
        rows = [{"input_ids": ids, "labels": ids} for ids in _ids(steps * each, length)]
        return TrainingRows(rows, {"rows": len(rows), "tokens": len(rows) * length})

    def train(
        self, model: PreTrainedModel, rows: TrainingRows, scratch: Path,
        checkpoints: Checkpoints | None = None, *, tell: TellStep | None = None,
    ) -> Trained:  # fmt: skip
        """A few optimizer steps, too few to be worth a checkpoint."""
        options = {**arguments_of(self.cell, model, scratch), "max_steps": self._steps()}
        tokens = rows.audit["tokens"]
        return train_rows(model, self.tokenizer, options, rows.rows, tokens, tell=tell)

    def _steps(self) -> int:
        steps = int(self.cell.training.get("max_steps", DEFAULT_STEPS))
        return steps if steps > 0 else DEFAULT_STEPS

    def cost(
        self, model: PreTrainedModel, census: Mapping[str, Any], trained: Trained, seconds: float
    ) -> dict[str, float]:
        """Time, speed and size, and the share of the device's peak arithmetic."""
        multiplied = multiplied_params(model)
        share = training_share(multiplied, census["trainable_params"], trained.tokens, seconds)
        return {**without_missing({"train_flops_share": share}), **trained.cost(census, seconds)}

    def save(self, model: PreTrainedModel, folder: Path) -> dict[str, float]:
        """Nothing: random weights are worth nothing tomorrow."""
        return {}

    def served(self, adapter: Path) -> PreTrainedModel:
        """The random base; of an adapter's cell, under a fresh one."""
        model = random_model(self.cell, device())
        if self.cell.is_baseline:
            return model
        return add_adapter(model, self.cell, classification=False).eval()

    def proof(self, model: PreTrainedModel, probe: Example) -> dict[str, float]:
        """Nothing: a fresh adapter changes no logit, and need not."""
        return {}

    def predict(
        self, model: PreTrainedModel, test: Sequence[Example], asking: Asking
    ) -> list[Prediction]:
        """Nothing: the answers of random weights say nothing."""
        return []

    def describe(self, model: PreTrainedModel, test: Sequence[Example]) -> dict[str, object]:
        """Nothing: nothing was asked."""
        return {}

    def measure(self, model: PreTrainedModel, test: Sequence[Example]) -> BackendResult:
        """Memory, speed and latency of decoding to a fixed length; ``test`` is left alone."""
        evaluation, new = self.cell.evaluation, int(self.cell.generation["max_new_tokens"])
        size, timed = evaluation.batch_size, evaluation.latency_prompts
        prompts = _ids(max(size, timed), evaluation.prompt_tokens)
        options = fixed_length(new)
        with memory_peak("infer_peak") as peak:
            decode(model, self.tokenizer, prompts[:size], options=options, batch_size=size)
        with energy() as used:
            decoded = decode(
                model, self.tokenizer, prompts[:size], options=options, batch_size=size
            )
        latency = generation_latency(
            model, self.tokenizer, prompts[:timed], evaluation.latency_new_tokens
        )
        numbers = {**peak.values, "batch_tokens_per_s": decoded.new_tokens / decoded.seconds}
        numbers |= {**latency.values(), **device_memory()}
        if latency.rounds:
            share = decoding_share(_read_each_step(model), latency.each_token())
            numbers |= without_missing({"decode_bandwidth_share": share})
        numbers |= used.per_1k(decoded.new_tokens)
        numbers |= without_missing({"kv_cache_mib": decoded.cache_mib})
        return BackendResult(
            numbers, {"latency_ms": latency.milliseconds(), "decoding": decoded.how}
        )


def _tied(model: PreTrainedModel) -> bool:
    table = model.get_input_embeddings().weight
    return table is getattr(model.get_output_embeddings(), "weight", None)


def _read_each_step(model: PreTrainedModel) -> int:
    """Bytes of weights that a decode step reads: all but an untied embedding's other rows."""
    table = model.get_input_embeddings().weight
    whole = sum(p.numel() * p.element_size() for p in model.parameters())
    return int(whole - (0 if _tied(model) else table.numel() * table.element_size()))


def _ids(count: int, length: int) -> list[list[int]]:
    """``count`` sequences of random ids, the same in every cell; special ids are left out."""
    generator = torch.Generator().manual_seed(0)
    ids: list[list[int]] = torch.randint(10, 4000, (count, length), generator=generator).tolist()
    return ids
