"""The kinds of words that labels and numbers in answers are read by, one table a language.

Every entry is a piece of a regular expression in lower case; a space matches any white space.
An answer is read with the words of all languages at once: models switch language in mid-answer.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache


@dataclass(frozen=True)
class Cues:
    """Words of one language."""

    answer_keys: str
    """Names of a field that holds the answer: "Label: …"."""
    other_keys: str
    """Names that hold it too, but give way to the ones above."""
    final: str
    """Words before a key that make it the last word: "Final answer: …"."""
    key_suffix: str
    """Words that may follow a key: "Sentiment analysis: …"."""
    greeting: str
    """Words that an answer may open with and that say nothing."""
    negators: str
    """Words that turn the label behind them round: "not positive", "rather than positive"."""
    negation_stops: str
    """Words that end what a negation reaches: "not negative *but* neutral"."""
    neither: str
    """Opens "neither A nor B"."""
    nor: str
    """Joins its parts."""
    denied_behind: str
    """What denies the label before it: "positive words: none", "A is wrong"."""
    unsaid: str
    """A verb that denies a whole statement: "I don't think it is positive"."""
    approved_behind: str
    """What chooses the label before it: "neutral fits best"."""
    first_thought: str
    """What marks a label as dropped later: "at first"."""
    not_only: str
    """A negation that is none."""
    concluding: str
    """Opens the sentence that concludes."""
    revising: str
    """Takes back what was said before."""
    copula: str
    """Between a subject and its label: "is", "seems to be"."""
    between: str
    """Small words that may stand between a cue and its label."""
    subjects: str
    """What the question asks for: "the sentiment is …"."""
    classified: str
    """Verbs whose object is the label: "classified as …"."""
    carried: str
    """Nouns that a label may describe and still be the answer: "a neutral statement"."""
    behind: str
    """Words that may follow a label that is an answer: "positive because …"."""
    whether: str
    """Words that leave the label behind them open."""
    conditional: str
    """"would be", and what makes it a condition."""
    maybe: str
    """Possibility: counts only where nothing firmer is said."""
    joiners: str
    """Between labels of a list."""
    choices: str
    """Nouns before an option's name: "option B", "class 2"."""
    out_of: str
    """Between a rating and its maximum."""
    points: str
    """What a rating counts."""
    adverbs: str
    """Words that shade the label that an answer opens with."""


@cache
def both() -> Cues:
    """The words of all languages, as alternatives."""
    from harness.metrics.reading.words_en import ENGLISH
    from harness.metrics.reading.words_ru import RUSSIAN

    joined = {
        name: _spaced(f"{getattr(ENGLISH, name)}|{getattr(RUSSIAN, name)}")
        for name in Cues.__dataclass_fields__
    }
    return Cues(**joined)


def _spaced(words: str) -> str:
    """The alternatives in one group, where a space matches any white space."""
    return "(?:" + re.sub(r"\s*\n\s*", "", words).replace(" ", r"\s+") + ")"
