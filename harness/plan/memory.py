"""Device memory of a cell before it runs: loading, training and inference, from numbers alone.

Weights, adapter, gradients, optimizer state and cache are counted here, what a training step keeps
between its passes in `activations`. Measured on an H200, each phase of 24 cells under TRL
(`reports/geometry`) and each of 17 trainings by the engine is within 10%; a test holds that.
Sequences are taken at their full length, so real data need less.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from harness.plan.activations import activations, by_engine, check_bytes, is_fused
from harness.plan.adapter_shape import low_rank_params, saved_params, trainable_params
from harness.plan.architecture import (
    Shape,
    architecture_of,
    dtype_bytes,
    model_bytes,
    shape_of,
)
from harness.plan.cell import Cell
from harness.plan.devices import gpus_of
from harness.plan.kept import FUSED, is_full, is_plain_lora, precision_of
from harness.suite.engine_keys import is_checkpointed

MIB = 1024**2
CONTEXT_MIB = 600
"""MiB that a CUDA context and its libraries take outside of the allocator."""
PROMPT_TOKENS = 512
"""Assumed tokens of a test prompt without `max_length`: prompts are not cut, and few are longer."""
CARDS_GIB = (8, 12, 16, 24, 48, 80)
WORKSPACE_MIB = 40
"""What captured decode steps hold besides: cuBLAS's workspace of their stream, and their own."""
WORKSPACES_MIB = 128
"""What cuBLAS keeps: 64 for each of the two streams that a captured training runs on."""
SCORED_BYTES = 512 * MIB
"""What the logits of a batch whose likelihood is asked may take, at 4 bytes each
(`LOGIT_BYTES` of `backends/hf/decoding/likelihood.py`)."""
SCORED_AT_A_TIME, SCORED_COPIES = 256, 4
"""Tokens whose probabilities are held together, in so many float32 tensors
(`backends/hf/decoding/flat_likelihood.py`)."""
CARD_SHARE = 0.9
"""Part of a card that a cell with copies of its weights may need; the rest is for fragments."""
COPIES_FROM_ROWS = 4
"""Rows of a batch from which a decode with copies is faster: on an H200, of Mistral-7B in NF4, a
step takes 6.0 ms instead of 11.0; with one row 5.7 either way."""
ESTIMATE_MARGIN = 1.1
"""What is measured lies within a tenth of the estimate: 83 peaks in `tests/plan/test_memory.py`."""


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
    """The memory of ``cell``; None for an architecture that is not known here, or a GGUF file."""
    # a config.json beside the file may describe another checkpoint, and the file itself is not read
    # for a plan
    if cell.model.gguf_file:
        return None
    shape = shape_of(architecture_of(cell.model))
    if shape is None:
        return None
    wide = dtype_bytes(cell.model.dtype)
    weights = float(model_bytes(shape, cell.quantization_config, cell.model.dtype))
    unpacked = float(model_bytes(shape, {}, cell.model.dtype))
    trained = 0 if cell.is_baseline else trained_weights(shape, cell.adapter_config)
    parts = {"weights": weights, "adapter": 4.0 * trained}
    parts["cache"] = _cache(shape, cell, wide)
    adapted = trained > 0 and not is_full(cell.adapter_config)
    parts["decoding"] = _decoding(shape, cell, wide, adapted=adapted)
    parts["scoring"] = _scoring(shape, cell, wide)
    training = None
    if not cell.is_baseline and "source" not in cell.adapter_config:
        training = _training(shape, cell, parts, trained) / MIB
    # to merge an adapter the unquantized base is loaded first; only `requantized` packs it again
    load = weights if cell.serve == "attached" else max(unpacked, weights)
    # where all weights were trained, they are what is loaded
    inference = 0.0 if is_full(cell.adapter_config) else parts["adapter"]
    inference += unpacked if cell.serve == "merged" else weights
    inference += max(parts["cache"] + parts["decoding"], parts["scoring"])
    mib = {name: size / MIB for name, size in parts.items()}
    copied = None
    if _answers_with_copies(cell, wide):
        asked = parts["cache"] + _decoding(shape, cell, wide, adapted=False)
        copied = (weights + unpacked + max(asked, parts["scoring"])) / MIB
    return Estimate(load / MIB, inference / MIB, training, mib, copied)


