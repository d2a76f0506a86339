"""Device memory of a cell before it runs: loading, training and inference, from numbers alone.

Weights, adapter, gradients, optimizer state and cache are counted; activations are a per-token sum
whose coefficients were fitted to 24 cells measured on an H200 (`reports/geometry`: four
architectures × three quantizations × training and inference) and, for the harness's own engine, to
what its operations keep. Each measured cell is within 10%; a test holds that.
Sequences are taken at their full length, so real data need less.
"""

from __future__ import annotations

from dataclasses import dataclass

from harness.plan.architecture import (
    Shape,
    architecture_of,
    dtype_bytes,
    model_bytes,
    shape_of,
    targets,
    trainable_params,
)
from harness.plan.cell import Cell
from harness.suite.engine_keys import trl_keys
from harness.suite.options import FULL, training_value

MIB = 1024**2
CONTEXT_MIB = 600
"""MiB that a CUDA context and its libraries take outside of the allocator."""
PROMPT_TOKENS = 512
"""Assumed tokens of a test prompt without `max_length`: prompts are not cut, and few are longer."""
LONGEST_ROW = 1024
"""Assumed tokens of a training row with `max_length: null`, which cuts none."""
CHECKPOINTING = "gradient_checkpointing"
CARDS_GIB = (8, 12, 16, 24, 48, 80)
LORA_INPUT = 5
"""Bytes kept per input of an adapted layer: a float32 copy after dropout (4) and its mask (1)."""
BASE = {"hidden": 9.0, "intermediate": 1.8, "keys": 2.0}
"""Bytes per token and layer that the backward pass keeps of the frozen path, times each width.

Fitted, like the two below, to the runs in `reports/geometry`."""
INT8_EXTRA = {"hidden": 5.0, "intermediate": 3.7}
"""Further bytes per token and layer that 8-bit layers keep."""
FUSED = ("llama", "mistral", "qwen2", "qwen3")
"""Families whose small operations the training engine fuses (`backends/hf/training/fused.py`)."""
FULL_LAYER = {"hidden": 24.0, "intermediate": 8.0, "keys": 4.0}
"""Bytes per token and layer that are kept where all weights are trained, times each width."""
WORKSPACE_MIB = 40
"""What captured decode steps hold besides: cuBLAS's workspace of their stream, and their own."""
WORKSPACES_MIB = 128
"""What cuBLAS keeps: 64 for each of the two streams that a captured training runs on."""
CHECK_ROWS, CHECK_LENGTH = 3, 128
"""The rows that go through the model both ways before the engine trains it, and their length."""
CHECK_LOGITS = 10.0
"""Bytes per token and vocabulary entry there: logits in two types, their gradient, softmax."""
READS = {
    **dict.fromkeys(("q_proj", "k_proj", "v_proj"), "norm"), "o_proj": "attention",
    **dict.fromkeys(("gate_proj", "up_proj"), "second norm"), "down_proj": "gate",
}  # fmt: skip
"""Linear layer of those families → what it reads; the result of attention is kept in any case."""
LOGIT_BYTES = 1.2
"""Bytes per token and vocabulary entry; below 4 because the loss is computed in chunks."""


CARD_SHARE = 0.9
"""Part of a card that a cell with copies of its weights may need; the rest is for fragments."""
COPIES_FROM_ROWS = 4
"""Rows of a batch from which a decode with copies is faster: on an H200, of Mistral-7B in NF4, a
step takes 6.0 ms instead of 11.0; with one row 5.7 either way."""
ESTIMATE_MARGIN = 1.1
"""What is measured lies within a tenth of the estimate: 76 peaks in `tests/plan/test_memory.py`."""


