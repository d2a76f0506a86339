"""Greedy decoding over a static cache: one decode step, captured in a CUDA graph and replayed.

Mask and positions are made here, so that a step has no shape that changes and no value that the
host must see. On a CPU, or where a step cannot be captured, the same step runs eagerly.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from typing import Any, NamedTuple

import torch
from transformers import PreTrainedModel

from harness.backends.hf.counters.memory import held_by, synchronize
from harness.backends.hf.decoding.cache import FixedCache, State
from harness.backends.hf.decoding.capture import captured
from harness.backends.hf.decoding.fusing import Forwards, Fusing, fusing_of
from harness.backends.hf.decoding.masks import (
    additive,
    advance,
    padded,
    positions_of,
    prompt_masks,
    step_masks,
    windows_of,
)
from harness.backends.hf.decoding.prompts import (
    ROUND_TO,
    Prompts,
    few_tokens,
    prompts_like,
    width_of,
)
from harness.backends.hf.decoding.timing import Timing

LOOK_EVERY = 16
"""Steps between checks of which rows have ended: a check waits for the device."""
WORTH_COMPACTING = {False: 24, True: 64}
"""Captured or not → steps that must remain for dropping ended rows (a copy of the cache) to pay."""


class _Graph(NamedTuple):
    """A captured step and what it reads and writes."""

    state: State
    min_new: int
    graph: torch.cuda.CUDAGraph


@dataclass
class Engine:
    """Decodes batches of prompts greedily."""

    model: PreTrainedModel
    pad: int
    ends: Sequence[int]
    capture: bool
    """Whether a step is captured in a CUDA graph."""
    reason: str | None = None
    """Why it is not, on a CUDA device."""
    compactions: int = 0
    captures: int = 0
    by_graph: int = 0
    """Batches of prompts that were read by a captured graph."""
    cache_mib: float = 0.0
    """Keys and values of the largest batch."""
    fusing: Fusing | None = field(init=False, default=None)
    """The operations that our kernels replace, on a CUDA device."""
    _ends: torch.Tensor = field(init=False)
    _windows: dict[str, int | None] = field(init=False)
    _kept: _Graph | None = field(init=False, default=None)
    _prompts: Prompts | None = field(init=False, default=None)
    _few: int = field(init=False)
    """The most tokens of a batch whose prompts are read by a graph."""
    _additive: bool = field(init=False, default=False)
    """Whether attention adds the mask to the scores (eager) instead of selecting by it (SDPA)."""

    def __post_init__(self) -> None:
        self._ends = torch.tensor(list(self.ends), device=self.model.device)
        config = self.model.config.get_text_config()
        self._windows, self._few = windows_of(config), few_tokens(self.model)
        self._additive = config._attn_implementation == "eager"
        if self.model.device.type == "cuda":
            self.fusing = fusing_of(self.model)

    def decode(
        self, prompts: Sequence[Sequence[int]], max_new: int, min_new: int = 0
    ) -> list[list[int]]:
        """The new tokens of each prompt, its end included where it came in time."""
        try:
            found: list[list[int]] = self._decode(prompts, max_new, min_new)
        except torch.OutOfMemoryError:
            self._kept = self._prompts = None
            raise
        return found

    @torch.inference_mode()
    def _decode(
        self, prompts: Sequence[Sequence[int]], max_new: int, min_new: int
    ) -> list[list[int]]:
        state = self._prefill(prompts, max_new, min_new, often=True)
        rows = list(range(len(prompts)))
        found: dict[int, list[int]] = {}
        made = 1
        while made < max_new:
            step = self._stepper(state, min_new)
            stopped = False
            while made < max_new and not stopped:
                count = min(LOOK_EVERY, max_new - made)
                for _ in range(count):
                    step()
                made += count
                live = (~state.done).nonzero().flatten()
                stopped = len(live) == 0 or self._worth_compacting(live, state, max_new - made)
            if len(live) == 0:
                break
            if made < max_new:
                self._retire(state, rows, live, found)
                rows = [rows[i] for i in live.tolist()]
        self._collect(state, rows, range(len(rows)), found)
        return [found[i] for i in range(len(prompts))]

    @torch.inference_mode()
    def stream(self, prompt: Sequence[int], max_new: int, min_new: int = 0) -> Iterator[int]:
        """The new tokens of one prompt as they come, its end included where it comes in time.

        Reading each token waits for the device, which `decode` avoids: slower, and of the same
        tokens.
        """
        state = self._prefill([prompt], max_new, min_new)
        # captured before the first token is shown, so that no later one waits for it
        step = self._stepper(state, min_new) if max_new > 1 else None
        for place in range(max_new):
            if place and step:
                step()
            token = int(state.out[0, place])
            yield token
            if token in self.ends:
                return

    @torch.inference_mode()
    def first_logits(self, prompts: Sequence[Sequence[int]]) -> torch.Tensor:
        """Logits of each prompt's first new token, shape (rows, vocabulary)."""
        ids, there = padded(prompts, self.pad, self.model.device)
        cache = FixedCache(ids.shape[1], ids.shape[1] - there.sum(-1))
        masks = prompt_masks(there, self._windows)
        return self._read(cache, ids, masks, positions_of(there))

    @torch.inference_mode()
    def timed(self, prompt: Sequence[int], new_tokens: int) -> Timing:
        """Times of one prompt decoded to a fixed length; capturing the step is not in them."""
        synchronize()
        started = time.perf_counter()
        state = self._prefill([prompt], new_tokens, new_tokens)
        synchronize()
        first = time.perf_counter() - started
        step = self._stepper(state, new_tokens)
        step()  # captures it
        synchronize()
        started = time.perf_counter()
        for _ in range(2, new_tokens):
            step()
        synchronize()
        return Timing(first, (time.perf_counter() - started) / max(1, new_tokens - 2))

    def use(self, kind: str, forwards: Forwards) -> None:
        """Run ``forwards`` in place of modules in every step from now on."""
        self._kept = self._prompts = None  # captured without them
        self.fusing = self.fusing or Fusing()
        self.fusing.take(kind, forwards)

    def leave(self, kind: str, forwards: Forwards) -> None:
        """Run the modules themselves again."""
        self._kept = self._prompts = None
        if self.fusing:
            self.fusing.drop(kind, forwards)

    def describe(self) -> dict[str, object]:
        """How steps were run, for the result."""
        found: dict[str, object] = {"engine": "cuda graph" if self.capture else "eager"}
        if self.reason:
            found["reason"] = self.reason
        if self.capture:
            found |= {"captures": self.captures, "prompts_by_graph": self.by_graph}
        if self.fusing:
            found["fused"] = dict(self.fusing.counts)
        return {**found, "compactions": self.compactions, "kv_cache_mib": self.cache_mib}

    def _worth_compacting(self, live: torch.Tensor, state: State, remaining: int) -> bool:
        return remaining >= WORTH_COMPACTING[self.capture] and len(live) <= len(state.done) // 2

    def _prefill(
        self, prompts: Sequence[Sequence[int]], max_new: int, min_new: int, *, often: bool = False
    ) -> State:
        """Read ``prompts``; by a graph of it, where batches of a shape may come ``often``."""
        often = often and self.capture
        width = width_of(prompts, self._few) if often else max(map(len, prompts))
        ids, there = padded(prompts, self.pad, self.model.device, width)
        positions = positions_of(there)
        start = width - there.sum(-1)
        length = width + max_new
        if self.capture:
            length = -(-length // ROUND_TO) * ROUND_TO
        kept = self._fitting((len(prompts), max_new, length), min_new)
        cache = kept.cache if kept else FixedCache(length, start)
        cache.refill(start)
        masks = prompt_masks(there, self._windows)
        if often and ids.numel() <= self._few:
            self._prompts = prompts_like(self._prompts, self.model, cache, ids.shape)
            read = partial(self._read, cache)
            logits = self._prompts.logits(ids, masks, positions, read)
            self.by_graph += self._prompts.captured
        else:
            logits = self._read(cache, ids, masks, positions)
        self.cache_mib = max(self.cache_mib, held_by([*cache.keys, *cache.values]))
        cache.filled, cache.fused = True, bool(self.fusing and self.fusing.configs)
        masks = step_masks(there, length, self._windows)
        state = State.begun(cache, masks, positions, new=max_new, pad=self.pad)
        cache.position.fill_(width)
        state.take(logits, ends=self._ends, pad=self.pad, least=min_new)
        if kept:
            kept.load(state.moving())
        return kept or state

    def _read(
        self, cache: FixedCache, ids: torch.Tensor, masks: dict[str, torch.Tensor],
        positions: torch.Tensor,
    ) -> torch.Tensor:  # fmt: skip
        """Logits of the prompts' last token, shape (rows, vocabulary)."""
        with self.fusing.reading() if self.fusing else nullcontext():
            return self._call(ids, masks, positions, cache)

    def _fitting(self, shape: tuple[int, int, int], min_new: int) -> State | None:
        """The state that a graph is there for, where the batch has its shape; else it is freed."""
        if self._kept is not None:
            state = self._kept.state
            if (*state.out.shape, state.cache.length) == shape and self._kept.min_new == min_new:
                return state
        self._kept = self._prompts = None
        return None

    def _call(
        self, ids: torch.Tensor, masks: dict[str, torch.Tensor], positions: torch.Tensor,
        cache: FixedCache, **more: Any,
    ) -> torch.Tensor:  # fmt: skip
        """Logits of the last token, shape (rows, vocabulary)."""
        if self._additive:
            masks = {k: additive(mask, self.model.dtype) for k, mask in masks.items()}
        mask = masks if len(masks) > 1 else next(iter(masks.values()))
        logits: torch.Tensor = self.model(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache,
            use_cache=True, logits_to_keep=1, **more,
        ).logits[:, -1]  # fmt: skip
        return logits

    def _one(self, state: State, min_new: int) -> None:
        """One decode step; everything it changes is on the device."""
        more = {"decode_cache": state.cache} if state.cache.fused else {}
        with self.fusing.on() if self.fusing else nullcontext():
            logits = self._call(state.token, state.masks, state.position, state.cache, **more)
        state.take(logits, ends=self._ends, pad=self.pad, least=min_new)
        state.position += 1
        state.cache.position += 1
        advance(state.masks, state.cache.position, self._windows)

    def _stepper(self, state: State, min_new: int) -> Callable[[], None]:
        """What makes one step: a replayed graph, or the step itself."""
        if self.capture and (self._kept is None or self._kept.state is not state):
            graph = captured(lambda: self._one(state, min_new), state)
            if isinstance(graph, str):
                self.capture, self.reason, self._kept = False, graph, None
            else:
                self.captures += 1
                self._kept = _Graph(state, min_new, graph)
        if self._kept is None:
            return lambda: self._one(state, min_new)
        replay: Callable[[], None] = self._kept.graph.replay
        return replay

    def _retire(
        self, state: State, rows: list[int], live: torch.Tensor, found: dict[int, list[int]]
    ) -> None:
        """Take ended rows out of the batch, their tokens into ``found``."""
        kept = set(live.tolist())
        self._collect(state, rows, [i for i in range(len(rows)) if i not in kept], found)
        self._kept = self._prompts = None
        state.select(live)
        self.compactions += 1

    def _collect(
        self, state: State, rows: list[int], places: Sequence[int], found: dict[int, list[int]]
    ) -> None:
        made = state.made(set(self.ends))
        found.update((rows[place], made[place]) for place in places)
