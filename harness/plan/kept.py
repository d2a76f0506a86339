"""What one layer keeps for the backward pass, counted operation by operation.

Each term is a tensor that PyTorch saves, at the width that it has under the cell's precision.
Nothing here is fitted but `INT8_EXTRA`. `tests/plan/test_kept.py` counts the saved tensors of real
models on the CPU; `tests/plan/test_memory.py` compares the whole estimate with cards.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.plan.adapter_shape import targets
from harness.plan.architecture import (
    Linear,
    Shape,
    architecture_of,
    dtype_bytes,
    shape_of,
)
from harness.plan.cell import Cell
from harness.suite.options import FULL

FUSED = ("llama", "mistral", "qwen2", "qwen3")
"""Families whose small operations the training engine fuses (`backends/hf/training/fused.py`)."""
HEAD_NORMS = ("qwen3", "gemma3_text")
"""Families that also normalise the queries and keys of each head."""
INT8_EXTRA = {"hidden": 6.0, "intermediate": 3.0}
"""Further bytes per token and layer that 8-bit layers keep: their inputs, and what was measured
above that. Fitted to four runs in `reports/geometry`; inputs alone are 6 and 2."""
READS = {
    **dict.fromkeys(("q_proj", "k_proj", "v_proj", "qkv_proj"), "norm"), "o_proj": "attention",
    **dict.fromkeys(("gate_proj", "up_proj", "gate_up_proj"), "second norm"), "down_proj": "gate",
    **dict.fromkeys(("query", "key", "value"), "norm"), "attention.output.dense": "attention",
    "intermediate.dense": "second norm", "output.dense": "gate",
}  # fmt: skip
"""Linear layer → what it reads; the result of attention is kept in any case."""


@dataclass(frozen=True)
class Kept:
    """Bytes that one layer needs for its backward pass."""

    token: float
    """For each token."""
    layer: float = 0.0
    """However many tokens there are: copies of weights that autograd holds."""
    moment: float = 0.0
    """Held while the layer runs and gone after it, however many tokens there are."""

    def __add__(self, other: Kept) -> Kept:
        """Both; two moments are not at the same time."""
        return Kept(
            self.token + other.token, self.layer + other.layer, max(self.moment, other.moment)
        )


@dataclass(frozen=True)
class Precision:
    """How wide the numbers of a training step are."""

    half: bool
    """Whether matrix products are autocast to bfloat16."""
    weights: int
    """Bytes of a frozen weight, unpacked."""
    wide_stream: bool = False
    """Whether what passes between layers is in float32: PEFT's DoRA gives that over packed weights
    under autocast, and bitsandbytes then answers in the type that it is asked in."""

    @property
    def outputs(self) -> int:
        """Bytes of a number that a frozen layer gives."""
        return 2 if self.half else self.weights

    @property
    def stream(self) -> int:
        """Bytes of a number that passes between layers, or between those of the gate."""
        return 4 if self.wide_stream else self.outputs

    @property
    def adapters(self) -> int:
        """Bytes of a number that an adapter reads and gives: its weights are in float32."""
        return 2 if self.half else 4


def precision_of(cell: Cell) -> Precision:
    """That of a training of ``cell``."""
    half = bool(cell.training.get("bf16", cell.model.dtype == "bfloat16"))
    adapter, shape = cell.adapter_config, shape_of(architecture_of(cell.model))
    wide = half and _is_packed(cell) and bool(adapter.get("use_dora")) and shape is not None
    if wide and shape is not None:  # where one of the layers that end in the sum has an adapter
        wide = any(
            READS[linear.name] in ("attention", "gate") for linear in targets(shape, adapter)
        )
    return Precision(half, dtype_bytes(cell.model.dtype), wide)


def is_full(adapter: Mapping[str, Any]) -> bool:
    """Whether all weights are trained."""
    return adapter.get("peft_type") == FULL


def is_plain_lora(adapter: Mapping[str, Any]) -> bool:
    """Whether an adapter's layers are those that the training engine can fuse."""
    return adapter.get("peft_type", "lora") == "lora" and not adapter.get("use_dora")


def layer_as_it_is(shape: Shape, cell: Cell) -> Kept:
    """A layer as transformers and PEFT run it."""
    adapter, precision = cell.adapter_config, precision_of(cell)
    if is_full(adapter):
        return _path(shape, precision) + _trained(shape, precision)
    packed = _is_packed(cell)
    casts = 2.0 * _weights(shape) if precision.half and precision.weights == 4 else 0.0
    kept = _path(shape, precision) + Kept(0.0, casts)
    if cell.quantization_config.get("load_in_8bit"):
        extra = INT8_EXTRA["hidden"] * shape.hidden
        kept += Kept(extra + INT8_EXTRA["intermediate"] * shape.intermediate)
    return kept + _adapters(shape, adapter, precision, packed=packed)


def layer_of_engine(shape: Shape, cell: Cell) -> Kept:
    """A layer as the training engine runs it on CUDA, in bfloat16, of a model whose base is frozen.

    Its small operations are fused where they are known; plain LoRA is fused everywhere.
    """
    adapter, precision = cell.adapter_config, precision_of(cell)
    kept = _path(shape, precision)
    if shape.family in FUSED:
        kept = Kept(_fused_path(shape, precision))
    if is_plain_lora(adapter):
        ranks = int(adapter.get("r", 8)) * len(targets(shape, adapter))
        return kept + Kept(2.0 * (_reads(shape, adapter) + ranks))
    return kept + _adapters(shape, adapter, precision, packed=_is_packed(cell))


