"""The static cache of keys and values, and all other state of a decode step, on the device."""

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
        """Whether the prompts are stored.

        Before, attention reads the prompts' own keys and values. After, a step writes one column
        and attention reads the whole cache.
        """
        self.fused = False
        """Whether the fused attention kernel writes the new column itself (`decoding.fusing`).

        `update` must then leave the cache alone, or the column would be written twice.
        """

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
        """0: the model gets positions and masks, and need not derive them from the cache."""
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

    @classmethod
    def begun(
        cls, cache: FixedCache, masks: dict[str, torch.Tensor], positions: torch.Tensor, *,
        new: int, pad: int,
    ) -> State:  # fmt: skip
        """Prompts with ``positions`` are read, and ``new`` tokens are to come."""
        rows, device = len(positions), positions.device
        return cls(
            cache, masks, torch.empty(rows, 1, dtype=torch.long, device=device),
            positions[:, -1:] + 1, torch.zeros(rows, dtype=torch.bool, device=device),
            torch.full((rows, new), pad, device=device),
            torch.zeros(1, dtype=torch.long, device=device),
        )  # fmt: skip

    def take(self, logits: torch.Tensor, *, ends: torch.Tensor, pad: int, least: int) -> None:
        """Take each row's likeliest token; rows that have ended get padding.

        None of ``ends`` is taken among the first ``least`` tokens.
        """
        if least:
            held = logits.index_select(-1, ends)
            held = held.masked_fill(self.step < least, float("-inf"))
            logits = logits.index_copy(-1, ends, held)
        token = torch.where(self.done, pad, logits.argmax(-1))
        self.out.index_copy_(1, self.step, token[:, None])
        self.step += 1
        self.done |= torch.isin(token, ends)
        self.token.copy_(token[:, None])

    def made(self, ends: set[int]) -> list[list[int]]:
        """The tokens of each row, its end included."""
        rows = [row[: int(self.step)] for row in self.out.tolist()]
        stops = [next((k for k, token in enumerate(row) if token in ends), None) for row in rows]
        return [
            row if stop is None else row[: stop + 1] for row, stop in zip(rows, stops, strict=True)
        ]

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
