"""Scores of a classification head, the same whatever shares the batch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import takewhile

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from harness.backends.hf.decoding.evidence import is_prompt_learning
from harness.backends.hf.models.limits import check_context


@torch.inference_mode()
def head_scores(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    ids: Sequence[list[int]],
    *,
    batch_size: int,
) -> list[list[float]]:
    """Return the log-probability of each label for each of ``ids``, in batches sorted by length.

    Texts are padded on the right, and the head reads the last token that is no padding. Under
    prompt learning the model gets embeddings, which do not show padding: a batch then holds
    texts of one length.
    """
    check_context(model, map(len, ids), "texts")
    mixed = not is_prompt_learning(model)
    order = sorted(range(len(ids)), key=lambda i: -len(ids[i]))
    scores: dict[int, list[float]] = {}
    while order:
        chunk = order[:batch_size]
        if not mixed:
            first = len(ids[chunk[0]])
            chunk = list(takewhile(lambda i: len(ids[i]) == first, chunk))  # noqa: B023
        batch = tokenizer.pad({"input_ids": [ids[i] for i in chunk]}, return_tensors="pt")
        logits = model(**batch.to(model.device)).logits.float().log_softmax(-1)
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
