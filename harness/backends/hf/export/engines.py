"""What other engines need to know of a model: how its prompt is written, and its length."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from transformers import PreTrainedTokenizerBase

from harness.backends.hf.chat_template import chat_template
from harness.backends.hf.export.gguf_words import adds_bos
from harness.backends.hf.export.merged import Merged
from harness.backends.hf.models.loading import load_tokenizer
from harness.backends.prompting import Message
from harness.plan.cell import Cell


@dataclass(frozen=True)
class Spoken:
    """How a model is spoken to."""

    tokenizer: PreTrainedTokenizerBase
    cell: Cell
    longest: int
    """Tokens that it takes, prompt and answer together."""
    adds_bos: bool
    """Whether its tokenizer puts `bos` before every text."""

    @property
    def style(self) -> str:
        """`chat`, or the name of a prompt style."""
        given = self.cell.model.prompt
        return given or ("chat" if self.tokenizer.chat_template else "plain")

    @property
    def bos(self) -> str:
        """The beginning-of-text token; empty for none."""
        return str(self.tokenizer.bos_token or "")

    def render(self, messages: Sequence[Message]) -> str:
        """The prompt of a chat, by the model's own template."""
        return chat_template(self.cell.model, self.tokenizer).prompt(messages)


def spoken(merged: Merged, cell: Cell) -> Spoken:
    """How ``merged`` is spoken to in ``cell``."""
    longest = merged.model.config.max_position_embeddings
    tokenizer = load_tokenizer(cell.model)
    begins = adds_bos(merged.tokenizer)
    return Spoken(tokenizer, cell, longest, begins)
