"""What every task on a pretrained checkpoint shares: loading, rows, saving, the adapter's proof."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from harness.backends.base import BackendResult
from harness.backends.hf.counters.memory import MIB, device_memory
from harness.backends.hf.encoding import TrainingRows, encode_prompts
from harness.backends.hf.latency.latency import Latency
from harness.backends.hf.models.adapters import write_record
from harness.backends.hf.models.loading import (
    add_adapter,
    load_model,
    load_served,
    load_tokenizer,
    prepare_for_kbit,
)
from harness.backends.hf.training.row_store import rows_key, stored_rows
from harness.backends.hf.training.trained import Trained
from harness.datasets.example import Example
from harness.errors import HarnessError
from harness.plan.cell import Cell


class PretrainedTask:
    """A task on a checkpoint's own weights; subclasses say what is asked and learned."""

    def __init__(self, cell: Cell) -> None:
        self.cell = cell
        self.tokenizer: PreTrainedTokenizerBase = load_tokenizer(cell.model)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of a classification head; empty where the language head answers."""
        return self.cell.task.labels if self.cell.task.answered_by == "head" else ()

    def training_rows(self, train: Sequence[Example]) -> TrainingRows:
        """``train`` as ids and labels, audited."""
        raise NotImplementedError

    def latency(self, model: PreTrainedModel, test: Sequence[Example]) -> Latency:
        """Seconds for the first of ``test``, one at a time."""
        raise NotImplementedError

    def throughput(self, model: PreTrainedModel, test: Sequence[Example]) -> dict[str, float]:
        """Speed of one full batch."""
        raise NotImplementedError

    def trainable(self) -> PreTrainedModel:
        """The (quantized) base under a fresh adapter."""
        model = load_model(self.cell, self.tokenizer, labels=self.labels)
        if self.cell.training.get("prepare_for_kbit"):
            model = prepare_for_kbit(model, self.cell)
        return add_adapter(model, self.cell, classification=bool(self.labels))

    def rows(self, train: Sequence[Example], folder: Path) -> TrainingRows:
        """The rows of ``train``, tokenized once for all cells of the run that share them."""
        key = rows_key(self.cell, self.tokenizer, train)
        return stored_rows(folder, key, lambda: self.training_rows(train))

    def cost(
        self, model: PreTrainedModel, census: Mapping[str, Any], trained: Trained, seconds: float
    ) -> dict[str, float]:
        """Time, speed and size of the training."""
        return trained.cost(census, seconds)

    def save(self, model: PreTrainedModel, folder: Path) -> dict[str, float]:
        """Write adapter and tokenizer; the size of the weights."""
        model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        write_record(folder, self.cell, self.tokenizer)
        size = sum(f.stat().st_size for f in folder.glob("*.safetensors"))
        return {"adapter_mib": size / MIB}

    def served(self, adapter: Path) -> PreTrainedModel:
        """A fresh base with the saved adapter: what is scored is what ships."""
        return load_served(self.cell, self.tokenizer, adapter, labels=self.labels)

    def proof(self, model: PreTrainedModel, probe: Example) -> dict[str, float]:
        """The largest change of a logit by the adapter on ``probe``.

        Raises:
            HarnessError: it is nil: the adapter is not active.
        """
        if not hasattr(model, "active_peft_config"):  # the base, or an adapter merged into it
            return {}
        ids = torch.tensor(
            encode_prompts(self.cell.model, self.tokenizer, [probe]), device=model.device
        )
        with torch.inference_mode():
            adapted = model(input_ids=ids).logits.float()
            if model.active_peft_config.is_prompt_learning:  # it wraps the base, which is unchanged
                base = model.get_base_model()(input_ids=ids).logits.float()
            else:
                with model.disable_adapter():
                    base = model(input_ids=ids).logits.float()
            # virtual tokens stand before the prompt: compare the positions that both have
            adapted = adapted[..., -base.shape[1] :, :] if base.dim() == 3 else adapted
        effect = float((adapted - base).abs().max())
        if effect == 0.0:
            raise HarnessError(
                "the trained adapter does not change any logit: it is inactive or untrained"
            )
        return {"adapter_moves_logits_by": effect}

    def measure(self, model: PreTrainedModel, test: Sequence[Example]) -> BackendResult:
        """Latency at batch size 1, the speed of a full batch, memory of the device."""
        latency = self.latency(model, test)
        numbers = {**self.throughput(model, test), **device_memory(), **latency.values()}
        return BackendResult(numbers, {"latency_ms": latency.milliseconds()})
