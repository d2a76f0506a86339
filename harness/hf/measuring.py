"""Latency and memory of the model as it stands.

Latency: one prompt at a time after a warm-up, synchronised clocks; end of text is ignored so
that every prompt yields the same number of tokens. Memory on a CPU is the process's resident
set (`VmHWM`, reset per phase): it holds the interpreter and libraries too, so compare
differences, not totals. On CUDA it is the allocator's peak, reset per phase.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from transformers import GenerationConfig

MIB = 1024**2


@dataclass
class Peak:
    """The memory peak of a phase, in MiB; filled when the phase ends."""

    values: dict[str, float] = field(default_factory=dict)


@contextmanager
def memory_peak(phase: str) -> Iterator[Peak]:
    """Measure the peak of the enclosed ``phase`` (`load`, `infer_peak`, `train_peak`)."""
    peak = Peak()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        yield peak
        torch.cuda.synchronize()
        peak.values[f"{phase}_vram_mib"] = torch.cuda.max_memory_allocated() / MIB
        if phase == "train_peak":
            peak.values["train_reserved_vram_mib"] = torch.cuda.max_memory_reserved() / MIB
        return
    _reset_resident_peak()
    yield peak
    resident = _resident_peak_mib()
    if resident is not None:
        peak.values[f"{phase}_rss_mib"] = resident


def _reset_resident_peak() -> None:
    """Linux: writing 5 to ``clear_refs`` sets VmHWM back to the current resident size."""
    clear = Path("/proc/self/clear_refs")
    if clear.exists():
        try:
            clear.write_text("5")
        except OSError:
            return


def _resident_peak_mib() -> float | None:
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    for line in status.read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return None


@dataclass(frozen=True)
class Latency:
    """Seconds per timed prompt at batch size 1."""

    total: list[float]
    first_token: list[float]
    """Seconds until the first token; empty for classification."""
    new_tokens: int

    def values(self) -> dict[str, float]:
        """Percentiles of the total, time to the first token, tokens per second after it."""
        if not self.total:
            return {}
        milliseconds = np.asarray(self.total) * 1000
        found = {
            "latency_p50_ms": float(np.percentile(milliseconds, 50)),
            "latency_p95_ms": float(np.percentile(milliseconds, 95)),
        }
        if self.first_token:
            first = np.asarray(self.first_token)
            seconds = np.maximum(np.asarray(self.total) - first, 1e-9)
            found["ttft_p50_ms"] = float(np.percentile(first, 50) * 1000)
            found["decode_tokens_per_s"] = float(np.median((self.new_tokens - 1) / seconds))
        return found


@torch.inference_mode()
def generation_latency(
    model: Any, tokenizer: Any, prompts: Sequence[list[int]], new_tokens: int
) -> Latency:
    """Greedy decoding of ``new_tokens`` tokens for each prompt, one at a time."""
    if not prompts:
        return Latency([], [], new_tokens)
    _timed(model, tokenizer, prompts[0], new_tokens)
    first = [_timed(model, tokenizer, prompt, 1) for prompt in prompts]
    total = [_timed(model, tokenizer, prompt, new_tokens) for prompt in prompts]
    return Latency(total, first, new_tokens)


def _timed(model: Any, tokenizer: Any, prompt: list[int], new_tokens: int) -> float:
    config = GenerationConfig(
        max_new_tokens=new_tokens,
        min_new_tokens=new_tokens,
        do_sample=False,
        pad_token_id=tokenizer.pad_token_id,
        eos_token_id=tokenizer.eos_token_id,
    )
    ids = torch.tensor([prompt], device=model.device)
    _synchronize()
    started = time.perf_counter()
    model.generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=config)
    _synchronize()
    return time.perf_counter() - started


@torch.inference_mode()
def forward_latency(model: Any, prompts: Sequence[list[int]]) -> Latency:
    """One forward pass for each prompt, one at a time: the latency of a classifier."""
    seconds = []
    for prompt in [*prompts[:1], *prompts]:
        ids = torch.tensor([prompt], device=model.device)
        _synchronize()
        started = time.perf_counter()
        model(input_ids=ids, attention_mask=torch.ones_like(ids))
        _synchronize()
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
        _synchronize()
        started = time.perf_counter()
        for _ in range(200):
            x = torch.nn.functional.silu(x @ weight)
        _synchronize()
        rounds.append(time.perf_counter() - started)
    return 1000 * statistics.median(rounds[1:])


def _synchronize() -> None:
    if torch.cuda.is_available():
        torch.cuda.synchronize()
