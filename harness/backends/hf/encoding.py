"""Examples to token ids: one path for training, scoring and decoding, and the audit of it.

A chat row is the template's own rendering of the whole chat, and begins with the very ids that the
model is given when it answers. `docs/prompts.md` shows the parts of a row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

from transformers import PreTrainedTokenizerBase

from harness.backends.hf.chat_template import ChatTemplate, chat_template
from harness.backends.hf.control_text import OPEN, ControlText, unmarked
from harness.backends.hf.stop_tokens import StopTokens
from harness.backends.prompting import NOTICES, messages, render
from harness.datasets.example import Example, Turn
from harness.errors import HarnessError
from harness.suite.model_card import ModelCard

IGNORED = -100
"""The label that cross-entropy skips."""


@dataclass(frozen=True)
class Encoded:
    """One example as ids: prompt, lead, answer and tail, in this order."""

    prompt_ids: list[int]
    """What the model is given when it answers; the same in training and decoding."""
    answer_ids: list[int]
    """The reference and the token that ends it."""
    merged: bool
    """Whether tokenizing prompt and answer in one go would cut them elsewhere."""
    prompt: str = ""
    """As the model sees it, where it was a text."""
    lead_ids: list[int] = field(default_factory=list)
    """What the template writes before the reference: a closed think block, a channel's name."""
    tail_ids: list[int] = field(default_factory=list)
    """What the template writes after the end of the turn: ChatML's line break."""
    notices: frozenset[str] = frozenset()
    """Keys of `NOTICES` that hold for this row."""

    @property
    def completion_ids(self) -> list[int]:
        """All that follows the prompt, which training learns."""
        return [*self.lead_ids, *self.answer_ids, *self.tail_ids]

    @property
    def led(self) -> Encoded:
        """The row with the lead in its prompt: scores are those of the answer alone."""
        return replace(self, prompt_ids=[*self.prompt_ids, *self.lead_ids], lead_ids=[])


class _Ids(NamedTuple):
    """Ids of one example, tokenized in three ways to see where its parts meet."""

    prompt: list[int]
    whole: list[int]
    """Of prompt and answer in one go."""
    led: list[int] | None
    """Of the prompt and what the template writes before the reference."""


class Encoder:
    """Examples to ids in the style of one model card.

    Args:
        card: The model's prompt style, system message and template settings.
        tokenizer: Its tokenizer.
    """

    def __init__(self, card: ModelCard, tokenizer: PreTrainedTokenizerBase) -> None:
        self.card = card
        self.tokenizer = tokenizer
        self.style = card.prompt or ("chat" if tokenizer.chat_template else "plain")
        self.template: ChatTemplate | None = None
        if self.style == "chat":
            self.template = chat_template(card, tokenizer)
        self.text = ControlText(tokenizer, self.template.text if self.template else "")

    @property
    def end(self) -> int | None:
        """The token that ends an answer in a training row."""
        end = self.template.end if self.template else None
        eos: int | None = self.tokenizer.eos_token_id
        return eos if end is None else end

    def describe(self) -> dict[str, object]:
        """For the result: the style, and the chat template with its settings."""
        return {"style": self.style, **(self.template.describe() if self.template else {})}

    def facts(self, examples: Sequence[Example], stops: StopTokens) -> dict[str, object]:
        """For the result: how prompts are made, the first one with its ids, what ends answers."""
        (ids,) = self.prompts(examples[:1])
        prompt = unmarked(self._prompt(self._marked(examples[0])))
        marked = sum(OPEN in self.text.mark(example.asked) for example in examples)
        found = self.describe() | {
            "first_prompt": prompt,
            "first_prompt_ids": ids,
            "prompts_with_control_text": marked,
            "stop_tokens": stops.describe(),
        }
        if stops.left_out:
            found["ordinary_words_named_as_end"] = list(stops.left_out)
        if self.template:
            found["answers_begin_in_thoughts"] = self.template.opens_thinking(prompt)
        return found

    def prompts(self, examples: Sequence[Example]) -> list[list[int]]:
        """The ids of each prompt, with at most one beginning-of-text token."""
        return self._prompt_ids([self._prompt(self._marked(example)) for example in examples])

    def rows(self, examples: Sequence[Example]) -> list[Encoded]:
        """Each example as ids."""
        marked = [self._marked(example) for example in examples]
        prompts = [self._prompt(example) for example in marked]
        answers = [self._answer(e, prompt) for e, prompt in zip(marked, prompts, strict=True)]
        joined = [prompt + answer for prompt, answer in zip(prompts, answers, strict=True)]
        leads = [
            prompt + _lead(answer, example.reference)
            for example, prompt, answer in zip(marked, prompts, answers, strict=True)
        ]
        found = zip(
            self._prompt_ids(prompts), self._ids(joined), self._leads(prompts, leads), strict=True
        )
        parts = zip(marked, prompts, answers, map(_Ids._make, found), strict=True)
        return [self._row(*part) for part in parts]

    def _row(self, example: Example, prompt: str, answer: str, found: _Ids) -> Encoded:
        ids, led = found.prompt, found.led
        whole = found.whole if self.template else _without_end(self.tokenizer, found.whole)
        merged = whole[: len(ids)] != ids
        rest = self.text.ids([answer], add_special_tokens=False)[0] if merged else whole[len(ids) :]
        start = len(led) - len(ids) if led and not merged and whole[: len(led)] == led else 0
        row = Encoded(ids, rest[start:], merged, unmarked(prompt), rest[:start])
        notices = set[str]()
        if OPEN in prompt + answer:
            notices.add("rows_with_control_text")
        if example.reference.strip() not in answer:
            notices.add("rows_changed_by_template")
        return self._ended(row, notices)

    def _ended(self, row: Encoded, notices: set[str]) -> Encoded:
        """``row`` split where its turn ends; the end is added where the rendering has none."""
        answer, tail = row.answer_ids, list[int]()
        if self.template and self.template.end_is_rendered and self.end in answer:
            at = answer.index(self.end) + 1
            answer, tail = answer[:at], answer[at:]
        elif self.end is not None:
            answer = [*answer, self.end]
            if self.template:
                notices.add("rows_end_added")
        return replace(row, answer_ids=answer, tail_ids=tail, notices=frozenset(notices))

    def _prompt(self, example: Example) -> str:
        if self.template:
            return self.template.prompt(messages(self.card, example))
        return render(self.card, example, self.style)

    def _answer(self, example: Example, prompt: str) -> str:
        if not example.reference:  # a question without an answer: nothing to render
            return ""
        if self.template:
            turns = messages(self.card, example)
            return self.template.answer(turns, prompt, example.reference)
        return f"{'' if prompt[-1:].isspace() else ' '}{example.reference}"

    def _marked(self, example: Example) -> Example:
        mark = self.text.mark
        return replace(
            example,
            prompt=mark(example.prompt),
            context=mark(example.context),
            reference=mark(example.reference),
            system=None if example.system is None else mark(example.system),
            history=tuple(Turn(turn.role, mark(turn.content)) for turn in example.history),
        )

    def _leads(self, prompts: list[str], leads: list[str]) -> list[list[int] | None]:
        """The ids of prompt and lead where a template writes one; None elsewhere."""
        long = [k for k, prompt in enumerate(prompts) if len(leads[k]) > len(prompt)]
        found: list[list[int] | None] = [None] * len(prompts)
        for k, ids in zip(long, self._ids([leads[k] for k in long]), strict=True):
            found[k] = ids
        return found

    def _prompt_ids(self, texts: list[str]) -> list[list[int]]:
        found = self._ids(texts)
        if not self.template:
            found = [_without_end(self.tokenizer, ids) for ids in found]
        bos = self.tokenizer.bos_token_id
        if bos is not None and any(ids[:2] == [bos, bos] for ids in found):
            raise HarnessError(
                f'model "{self.card.name}": the prompt begins with two beginning-of-text tokens',
                hint="Remove the token from the template: the tokenizer adds it.",
            )
        return found

    def _ids(self, texts: list[str]) -> list[list[int]]:
        return self.text.ids(texts, add_special_tokens=self.template is None)


