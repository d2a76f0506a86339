"""Greedy decoding over a static cache: one decode step, captured in a CUDA graph and replayed.

The model is called with its mask and positions made here, so a step has no shape that changes and
no value that the host must see: tokens, ends and the cache's write position live on the device. On
a CPU, or where a step cannot be captured, the same step runs eagerly.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from transformers.cache_utils import Cache

LOOK_EVERY = 16
"""Steps between two looks at which rows have ended: each look waits for the device."""
WORTH_COMPACTING = 24
"""Steps that must remain before ended rows are dropped from the batch."""
WARM_UP = 2
"""Steps run before a capture, so that lazily made workspaces are there."""


class _Cache(Cache):  # type: ignore[misc]
    """Keys and values of fixed length, written at a position that lives on the device."""

    def __init__(self, length: int, device: torch.device) -> None:
        self.layers: list[Any] = []
        self.length = length
        self.position = torch.zeros(1, dtype=torch.long, device=device)
        self.keys: list[torch.Tensor] = []
        self.values: list[torch.Tensor] = []
        self.filled = False
        """Whether the prompts are in; then a step writes one column and reads all."""

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store a layer's new keys and values; what attention reads is given back."""
        if not self.filled:
            self._store(self.keys, keys)
            self._store(self.values, values)
            return keys, values
        self.keys[layer].index_copy_(2, self.position, keys)
        self.values[layer].index_copy_(2, self.position, values)
        return self.keys[layer], self.values[layer]

    def _store(self, into: list[torch.Tensor], new: torch.Tensor) -> None:
        shape = (*new.shape[:2], self.length, new.shape[3])
        whole = new.new_zeros(shape)
        whole[:, :, : new.shape[2]] = new
        into.append(whole)

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """The length of the prompts is told by positions and masks, not by the cache."""
        return 0

    def select(self, rows: torch.Tensor) -> None:
        """Keep ``rows`` of the batch."""
        self.keys = [tensor.index_select(0, rows) for tensor in self.keys]
        self.values = [tensor.index_select(0, rows) for tensor in self.values]


@dataclass
class _State:
    """What a step reads and writes, all on the device."""

    cache: _Cache
    token: torch.Tensor
    """The last token of each row, shape (rows, 1)."""
    position: torch.Tensor
    """Its position, shape (rows, 1)."""
    mask: torch.Tensor
    """Columns that attention may read, shape (rows, 1, 1, length)."""
    done: torch.Tensor
    """Rows that have ended, shape (rows,)."""
    out: torch.Tensor
    """Tokens so far, shape (rows, new tokens)."""
    step: torch.Tensor
    """Tokens made so far, shape (1,)."""


class Timing(NamedTuple):
    """Seconds of one prompt at batch size 1."""

    first: float
    """Until the first token."""
    each: float
    """For every further token."""


