"""A tokenizer's vocabulary as a GGUF file states it, for tokenizers that llama.cpp splits alike.

A name alone (`tokenizer.ggml.pre`) tells llama.cpp how to split text before the merges apply, and a
wrong one gives other tokens without an error. So the rules are compared, and one that is not among
those below is refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from transformers import PreTrainedTokenizerBase

from harness.errors import HarnessError

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
_BYTES = {"type": "ByteLevel", "add_prefix_space": False}
_WITH_REGEX, _WITHOUT = {**_BYTES, "use_regex": True}, {**_BYTES, "use_regex": False}
SPLITS: dict[str, list[dict[str, Any]]] = {
    "gpt-2": [_WITH_REGEX],
    "smollm": [{"type": "Digits", "individual_digits": True}, _WITH_REGEX],
    "qwen2": [{"type": "Split", "pattern": {"Regex": QWEN2}, "behavior": "Isolated"}, _WITHOUT],
    "llama-bpe": [
        {"type": "Split", "pattern": {"Regex": LLAMA3}, "behavior": "Isolated"},
        _WITHOUT,
    ],
}
"""llama.cpp's name of a pre-tokenizer → the steps of tokenizers' that split as it does."""
IGNORED = {"trim_offsets", "invert"}
"""Keys of a step that change no token; `invert` is checked to be off."""
NORMAL, CONTROL, USER_DEFINED, UNUSED = 1, 3, 4, 5
"""llama.cpp's kinds of tokens."""


@dataclass(frozen=True)
class Words:
    """The vocabulary of a GGUF file."""

    pre: str
    tokens: list[str]
    """By id; ids that the model has and the tokenizer has not are named `[PAD7]`, as llama.cpp
    does."""
    kinds: list[int]
    merges: list[str]
    adds_bos: bool
    notes: tuple[str, ...]


def words_of(tokenizer: PreTrainedTokenizerBase, vocabulary: int) -> Words:
    """The vocabulary of ``tokenizer`` for a model of ``vocabulary`` tokens.

    Raises:
        HarnessError: llama.cpp is not known to split text as it does.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        raise _unknown("it has no tokenizer.json")
    found = json.loads(backend.to_str())
    model = found["model"]
    if model["type"] != "BPE" or model.get("byte_fallback"):
        raise _unknown(f"it is {model['type']} on characters, not on bytes")
    normalizer = found.get("normalizer")
    if normalizer not in (None, {"type": "NFC"}):
        raise _unknown(f"its normalizer is {_brief(normalizer)}")
    tokens = [f"[PAD{k}]" for k in range(vocabulary)]
    kinds = [UNUSED] * vocabulary
    for text, number in model["vocab"].items():
        tokens[_inside(number, vocabulary)], kinds[number] = text, NORMAL
    for added in found["added_tokens"]:
        kind = CONTROL if added["special"] else USER_DEFINED
        tokens[_inside(added["id"], vocabulary)], kinds[added["id"]] = added["content"], kind
    merges = [m if isinstance(m, str) else " ".join(m) for m in model["merges"]]
    notes = ("text is normalized to NFC by the tokenizer, and not by llama.cpp",)
    return Words(
        _pre_of(found), tokens, kinds, merges, adds_bos(tokenizer), notes if normalizer else ()
    )


def _inside(number: int, vocabulary: int) -> int:
    if number >= vocabulary:
        raise _unknown(f"its token {number} is beyond the model's {vocabulary}")
    return number


def _pre_of(found: Mapping[str, Any]) -> str:
    """llama.cpp's name of the steps that split text."""
    steps = found.get("pre_tokenizer") or {}
    steps = steps.get("pretokenizers") if steps.get("type") == "Sequence" else [steps]
    if any(step.get("invert") for step in steps or ()):
        raise _unknown("its pre-tokenizer inverts a pattern")
    bare = [{key: v for key, v in step.items() if key not in IGNORED} for step in steps or ()]
    for name, wanted in SPLITS.items():
        if bare == wanted:
            return name
    raise _unknown(f"its pre-tokenizer is {_brief(bare)}")


def adds_bos(tokenizer: PreTrainedTokenizerBase) -> bool:
    """Whether it puts its beginning-of-text token before every text."""
    first = tokenizer("a")["input_ids"][:1]
    return tokenizer.bos_token_id is not None and first == [tokenizer.bos_token_id]


def _unknown(why: str) -> HarnessError:
    return HarnessError(
        f"llama.cpp is not known to split text as this tokenizer does: {why}",
        hint=f"Known: byte-level BPE as in {', '.join(SPLITS)}. Export `merged` instead, and"
        " convert it with llama.cpp's own convert_hf_to_gguf.py.",
    )


def _brief(value: object) -> str:
    text = json.dumps(value)
    return text if len(text) < 200 else f"{text[:200]}…"
