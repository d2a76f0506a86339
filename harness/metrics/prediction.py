"""One line of ``predictions.jsonl``: what a model was asked, what it answered, how that scored."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from pydantic import ConfigDict, with_config
from typing_extensions import TypedDict  # pydantic refuses typing's own before Python 3.12


@with_config(ConfigDict(extra="allow", strict=True, allow_inf_nan=False))
class Prediction(TypedDict, total=False):
    """One example's answer.

    A dictionary with names and types, not a class: a report reads tens of thousands of them, and
    pydantic checks these while it parses, in the time that parsing alone takes. Absent keys are
    those that the task or the backend does not have. A field that is not named here is kept.
    """

    id: str
    data_hash: str
    """Of the example's content: paired statistics join on it."""
    prompt_hash: str
    answered_by: str
    """`generation`, `head` or `likelihood`."""
    category: str | None
    group: str | None
    """Examples of one group are not independent: they are drawn together."""
    gold: str | None
    """The reference's number, as it is compared."""
    reference: str
    references: list[str]
    """All references, where there are several."""
    example_prompt: str
    """The prompt of the data set, before the chat template."""
    prompt: str
    """What the model was asked, template and all."""
    prediction: str
    """What it answered, its reasoning included."""
    scores: dict[str, float]
    """Metric → score."""

    finish_reason: str
    prompt_tokens: int | None
    new_tokens: int | None
    batch_ms: float | None
    """Wall time of the batch that it was decoded in."""
    batch_examples: int | None
    decoded_by: str

    nll: float | None
    """Negative log-likelihood of the reference in nats, over its tokens."""
    answer_tokens: int
    correct_tokens: int
    entropy: float

    extracted: str | None
    """The number that was read in the answer; None: unparsed."""
    extracted_span: list[int] | None
    ambiguous: bool
    label: str
    predicted_label: str | None
    """None: unparsed."""
    label_span: list[int] | None
    label_scores: dict[str, float]
    reasoning_chars: int
    reasoning_closed: bool

    bytes: int
    """Of a control item: the length of its right ending."""
    nll_wrong: float
    """Of a control item: as `nll`, of its wrong ending."""
    repeat: str
    """Of an answer that was only given again, for the noise floor: how."""
    lm_eval: list[dict[str, Any]]
    """Of a task of lm-evaluation-harness: its samples of the document, one under each filter."""
    reference_words: int
    """In place of `reference` in a run without texts: how many words it has."""
    answer_hash: str
    """In place of `prediction` there: a baseline says by it which answers changed."""


Records = dict[str, Prediction]
"""Example id → its prediction."""


class CellRecords(dict[str, Prediction]):
    """`Records` of one cell that change no more, with what was computed of all of them at once."""

    __slots__ = ("kept",)

    def __init__(self, records: Iterable[tuple[str, Prediction]]) -> None:
        super().__init__(records)
        self.kept: dict[str, Any] = {}
        """What `harness.analysis.columns` computed, by its name."""
