"""Scores of a classification head, the same whatever shares the batch.

Texts are laid end to end where that is known to give what each gives alone, as in training
(`training.head`); else they are padded.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from harness.backends.hf.decoding.agreement import checks_of, tolerance_of
from harness.backends.hf.decoding.evidence import is_prompt_learning, takes
from harness.backends.hf.models.limits import check_context
from harness.backends.hf.training.flat_attention import (
    UnknownAttention,
    flat_attention,
    reading,
    said,
)
from harness.backends.hf.training.flat_batch import flat_batch
from harness.backends.hf.training.head import head_outputs, head_rows, masked
from harness.backends.hf.training.head_check import flat_head_reason

FLAT: dict[str, object] = {"engine": "flat"}


@torch.inference_mode()
def head_scores(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    ids: Sequence[list[int]],
    *,
    batch_size: int,
) -> list[list[float]]:
    """Return the log-probability of each label for each of ``ids``, in batches sorted by length."""
    check_context(model, map(len, ids), "texts")
    if not ids:
        return []
    order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
    scores: dict[int, list[float]] = {}
    reason = _flat_reason(model, [ids[i] for i in order])
    if reason is None:
        try:
            for start in range(0, len(order), batch_size):
                chunk = order[start : start + batch_size]
                scores.update(zip(chunk, _flat(model, [ids[i] for i in chunk]), strict=True))
        except UnknownAttention as error:
            # the verdict is of earlier texts: these may be longer than the model's window
            reason = said(error)
    checks_of(model).scored = {"engine": "padded", "reason": reason} if reason else FLAT
    if reason:
        return _in_padded(model, tokenizer, ids, order, batch_size)
    return [scores[i] for i in range(len(ids))]


def _flat_reason(model: PreTrainedModel, ordered: Sequence[list[int]]) -> str | None:
    """Return why texts are not laid end to end; the shortest, a middle and the longest are tried.

    None if they are.
    """
    reason = flat_head_reason(model, ordered)
    if masked(model, half=False):
        reason = reason or "float32 on CUDA, where attention needs a mask"
    if reason:
        return reason
    some = [ordered[k] for k in sorted({0, len(ordered) // 2, len(ordered) - 1})]
    return checks_of(model).verdict("flat texts", lambda: _differs(model, some))


def _differs(model: PreTrainedModel, some: Sequence[list[int]]) -> str | None:
    """How flat texts differ from texts alone; None if they do not."""
    try:
        found = torch.tensor(_flat(model, some))
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        return said(error)
    alone = [model(input_ids=torch.tensor([row], device=model.device)).logits for row in some]
    wanted = torch.cat(alone).float().log_softmax(-1).cpu()
    away = float((found - wanted).abs().max())
    return None if away <= tolerance_of(model) else f"{away:.2g} nats off"


def _flat(model: PreTrainedModel, texts: Sequence[list[int]]) -> list[list[float]]:
    rows = head_rows(({"input_ids": ids, "labels": 0} for ids in texts), model)
    batch = flat_batch(rows, model.device)
    with flat_attention(model), reading(batch.segments):
        logits = head_outputs(model, batch, half=False).logits
    found: list[list[float]] = logits.float().log_softmax(-1).tolist()
    return found


def _in_padded(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, ids: Sequence[list[int]],
    order: list[int], batch_size: int,
) -> list[list[float]]:  # fmt: skip
    """Texts are padded on the right, and the head reads the last token before the padding.

    Under prompt learning the model gets embeddings, which do not show padding: a batch then holds
    texts of one length.
    """
    mixed = not is_prompt_learning(model)
    # no answer follows that would read the keys and values again
    more = {"use_cache": False} if mixed and takes(model, "use_cache") else {}
    scores: dict[int, list[float]] = {}
    while order:
        chunk = order[:batch_size]
        if not mixed:
            first = len(ids[chunk[0]])
            chunk = list(takewhile(lambda i: len(ids[i]) == first, chunk))  # noqa: B023
        batch = tokenizer.pad({"input_ids": [ids[i] for i in chunk]}, return_tensors="pt")
        logits = model(**batch.to(model.device), **more).logits.float().log_softmax(-1)
        scores.update(zip(chunk, logits.tolist(), strict=True))
        order = order[len(chunk) :]
    return [scores[i] for i in range(len(ids))]


def training_side(model: PreTrainedModel) -> str:
    """Return the side on which a head's training rows are padded.

    Given embeddings alone (prompt learning), a head that reads the last token takes the last place:
    padding must not be there.
    """
    base = model.get_base_model() if hasattr(model, "get_base_model") else model
    return "left" if is_prompt_learning(model) and hasattr(base, "score") else "right"
