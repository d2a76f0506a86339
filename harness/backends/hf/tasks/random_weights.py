"""A cell of random weights: memory, training throughput and decoding speed, without any quality.

Sequences are random token ids of fixed lengths: `training.max_length` in training,
`evaluation.prompt_tokens` and `generation.max_new_tokens` in decoding. Values do not change what a
kernel costs, so the numbers are those of the published architecture on this device.
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from transformers import AutoTokenizer

from harness.backends.base import Device, Seen, elapsed, known
from harness.backends.hf.counters.ceilings import (
    decoding_share,
    multiplied_params,
    training_share,
)
from harness.backends.hf.counters.energy import energy
from harness.backends.hf.counters.memory import device_memory, free, memory_peak, weights_mib
from harness.backends.hf.decoding.decode import decode, fixed_length
from harness.backends.hf.latency.latency import generation_latency
from harness.backends.hf.models.loading import add_adapter, census, device
from harness.backends.hf.models.random import random_model
from harness.backends.hf.training.trainer import arguments_of, train_rows
from harness.plan.cell import Cell
from harness.suite.shipped import shipped

DEFAULT_STEPS = 6
"""Optimizer steps where the suite sets no `max_steps`."""


def evaluate_geometry(cell: Cell, owner: Device) -> Seen:
    """Load, train for some steps (unless `base`), decode and measure; no records."""
    seen = Seen()
    where = device()
    tokenizer = AutoTokenizer.from_pretrained(shipped("models")[0] / "tiny" / "tiny-qwen2")
    owner.stage("load")
    with memory_peak("load") as peak:
        model = random_model(cell, where)
    seen.measured(peak.values)
    seen.facts["loaded"] = census(model)
    seen.measured({"weights_mib": weights_mib(model.requires_grad_(False))})
    if not cell.is_baseline:
        owner.stage("train")
        model = _train(cell, model, tokenizer, owner, seen)
        model.eval()
    owner.stage("measure")
    _infer(cell, model, tokenizer, owner, seen)
    return seen


def _train(cell: Cell, model: Any, tokenizer: Any, owner: Device, seen: Seen) -> Any:
    model = add_adapter(model, cell, classification=False)
    facts = census(model)
    length = int(cell.training.get("max_length", 512))
    steps = cell.training.get("max_steps", DEFAULT_STEPS)
    with tempfile.TemporaryDirectory() as scratch, memory_peak("train_peak") as peak:
        options = {**arguments_of(cell, model, Path(scratch)), "max_steps": steps}
        each = options.get("per_device_train_batch_size", 8)
        count = steps * each * options.get("gradient_accumulation_steps", 1)
        rows = [{"input_ids": ids, "labels": ids} for ids in _ids(count, length)]
        with energy() as used:
            trained = train_rows(model, tokenizer, options, rows, count * length)
    seconds = trained.seconds - owner.paused_seconds(trained.started)
    share = training_share(
        multiplied_params(model),
        facts["trainable_params"],
        count * length,
        seconds,
    )
    seen.measured(known({"train_energy_j": used.joules, "train_flops_share": share}))
    seen.measured({**peak.values, **trained.cost(facts, seconds)})
    seen.facts["trained"] = {**facts, "steps": trained.steps}
    seen.timings |= {"train": seconds, "step": trained.step}
    free()
    return model


def _infer(cell: Cell, model: Any, tokenizer: Any, owner: Device, seen: Seen) -> None:
    evaluation, new = cell.evaluation, int(cell.generation["max_new_tokens"])
    prompts = _ids(max(evaluation.batch_size, evaluation.latency_prompts), evaluation.prompt_tokens)
    options = fixed_length(new)
    size = evaluation.batch_size
    started = time.monotonic()
    with owner.exclusive():
        with memory_peak("infer_peak") as peak:
            decode(model, tokenizer, prompts[:size], options=options, batch_size=size)
        with energy() as used:
            decoded = decode(model, tokenizer, prompts[:size], options=options, batch_size=size)
        chosen = prompts[: evaluation.latency_prompts]
        latency = generation_latency(model, tokenizer, chosen, evaluation.latency_new_tokens)
    seen.measured({**peak.values, "batch_tokens_per_s": decoded.new_tokens / decoded.seconds})
    seen.measured(latency.values())
    seen.facts["latency_ms"] = latency.milliseconds()
    seen.measured(device_memory())
    if latency.rounds:
        share = decoding_share(_stored(model), latency.each_token())
        seen.measured(known({"decode_bandwidth_share": share}))
    seen.measured(used.per_1k(decoded.new_tokens))
    seen.measured(known({"kv_cache_mib": decoded.how.get("kv_cache_mib")}))
    seen.facts["decoding"] = decoded.how
    seen.timings["measure"] = elapsed(owner, started)


def _stored(model: Any) -> int:
    """Bytes of weights that a decode step reads: all but an untied embedding's other rows."""
    table = model.get_input_embeddings().weight
    tied = table is getattr(model.get_output_embeddings(), "weight", None)
    whole = sum(p.numel() * p.element_size() for p in model.parameters())
    return int(whole - (0 if tied else table.numel() * table.element_size()))


def _ids(count: int, length: int) -> list[list[int]]:
    """``count`` sequences of random ids, the same in every cell; special ids are left out."""
    generator = torch.Generator().manual_seed(0)
    return torch.randint(10, 4000, (count, length), generator=generator).tolist()  # type: ignore[no-any-return]