def encode_prompts(
    card: ModelCard, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example]
) -> list[list[int]]:
    """The ids of each prompt, with at most one beginning-of-text token."""
    return Encoder(card, tokenizer).prompts(examples)


def encode(
    card: ModelCard, tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example]
) -> list[Encoded]:
    """Each example as the ids of prompt, lead, answer and tail."""
    return Encoder(card, tokenizer).rows(examples)


def _lead(answer: str, reference: str) -> str:
    """The text before ``reference`` in ``answer``, without spaces: those belong to its words."""
    words = reference.strip()
    before, found, _ = answer.partition(words) if words else ("", "", "")
    return before.rstrip(" ") if found else ""


def _without_end(tokenizer: PreTrainedTokenizerBase, ids: list[int]) -> list[int]:
    return ids[:-1] if ids and ids[-1] == tokenizer.eos_token_id else ids


@dataclass(frozen=True)
class TrainingRows:
    """Rows ready for the trainer, and what the audit counted."""

    rows: Sequence[Mapping[str, Any]]
    """``input_ids`` and ``labels``: as many of these, or the index of one label."""
    audit: dict[str, int]


def training_rows(
    encoded: Sequence[Encoded], *, max_length: int | None, loss_on: str, ends: Collection[int]
) -> TrainingRows:
    """Rows cut at ``max_length``, labels on the answer, on everything or on the prompt alone.

    Each defect is counted; a row that keeps none of ``ends`` after its prompt lost its end.
    """
    audit: Counter[str] = Counter(
        rows=len(encoded), rows_cut=0, rows_without_loss=0, rows_without_eos=0, boundary_merges=0,
        **dict.fromkeys(NOTICES, 0),
    )  # fmt: skip
    rows = []
    for item in encoded:
        ids = item.prompt_ids + ([] if loss_on == "prompt" else item.completion_ids)
        hidden = len(item.prompt_ids) if loss_on == "answer" else 0
        labels = [IGNORED] * hidden + ids[hidden:]
        cut = max_length or len(ids)
        audit["rows_cut"] += len(ids) > cut
        ids, labels = ids[:cut], labels[:cut]
        audit["rows_without_loss"] += all(label == IGNORED for label in labels)
        audit["rows_without_eos"] += not set(ends) & set(labels[len(item.prompt_ids) :])
        audit["boundary_merges"] += item.merged
        audit["tokens"] += len(ids)
        audit["loss_tokens"] += sum(label != IGNORED for label in labels)
        audit.update(item.notices)
        rows.append({"input_ids": ids, "labels": labels})
    return TrainingRows(rows, dict(audit))
