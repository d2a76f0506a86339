"""Teacher-forced scores: loss, token accuracy and entropy of references, and label likelihoods."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from harness.backends.hf.decoding.agreement import LONGEST, check_causal, checks_of, tolerance_of
from harness.backends.hf.decoding.evidence import takes
from harness.backends.hf.encoding import Encoded
from harness.backends.hf.models.limits import check_context

LOGIT_BYTES = 512 * 1024**2
"""Logits of a batch that are held at a time; the head runs on the answers' positions alone."""


@dataclass(frozen=True)
class Likelihood:
    """Sums over the answer's tokens (the end-of-text token included), natural logarithms."""

    nll: float
    """Negative log-likelihood in nats."""
    tokens: int
    correct: int
    """Tokens that the model ranks first."""
    entropy: float
    """Sum of the predictive entropies in nats."""


@torch.inference_mode()
def score_answers(
    model: PreTrainedModel, rows: Sequence[Encoded], *, pad: int, batch_size: int
) -> list[Likelihood]:
    """The likelihood of each row's answer given its prompt, in length-sorted batches.

    Rows of different lengths share a batch, padded on the right, where some of them then have the
    likelihood that they have alone; else a batch holds rows of one length.
    """
    check_context(model, map(_length, rows), "prompts with their references")
    order = sorted(range(len(rows)), key=lambda i: -_length(rows[i]))
    mixed = not rows or _padding_agrees(model, [rows[i] for i in order], pad)
    found: dict[int, Likelihood] = {}
    while order:
        size = min(batch_size, _affordable(model, [rows[i] for i in order[:batch_size]]))
        if not mixed:
            size = sum(_length(rows[i]) == _length(rows[order[0]]) for i in order[:size])
        chunk, order = order[:size], order[size:]
        found.update(zip(chunk, _batch(model, [rows[i] for i in chunk], pad), strict=True))
    return [found[i] for i in range(len(rows))]


def _padding_agrees(model: PreTrainedModel, ordered: Sequence[Encoded], pad: int) -> bool:
    """Whether the shortest, a middle and the longest row score the same together and alone."""
    some = [ordered[k] for k in sorted({0, len(ordered) // 2, len(ordered) - 1})]

    def ask() -> str | None:
        check_causal(model, (some[-1].prompt_ids + some[-1].answer_ids)[:LONGEST])
        return disagreement(model, some, pad)

    return checks_of(model).verdict("right padding", ask) is None


def disagreement(model: PreTrainedModel, rows: list[Encoded], pad: int) -> str | None:
    """Return how the likelihoods of padded ``rows`` differ from those of each row alone."""
    together = _batch(model, rows, pad)
    single = [found for row in rows for found in _batch(model, [row], pad)]
    away = max(abs(a.nll - b.nll) / b.tokens for a, b in zip(together, single, strict=True))
    return None if away <= tolerance_of(model) else f"{away:.2g} nats a token off"


def _affordable(model: PreTrainedModel, rows: list[Encoded]) -> int:
    """How many of ``rows`` keep the logits of a batch under `LOGIT_BYTES`; one at least."""
    words = int(model.config.get_text_config().vocab_size)
    each = _kept(rows) * words * 4
    return max(1, LOGIT_BYTES // each)


def _kept(rows: list[Encoded]) -> int:
    """The last positions of the padded batch that hold every answer's logits."""
    return max(map(_length, rows)) - min(len(row.prompt_ids) for row in rows) + 1


def _length(row: Encoded) -> int:
    return len(row.prompt_ids) + len(row.answer_ids)


def _batch(model: PreTrainedModel, rows: list[Encoded], pad: int) -> list[Likelihood]:
    width = max(map(_length, rows))
    ids = torch.full((len(rows), width), pad, device=model.device)
    mask = torch.zeros_like(ids)
    for i, row in enumerate(rows):
        ids[i, : _length(row)] = torch.tensor(row.prompt_ids + row.answer_ids)
        mask[i, : _length(row)] = 1
    kept = _kept(rows)
    logits = model(
        input_ids=ids, attention_mask=mask, use_cache=False, **_keeping(model, kept)
    ).logits
    # counted from the end: prompt learning puts its virtual tokens before, and a model that does
    # not take `logits_to_keep` gives all
    logits = logits[:, -kept:]
    return [_row(logits[i], row, width - kept) for i, row in enumerate(rows)]


def _keeping(model: PreTrainedModel, kept: int) -> dict[str, int]:
    """The argument that leaves out the other logits, where the model takes it."""
    return {"logits_to_keep": kept} if takes(model, "logits_to_keep") else {}


def _row(logits: torch.Tensor, row: Encoded, left_out: int) -> Likelihood:
    """The sums of one row; only its answer positions are turned into float32 probabilities."""
    start, count = len(row.prompt_ids) - left_out, len(row.answer_ids)
    log_probs = logits[start - 1 : start - 1 + count].float().log_softmax(-1)
    targets = torch.tensor(row.answer_ids, device=logits.device)
    nll = -log_probs.gather(1, targets[:, None]).sum()
    entropy = -(log_probs.exp() * log_probs).sum()
    correct = (log_probs.argmax(-1) == targets).sum()
    return Likelihood(float(nll), count, int(correct), float(entropy))
