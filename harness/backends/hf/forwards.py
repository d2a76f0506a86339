"""Other forward passes for some modules of a model, put back afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import torch


@contextmanager
def replaced(forwards: Mapping[torch.nn.Module, Callable[..., Any]]) -> Iterator[None]:
    """Run ``forwards`` in place of their modules' own inside.

    A module may have a forward pass of its own beside that of its class: `accelerate` gives it one.
    """
    before = [(module, vars(module).get("forward")) for module in forwards]
    try:
        for module, forward in forwards.items():
            module.forward = forward
        yield
    finally:
        for module, own in before:
            vars(module).pop("forward", None)  # the method of its class comes back
            if own is not None:
                module.forward = own


Rotation = Callable[..., tuple[torch.Tensor, torch.Tensor]]
"""What a Python module of a model family calls `apply_rotary_pos_emb`."""


@contextmanager
def rotations_replaced(
    sources: Sequence[Any], other: Callable[[Rotation], Rotation]
) -> Iterator[None]:
    """Let the rotary embedding of each of ``sources`` be what ``other`` makes of it inside.

    It is a function of a Python module and not of a layer: all models of the family run it.
    """
    before = [source.apply_rotary_pos_emb for source in sources]
    try:
        for source, own in zip(sources, before, strict=True):
            source.apply_rotary_pos_emb = other(own)
        yield
    finally:
        for source, own in zip(sources, before, strict=True):
            source.apply_rotary_pos_emb = own
