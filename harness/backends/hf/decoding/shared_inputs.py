"""Layers that read the same tensor, so that what is made of it alone is made once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Generic, TypeVar

import torch

SHARED_INPUTS = (("q_proj", "k_proj", "v_proj"), ("gate_proj", "up_proj"))
"""Names of layers of one parent that read the same tensor, in the order in which they run."""

Made = TypeVar("Made")


class Shared(Generic[Made]):
    """What ``make`` gives for the tensor that several layers read one after another."""

    def __init__(self, make: Callable[[torch.Tensor], Made]) -> None:
        self._make = make
        self._x: torch.Tensor | None = None
        self._made: Made | None = None

    def of(self, x: torch.Tensor, *, last: bool) -> Made:
        """What is made of ``x``; the ``last`` layer lets it go."""
        # by identity: another tensor, whatever its values, is made anew
        made = self._made if x is self._x and self._made is not None else self._make(x)
        self._x, self._made = (None, None) if last else (x, made)
        return made


def bare(module: torch.nn.Module) -> Any:
    """The layer in an adapter's wrapper, or the module itself."""
    return getattr(module, "base_layer", module)


def groups_of(
    children: Mapping[str, torch.nn.Module], alike: Callable[[torch.nn.Module], object]
) -> Iterator[list[torch.nn.Module]]:
    """``children`` of one parent, those together that share their input and are ``alike``."""
    left = dict(children)
    for names in SHARED_INPUTS:
        group = [left[name] for name in names if name in left]
        if len(group) == len(names) and len({alike(child) for child in group}) == 1:
            for name in names:
                del left[name]
            yield group
    yield from ([child] for child in left.values())