def _is_packed(cell: Cell) -> bool:
    config = cell.quantization_config
    return bool(config.get("load_in_4bit") or config.get("load_in_8bit"))


def _weights(shape: Shape) -> int:
    return sum(linear.weights for linear in shape.linears)


def _attention(shape: Shape, outputs: int) -> float:
    """Queries, keys, values, the result, and one sum for each head and token."""
    queries, keys = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
    return float(2 * outputs * (queries + keys) + 4 * shape.heads)


def _path(shape: Shape, precision: Precision) -> Kept:
    """The frozen path: what gradients need to pass through it."""
    outputs = precision.outputs
    if shape.is_encoder:  # two layer norms, two masks of dropout, the input of GELU
        norm = 4 if precision.half else outputs
        own = (2 * norm + 2) * shape.hidden + outputs * shape.intermediate
        return Kept(own + _attention(shape, outputs))
    norms = 4 if shape.family == "gemma3_text" else 2
    token = 4.0 * norms * shape.hidden  # their inputs, cast to float32
    if shape.family in HEAD_NORMS:
        token += 4.0 * (shape.heads + shape.kv_heads) * shape.head_size
    # gate, its activation and up: a product keeps both of its factors
    token += 3.0 * precision.stream * shape.intermediate
    return Kept(token + _attention(shape, outputs))


def _trained(shape: Shape, precision: Precision) -> Kept:
    """What comes on top where all weights are trained: inputs of layers, and of norms' gains."""
    outputs, hidden = precision.outputs, shape.hidden
    # under autocast each layer casts its input for itself; attention's result is in 16 bits already
    times = 5 if precision.half else 2
    if shape.is_encoder:
        times -= 1 if precision.half else 0
        return Kept(outputs * (times * hidden + shape.intermediate))
    token: float = outputs * (times * hidden + shape.intermediate) + 8.0 * hidden
    heads = (shape.heads + shape.kv_heads) * shape.head_size
    if shape.family == "gemma3_text":
        token += 8.0 * hidden + 4.0 * heads
    elif shape.family in HEAD_NORMS:
        token += outputs * heads
    return Kept(token)


def _fused_path(shape: Shape, precision: Precision) -> float:
    """The frozen path with norms, rotary embedding and gate in kernels."""
    stream = precision.stream
    kept = 2.0 * stream * (shape.hidden + shape.intermediate) + _attention(shape, 2)
    if shape.family in HEAD_NORMS:
        kept += 2.0 * (shape.heads + shape.kv_heads) * shape.head_size
    return kept


def _reads(shape: Shape, adapter: Mapping[str, Any]) -> int:
    """Width of what the adapters read, once where several read the same."""
    readers = {READS[linear.name]: linear.inputs for linear in targets(shape, adapter)}
    return sum(size for name, size in readers.items() if name != "attention")


def _adapters(
    shape: Shape, adapter: Mapping[str, Any], precision: Precision, *, packed: bool
) -> Kept:
    """What PEFT's own layers keep."""
    adapted, wide, rank = targets(shape, adapter), precision.adapters, int(adapter.get("r", 8))
    drops = bool(adapter.get("lora_dropout"))
    # autocast makes copies of the adapters' weights too
    copies = 2 * sum(rank * (linear.inputs + linear.outputs) for linear in adapted)
    kept = Kept(float(wide * rank * len(adapted)), float(copies) if precision.half else 0.0)
    # Over plain weights PEFT casts each layer's input to float32, and autocast casts that to 16
    # bits: a copy for each. Over packed ones, or without autocast, it reads what others read.
    copied = not packed or precision.wide_stream if precision.half else precision.weights == 2
    if drops:  # what is left of the input, and which of it was left
        kept += Kept((wide + 1.0) * sum(linear.inputs for linear in adapted))
    elif copied:  # attention's result over packed layers is in 16 bits already
        read = [each for each in adapted if not packed or READS[each.name] != "attention"]
        kept += Kept(float(wide * sum(linear.inputs for linear in read)))
    else:
        kept += Kept(float(wide * _reads(shape, adapter)))
    if adapter.get("use_dora"):
        for linear in adapted:
            kept += _dora(linear, precision, packed=packed, drops=drops)
    return kept


def _dora(linear: Linear, precision: Precision, *, packed: bool, drops: bool) -> Kept:
    """What DoRA's magnitude adds to one layer (`peft/tuners/lora/dora.py`).

    Its gradient needs the layer's output with and without the adapter. With dropout PEFT computes
    the former anew, from the weight in a type of its own, which autograd then keeps: a model in 16
    bits beside the packed one. The norm is that of the merged weight, made for a moment by sending
    an identity matrix through the adapter.
    """
    wide, size, square = precision.adapters, linear.weights, linear.inputs**2
    base = precision.outputs if READS[linear.name] == "attention" else precision.stream
    base = wide if drops else base
    token = float((base + wide) * linear.outputs)
    copied = packed or precision.half or precision.weights == 2
    layer = float(wide * size) if drops and copied else 0.0
    # the identity in float32 and in the adapter's type, and what comes out of it; then, with what
    # autograd keeps of the identity, weight, product, scaled product and sum
    narrow = packed and precision.half and not precision.wide_stream
    inside = 4 * (2 if narrow else 4)
    held = 2 * square if precision.half else 4 * square
    moment = max((4 + (2 if precision.half else 0)) * square + wide * size, held + inside * size)
    return Kept(token, layer, float(moment))
