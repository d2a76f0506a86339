"""Control tokens in the text of a data set: encoded as the characters they are, never as tokens.

A row that quotes `<|im_end|>` would otherwise end its own turn: a tokenizer turns the text into the
token wherever it occurs. Such text is marked before a prompt is rendered, and what is marked is
encoded without the tokenizer's added tokens.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from transformers import PreTrainedTokenizerBase

OPEN, CLOSE = "\ufdd0", "\ufdd1"
"""Around marked text: two of Unicode's noncharacters, which no text may hold."""
THINKING = frozenset({"<think>", "</think>"})
"""Added tokens that rows may write: templates themselves read a reference's reasoning by them."""
_MARKER = re.compile(r"[<\[].+[>\]]", re.DOTALL)
"""What an added token that is not special looks like where it controls: Gemma's line breaks and
code models' runs of spaces are added tokens too, and are ordinary text."""


@dataclass(frozen=True)
class ControlText:
    """What a tokenizer takes for control tokens, and texts to ids without being taken in."""

    tokenizer: PreTrainedTokenizerBase
    template: str = ""
    """The chat template, whose markers count although not all are special tokens."""

    @cached_property
    def tokens(self) -> frozenset[str]:
        """Every token that must not come from the text of a row."""
        added = self.tokenizer.added_tokens_decoder.values()
        special = {str(token) for token in added if token.special}
        named = {
            str(token) for token in added
            if str(token) in self.template and _MARKER.fullmatch(str(token))
        }  # fmt: skip
        return frozenset(special | named | set(self.tokenizer.all_special_tokens)) - THINKING

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        longest_first = sorted((t for t in self.tokens if t), key=len, reverse=True)
        return re.compile("|".join(map(re.escape, longest_first)) or "(?!)")

    def mark(self, text: str) -> str:
        """``text`` with its control tokens marked."""
        bare = text.replace(OPEN, "").replace(CLOSE, "")
        return self._pattern.sub(lambda found: f"{OPEN}{found[0]}{CLOSE}", bare)

    def ids(self, texts: Sequence[str], *, add_special_tokens: bool) -> list[list[int]]:
        """The ids of each text, marked parts as characters.

        Unmarked texts go to the tokenizer in one call, which spreads them over the cores.
        """
        plain = [k for k, text in enumerate(texts) if OPEN not in text]
        found: dict[int, list[int]] = {}
        if plain:
            call = self.tokenizer([texts[k] for k in plain], add_special_tokens=add_special_tokens)
            found.update(zip(plain, call.input_ids, strict=True))
        for k, text in enumerate(texts):
            if k not in found:
                found[k] = self._by_pieces(text, add_special_tokens)
        return [found[k] for k in range(len(texts))]

    def _by_pieces(self, text: str, add_special_tokens: bool) -> list[int]:
        before, after = self._frame() if add_special_tokens else ([], [])
        ids = list(before)
        for number, piece in enumerate(re.split(f"[{OPEN}{CLOSE}]", text)):
            if piece:  # every second piece was marked
                ids += self._piece(piece, marked=number % 2 == 1, first=number == 0)
        return ids + after

    def _frame(self) -> tuple[list[int], list[int]]:
        """What the tokenizer adds before and after a text."""
        bare = self._usual("a")
        ids: list[int] = self.tokenizer("a").input_ids
        starts = range(len(ids) - len(bare) + 1)
        at = next(k for k in starts if ids[k : k + len(bare)] == bare)
        return ids[:at], ids[at + len(bare) :]

    def _piece(self, piece: str, *, marked: bool, first: bool) -> list[int]:
        encode = self._characters if marked else self._usual
        if first:
            return encode(piece)
        # SentencePiece puts a space before a text's first word; after a line break it does not
        before = self._usual("\n")
        ids = encode(f"\n{piece}")
        return ids[len(before) :] if ids[: len(before)] == before else encode(piece)

    def _usual(self, text: str) -> list[int]:
        ids: list[int] = self.tokenizer(text, add_special_tokens=False).input_ids
        return ids

    def _characters(self, text: str) -> list[int]:
        """``text`` by the model of the tokenizer alone, which knows no added tokens."""
        backend = self.tokenizer.backend_tokenizer
        if backend.normalizer is not None:
            text = backend.normalizer.normalize_str(text)
        splits = [text]
        if backend.pre_tokenizer is not None:
            splits = [split for split, _ in backend.pre_tokenizer.pre_tokenize_str(text)]
        return [token.id for split in splits for token in backend.model.tokenize(split)]


def unmarked(text: str) -> str:
    """``text`` as it was before `ControlText.mark`."""
    return text.replace(OPEN, "").replace(CLOSE, "")
