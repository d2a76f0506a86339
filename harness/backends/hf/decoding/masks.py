"""Left-padded batches: their ids, positions and masks, and a mask's move from step to step."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch


def padded(
    prompts: Sequence[Sequence[int]], pad: int, device: torch.device, width: int | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """``prompts`` padded on the left, and where they are no padding: both (rows, width)."""
    width = width or max(map(len, prompts))
    ids = torch.tensor([[pad] * (width - len(p)) + list(p) for p in prompts])
    there = torch.tensor([[False] * (width - len(p)) + [True] * len(p) for p in prompts])
    return ids.to(device), there.to(device)


def positions_of(there: torch.Tensor) -> torch.Tensor:
    """The position of each token among those that are no padding; 0 for padding."""
    return (there.long().cumsum(-1) - 1).clamp(min=0)


def windows_of(config: Any) -> dict[str, int | None]:
    """Kind of layer → the window that it looks back on; None where it sees everything."""
    window = getattr(config, "sliding_window", None)
    kinds = getattr(config, "layer_types", None)
    if kinds is None:
        kinds = ["sliding_attention" if window else "full_attention"]
    return {kind: window if kind == "sliding_attention" else None for kind in sorted(set(kinds))}


def additive(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Return ``mask`` as eager attention wants it: added to the scores, 0 where a token is seen.

    A boolean mask would be *added* as 0 and 1 there: no error, and no mask.
    """
    unseen = torch.full((), torch.finfo(dtype).min, dtype=dtype, device=mask.device)
    return torch.where(mask, torch.zeros_like(unseen), unseen)


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