@dataclass(frozen=True)
class Estimate:
    """MiB that the allocator is expected to need at most, per phase."""

    load: float
    inference: float
    training: float | None
    """None for a baseline."""
    parts: dict[str, float]
    """What the phases are made of: weights, adapter, gradients, optimizer, activations, cache."""
    copied: float | None = None
    """Inference with 16-bit copies of 4-bit weights beside them, whatever the adapter; None: such
    a cell makes none."""

    @property
    def peak(self) -> float:
        """The largest phase, in MiB."""
        return max(self.load, self.inference, self.training or 0.0)

    @property
    def needed_gib(self) -> float:
        """The peak with a CUDA context."""
        return (self.peak + CONTEXT_MIB) / 1024

    @property
    def copied_gib(self) -> float | None:
        """What answering takes with the copies, at most, context included; None without any.

        A cell answers with them wherever it runs, or nowhere: side by side with others it must give
        the answers that it gives alone, and a baseline must answer as its adapters do. So the plan
        decides it, for a card, and not a worker by what is free.
        """
        return None if self.copied is None else (ESTIMATE_MARGIN * self.copied + CONTEXT_MIB) / 1024

    @property
    def card_gib(self) -> int | None:
        """The smallest usual card that it fits on, context included; None above all of them."""
        return next((size for size in CARDS_GIB if self.needed_gib <= size), None)


def estimate(cell: Cell) -> Estimate | None:
    """The memory of ``cell``; None for an architecture that is not known here."""
    shape = shape_of(architecture_of(cell.model))
    if shape is None:
        return None
    wide = dtype_bytes(cell.model.dtype)
    weights = model_bytes(shape, cell.quantization_config, cell.model.dtype)
    adapter = 0 if cell.is_baseline else trainable_params(shape, cell.adapter_config)
    if adapter is None:
        adapter = shape.parameters if cell.adapter_config.get("peft_type") == FULL else 0
    parts = {"weights": float(weights), "adapter": 4.0 * adapter}
    parts["cache"] = _cache(shape, cell, wide)
    parts["decoding"] = _decoding(shape, cell, wide, adapted=adapter > 0)
    training = None
    if not cell.is_baseline and "source" not in cell.adapter_config:
        parts["gradients"] = 4.0 * adapter
        # of an adapter that is fused: its weights in 16 bits, with gradients of their own
        parts["copies"] = 4.0 * adapter if _is_fused(shape, cell) else 0.0
        parts["optimizer"] = _optimizer_bytes(cell) * adapter
        if cell.adapter_config.get("peft_type") == FULL and cell.training.get(CHECKPOINTING):
            # trained weights are in float32; those in 16 bits are copies, then made layer by layer
            parts["weights"] /= shape.layers
        parts["activations"] = _activations(shape, cell)
        parts["unpacked"] = _unpacked(shape, cell, wide)
        kept = ("weights", "unpacked", "adapter", "copies", "gradients", "optimizer", "activations")
        training = sum(parts[name] for name in kept) / MIB
        if _is_flat(shape, cell):  # its check comes before copies and optimizer are made
            held = sum(parts[name] for name in ("weights", "unpacked", "adapter", "gradients"))
            training = max(training + WORKSPACES_MIB, (held + _check(shape, cell)) / MIB)
    inference = sum(parts[name] for name in ("adapter", "cache", "decoding"))
    unpacked = float(model_bytes(shape, {}, cell.model.dtype))
    # to merge an adapter the unquantized base is loaded first; only `requantized` packs it again
    load = float(weights) if cell.serve == "attached" else max(unpacked, weights)
    inference = (inference + (unpacked if cell.serve == "merged" else weights)) / MIB
    mib = {name: size / MIB for name, size in parts.items()}
    copied = None
    if _answers_with_copies(cell, wide):
        asked = _decoding(shape, cell, wide, adapted=False)
        copied = (weights + unpacked + parts["cache"] + asked) / MIB
    return Estimate(load / MIB, inference, training, mib, copied)


