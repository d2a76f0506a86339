"""Whether a head may be trained on flat batches: what is known, and what its own rows show.

As for text (`evidence`, `check`): an allow-list by what tests compare with `Trainer`, then a few
rows of the cell both ways, whose losses and gradients must be the same but for rounding.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from harness.backends.hf.models.placing import split_reason
from harness.backends.hf.training.check import LONGEST, TOLERANCE
from harness.backends.hf.training.evidence import (
    FLAT_TYPES,
    adapter_reason,
    keys_reason,
    layers_reason,
    weights_reason,
)
from harness.backends.hf.training.flat_attention import flat_attention, reading
from harness.backends.hf.training.flat_batch import flat_batch
from harness.backends.hf.training.head import (
    COUNTED_FROM_PAD,
    ENCODERS,
    body_of,
    head_model,
    head_rows,
    learn_labels,
    masked,
)
from harness.backends.hf.training.passes import (
    Pass,
    compared,
    own_random,
    passed,
    verdict_within_memory,
)
from harness.counting import counted

MASKED_TOKENS = 4096
"""The largest batch that is read under a mask of its square, 16 MiB: in float32 on CUDA."""
UNTRIED_ON_CUDA = FLAT_TYPES - {"llama"}
"""`model_type`s of language models whose heads no card has compared with `Trainer`."""
Rows = Sequence[Mapping[str, Any]]
"""Rows of ``input_ids`` and ``labels``, the index of a label."""


def trainer_reason(
    model: PreTrainedModel, options: Mapping[str, Any], arguments: Any, rows: Rows
) -> str | None:
    """Return why `Trainer` has to train ``model``; None if the engine may.

    Args:
        model: the model with its head, under its adapter.
        options: the training keys as the suite and the harness set them.
        arguments: the `TrainingArguments` that they make.
        rows: what it learns.
    """
    return (
        keys_reason(options, arguments)
        or layers_reason(model)
        or flat_head_reason(model, [row["input_ids"] for row in rows])
        or _together_reason(model, arguments, max(len(row["input_ids"]) for row in rows))
    )


def flat_head_reason(model: PreTrainedModel, texts: Sequence[Sequence[int]]) -> str | None:
    """Return why the ids of ``texts`` may not be laid end to end; None if they may."""
    reason = split_reason(model) or _head_reason(model) or weights_reason(model)
    if reason or _has_odd_text(model, texts):
        return reason or "a text that is empty or holds the padding token"
    return adapter_reason(model, also={"modules_to_save"})


def _head_reason(model: PreTrainedModel) -> str | None:
    inner, config = head_model(model), model.config
    kind = config.model_type
    if kind not in FLAT_TYPES | ENCODERS:
        return f"a head on the architecture {kind}, which is not among those compared"
    if not type(inner).__name__.endswith("ForSequenceClassification"):
        return f"a head of another kind: {type(inner).__name__}"
    if config.num_labels < 2 or config.problem_type not in (None, "single_label_classification"):
        return "a head that does not choose one of several labels"
    if config.get_text_config().pad_token_id is None:
        return "a model without a padding token"
    if getattr(config, "is_decoder", False) or getattr(config, "is_encoder_decoder", False):
        return "an encoder made a decoder"
    if getattr(config, "position_embedding_type", "absolute") != "absolute":
        return "positions that are not absolute"
    if not callable(getattr(body_of(model), "forward", None)):
        return "a head whose body is not found"
    return None


def _has_odd_text(model: PreTrainedModel, texts: Sequence[Sequence[int]]) -> bool:
    """Whether a text is empty, or holds padding where positions are counted without it."""
    pad = model.config.get_text_config().pad_token_id
    counted = model.config.model_type in COUNTED_FROM_PAD
    return any(not ids or (counted and pad in ids) for ids in texts)


def _together_reason(model: PreTrainedModel, arguments: Any, longest: int) -> str | None:
    """What is known each by itself but not together."""
    optim = str(getattr(arguments.optim, "value", arguments.optim))
    if model.device.type == "cuda" and not optim.startswith("adamw_torch"):
        return f"optim {optim} on CUDA, which cannot be captured"
    if model.device.type == "cuda" and model.config.model_type in UNTRIED_ON_CUDA:
        return f"a head on {model.config.model_type} on CUDA, where it was not compared"
    tokens = longest * arguments.per_device_train_batch_size
    in_float32 = masked(model, half=bool(arguments.bf16))
    if in_float32 and model.config.model_type in FLAT_TYPES:
        # on an H200, SmolLM2-135M: 0.8 times as fast alone, where attention reads a mask
        return f"a head on {model.config.model_type} in float32 on CUDA, where it is not faster"
    if in_float32 and tokens > MASKED_TOKENS:
        return (
            f"float32 on CUDA in batches of up to {counted(tokens, 'token')}, where attention"
            " needs a mask"
        )
    if "8bit" in optim and any(
        module.weight.requires_grad
        for module in model.modules()
        if isinstance(module, torch.nn.Embedding)
    ):
        return "an 8-bit optimizer over embeddings, which the trainer keeps in 32 bits"
    return None


def head_disagreement(
    model: PreTrainedModel, rows: Rows, arguments: Any, *, longest: int = 0
) -> str | None:
    """Return how flat batches of ``rows`` differ from padded ones; None if they agree.

    An error, or a want of memory, counts as a difference: the engine is not used, and the reason is
    kept. ``longest`` is the length of the longest row of all, which need not be among ``rows``.
    """
    half = bool(arguments.bf16)
    rounded = half or bool(arguments.tf32) or model.dtype is not torch.float32
    ordered = sorted(rows, key=lambda row: len(row["input_ids"]))
    some = [
        {**ordered[k], "input_ids": ordered[k]["input_ids"][:LONGEST]}
        for k in sorted({0, len(rows) // 2, len(rows) - 1})
    ]
    passes = (lambda: _padded(model, some, half), lambda: _flat(model, some, half))
    return verdict_within_memory(
        lambda: compared(
            model, passes, TOLERANCE[rounded], lambda _: _dry_run(model, some, half, longest)
        )
    )


def _flat(model: PreTrainedModel, rows: Rows, half: bool) -> Pass:
    batch = flat_batch(head_rows(rows, model), model.device)
    with flat_attention(model), reading(batch.segments):
        return passed(model, learn_labels(model, batch, share=1.0, half=half).loss)


def _padded(model: PreTrainedModel, rows: Rows, half: bool) -> Pass:
    width = max(len(row["input_ids"]) for row in rows)
    pad = model.config.get_text_config().pad_token_id
    ids = torch.full((len(rows), width), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        size = len(row["input_ids"])
        ids[i, :size], mask[i, :size] = torch.tensor(row["input_ids"]), 1
    labels = torch.tensor([row["labels"] for row in rows])
    device = model.device
    with torch.autocast(device.type, torch.bfloat16, enabled=half):
        loss = model(
            input_ids=ids.to(device), attention_mask=mask.to(device), labels=labels.to(device)
        ).loss
    return passed(model, loss)


@torch.no_grad()
def _dry_run(model: PreTrainedModel, rows: Rows, half: bool, longest: int) -> None:
    """Once in training mode, where attention may be given what it does not know."""
    batch = flat_batch(head_rows(rows, model), model.device)
    # some rows, and cut: a window that a longer one exceeds would end the training in its midst
    batch.segments.longest = max(batch.segments.longest, longest)
    with own_random(model), flat_attention(model), reading(batch.segments):
        learn_labels(model, batch, share=1.0, half=half)
