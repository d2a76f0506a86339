"""The form in which two answers are compared word for word.

SQuAD's normalisation drops all punctuation and the articles, so that "C#" equals "C", "-5" equals
"5" and "A" equals nothing at all. Only what never changes a meaning is dropped here: case, runs of
white space, how a character is encoded, a pair of quotes or Markdown marks around the whole, and
the full stop behind it.
"""

from __future__ import annotations

import re
from functools import lru_cache

from harness.metrics.reading.fold import fold

# Pairs around a whole answer. No brackets: "(5)" is minus five on a balance sheet.
_WRAPPED = re.compile(r"(?P<mark>\*{1,3}|_{1,3}|`{1,3}|[\"'])(?P<inside>(?!\s).+?(?<!\s))(?P=mark)")
# "5!" is a factorial and "5%" a share: behind a digit only a stop or a comma says nothing.
_TRAILING = re.compile(r"(?:(?<=[^\W\d_])|(?<=[\"'`*)\]]))[!?]+\Z|(?<=\S)[.,;:…]+\Z")
_LAST = frozenset("!?.,;:…*_`\"'")
"""The last characters of what the two patterns match."""


def normalise_answer(text: str) -> str:
    """The text in lower case, one-spaced, without wrapping quotes or marks and its last stop."""
    plain = " ".join(fold(text).text.split())
    while plain and plain[-1] in _LAST:
        before = plain
        shorter = _TRAILING.sub("", plain)
        plain = shorter or plain
        wrapped = _WRAPPED.fullmatch(plain)
        # A mark inside means that two pairs stand side by side: "a" and "b".
        if wrapped and wrapped["mark"] not in wrapped["inside"]:
            plain = wrapped["inside"]
        if plain == before:
            break
    return plain


# every cell of a data set is compared with the same references
normalise_reference = lru_cache(maxsize=2**15)(normalise_answer)