def _answers_with_copies(cell: Cell, wide: int) -> bool:
    """Whether a decode may unpack its 4-bit weights once (`decoding/copies.py`)."""
    packed = bool(cell.quantization_config.get("load_in_4bit")) and cell.serve != "merged"
    greedy = cell.task.answered_by == "generation" and not cell.generation.get("do_sample")
    many = cell.evaluation.batch_size >= COPIES_FROM_ROWS and cell.task.task != "lm_eval"
    here = cell.backend == "hf" and cell.model.requires.gpus == 1
    return packed and wide == 2 and greedy and many and here


def _prompt(cell: Cell) -> int:
    if cell.model.weights == "random":
        return cell.evaluation.prompt_tokens
    return int(cell.training.get("max_length") or PROMPT_TOKENS)


def _cache(shape: Shape, cell: Cell, wide: int) -> float:
    if shape.is_encoder:
        return 0.0
    length = _prompt(cell) + int(cell.generation["max_new_tokens"])
    width = 2 * shape.layers * shape.kv_heads * shape.head_size
    return float(width * length * cell.evaluation.batch_size * wide)


def _decoding(shape: Shape, cell: Cell, wide: int, *, adapted: bool) -> float:
    """The prompts' pass through one block, and the logits of one position."""
    rows = cell.evaluation.batch_size
    tokens = rows * _prompt(cell)
    block = wide * tokens * (4 * shape.intermediate + 6 * shape.hidden)
    if cell.quantization_config.get("load_in_8bit"):
        block += 6 * tokens * shape.intermediate
    if adapted and _reads_by_kernels(shape, cell):
        block += WORKSPACE_MIB * MIB
    elif adapted:  # a float32 copy of an adapter's widest output
        block += 4 * tokens * shape.intermediate
    return float(block + (0 if shape.is_encoder else 8 * rows * shape.vocabulary))


def _reads_by_kernels(shape: Shape, cell: Cell) -> bool:
    """Whether kernels add adapters' outputs in place (`decoding/fused_adapters.py`)."""
    adapter = cell.adapter_config
    plain = adapter.get("peft_type", "lora") == "lora" and not adapter.get("use_dora")
    return plain and shape.family in FUSED and int(adapter.get("r", 8)) <= 64


def _activations(shape: Shape, cell: Cell) -> float:
    tokens = _tokens_a_batch(cell)
    if _is_fused(shape, cell):
        return _fused(shape, cell, tokens)
    if _is_flat(shape, cell) and cell.adapter_config.get("peft_type") == FULL:
        return _full(shape, cell, tokens)
    logits = 0.0 if shape.is_encoder else LOGIT_BYTES * tokens * shape.vocabulary
    layer = _layer(shape, cell)
    # with checkpointing one layer is alive at a time, plus every layer's input in 16 bits
    if cell.training.get(CHECKPOINTING):
        return tokens * (layer + 2 * shape.hidden * shape.layers) + logits
    return tokens * layer * shape.layers + logits


def _layer(shape: Shape, cell: Cell) -> float:
    """Bytes a token that one layer keeps as the model has it."""
    keys = shape.kv_heads * shape.head_size
    layer = BASE["hidden"] * shape.hidden + BASE["intermediate"] * shape.intermediate
    layer += BASE["keys"] * keys
    layer += LORA_INPUT * sum(linear.inputs for linear in targets(shape, cell.adapter_config))
    if cell.quantization_config.get("load_in_8bit"):
        layer += INT8_EXTRA["hidden"] * shape.hidden
        layer += INT8_EXTRA["intermediate"] * shape.intermediate
    return layer


def _tokens_a_batch(cell: Cell) -> int:
    options = cell.training
    rows = int(training_value(options, "per_device_train_batch_size"))
    return rows * int(training_value(options, "max_length") or LONGEST_ROW)