def _training(shape: Shape, cell: Cell, parts: dict[str, float], trained: int) -> float:
    """Bytes while training; what they are made of is added to ``parts``."""
    parts["gradients"] = 4.0 * trained
    # of an adapter that is fused: its weights in 16 bits, with gradients of their own
    parts["copies"] = 4.0 * trained if is_fused(shape, cell) else 0.0
    parts["optimizer"] = _optimizer_bytes(cell) * trained
    if is_full(cell.adapter_config):
        # trained weights are in float32; in 16 bits there are copies of them, each made in its
        # layer, where checkpointing drops them
        layers = shape.layers if is_checkpointed(cell.training) else 1
        parts["weights"] = 2.0 * trained / layers if precision_of(cell).half else 0.0
    parts["activations"] = activations(shape, cell)
    parts["unpacked"] = _unpacked(shape, cell, dtype_bytes(cell.model.dtype))
    held = sum(parts[name] for name in ("weights", "unpacked", "adapter", "gradients"))
    step = held + sum(parts[name] for name in ("copies", "optimizer", "activations"))
    if by_engine(shape, cell):  # its check comes before copies and optimizer are made
        return max(step + WORKSPACES_MIB * MIB, held + check_bytes(shape, cell))
    return step


def trained_weights(shape: Shape, adapter: Mapping[str, Any]) -> int:
    """How many numbers ``adapter`` trains, about; 0 for methods that are not counted here."""
    if is_full(adapter):
        return shape.parameters
    found = trainable_params(shape, adapter) or 0
    if adapter.get("peft_type", "lora") == "lora":
        found = low_rank_params(shape, adapter)
    return found + saved_params(shape, adapter)


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
    if shape.is_encoder or cell.task.answered_by == "head":
        return 0.0
    length = _prompt(cell) + int(cell.generation["max_new_tokens"])
    width = 2 * shape.layers * shape.kv_heads * shape.head_size
    return float(width * length * cell.evaluation.batch_size * wide)


def _decoding(shape: Shape, cell: Cell, wide: int, *, adapted: bool) -> float:
    """The prompts' pass through one block, and the logits of one position, if there are any."""
    rows = cell.evaluation.batch_size
    tokens = rows * _prompt(cell)
    # what is live at the widest place: gate, up, activation and product; an encoder has two of them
    widths = 4 * shape.intermediate + 6 * shape.hidden
    if shape.is_encoder:
        widths = 2 * shape.intermediate + 4 * shape.hidden
    block = wide * tokens * widths
    if cell.quantization_config.get("load_in_8bit"):
        block += 6 * tokens * shape.intermediate
    if adapted and _reads_by_kernels(shape, cell):
        block += WORKSPACE_MIB * MIB
    elif adapted:  # a float32 copy of an adapter's widest output
        block += 4 * tokens * shape.intermediate
    head = shape.is_encoder or cell.task.answered_by == "head"
    return float(block + (0 if head else 8 * rows * shape.vocabulary))


def _scoring(shape: Shape, cell: Cell, wide: int) -> float:
    """Logits of answers whose likelihood is asked, and the probabilities of some of them.

    References are as long as they are: as many tokens as the batch or the limit allows.
    """
    if shape.is_encoder or cell.task.answered_by == "head" or cell.model.weights == "random":
        return 0.0
    tokens = cell.evaluation.batch_size * _prompt(cell)
    scored = min(tokens, SCORED_BYTES // (4 * shape.vocabulary))
    probabilities = SCORED_COPIES * 4 * min(scored, SCORED_AT_A_TIME) * shape.vocabulary
    return float(wide * (tokens * shape.hidden + scored * shape.vocabulary) + probabilities)


def _reads_by_kernels(shape: Shape, cell: Cell) -> bool:
    """Whether kernels add adapters' outputs in place (`decoding/fused_adapters.py`)."""
    adapter = cell.adapter_config
    if gpus_of(cell) > 1:  # `generate` answers there, with PEFT's own layers
        return False
    return is_plain_lora(adapter) and shape.family in FUSED and int(adapter.get("r", 8)) <= 64


def _unpacked(shape: Shape, cell: Cell, wide: int) -> float:
    """The copy of 4-bit weights that `unpack_4bit` keeps while training."""
    packed = cell.quantization_config.get("load_in_4bit")
    wanted = packed and cell.training.get("unpack_4bit")
    return float(wide * shape.linear_weights) if wanted else 0.0


def _optimizer_bytes(cell: Cell) -> float:
    """Bytes of state for each trained parameter."""
    name = str(cell.training.get("optim", "adamw_torch"))
    return 2.0 if "8bit" in name else 8.0
