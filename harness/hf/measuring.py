"""Latency of the model as it stands.

One prompt at a time, synchronised clocks, rounds until they agree; end of text is ignored so that
every prompt yields the same number of tokens, and capturing a step is not counted.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig

from harness.hf.decoding import engine_for, fixed_length
from harness.hf.engine import Timing
from harness.hf.memory import synchronize


@dataclass(frozen=True)
class Latency:
    """Seconds per timed prompt at batch size 1."""

    total: list[float]
    first_token: list[float]
    """Seconds until the first token; empty for classification."""
    new_tokens: int
    each_token: list[float] = field(default_factory=list)
    """Seconds for every token after the first."""
    variation: float | None = None
    """Coefficient of variation of the last rounds' medians."""

    def values(self) -> dict[str, float]:
        """Percentiles of the total, time to the first token, tokens per second after it."""
        if not self.total:
            return {}
        milliseconds = np.asarray(self.total) * 1000
        found = {
            "latency_p50_ms": float(np.percentile(milliseconds, 50)),
            "latency_p95_ms": float(np.percentile(milliseconds, 95)),
            "latency_p99_ms": float(np.percentile(milliseconds, 99)),
        }
        if self.variation is not None:
            found["latency_cv"] = self.variation
        if self.first_token:
            found["ttft_p50_ms"] = 1000 * statistics.median(self.first_token)
            found["decode_tokens_per_s"] = 1 / max(statistics.median(self.each_token), 1e-9)
        return found


def generation_latency(
    model: Any, tokenizer: Any, prompts: Sequence[list[int]], new_tokens: int
) -> Latency:
    """Greedy decoding of ``new_tokens`` tokens for each prompt, one at a time.

    Rounds over the prompts are repeated until three of them agree within `STABLE`, or rounds or
    seconds run out; `latency_cv` tells how far they agree. The first is a warm-up. A model that the
    engine does not take is timed through `generate`, whose own cost a token is then in it.
    """
    if not prompts:
        return Latency([], [], new_tokens)
    engine = engine_for(model, tokenizer, fixed_length(new_tokens))
    rounds: list[list[Timing]] = []
    started = time.perf_counter()
    for count in range(MAX_ROUNDS + 1):
        timed = [
            engine.timed(p, new_tokens) if engine else _by_generate(model, tokenizer, p, new_tokens)
            for p in prompts
        ]
        if count:
            rounds.append(timed)
        spent = time.perf_counter() - started
        enough = len(rounds) >= ROUNDS
        stable = enough and _variation(rounds[-ROUNDS:], new_tokens) <= STABLE
        if stable or (enough and spent > SECONDS) or (rounds and spent > MAX_SECONDS):
            break
    kept = [timing for timed in rounds[-ROUNDS:] for timing in timed]
    total = [t.first + t.each * (new_tokens - 1) for t in kept]
    spread = _variation(rounds[-ROUNDS:], new_tokens)
    return Latency(total, [t.first for t in kept], new_tokens, [t.each for t in kept], spread)


STABLE = 0.03
"""Coefficient of variation of the rounds' medians below which a latency counts as stable."""
ROUNDS, MAX_ROUNDS = 3, 8
SECONDS, MAX_SECONDS = 0.5, 8.0
"""After these no round is added to three, nor to any."""


def _variation(rounds: Sequence[Sequence[Timing]], new_tokens: int) -> float:
    medians = [
        statistics.median(t.first + t.each * (new_tokens - 1) for t in timed) for timed in rounds
    ]
    return statistics.stdev(medians) / statistics.fmean(medians) if len(medians) > 1 else 0.0


@torch.inference_mode()
def _by_generate(model: Any, tokenizer: Any, prompt: list[int], new_tokens: int) -> Timing:
    first = _generated(model, tokenizer, prompt, 1)
    total = _generated(model, tokenizer, prompt, new_tokens)
    return Timing(first, max(total - first, 0.0) / max(1, new_tokens - 1))


def _generated(model: Any, tokenizer: Any, prompt: list[int], new_tokens: int) -> float:
    config = GenerationConfig(
        **fixed_length(new_tokens),
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    ids = torch.tensor([prompt], device=model.device)
    synchronize()
    started = time.perf_counter()
    model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=config)
    synchronize()
    return time.perf_counter() - started


@torch.inference_mode()
def forward_latency(model: Any, prompts: Sequence[list[int]]) -> Latency:
    """One forward pass for each prompt, one at a time: the latency of a classifier."""
    seconds = []
    for prompt in [*prompts[:1], *prompts]:
        ids = torch.tensor([prompt], device=model.device)
        synchronize()
        started = time.perf_counter()
        model(input_ids=ids, attention_mask=torch.ones_like(ids))
        synchronize()
        seconds.append(time.perf_counter() - started)
    return Latency(seconds[1:], [], 0)


CALIBRATION_ROUNDS = 15


@torch.inference_mode()
def calibration(device: torch.device) -> float:
    """Milliseconds of a fixed piece of work on ``device``: what speeds are compared as ratios to.

    200 small matrix products and activations, the median of 15 rounds after one that is not
    counted: bound by dispatch on a GPU and by both on a CPU, as decoding a small batch is.
    """
    x = torch.full((64, 256), 0.01, device=device)
    weight = torch.full((256, 256), 0.01, device=device)
    rounds = []
    for _ in range(CALIBRATION_ROUNDS + 1):
        synchronize()
        started = time.perf_counter()
        for _ in range(200):
            x = torch.nn.functional.silu(x @ weight)
        synchronize()
        rounds.append(time.perf_counter() - started)
    return 1000 * statistics.median(rounds[1:])
