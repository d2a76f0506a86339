"""Prompts of one shape, read by a captured graph: of few tokens, launches take longer than work.

The first batch of a shape is read as usual. For the second, reading is captured, and the graph is
kept if it gives the first batch's logits; further ones are replayed. A graph holds the memory that
reading takes, which is what reading takes anyway.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import torch
from transformers import PreTrainedModel

from harness.backends.hf.decoding.agreement import distance, tolerance_of
from harness.backends.hf.decoding.cache import FixedCache
from harness.backends.hf.decoding.capture import side_stream
from harness.backends.hf.decoding.mixed_int8 import mixed_layers

TOKENS = 2048
"""Most tokens of a batch, padding included, that are read by a graph."""
WORK = 2e12
"""Most products of such a batch. On an H200, with 2,048 tokens and half a billion parameters, a
graph took 18 of 97 ms off a further batch of 32 new tokens, and 38 of 147 in NF4. A model of 7
billion computes for as long as it launches: a graph took 4 of 530 off."""
ROUND_TO = 64
"""Widths of such batches and lengths of caches are rounded up to this, to share graphs."""

Read = Callable[[torch.Tensor, dict[str, torch.Tensor], torch.Tensor], torch.Tensor]
"""Ids, masks and positions to the logits of the last token."""


def few_tokens(model: torch.nn.Module) -> int:
    """The most tokens of a batch that ``model`` reads by a graph."""
    layers = (layer for layer in model.modules() if isinstance(layer, torch.nn.Linear))
    products = sum(layer.in_features * layer.out_features for layer in layers)
    return min(TOKENS, int(WORK / max(1, products)))


def width_of(prompts: Sequence[Sequence[int]], few: int) -> int:
    """The width that ``prompts`` are padded to, where a graph reads ``few`` tokens at most."""
    longest = max(map(len, prompts))
    width = -(-longest // ROUND_TO) * ROUND_TO
    return width if len(prompts) * width <= few else longest


@dataclass
class Prompts:
    """Batches of prompts of one shape that fill one cache."""

    cache: FixedCache
    shape: torch.Size
    tolerance: float
    """How far the graph's logits may be from those of the first batch: see `agreement.distance`."""
    reason: str | None = None
    """Why prompts run without a graph; None if they have one, or before the first attempt."""
    _first: list[torch.Tensor] = field(default_factory=list)
    _kinds: list[str] = field(default_factory=list)
    _inputs: list[torch.Tensor] = field(default_factory=list)
    _logits: torch.Tensor | None = None
    _graph: torch.cuda.CUDAGraph | None = None

    @property
    def captured(self) -> bool:
        """Whether there is a graph."""
        return self._graph is not None

    def logits(
        self, ids: torch.Tensor, masks: dict[str, torch.Tensor], positions: torch.Tensor,
        read: Read,
    ) -> torch.Tensor:  # fmt: skip
        """Logits after the prompts ``ids``, whose keys and values are then in the cache.

        ``read`` is not kept: it is a method of the engine that keeps this, and a circle of the two
        would hold the cache in device memory until the next collection.
        """
        given = [ids, positions, *masks.values()]
        if not self._first:
            found = read(ids, masks, positions)
            self._kinds = list(masks)
            self._first = [tensor.clone() for tensor in [found, *given]]
            return found
        if self._graph is None and self.reason is None:
            self._capture(read)
        if self._graph is None:
            return read(ids, masks, positions)
        return self._replayed(given)

    def _capture(self, read: Read) -> None:
        """Make a graph; none, with the reason, where that fails or the graph reads otherwise."""
        logits, *given = self._first
        self._inputs = [tensor.clone() for tensor in given]
        ids, positions, *masks = self._inputs
        graph, stream = torch.cuda.CUDAGraph(), side_stream()
        torch.cuda.synchronize()
        try:
            with torch.cuda.graph(graph, stream=stream):
                self._logits = read(ids, dict(zip(self._kinds, masks, strict=True)), positions)
        except torch.OutOfMemoryError:
            raise  # the caller takes a smaller batch
        except RuntimeError as error:
            torch.cuda.synchronize()
            self.reason = f"prompts cannot be captured: {str(error).splitlines()[0][:120]}"
            return
        self._graph = graph
        away = distance(self._replayed(given), logits)
        if not away <= self.tolerance:  # NaN counts as away
            self._graph = None
            self.reason = f"captured prompts have logits {away:.2g} standard deviations off"

    def _replayed(self, given: list[torch.Tensor]) -> torch.Tensor:
        assert self._graph is not None
        assert self._logits is not None
        for tensor, value in zip(self._inputs, given, strict=True):
            tensor.copy_(value)
        self._graph.replay()
        return self._logits


def prompts_like(
    kept: Prompts | None, model: PreTrainedModel, cache: FixedCache, shape: torch.Size
) -> Prompts:
    """``kept`` if it is of that ``cache`` and ``shape``; else what begins anew with them."""
    if kept is not None and kept.cache is cache and kept.shape == shape:
        return kept
    # LLM.int8 reads prompts by bitsandbytes, which asks the host for its outliers
    reason = "int8 asks the host" if any(mixed_layers(model)) else None
    return Prompts(cache, shape, tolerance_of(model), reason)
