"""Likelihoods of a control set's endings under the model as it is, without a template."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedModel, PreTrainedTokenizerBase

from harness.backends.base import EndingScores
from harness.backends.hf.control_text import ControlText
from harness.backends.hf.decoding.likelihood import score_answers
from harness.backends.hf.encoding import Encoded
from harness.datasets.control import ControlItem


def ending_scores(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    items: Sequence[ControlItem],
    *,
    batch_size: int,
) -> EndingScores:
    """How likely each item's right and wrong ending is after its bare beginning."""
    rows = [
        _encoded(tokenizer, item.prompt, ending)
        for item in items
        for ending in (item.reference, item.wrong)
    ]
    scores = score_answers(model, rows, pad=tokenizer.pad_token_id, batch_size=batch_size)
    return EndingScores([s.nll for s in scores[::2]], [s.nll for s in scores[1::2]])


def _encoded(tokenizer: PreTrainedTokenizerBase, prompt: str, ending: str) -> Encoded:
    """Prompt and ending tokenized as one text; the ending's tokens are those after the prompt's."""
    text = ControlText(tokenizer)
    (before,) = text.ids([text.mark(prompt)], add_special_tokens=True)
    if before and before[-1] == tokenizer.eos_token_id:
        before = before[:-1]
    (after,) = text.ids([text.mark(f" {ending}")], add_special_tokens=False)
    return Encoded(before, after, merged=False)
