"""16-bit copies of 4-bit weights, for a decode of many rows.

From a few rows on, bitsandbytes unpacks a weight to multiply it: in every step, all of them.
With a copy the same product of the same numbers is left. A copy takes two bytes a weight: it is
made where memory allows, lives for one decode, and is set aside (`counters.memory`), so that the
memory that is reported is that of packed weights. Latency and throughput are measured without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch.nn.functional import linear
from transformers import PreTrainedModel

from harness.backends.hf.counters.memory import Aside, held_by
from harness.backends.hf.decoding.agreement import checks_of
from harness.backends.hf.decoding.engine import Engine
from harness.backends.hf.decoding.fusing import Forwards
from harness.backends.hf.decoding.shared_inputs import Shared, bare, groups_of
from harness.backends.hf.decoding.ways import ByEngine, ByGenerate
from harness.backends.hf.training.unpacked import four_bit_layers, unpacked_weight
from harness.plan.memory import COPIES_FROM_ROWS

ALIGNED = 128
"""Elements at whose multiples a copy begins: cuBLAS reads fastest from aligned addresses."""
KIND = "16-bit copies"
"""What a result calls the layers that have one."""
NO_MEMORY = "memory ran out with them"


class Copies:
    """Copies of an engine's weights, used by its steps until they are released."""

    def __init__(self, engine: Engine | None = None, reason: str | None = None) -> None:
        self._engine = engine
        self._reason = reason
        self._aside: Aside | None = None
        self._forwards = Forwards()

    def make(self, dtype: torch.dtype) -> bool:
        """Copy the weights; whether there was memory for it."""
        assert self._engine is not None
        model = self._engine.model
        try:
            self._aside = Aside(copied_elements(model), dtype, model.device)
            self._forwards = copies_in(model, self._aside.room)
        except torch.OutOfMemoryError:
            self.release(NO_MEMORY)
            return False
        self._engine.use(KIND, self._forwards)
        return True

    def release_if_wrong(self, way: ByEngine) -> None:
        """Go without copies where answers with them are not those of one prompt at a time."""
        try:
            differs = way.trial.engine(way.engine, KIND)
        except torch.OutOfMemoryError:
            differs = NO_MEMORY
        if differs:
            self.release(differs)

    def release(self, reason: str | None = None) -> bool:
        """Give the memory back and keep the ``reason``; whether there was any to give."""
        self._reason = reason or self._reason
        if self._aside is None:
            return False
        if self._engine and self._forwards:
            self._engine.leave(KIND, self._forwards)
        self._forwards = Forwards()
        self._aside.release()
        self._aside = None
        return True

    def describe(self) -> dict[str, object]:
        """Where the weights are packed: how large the copies were, or why there are none."""
        if self._aside is not None:
            return {"copies_mib": held_by([self._aside.room])}
        return {"no_copies": self._reason} if self._reason else {}


@contextmanager
def copies_for(way: ByEngine | ByGenerate, rows: int, *, wanted: bool) -> Iterator[Copies]:
    """Copies for a decode of ``rows`` at a time, where they are ``wanted`` and right.

    Whether there is room for them the plan has decided: by what is free here, a cell would answer
    otherwise beside others than alone. If memory runs out all the same, they go first.
    """
    if not isinstance(way, ByEngine) or not way.engine.capture or not wanted:
        yield Copies()
        return
    layers = four_bit_layers(way.engine.model)
    if not layers or rows < COPIES_FROM_ROWS:
        yield Copies()
        return
    reason = _reason(way.engine.model, layers)
    copies = Copies(way.engine, reason)
    try:
        if reason is None and copies.make(layers[0].compute_dtype):
            copies.release_if_wrong(way)
        yield copies
    finally:
        copies.release()


def _reason(model: PreTrainedModel, layers: list[Any]) -> str | None:
    """Return why ``model`` gets no copies; None if it may have them."""
    if differs := checks_of(model).verdicts.get(KIND):
        return differs
    states = [layer.weight.quant_state for layer in layers]
    types = {
        kind for k, layer in enumerate(layers) for kind in (layer.compute_dtype, states[k].dtype)
    }
    if len(types) > 1 or not types <= {torch.bfloat16, torch.float16}:
        return "weights are kept and multiplied in several types, or not in 16 bits"
    if any(getattr(state, "packing_format_for_cpu", False) for state in states):
        return "the weights are packed for a CPU"
    return None


def copied_elements(model: PreTrainedModel) -> int:
    """Elements of the copies of ``model``'s 4-bit weights."""
    return sum(_room(group) for group in _groups(model))


def copies_in(model: PreTrainedModel, room: torch.Tensor) -> Forwards:
    """What the 4-bit layers of ``model`` do with copies of their weights, written to ``room``.

    Layers that read the same tensor lie next to each other, and are one product.
    """
    found, start = Forwards(), 0
    for group in _groups(model):
        rows = [layer.weight.quant_state.shape[0] for layer in group]
        whole = room[start : start + sum(map(_size, group))].view(sum(rows), -1)
        for weight, layer in zip(whole.split(rows), group, strict=True):
            weight.copy_(unpacked_weight(layer))
        found |= _together(group, whole, rows)
        start += _room(group)
    return found


def _groups(model: PreTrainedModel) -> list[list[Any]]:
    layers = four_bit_layers(model)
    wanted, seen, found = set(layers), set[Any](), list[list[Any]]()
    for parent in model.modules():
        inner = {name: bare(child) for name, child in parent.named_children()}
        # an adapter's wrapper names its layer as well: the parent of both comes first
        inner = {k: layer for k, layer in inner.items() if layer in wanted and layer not in seen}
        for group in groups_of(inner, _alike):
            seen.update(group)
            found.append(group)
    return found


def _alike(layer: Any) -> tuple[object, ...]:
    return layer.in_features, layer.compute_dtype, layer.bias is None


def _size(layer: Any) -> int:
    return int(layer.weight.quant_state.shape.numel())


def _room(group: list[Any]) -> int:
    return -(-sum(map(_size, group)) // ALIGNED) * ALIGNED


def _together(group: list[Any], weight: torch.Tensor, rows: list[int]) -> Forwards:
    """What the layers of ``group`` do: the first multiplies for all."""
    biases = [layer.bias for layer in group if layer.bias is not None]
    bias = torch.cat([b.detach().to(weight.dtype) for b in biases]) if biases else None
    shared = Shared(lambda x: linear(x.to(weight.dtype), weight, bias).to(x.dtype).split(rows, -1))
    last = len(group) - 1
    return {layer: _forward(shared, k, last=k == last) for k, layer in enumerate(group)}


def _forward(
    shared: Shared[tuple[torch.Tensor, ...]], place: int, *, last: bool
) -> Callable[..., torch.Tensor]:
    return lambda x: shared.of(x, last=last)[place]
