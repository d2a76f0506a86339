"""Latency of the loaded model.

One prompt at a time, synchronised clocks, rounds until they agree; end of text is ignored so that
every prompt yields the same number of tokens, and capturing a step is not counted. Between the
prompts a fixed piece of work is timed, for comparisons with another day's run.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerBase

from harness.backends.hf.counters.memory import synchronize
from harness.backends.hf.decoding.decode import fixed_length
from harness.backends.hf.decoding.timing import Timing
from harness.backends.hf.decoding.ways import engine_for
from harness.backends.hf.latency.reference_work import Reference
from harness.metrics.measurements import STABLE_CV

ROUNDS, MAX_ROUNDS = 3, 8
SECONDS = {False: 0.4, True: 6.0}
"""After these no round is added to three, without and with a captured step: that does settle."""
MAX_SECONDS = 8.0
"""After these no round is added to any."""
WARM_SECONDS = 1.0
"""Of warming up on a GPU: each length of prompt picks and loads kernels of its own, and the clock
takes about this long to rise. One prompt left labels' rounds 25–81% apart."""


class Round(NamedTuple):
    """Every prompt once."""

    seconds: list[float]
    """Of each prompt, from its first token to its last."""
    first: list[float]
    """Until the first token."""
    each: list[float]
    """For every token after it."""
    reference: float
    """Seconds of the reference work, the mean of those before each prompt."""

    @property
    def median(self) -> float:
        """Of the prompts' seconds."""
        return statistics.median(self.seconds)

    @property
    def ratio(self) -> float:
        """Mean over mean: short work is either interrupted or not, and a median hides it."""
        return statistics.fmean(self.seconds) / self.reference


@dataclass(frozen=True)
class Latency:
    """Times at batch size 1; percentiles are of the last rounds, which agree best."""

    rounds: tuple[Round, ...]
    new_tokens: int
    """Tokens generated for each prompt; 0 for a forward pass."""

    @property
    def kept(self) -> tuple[Round, ...]:
        """The last `ROUNDS` rounds."""
        return self.rounds[-ROUNDS:]

    def milliseconds(self) -> list[float]:
        """Of each timed prompt of the rounds that count, to a tenth of a microsecond."""
        return [round(1000 * seconds, 4) for one in self.kept for seconds in one.seconds]

    def each_token(self) -> float:
        """Median seconds of a token after the first."""
        return statistics.median(seconds for one in self.kept for seconds in one.each)

    def values(self) -> dict[str, float]:
        """Percentiles of the total, time to the first token, tokens per second after it.

        `latency_ratio` is the median of all rounds' ratios to the reference work, and
        `latency_ratio_least` the least of them.
        """
        if not self.rounds:
            return {}
        milliseconds = np.asarray(self.milliseconds())
        ratios = [one.ratio for one in self.rounds]
        found = {
            "latency_p50_ms": float(np.percentile(milliseconds, 50)),
            "latency_p95_ms": float(np.percentile(milliseconds, 95)),
            "latency_p99_ms": float(np.percentile(milliseconds, 99)),
            "latency_ratio": statistics.median(ratios),
            "latency_ratio_least": min(ratios),
            "reference_ms": 1000 * statistics.median(one.reference for one in self.rounds),
        }
        spread = variation(self.kept)
        if spread is not None:
            found["latency_cv"] = spread
        if self.new_tokens:
            first = statistics.median(seconds for one in self.kept for seconds in one.first)
            found["ttft_p50_ms"] = 1000 * first
            found["decode_tokens_per_s"] = 1 / max(self.each_token(), 1e-9)
        return found


def variation(rounds: Sequence[Round]) -> float | None:
    """The coefficient of variation of the rounds' medians; None of a single round."""
    if len(rounds) < 2:
        return None
    medians = [one.median for one in rounds]
    return statistics.stdev(medians) / statistics.fmean(medians)


