"""What the two ways of reading labels share: the bare text's ids, and a record of scores."""

from __future__ import annotations

from collections.abc import Sequence

from transformers import PreTrainedTokenizerBase

from harness.backends.hf.control_text import ControlText
from harness.datasets.example import Example
from harness.metrics.prediction import Prediction


def label_record(prompt: str, scores: Sequence[float], labels: Sequence[str]) -> Prediction:
    """The record of an example whose ``labels`` have ``scores``: the best one is predicted."""
    best = labels[max(range(len(scores)), key=scores.__getitem__)]
    return {
        "prompt": prompt,
        "prediction": best,
        "predicted_label": best,
        "label_scores": dict(zip(labels, scores, strict=True)),
        "finish_reason": "stop",
    }


def text_ids(tokenizer: PreTrainedTokenizerBase, examples: Sequence[Example]) -> list[list[int]]:
    """The ids of each example's bare text, without a template."""
    texts = [f"{e.prompt}\n{e.context}" if e.context else e.prompt for e in examples]
    text = ControlText(tokenizer)
    return text.ids([text.mark(one) for one in texts], add_special_tokens=True)
