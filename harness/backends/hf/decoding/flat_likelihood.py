"""Likelihoods in flat batches: rows laid end to end, without padding, a shared prompt read once.

The numbers are those of each row alone. Logits are computed where an answer's token is predicted
and nowhere else, an answer's last token is not read at all (nothing follows it), and the answers
to one prompt (the labels of a question, the two endings of a control item) share its tokens: each
sees the prompt and itself.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import NamedTuple

import torch
from transformers import PreTrainedModel

from harness.backends.hf.encoding import Encoded
from harness.backends.hf.models.placing import split_reason
from harness.backends.hf.training.evidence import adapter_reason, model_reason
from harness.backends.hf.training.flat_attention import Keys, Segments, flat_attention, reading
from harness.backends.hf.training.token_loss import LEAST

AT_A_TIME = 256
"""Tokens whose probabilities are held together in float32."""


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


def flat_reason(model: PreTrainedModel, rows: Sequence[Encoded]) -> str | None:
    """Return why ``rows`` may not be laid end to end for ``model``; None if they may."""
    if model.device.type not in ("cpu", "cuda"):
        return f"the device {model.device.type}"
    if model.device.type == "cuda" and model.dtype is torch.float32:
        return "float32 on CUDA, where attention has no kernel for rows of different lengths"
    if not all(row.prompt_ids and row.answer_ids for row in rows):
        return "an empty prompt or reference"
    return split_reason(model) or model_reason(model, training=False) or adapter_reason(model)


def flat_order(rows: Sequence[Encoded]) -> list[int]:
    """The rows' numbers, those of long prompts first and those of one prompt side by side."""
    seen: dict[tuple[int, ...], int] = {}
    numbers = [seen.setdefault(tuple(row.prompt_ids), len(seen)) for row in rows]
    return sorted(range(len(rows)), key=lambda i: (-len(rows[i].prompt_ids), numbers[i], i))


def flat_batch_of(model: PreTrainedModel, rows: Sequence[Encoded]) -> list[Likelihood]:
    """The likelihood of each of ``rows``, of which those of one prompt are side by side."""
    batch = _laid_out(rows, model.device)
    with flat_attention(model), reading(batch.segments):
        logits = model(
            input_ids=batch.ids[None],
            position_ids=batch.positions[None],
            # a mask of four dimensions is taken as it is; `flat_attention` does not read it
            attention_mask=torch.ones(1, 1, 1, 1, dtype=torch.bool, device=model.device),
            use_cache=False,
            logits_to_keep=batch.at,
        ).logits[0]
    targets = torch.tensor([token for row in rows for token in row.answer_ids])
    parts = _of_tokens(logits, targets.to(model.device)).split([len(r.answer_ids) for r in rows], 1)
    sums = [part.sum(1).tolist() for part in parts]
    return [
        Likelihood(nll, len(row.answer_ids), round(correct), entropy)
        for row, (nll, correct, entropy) in zip(rows, sums, strict=True)
    ]


class _Batch(NamedTuple):
    """Prompts, each followed by its answers."""

    ids: torch.Tensor
    positions: torch.Tensor
    at: torch.Tensor
    """Where each token of the answers is predicted, row by row."""
    segments: Segments


def _laid_out(rows: Sequence[Encoded], device: torch.device) -> _Batch:
    ids, positions, at = list[int](), list[int](), list[int]()
    spans: list[tuple[int, int]] = []
    prefixes: list[tuple[int, int]] = []
    prompt: tuple[int, int] = (0, 0)
    for k, row in enumerate(rows):
        if k == 0 or row.prompt_ids != rows[k - 1].prompt_ids:
            prompt = (len(ids), len(ids) + len(row.prompt_ids))
            spans.append(prompt)
            prefixes.append((prompt[0], prompt[0]))
            ids += row.prompt_ids
            positions += range(len(row.prompt_ids))
        start, read = len(ids), row.answer_ids[:-1]
        at += [prompt[1] - 1, *range(start, start + len(read))]
        if read:
            spans.append((start, start + len(read)))
            prefixes.append(prompt)
            ids += read
            positions += range(len(row.prompt_ids), len(row.prompt_ids) + len(read))
    bounds = (0, *(end for _, end in spans))
    longest = max(e - s + b - a for (s, e), (a, b) in zip(spans, prefixes, strict=True))
    shared = any(a < b for a, b in prefixes)
    segments = Segments(bounds, longest=longest, prefixes=tuple(prefixes) if shared else None)
    places = [torch.tensor(x, device=device) for x in (ids, positions, at)]
    if device.type == "cuda":
        segments.cumulative = torch.tensor(bounds, dtype=torch.int32, device=device)
        segments.keys = _keys(segments, device) if shared else None
    return _Batch(places[0], places[1], places[2], segments)


def _keys(segments: Segments, device: torch.device) -> Keys:
    assert segments.prefixes is not None
    pairs = zip(pairwise(segments.bounds), segments.prefixes, strict=True)
    each = [[*range(*before), *range(*own)] for own, before in pairs]
    ends = torch.tensor([0, *accumulate(map(len, each))], dtype=torch.int32, device=device)
    return Keys(torch.tensor([place for row in each for place in row], device=device), ends)


def _of_tokens(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Negative log-likelihood, whether it is ranked first, and entropy of each token, on the host.

    One copy for all of them: on CUDA each look at a single number waits for the device.
    """
    found = []
    for start in range(0, len(targets), AT_A_TIME):
        part = slice(start, start + AT_A_TIME)
        log_probs = logits[part].float().log_softmax(-1)
        nll = -log_probs.gather(1, targets[part, None])[:, 0]
        correct = log_probs.argmax(-1) == targets[part]
        # a vocabulary may be padded with -inf, and 0 times -inf would be NaN
        entropy = -(log_probs.exp() * log_probs.clamp(min=LEAST)).sum(-1)
        found.append(torch.stack([nll, correct.float(), entropy]))
    return torch.cat(found, 1).double().cpu()
