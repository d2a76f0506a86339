"""Teacher-forced scores: loss, token accuracy and entropy of references, and label likelihoods."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

import torch
from transformers import PreTrainedModel

from harness.backends.hf.decoding.agreement import (
    LONGEST,
    check_causal,
    checks_of,
    furthest,
    tolerance_of,
)
from harness.backends.hf.decoding.evidence import takes
from harness.backends.hf.decoding.flat_likelihood import (
    Likelihood,
    flat_batch_of,
    flat_order,
    flat_reason,
)
from harness.backends.hf.encoding import Encoded
from harness.backends.hf.models.limits import check_context
from harness.backends.hf.training.flat_attention import UnknownAttention, said
from harness.backends.hf.training.token_loss import LEAST

LOGIT_BYTES = 512 * 1024**2
"""Logits of a batch that are held at a time; the head runs on the answers' positions alone."""


@torch.inference_mode()
def score_answers(
    model: PreTrainedModel, rows: Sequence[Encoded], *, pad: int, batch_size: int
) -> list[Likelihood]:
    """The likelihood of each row's answer given its prompt.

    Three ways, each used where some of the rows then have the likelihood that they have alone:
    flat batches; batches of rows of different lengths, padded on the right; rows of one length.
    """
    check_context(model, map(_length, rows), "prompts with their references")
    if not rows:
        return []
    found = list[Likelihood]()
    reason = flat_reason(model, rows) or _differs_flat(model, rows)
    if reason is None:
        try:
            found = _flat(model, rows, batch_size)
        except UnknownAttention as error:
            # the verdict is of earlier rows: these may be longer than the model's window
            reason = said(error)
    checks_of(model).scored = (
        {"engine": "padded", "reason": reason} if reason else {"engine": "flat"}
    )
    return _padded(model, rows, pad, batch_size) if reason else found


def _flat(model: PreTrainedModel, rows: Sequence[Encoded], batch_size: int) -> list[Likelihood]:
    order, found = flat_order(rows), dict[int, Likelihood]()
    while order:
        chunk = _within_memory(model, rows, order[:batch_size])
        order = order[len(chunk) :]
        found.update(zip(chunk, flat_batch_of(model, [rows[i] for i in chunk]), strict=True))
    return [found[i] for i in range(len(rows))]


def _within_memory(model: PreTrainedModel, rows: Sequence[Encoded], order: list[int]) -> list[int]:
    """The first of ``order``, one at least, whose answers' logits stay under `LOGIT_BYTES`."""
    words = int(model.config.get_text_config().vocab_size)
    totals = accumulate(len(rows[i].answer_ids) * words * 4 for i in order)
    return order[: max(1, sum(total <= LOGIT_BYTES for total in totals))]


def _differs_flat(model: PreTrainedModel, rows: Sequence[Encoded]) -> str | None:
    """How flat batches differ from rows alone, asked once; None if they do not.

    The rows are the shortest, a middle and the longest one, and two that share a prompt, if there
    are any: prompts are read once for all their answers.
    """
    ordered = sorted(range(len(rows)), key=lambda i: _length(rows[i]))
    some = {ordered[k] for k in (0, len(rows) // 2, -1)}
    order = flat_order(rows)
    # in this order, not in the given one: it puts a prompt's answers together from anywhere
    shared = [(a, b) for a, b in pairwise(order) if rows[a].prompt_ids == rows[b].prompt_ids]
    if shared:
        # the shortest, to be cheap, but with a second answer of which some is read: its last token
        # is not, so that an answer of one token would not look at the prompt
        some |= {*min(shared, key=lambda p: (len(rows[p[1]].answer_ids) < 2, _length(rows[p[1]])))}

    def ask() -> str | None:
        first = rows[ordered[0]]
        check_causal(model, (first.prompt_ids + first.answer_ids)[:LONGEST])
        asked = [rows[i] for i in order if i in some]
        try:
            found = flat_batch_of(model, asked)
        except torch.OutOfMemoryError:
            raise
        except Exception as error:
            return said(error)
        return _apart(model, found, asked)

    return checks_of(model).verdict(f"flat rows{', shared prompts' if shared else ''}", ask)


def _padded(
    model: PreTrainedModel, rows: Sequence[Encoded], pad: int, batch_size: int
) -> list[Likelihood]:
    order = sorted(range(len(rows)), key=lambda i: -_length(rows[i]))
    mixed = _padding_agrees(model, [rows[i] for i in order], pad)
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
    return _apart(model, _batch(model, rows, pad), rows)


def _apart(
    model: PreTrainedModel, together: Sequence[Likelihood], rows: Sequence[Encoded]
) -> str | None:
    single = [found for row in rows for found in _batch(model, [row], pad=0)]
    away = furthest(abs(a.nll - b.nll) / b.tokens for a, b in zip(together, single, strict=True))
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
    # a vocabulary may be padded with -inf, and 0 times -inf would be NaN
    entropy = -(log_probs.exp() * log_probs.clamp(min=LEAST)).sum()
    correct = (log_probs.argmax(-1) == targets).sum()
    return Likelihood(float(nll), count, int(correct), float(entropy))
