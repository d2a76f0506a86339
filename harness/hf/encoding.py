"""Examples to token ids: one path for training, scoring and decoding, and the audit of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from harness.datasets.example import Example
from harness.errors import HarnessError
from harness.model_card import ModelCard
from harness.prompting import messages, render

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


def prompt_text(card: ModelCard, tokenizer: Any, example: Example) -> str:
    """The prompt as the model sees it."""
    if card.prompt != "chat":
        return render(card, example)
    text: str = tokenizer.apply_chat_template(
        messages(card, example), tokenize=False, add_generation_prompt=True
    )
    return text


def encode_prompt(card: ModelCard, tokenizer: Any, example: Example) -> list[int]:
    """The ids of the prompt, with at most one beginning-of-text token."""
    text = prompt_text(card, tokenizer, example)
    ids: list[int] = tokenizer(text, add_special_tokens=card.prompt != "chat").input_ids
    if ids and ids[-1] == tokenizer.eos_token_id and card.prompt != "chat":
        ids = ids[:-1]
    bos = tokenizer.bos_token_id
    if bos is not None and bos != tokenizer.eos_token_id and ids.count(bos) > 1:
        raise HarnessError(
            f'model "{card.name}": the prompt holds {ids.count(bos)} beginning-of-text tokens',
            hint="Remove the token from the template: the tokenizer adds it.",
        )
    return ids


def encode(card: ModelCard, tokenizer: Any, example: Example) -> Encoded:
    """``example`` as prompt ids and answer ids, the end-of-text token explicit."""
    prompt_ids = encode_prompt(card, tokenizer, example)
    gap = "" if card.prompt == "chat" or _ends_in_space(card, tokenizer, example) else " "
    answer = f"{gap}{example.reference}"
    text = prompt_text(card, tokenizer, example) + answer
    whole = tokenizer(text, add_special_tokens=card.prompt != "chat").input_ids
    if whole and whole[-1] == tokenizer.eos_token_id:
        whole = whole[:-1]
    merged = whole[: len(prompt_ids)] != prompt_ids
    if merged:
        answer_ids = tokenizer(answer, add_special_tokens=False).input_ids
    else:
        answer_ids = whole[len(prompt_ids) :]
    return Encoded(prompt_ids, [*answer_ids, tokenizer.eos_token_id], merged)


def _ends_in_space(card: ModelCard, tokenizer: Any, example: Example) -> bool:
    return prompt_text(card, tokenizer, example)[-1:].isspace()


@dataclass(frozen=True)
class TrainingRows:
    """Rows ready for the trainer, and what the audit counted."""

    rows: list[dict[str, list[int]]]
    """``input_ids`` and ``labels`` of equal length."""
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
