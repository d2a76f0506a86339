"""Keys and values of fixed length, and what else a decode step changes: all on the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers.cache_utils import Cache


class FixedCache(Cache):  # type: ignore[misc]
    """Keys and values of fixed length, written at a position that lives on the device."""

    def __init__(self, length: int, start: torch.Tensor) -> None:
        self.layers: list[Any] = []
        self.length = length
        self.start = start
        """The first column of each row that is no padding, shape (rows,)."""
        self.position = torch.zeros(1, dtype=torch.long, device=start.device)
        """The column that the next step writes."""
        self.keys: list[torch.Tensor] = []
        """Per layer, shape (rows, key heads, length, size)."""
        self.values: list[torch.Tensor] = []
        self.filled = False
        """Whether the prompts are in; then a step writes one column and reads all."""
        self.fused = False
        """Whether attention itself writes the new column (`decoding.fusing`)."""

    def refill(self, start: torch.Tensor) -> None:
        """Make room for the prompts of another batch in the same memory."""
        self.start.copy_(start)
        self.filled = False

    def update(
        self, keys: torch.Tensor, values: torch.Tensor, layer: int, *_: Any, **__: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Store a layer's new keys and values; what attention reads is given back."""
        if not self.filled:
            self._store(self.keys, layer, keys)
            self._store(self.values, layer, values)
            return keys, values
        if self.fused:
            return keys, values
        self.keys[layer].index_copy_(2, self.position, keys)
        self.values[layer].index_copy_(2, self.position, values)
        return self.keys[layer], self.values[layer]

    def _store(self, into: list[torch.Tensor], layer: int, new: torch.Tensor) -> None:
        if layer == len(into):
            into.append(new.new_zeros(*new.shape[:2], self.length, new.shape[3]))
        into[layer][:, :, : new.shape[2]] = new

    def get_seq_length(self, layer_idx: int = 0) -> int:
        """The length of the prompts is told by positions and masks, not by the cache."""
        return 0

    def select(self, rows: torch.Tensor) -> None:
        """Keep ``rows`` of the batch."""
        self.start = self.start.index_select(0, rows)
        self.keys = [tensor.index_select(0, rows) for tensor in self.keys]
        self.values = [tensor.index_select(0, rows) for tensor in self.values]


@dataclass
class State:
    """What a step reads and writes, all on the device."""

    cache: FixedCache
    masks: dict[str, torch.Tensor]
    """Columns that a kind of layer may read, shape (rows, 1, 1, length)."""
    token: torch.Tensor
    """The last token of each row, shape (rows, 1)."""
    position: torch.Tensor
    """Its position, shape (rows, 1)."""
    done: torch.Tensor
    """Rows that have ended, shape (rows,)."""
    out: torch.Tensor
    """Tokens so far, shape (rows, new tokens)."""
    step: torch.Tensor
    """Tokens made so far, shape (1,)."""

    def moving(self) -> list[torch.Tensor]:
        """What a step changes, the cache's columns aside."""
        return [
            self.token, self.position, self.done, self.out, self.step, self.cache.position,
            *self.masks.values(),
        ]  # fmt: skip

    def load(self, values: Sequence[torch.Tensor]) -> None:
        """Take over ``values`` in the order of `moving`, in place."""
        for tensor, value in zip(self.moving(), values, strict=True):
            tensor.copy_(value)

    def select(self, rows: torch.Tensor) -> None:
        """Keep ``rows`` of the batch."""
        self.cache.select(rows)
        self.masks = {kind: mask.index_select(0, rows) for kind, mask in self.masks.items()}
        for name in ("token", "position", "done", "out"):
            setattr(self, name, getattr(self, name).index_select(0, rows))


def prompt_masks(there: torch.Tensor, windows: dict[str, int | None]) -> dict[str, torch.Tensor]:
    """What each token of left-padded prompts may read, by kind of layer.

    Args:
        there: Tokens that are no padding, shape (rows, width).
        windows: Kind of layer → tokens that it looks back on, its own included; None for all.

    Returns:
        Kind of layer → shape (rows, 1, width, width).
    """
    width, device = there.shape[1], there.device
    causal = torch.ones(width, width, dtype=torch.bool, device=device).tril()
    # a padding query sees itself: a row without any key would be NaN in every later layer
    itself = torch.eye(width, dtype=torch.bool, device=device)
    near = {
        kind: causal if window is None else causal.triu(1 - window)
        for kind, window in windows.items()
    }
    return {kind: (mask & there[:, None, None, :]) | itself for kind, mask in near.items()}


def step_masks(
    there: torch.Tensor, length: int, windows: dict[str, int | None]
) -> dict[str, torch.Tensor]:
    """What the first token after the prompts may read, by kind of layer: (rows, 1, 1, length)."""
    rows, width = there.shape
    found = {}
    for kind, window in windows.items():
        mask = torch.zeros(rows, 1, 1, length, dtype=torch.bool, device=there.device)
        mask[:, 0, 0, :width] = there
        mask[:, :, :, width] = True
        if window is not None:
            mask[:, :, :, : max(0, width - window + 1)] = False
        found[kind] = mask
    return found


def advance(
    masks: dict[str, torch.Tensor], position: torch.Tensor, windows: dict[str, int | None]
) -> None:
    """Let the token at column ``position``, shape (1,), read itself and what is still in reach."""
    for kind, mask in masks.items():
        last = mask.shape[3] - 1
        window = windows[kind]
        if window is not None:
            # a column left of the first is none: the oldest is forgotten once it is out of reach
            gone = (position - window).clamp(min=0, max=last)
            kept = mask.index_select(3, gone) & (position < window)
            mask.index_copy_(3, gone, kept)
        mask.index_fill_(3, position.clamp(max=last), True)
