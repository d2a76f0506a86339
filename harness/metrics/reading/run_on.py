"""Where an answer ends and an invented next item begins.

Base models and small ones go on after their answer with another question, often with its answer.
Only the text before it is scored. What an answer *opens* with is an echo of the
prompt, so a marker at the very beginning cuts nothing off.
"""

from __future__ import annotations

import itertools
import re

# Line beginnings under which data sets print the next item.
_HEADS = (
    "text|sentence|statement|question|input|passage|premise|hypothesis|review|tweet|headline|news|"
    "document|article|example|instruction|user|human|customer|q|prompt|problem|exercise|"
    "текст|предложение|вопрос|задача|пример|инструкция|пользователь|новость|условие"
)
_TURNS = (
    r"<\|im_end\|>|<\|im_start\|>|</s>|<s>|<\|eot_id\|>|<\|endoftext\|>|<\|end_of_text\|>|"
    r"<\|user\|>|<\|end\|>|<end_of_turn>|<start_of_turn>|<eos>|\[inst\]|\[/inst\]|<\|return\|>"
)
_MARKER = re.compile(
    rf"{_TURNS}"
    rf"|^[ \t>]*(?:\#+[ \t]*)?[*_]{{0,2}}(?:next[ \t]+|new[ \t]+)?(?:{_HEADS})"
    rf"(?:[ \t]*\#?\d+)?[*_]{{0,2}}[ \t]*(?::|\n)",
    re.IGNORECASE | re.MULTILINE,
)


def segments(text: str) -> list[tuple[int, int]]:
    """The spans of ``text`` between beginnings of items: the first that holds an answer counts."""
    starts = [0, *(m.start() for m in _MARKER.finditer(text)), len(text)]
    return [(a, b) for a, b in itertools.pairwise(starts) if text[a:b].strip()]
