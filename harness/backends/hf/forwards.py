"""Other forward passes for some modules of a model, put back afterwards."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
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
