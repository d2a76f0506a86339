r"""The thinking that a model prints before its answer, cut off before anything is scored.

There are three cases: a block that was closed, one that the token limit cut (its answer
never came), and a block whose opening tag is in the prompt, so that only the closing one is
in the text. The record keeps the prediction as it was; the answer here is a copy in which the
reasoning is blank, so every position in it is a position in the prediction.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

# (opening, closing), as printed by models and their templates. `analysis` and the like are only
# tags here, never headings: "<analysis>" yes, "Analysis:" no.
_NAMES = "think|thinking|thought|thoughts|reasoning|scratchpad|reflection|analysis|seed:think"
_PAIRS: tuple[tuple[str, str], ...] = (
    (rf"<(?:{_NAMES})>", rf"</(?:{_NAMES})>"),  # DeepSeek-R1, Qwen3, Phi-4, Seed-OSS, GRPO recipes
    (r"\[THINK\]", r"\[/THINK\]"),  # Magistral
    (r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>"),  # Sky-T1, OpenThinker
    (r"<\|START_THINKING\|>", r"<\|END_THINKING\|>"),  # Command A
    (r"◁think▷", r"◁/think▷"),  # Kimi
    (r"<\|channel>thought", r"<channel\|>"),  # Gemma 4
    # gpt-oss: every channel but the final one is not for the reader.
    (
        r"(?:<\|start\|>assistant)?<\|channel\|>(?:analysis|commentary)[^<\n]{0,80}"
        r"<\|message\|>",
        r"<\|end\|>|<\|call\|>|(?=(?:<\|start\|>assistant)?<\|channel\|>final)",
    ),
)
# The same channels where the special tokens were dropped in decoding: "analysisWe…assistantfinal".
_BARE_OPEN = re.compile(r"\A\s*analysis(?=[A-Z«\"'(]\S*)")
_BARE_CLOSE = re.compile(r"(?:assistant)?final(?=[^a-z\s]|\s*\Z)|assistantfinal")
_OPENING = re.compile("|".join(opening for opening, _ in _PAIRS), re.IGNORECASE)
_CLOSERS = [re.compile(closing, re.IGNORECASE) for _, closing in _PAIRS]
_OPENERS = [re.compile(opening, re.IGNORECASE) for opening, _ in _PAIRS]
_CLOSING = re.compile("|".join(closing for _, closing in _PAIRS[:-1]), re.IGNORECASE)
# Marks the beginning of the answer if a model forgot to close its thinking.
_ANSWER_TAG = re.compile(r"<(?:answer|solution|response)>|<\|begin_of_solution\|>", re.IGNORECASE)
# Wrappers of the answer itself: no reasoning, but no words of the answer either.
_WRAPPERS = re.compile(
    r"(?:<\|start\|>assistant)?<\|channel\|>final[^<\n]{0,80}<\|message\|>"
    r"|<\|return\|>|<\|(?:begin|end)_of_solution\|>|<\|(?:START|END)_RESPONSE\|>",
    re.IGNORECASE,
)


@dataclass(frozen=True)
class Answer:
    """An answer without its reasoning."""

    text: str
    """As long as the prediction: reasoning is blank, so positions are the prediction's."""
    reasoning: int = 0
    """Characters of reasoning, its tags included."""
    closed: bool = True
    """Whether the reasoning came to an end; otherwise no answer was given."""

    @property
    def spoken(self) -> str:
        """The text to score: without the blanks where reasoning was."""
        return self.text.strip() if self.reasoning else self.text


def split_reasoning(prediction: str, prompt: str = "") -> Answer:
    """The answer in ``prediction``, its reasoning blanked out.

    Args:
        prediction: What the model wrote.
        prompt: What it was asked; where it ends in an opening tag the model begins inside it.
    """
    inside = starts_inside(prompt)
    # most answers hold no tag at all: to look for a few characters costs a tenth of the patterns
    return _split(prediction, inside) if inside or _may_reason(prediction) else Answer(prediction)


def spoken_in(prediction: str, prompt: str = "") -> str:
    """The text to score of ``prediction``: ``split_reasoning(prediction, prompt).spoken``."""
    if not _may_reason(prediction) and not starts_inside(prompt):
        return prediction
    return split_reasoning(prediction, prompt).spoken


def _may_reason(text: str) -> bool:
    """Whether any pattern above can match in ``text``: each holds a bracket, or this word."""
    return "<" in text or "[" in text or "◁" in text or "analysis" in text


# Each metric family asks for the answer of the same prediction, one after another: as many are kept
# as a large data set has.
@lru_cache(maxsize=2**16)
def _split(prediction: str, inside: bool) -> Answer:
    spans, closed = _spans(prediction, inside)
    hidden = sum(end - start for start, end in spans)
    wrappers = [m.span() for m in _WRAPPERS.finditer(prediction)]
    if not spans and not wrappers:
        return Answer(prediction, 0, closed)
    text = prediction
    for start, end in [*spans, *wrappers]:
        text = text[:start] + _blank(text[start:end]) + text[end:]
    return Answer(text, hidden, closed)


def starts_inside(prompt: str) -> bool:
    """Whether ``prompt`` ends in an open reasoning tag, as templates of thinking models do."""
    tail = prompt[-40:]
    return _may_reason(tail) and _ends_in_tag(tail.rstrip())


@lru_cache(maxsize=2**16)
def _ends_in_tag(tail: str) -> bool:
    return any(match.end() == len(tail) for match in _OPENING.finditer(tail))


def _spans(text: str, inside: bool) -> tuple[list[tuple[int, int]], bool]:
    """The spans of reasoning, and whether the last of them was closed."""
    spans: list[tuple[int, int]] = []
    position = 0
    first_close = _CLOSING.search(text)
    first_open = _OPENING.search(text)
    bare = _BARE_OPEN.match(text)
    if bare:
        return _bare(text)
    if first_close and (inside or not first_open or first_close.start() < first_open.start()):
        position = first_close.end()
        if text[position:].strip():
            spans.append((0, position))
        else:  # a stray tag at the very end hides nothing but itself
            spans.append((first_close.start() if not inside else 0, position))
    elif inside:
        return _unclosed(text, 0, [])
    while match := _OPENING.search(text, position):
        closer = next(
            c for o, c in zip(_OPENERS, _CLOSERS, strict=True) if o.match(text, match.start())
        )
        end = closer.search(text, match.end())
        if end is None:
            return _unclosed(text, match.start(), spans)
        position = end.end()
        spans.append((match.start(), position))
    return spans, True


def _bare(text: str) -> tuple[list[tuple[int, int]], bool]:
    end = _BARE_CLOSE.search(text)
    return ([(0, end.end())], True) if end else ([(0, len(text))], False)


def _unclosed(
    text: str, start: int, spans: list[tuple[int, int]]
) -> tuple[list[tuple[int, int]], bool]:
    """Everything from ``start`` on is reasoning, unless an answer tag ends it."""
    tag = _ANSWER_TAG.search(text, start)
    if tag:
        return [*spans, (start, tag.start())], True
    return [*spans, (start, len(text))], False


def _blank(text: str) -> str:
    """Blanks for each character, line ends kept so that "the first line" stays one."""
    return "".join("\n" if c == "\n" else " " for c in text)