def _is_flat(shape: Shape, cell: Cell) -> bool:
    """Whether the harness's engine trains it on CUDA, of the families that were measured."""
    options = cell.training
    by_engine = options.get("engine") != "trl" and trl_keys(options) is None
    by_engine = by_engine and cell.task.answered_by != "head"
    fast = str(options.get("optim", "adamw_torch")).startswith("adamw_torch")
    half = cell.model.dtype == "bfloat16" and options.get("bf16", True) is True
    packed = cell.quantization_config.get("load_in_8bit")
    return by_engine and fast and half and not packed and shape.family in FUSED


def _is_fused(shape: Shape, cell: Cell) -> bool:
    """Whether it does so with the model's small operations fused."""
    adapter = cell.adapter_config
    plain = adapter.get("peft_type", "lora") == "lora" and not adapter.get("use_dora")
    return plain and _is_flat(shape, cell)


def _fused(shape: Shape, cell: Cell, tokens: int) -> float:
    """What one flat batch keeps between its passes, in bfloat16, and the most held for a moment."""
    wide, options, adapted = 2, cell.training, targets(shape, cell.adapter_config)
    queries, keys = shape.heads * shape.head_size, shape.kv_heads * shape.head_size
    # inputs of the norms; of attention its inputs, result and one sum a head; of the gate its two
    kept = wide * (2 * shape.hidden + 2 * queries + 2 * keys + 2 * shape.intermediate)
    kept += 4 * shape.heads
    # inputs of adapters, once where several read the same, and what they make of them
    readers = {READS[linear.name]: linear.inputs for linear in adapted}
    kept += wide * sum(size for name, size in readers.items() if name != "attention")
    kept += wide * int(cell.adapter_config.get("r", 8)) * len(adapted)
    logits = wide * tokens * shape.vocabulary
    # in the pass back through one block: gradients of the gate's inputs, output and the sum
    back = tokens * wide * (3 * shape.intermediate + 2 * shape.hidden)
    if cell.quantization_config.get("load_in_4bit") and not options.get("unpack_4bit"):
        back += wide * max(linear.weights for linear in shape.linears)
    if options.get(CHECKPOINTING):
        every = wide * shape.hidden * shape.layers * tokens
        return every + max(logits, tokens * kept + back)
    return tokens * kept * shape.layers + max(logits, back)


def _full(shape: Shape, cell: Cell, tokens: int) -> float:
    """The same where all weights are trained: they, and what passes between layers, are float32."""
    keys = shape.kv_heads * shape.head_size
    layer = FULL_LAYER["hidden"] * shape.hidden + FULL_LAYER["intermediate"] * shape.intermediate
    layer += FULL_LAYER["keys"] * keys
    # logits and their gradient; the gradient of the embedding in both types
    end = 4.0 * tokens * shape.vocabulary + 6.0 * shape.embedding
    if cell.training.get(CHECKPOINTING):
        return 4.0 * shape.hidden * shape.layers * tokens + max(end, tokens * layer)
    return tokens * layer * shape.layers + end


def _check(shape: Shape, cell: Cell) -> float:
    """What the engine's check keeps: a few short rows, without checkpointing or fusing."""
    options = cell.training
    rows = int(training_value(options, "per_device_train_batch_size"))
    length = int(training_value(options, "max_length") or LONGEST_ROW)
    tokens = min(rows, CHECK_ROWS) * min(length, CHECK_LENGTH)
    return tokens * (_layer(shape, cell) * shape.layers + CHECK_LOGITS * shape.vocabulary)


def _unpacked(shape: Shape, cell: Cell, wide: int) -> float:
    """The copy of 4-bit weights that `unpack_4bit` keeps while training."""
    packed = cell.quantization_config.get("load_in_4bit")
    wanted = packed and cell.training.get("unpack_4bit")
    return float(wide * shape.linear_weights) if wanted else 0.0


def _optimizer_bytes(cell: Cell) -> float:
    """Bytes of state for each trained parameter."""
    name = str(cell.training.get("optim", "adamw_torch"))
    return 2.0 if "8bit" in name else 8.0