def synchronize() -> None:
    """Wait for the device, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


@dataclass
class Engine:
    """Decodes batches of prompts greedily."""

    model: Any
    pad: int
    ends: Sequence[int]
    capture: bool
    """Whether a step is captured in a CUDA graph."""
    reason: str | None = None
    """Why it is not, on a CUDA device."""
    compactions: int = 0
    _ends: torch.Tensor = field(init=False)

    def __post_init__(self) -> None:
        self._ends = torch.tensor(list(self.ends), device=self.model.device)

    @torch.inference_mode()
    def decode(
        self, prompts: Sequence[Sequence[int]], max_new: int, min_new: int = 0
    ) -> list[list[int]]:
        """The new tokens of each prompt, its end included where it came in time."""
        state = self._prefill(prompts, max_new, min_new)
        rows = list(range(len(prompts)))
        found: dict[int, list[int]] = {}
        made = 1
        while made < max_new:
            step = self._stepper(state, min_new)
            stopped = False
            while made < max_new and not stopped:
                count = min(LOOK_EVERY, max_new - made)
                for _ in range(count):
                    step(made < min_new)
                    made += 1
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
    def timed(self, prompt: Sequence[int], new_tokens: int) -> Timing:
        """Times of one prompt decoded to a fixed length; capturing the step is not in them."""
        synchronize()
        started = time.perf_counter()
        state = self._prefill([prompt], new_tokens, new_tokens)
        synchronize()
        first = time.perf_counter() - started
        step = self._stepper(state, new_tokens)
        step(True)  # captures it
        synchronize()
        started = time.perf_counter()
        for _ in range(new_tokens - 2):
            step(True)
        synchronize()
        return Timing(first, (time.perf_counter() - started) / max(1, new_tokens - 2))

    def _worth_compacting(self, live: torch.Tensor, state: _State, remaining: int) -> bool:
        return remaining >= WORTH_COMPACTING and len(live) <= len(state.done) // 2

    def _prefill(self, prompts: Sequence[Sequence[int]], max_new: int, min_new: int) -> _State:
        device, width = self.model.device, max(map(len, prompts))
        ids = torch.tensor([[self.pad] * (width - len(p)) + list(p) for p in prompts])
        there = torch.tensor([[False] * (width - len(p)) + [True] * len(p) for p in prompts])
        ids, there = ids.to(device), there.to(device)
        positions = (there.long().cumsum(-1) - 1).clamp(min=0)
        causal = torch.ones(width, width, dtype=torch.bool, device=device).tril()
        # a padding query sees itself: a row without any key would be NaN in every later layer
        itself = torch.eye(width, dtype=torch.bool, device=device)
        mask = (causal & there[:, None, None, :]) | itself
        cache = _Cache(width + max_new, device)
        logits = self.model(
            input_ids=ids, attention_mask=mask, position_ids=positions, past_key_values=cache,
            use_cache=True, logits_to_keep=1,
        ).logits[:, -1]  # fmt: skip
        cache.filled = True
        cache.position.fill_(width)
        columns = torch.zeros(len(prompts), 1, 1, cache.length, dtype=torch.bool, device=device)
        columns[:, 0, 0, :width] = there
        columns[:, :, :, width] = True
        state = _State(
            cache, torch.empty(len(prompts), 1, dtype=torch.long, device=device),
            positions[:, -1:] + 1, columns,
            torch.zeros(len(prompts), dtype=torch.bool, device=device),
            torch.full((len(prompts), max_new), self.pad, device=device),
            torch.zeros(1, dtype=torch.long, device=device),
        )  # fmt: skip
        self._choose(state, logits, keep_on=min_new > 0)
        return state

    def _choose(self, state: _State, logits: torch.Tensor, *, keep_on: bool) -> None:
        """Take each row's likeliest token; rows that have ended get padding."""
        if keep_on:
            logits = logits.index_fill(-1, self._ends, float("-inf"))
        token = torch.where(state.done, self.pad, logits.argmax(-1))
        state.out.index_copy_(1, state.step, token[:, None])
        state.step += 1
        state.done |= torch.isin(token, self._ends)
        state.token.copy_(token[:, None])

    def _one(self, state: _State, *, keep_on: bool) -> None:
        """One decode step; everything it changes is on the device."""
        logits = self.model(
            input_ids=state.token, attention_mask=state.mask, position_ids=state.position,
            past_key_values=state.cache, use_cache=True, logits_to_keep=1,
        ).logits[:, -1]  # fmt: skip
        self._choose(state, logits, keep_on=keep_on)
        state.position += 1
        state.cache.position += 1
        state.mask.index_fill_(3, state.cache.position.clamp(max=state.cache.length - 1), True)

    def _stepper(self, state: _State, min_new: int) -> Callable[[bool], None]:
        """What makes one step: a replayed graph for each of the two kinds, or the step itself."""

        def eager(keep_on: bool) -> None:
            self._one(state, keep_on=keep_on)

        if not self.capture:
            return eager
        graphs: dict[bool, torch.cuda.CUDAGraph] = {}

        def replayed(keep_on: bool) -> None:
            if keep_on not in graphs:
                found = self._captured(state, keep_on=keep_on)
                if found is None:
                    eager(keep_on)
                    return
                graphs[keep_on] = found
            graphs[keep_on].replay()

        return replayed

    def _captured(self, state: _State, *, keep_on: bool) -> torch.cuda.CUDAGraph | None:
        """A graph of one step; None, and no further try, where it cannot be captured.

        The steps before a capture are taken back: they write what the first replay writes again.
        """
        if not self.capture:
            return None
        before = [t.clone() for t in _moving(state)]
        try:
            stream = torch.cuda.Stream()
            stream.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(stream):
                for _ in range(WARM_UP):
                    self._one(state, keep_on=keep_on)
                    _restore(state, before)
            torch.cuda.current_stream().wait_stream(stream)
            graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(graph):
                self._one(state, keep_on=keep_on)
        except torch.OutOfMemoryError:
            raise  # the caller takes a smaller batch
        except RuntimeError as error:
            self.capture = False
            self.reason = f"a step cannot be captured: {str(error).splitlines()[0][:120]}"
            torch.cuda.synchronize()
            _restore(state, before)
            return None
        _restore(state, before)
        return graph

    def _retire(
        self, state: _State, rows: list[int], live: torch.Tensor, found: dict[int, list[int]]
    ) -> None:
        """Take ended rows out of the batch, their tokens into ``found``."""
        kept = set(live.tolist())
        self._collect(state, rows, [i for i in range(len(rows)) if i not in kept], found)
        state.cache.select(live)
        for name in ("token", "position", "mask", "done", "out"):
            setattr(state, name, getattr(state, name).index_select(0, live))
        self.compactions += 1

    def _collect(
        self, state: _State, rows: list[int], places: Sequence[int], found: dict[int, list[int]]
    ) -> None:
        out, made = state.out.tolist(), int(state.step)
        ends = set(self.ends)
        for place in places:
            tokens = out[place][:made]
            stop = next((k for k, token in enumerate(tokens) if token in ends), None)
            found[rows[place]] = tokens if stop is None else tokens[: stop + 1]


def _moving(state: _State) -> list[torch.Tensor]:
    return [
        state.token, state.position, state.mask, state.done, state.out, state.step,
        state.cache.position,
    ]  # fmt: skip


def _restore(state: _State, before: Sequence[torch.Tensor]) -> None:
    for tensor, value in zip(_moving(state), before, strict=True):
        tensor.copy_(value)
