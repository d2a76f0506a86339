"""Examples to token ids: one path for training, scoring and decoding, and the audit of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.backends.prompting import messages, render
from harness.datasets.example import Example
from harness.errors import HarnessError
from harness.suite.model_card import ModelCard

IGNORED = -100
"""The label that cross-entropy skips."""


@dataclass(frozen=True)
class Encoded:
    """One example as ids; ``prompt_ids`` is the same in training and decoding."""

    prompt_ids: list[int]
    answer_ids: list[int]
    """The reference and the end-of-text token."""
    merged: bool
    """Whether tokenizing prompt and answer in one go would cut them elsewhere."""
    prompt: str = ""
    """As the model sees it, where it was a text."""


def prompt_text(card: ModelCard, tokenizer: Any, example: Example) -> str:
    """The prompt as the model sees it."""
    if card.prompt != "chat":
        return render(card, example)
    text: str = tokenizer.apply_chat_template(
        messages(card, example), tokenize=False, add_generation_prompt=True
    )
    return text


def encode_prompts(card: ModelCard, tokenizer: Any, examples: Sequence[Example]) -> list[list[int]]:
    """The ids of each prompt, with at most one beginning-of-text token."""
    return _prompt_ids(card, tokenizer, [prompt_text(card, tokenizer, e) for e in examples])


def encode(card: ModelCard, tokenizer: Any, examples: Sequence[Example]) -> list[Encoded]:
    """Each example as prompt ids and answer ids, the end-of-text token explicit."""
    prompts = [prompt_text(card, tokenizer, example) for example in examples]
    answers = [
        f"{'' if card.prompt == 'chat' or text[-1:].isspace() else ' '}{example.reference}"
        for text, example in zip(prompts, examples, strict=True)
    ]
    wholes = _ids(card, tokenizer, [p + a for p, a in zip(prompts, answers, strict=True)])
    found = []
    tokenized = _prompt_ids(card, tokenizer, prompts)
    for prompt, ids, whole, answer in zip(prompts, tokenized, wholes, answers, strict=True):
        whole = _without_end(tokenizer, whole)
        merged = whole[: len(ids)] != ids
        if merged:
            answer_ids = tokenizer(answer, add_special_tokens=False).input_ids
        else:
            answer_ids = whole[len(ids) :]
        found.append(Encoded(ids, [*answer_ids, tokenizer.eos_token_id], merged, prompt))
    return found


def _prompt_ids(card: ModelCard, tokenizer: Any, texts: list[str]) -> list[list[int]]:
    found = _ids(card, tokenizer, texts)
    if card.prompt != "chat":
        found = [_without_end(tokenizer, ids) for ids in found]
    bos = tokenizer.bos_token_id
    if bos is not None and bos != tokenizer.eos_token_id:
        most = max((ids.count(bos) for ids in found), default=0)
        if most > 1:
            raise HarnessError(
                f'model "{card.name}": the prompt holds {most} beginning-of-text tokens',
                hint="Remove the token from the template: the tokenizer adds it.",
            )
    return found


def _ids(card: ModelCard, tokenizer: Any, texts: list[str]) -> list[list[int]]:
    """All ``texts`` in one call, which a fast tokenizer spreads over the cores."""
    if not texts:
        return []
    ids: list[list[int]] = tokenizer(texts, add_special_tokens=card.prompt != "chat").input_ids
    return ids


def _without_end(tokenizer: Any, ids: list[int]) -> list[int]:
    return ids[:-1] if ids and ids[-1] == tokenizer.eos_token_id else ids


@dataclass(frozen=True)
class TrainingRows:
    """Rows ready for the trainer, and what the audit counted."""

    rows: Sequence[dict[str, Any]]
    """``input_ids`` and ``labels``: as many of these, or the index of one label."""
    audit: dict[str, int]


def training_rows(
    encoded: Sequence[Encoded], *, max_length: int | None, loss_on: str, eos: int
) -> TrainingRows:
    """Rows cut at ``max_length``, labels on the answer, on everything or on the prompt alone.

    Each defect is counted.
    """
    audit: Counter[str] = Counter(
        rows=len(encoded), rows_cut=0, rows_without_loss=0, rows_without_eos=0, boundary_merges=0
    )
    rows = []
    for item in encoded:
        ids = item.prompt_ids + ([] if loss_on == "prompt" else item.answer_ids)
        hidden = len(item.prompt_ids) if loss_on == "answer" else 0
        labels = [IGNORED] * hidden + ids[hidden:]
        cut = max_length or len(ids)
        audit["rows_cut"] += len(ids) > cut
        ids, labels = ids[:cut], labels[:cut]
        audit["rows_without_loss"] += all(label == IGNORED for label in labels)
        audit["rows_without_eos"] += eos not in labels[hidden:]
        audit["boundary_merges"] += item.merged
        audit["tokens"] += len(ids)
        audit["loss_tokens"] += sum(label != IGNORED for label in labels)
        rows.append({"input_ids": ids, "labels": labels})
    return TrainingRows(rows, dict(audit))