def generation_latency(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    prompts: Sequence[list[int]],
    new_tokens: int,
) -> Latency:
    """Greedy decoding of ``new_tokens`` tokens for each prompt, one at a time.

    A model that the engine does not take
    is timed through `generate`, whose own cost a token is then in it.
    """
    engine = engine_for(model, tokenizer, fixed_length(new_tokens), prompts)

    def timed(prompt: list[int]) -> Timing:
        found: Timing = (
            engine.timed(prompt, new_tokens)
            if engine
            else _by_generate(model, tokenizer, prompt, new_tokens)
        )
        return found

    captured = engine is not None and engine.capture
    _warm_up(timed, prompts, model.device)
    return _in_rounds(timed, prompts, new_tokens, model.device, SECONDS[captured])


def forward_latency(model: PreTrainedModel, prompts: Sequence[list[int]]) -> Latency:
    """One forward pass for each prompt, one at a time: the latency of a classifier."""

    @torch.inference_mode()
    def timed(prompt: list[int]) -> Timing:
        ids = torch.tensor([prompt], device=model.device)
        synchronize()
        started = time.perf_counter()
        model(input_ids=ids, attention_mask=torch.ones_like(ids))
        synchronize()
        return Timing(time.perf_counter() - started, 0.0)

    _warm_up(timed, prompts, model.device)
    return _in_rounds(timed, prompts, 0, model.device, SECONDS[model.device.type == "cuda"])


def _warm_up(
    timed: Callable[[list[int]], Timing], prompts: Sequence[list[int]], device: torch.device
) -> None:
    """Run what is timed: one prompt on a CPU, all of them for `WARM_SECONDS` on a GPU."""
    if device.type != "cuda":
        for prompt in prompts[:1]:
            timed(prompt)
        return
    started = time.perf_counter()
    while prompts:
        for prompt in prompts:
            timed(prompt)
        if time.perf_counter() - started >= WARM_SECONDS:
            return


def forward_throughput(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, ids: Sequence[list[int]]
) -> dict[str, float]:
    """Examples per second of one batch of ``ids``."""
    batch = tokenizer.pad({"input_ids": list(ids)}, return_tensors="pt").to(model.device)
    started = time.perf_counter()
    with torch.inference_mode():  # as a decorator it would hide the types
        model(**batch).logits.cpu()
    return {"batch_examples_per_s": len(ids) / (time.perf_counter() - started)}


def _in_rounds(
    timed: Callable[[list[int]], Timing], prompts: Sequence[list[int]], new_tokens: int,
    device: torch.device, seconds: float,
) -> Latency:  # fmt: skip
    """Rounds over ``prompts`` until three agree, or rounds or seconds run out."""
    if not prompts:
        return Latency((), new_tokens)
    reference, rounds = Reference(device), list[Round]()
    started = time.perf_counter()
    while len(rounds) < MAX_ROUNDS:
        rounds.append(_round(timed, prompts, new_tokens, reference))
        spent = time.perf_counter() - started
        enough = len(rounds) >= ROUNDS
        stable = enough and (variation(rounds[-ROUNDS:]) or 0.0) <= STABLE_CV
        if stable or (enough and spent > seconds) or spent > MAX_SECONDS:
            break
    return Latency(tuple(rounds), new_tokens)


def _round(
    timed: Callable[[list[int]], Timing], prompts: Sequence[list[int]], new_tokens: int,
    work: Reference,
) -> Round:  # fmt: skip
    found, beside = list[Timing](), list[float]()
    for prompt in prompts:
        beside.append(work.seconds())
        found.append(timed(prompt))
    total = [t.first + t.each * max(0, new_tokens - 1) for t in found]
    reference = statistics.fmean(beside)
    return Round(total, [t.first for t in found], [t.each for t in found], reference)


@torch.inference_mode()
def _by_generate(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: list[int], new_tokens: int
) -> Timing:
    first = _generated(model, tokenizer, prompt, 1)
    total = _generated(model, tokenizer, prompt, new_tokens)
    return Timing(first, max(total - first, 0.0) / max(1, new_tokens - 1))


def _generated(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, prompt: list[int], new_tokens: int
) -> float:
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
