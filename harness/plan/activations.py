"""Memory of a training step besides weights and optimizer: what lives between its two passes.

Sequences are taken at their full length, so real data need less.
"""

from __future__ import annotations

from harness.plan.adapter_shape import targets
from harness.plan.architecture import FAMILIES, Shape
from harness.plan.cell import Cell
from harness.plan.devices import cards_of
from harness.plan.kept import (
    FUSED,
    Kept,
    is_full,
    is_plain_lora,
    layer_as_it_is,
    layer_of_engine,
    precision_of,
)
from harness.suite.engine_keys import is_checkpointed, trl_keys
from harness.suite.options import training_value

LONGEST_ROW = 1024
"""Assumed tokens of a training row with `max_length: null`, which cuts none."""
LOGIT_BYTES = 1.2
"""Bytes per token and vocabulary entry under TRL; below 4 because the loss is computed in chunks.
Fitted to the runs in `reports/geometry`."""
MASKED_TOKENS = 4096
"""The largest batch of a head that attention reads under a mask of its square: in float32 on CUDA
(`backends/hf/training/head_check.py`)."""
CHECK_ROWS, CHECK_LENGTH = 3, 128
"""The rows that go through the model both ways before the engine trains it, and their length."""
CHECK_LOGITS = 10.0
"""Bytes per token and vocabulary entry there: logits in two types, their gradient, softmax."""


def activations(shape: Shape, cell: Cell) -> float:
    """Bytes that a step of ``cell`` holds at most, besides weights, gradients and optimizer."""
    if not by_engine(shape, cell):
        return _by_trainer(shape, cell)
    found = _by_engine(shape, cell)
    # rows beyond its window go through TRL; configurations give the window in too many ways
    return max(found, _by_trainer(shape, cell)) if shape.family == "gemma3_text" else found


def by_engine(shape: Shape, cell: Cell) -> bool:
    """Whether the harness's engine trains ``cell`` on text on CUDA, as far as a plan can tell."""
    options, adapter = cell.training, cell.adapter_config
    known = is_full(adapter) or adapter.get("peft_type", "lora") == "lora"
    known = known and not adapter.get("modules_to_save")
    asked = options.get("engine") != "trl" and trl_keys(options) is None
    asked = asked and str(options.get("optim", "adamw_torch")).startswith("adamw_torch")
    packed = cell.quantization_config.get("load_in_8bit")
    text = shape.family in FAMILIES and cell.task.answered_by != "head"
    half = cell.model.dtype == "bfloat16" and precision_of(cell).half
    return known and asked and text and half and not packed and cards_of(cell) == 1


def is_fused(shape: Shape, cell: Cell) -> bool:
    """Whether it does so with the adapters' products fused."""
    plain = is_plain_lora(cell.adapter_config) and not is_full(cell.adapter_config)
    return plain and by_engine(shape, cell)


def check_bytes(shape: Shape, cell: Cell) -> float:
    """What the engine's check keeps: a few short rows, without checkpointing or fusing."""
    options = cell.training
    rows = int(training_value(options, "per_device_train_batch_size"))
    tokens = min(rows, CHECK_ROWS) * min(_row(cell), CHECK_LENGTH)
    kept = layer_as_it_is(shape, cell)
    return (tokens * kept.token + kept.layer) * shape.layers + (
        tokens * CHECK_LOGITS * shape.vocabulary + kept.moment
    )


def _row(cell: Cell) -> int:
    return int(training_value(cell.training, "max_length") or LONGEST_ROW)


def _tokens_a_batch(cell: Cell) -> int:
    return int(training_value(cell.training, "per_device_train_batch_size")) * _row(cell)


def _by_trainer(shape: Shape, cell: Cell) -> float:
    """Under TRL, or under transformers' `Trainer` for a head: padded rows, nothing fused."""
    tokens, kept = _tokens_a_batch(cell), layer_as_it_is(shape, cell)
    head = shape.is_encoder or cell.task.answered_by == "head"
    end = 0.0 if head else LOGIT_BYTES * tokens * shape.vocabulary
    if is_full(cell.adapter_config):
        end += _embedding_gradient(shape, cell)
    if head and not precision_of(cell).half and cell.model.dtype == "float32":
        kept += Kept(0.0, _mask(cell, tokens))
    return _held(shape, cell, tokens, kept, max(end, _back(shape, cell, tokens)))


def _by_engine(shape: Shape, cell: Cell) -> float:
    """On flat batches, captured: the logits of all learned tokens at once."""
    tokens, full = _tokens_a_batch(cell), is_full(cell.adapter_config)
    kept = layer_as_it_is(shape, cell) if full else layer_of_engine(shape, cell)
    # a kernel writes the gradient of the logits over them
    logits = (2 if shape.family in FUSED and not full else 4) * tokens * shape.vocabulary
    end = logits + (_embedding_gradient(shape, cell) if full else 0.0)
    # all weights trained: what passes between layers is in float32
    return _held(shape, cell, tokens, kept, max(end, _back(shape, cell, tokens)))


def _held(shape: Shape, cell: Cell, tokens: int, kept: Kept, end: float) -> float:
    """All layers' share, and the most that is held for a moment: at the end, or in one layer."""
    layer = tokens * kept.token + kept.layer
    if is_checkpointed(cell.training):
        # one layer at a time, and every layer's input
        precision = precision_of(cell)
        wide = 4 if is_full(cell.adapter_config) or precision.wide_stream else precision.weights
        return wide * tokens * shape.hidden * shape.layers + max(
            end, layer + kept.moment + _back(shape, cell, tokens)
        )
    return layer * shape.layers + max(end, kept.moment)


def _back(shape: Shape, cell: Cell, tokens: int) -> float:
    """The pass back through one block: gradients of the gate's inputs, its output, and the sum."""
    quantization, adapter = cell.quantization_config, cell.adapter_config
    back = tokens * precision_of(cell).outputs * (3 * shape.intermediate + 2 * shape.hidden)
    if adapter.get("lora_dropout") and not is_fused(shape, cell):
        # gradients of the widest input before and after dropout, in float32
        widest_input = max((linear.inputs for linear in targets(shape, adapter)), default=0)
        back += 8 * tokens * widest_input
    widest = max(linear.weights for linear in shape.linears)
    if quantization.get("load_in_8bit"):
        back += 2 * widest
    if quantization.get("load_in_4bit") and not cell.training.get("unpack_4bit"):
        back += 2 * widest
    return float(back)


def _embedding_gradient(shape: Shape, cell: Cell) -> float:
    """The embedding's gradient where it is made, in 16 bits and in float32."""
    return (6.0 if precision_of(cell).half else 4.0) * shape.embedding


def _mask(cell: Cell, tokens: int) -> float:
    """The mask that attention in float32 reads, made anew, and kept, by each layer."""
    flat = cell.training.get("engine") != "trl" and tokens <= MASKED_TOKENS
    return 4.0 * tokens * (tokens if flat else _row(cell))
