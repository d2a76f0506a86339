"""The declared labels as patterns: where a text names one, in which form, never inside a word."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from harness.errors import HarnessError
from harness.metrics.reading.exact import normalise_answer
from harness.metrics.reading.fold import fold

# Words that mean something else when they are no answer: "no" profit, "up" to five, "A" company.
# They count in prose only where the sentence presents them as its answer.
FUNCTION_WORDS = frozenset(
    {
        "no", "yes", "up", "down", "in", "out", "on", "off", "not", "none", "other", "true",
        "false", "high", "low", "good", "bad", "same", "more", "less", "buy", "sell", "hold",
        "да", "нет", "и", "все",
    }
)  # fmt: skip
_ADJECTIVE = re.compile(r"(?:ый|ий|ой|ая|яя|ое|ее|ые|ие)\Z")
_ADJECTIVE_ENDINGS = (
    "ый|ий|ой|ая|яя|ое|ее|ые|ие|ого|его|ому|ему|ым|им|ом|ем|ую|юю|ою|ею|ей|ых|их|ыми|ими"
)
_NOUN_END = re.compile(r"[аяоеиыйьую]\Z")
_NOUN_ENDINGS = "а|я|у|ю|ом|ем|ой|ей|е|и|ы|о|ов|ев|ам|ям|ами|ями|ах|ях|ь|й|ию|ии|"
_CYRILLIC = re.compile("[а-я]+")
_GAP = r"[\s_\-]+"


class Text(NamedTuple):
    """A part of an answer: folded, and with its case."""

    folded: str
    raw: str

    def part(self, start: int, end: int) -> Text:
        """The part of it from ``start`` to ``end``."""
        return Text(self.folded[start:end], self.raw[start:end])


@dataclass(frozen=True)
class Mention:
    """A label named in a text."""

    start: int
    end: int
    index: int
    """Which of the declared labels."""

    def moved(self, by: int) -> Mention:
        """The same mention, counted from ``by`` characters earlier."""
        return Mention(self.start + by, self.end + by, self.index)


@dataclass(frozen=True)
class Forms:
    """The declared labels, ready to be looked for in folded text."""

    labels: tuple[str, ...]
    names: tuple[str, ...]
    """The labels folded, with single spaces."""
    pattern: re.Pattern[str]
    """Any label where words begin and end; its group ``gK`` is label K."""
    value: re.Pattern[str]
    """The same and plurals and adverbs: for a text that is the answer and nothing else."""
    short: frozenset[int]
    """Labels of one letter: they must be written as declared, and count only as answers."""
    common: frozenset[int]
    """Labels that are function words or numbers: they count only as answers too."""

    def mentions(self, text: str, raw: str) -> list[Mention]:
        """The labels named in folded ``text``; ``raw`` is the same text with its case."""
        found = []
        for match in self.pattern.finditer(text):
            index = int(str(match.lastgroup)[1:])
            as_declared = raw[match.start() : match.end()] == self.labels[index]
            if index in self.short and not as_declared and not _is_chosen(text, match):
                continue
            found.append(Mention(*match.span(), index))
        return found


def _is_chosen(text: str, match: re.Match[str]) -> bool:
    """Whether a letter in the wrong case is the answer all the same: "the answer is c."."""
    before = text[max(0, match.start() - 24) : match.start()]
    chosen = re.search(r"(?:answer|option|choice|вариант|ответ)\s+(?:is\s+)?[\"'*(]*\Z", before)
    return (
        chosen is not None
        and re.match(r"[\"'*)]*\s*(?:[.,;\n]|\Z)", text[match.end() :]) is not None
    )


@lru_cache(maxsize=64)
def forms_of(labels: tuple[str, ...]) -> Forms:
    """The patterns of ``labels``.

    Raises:
        HarnessError: When two labels differ only in case or spacing, or one is empty.
    """
    names = tuple(" ".join(fold(label).text.split()) for label in labels)
    apart = {normalise_answer(label) for label in labels}
    if len(apart) != len(names) or "" in apart:
        raise HarnessError(
            f"labels are not distinct after normalising: {', '.join(labels)}",
            hint="case, spacing and a full stop do not tell labels apart",
        )
    short = {k for k, n in enumerate(names) if len(n) == 1 and n.isalpha()}
    common = {k for k, n in enumerate(names) if n in FUNCTION_WORDS or n.isdecimal()} | short
    return Forms(
        labels, names, _pattern(names, whole=False), _pattern(names, whole=True),
        frozenset(short), frozenset(common),
    )  # fmt: skip


def _pattern(names: tuple[str, ...], *, whole: bool) -> re.Pattern[str]:
    # The longest first: "very positive" before "positive", "c++" before "c".
    order = sorted(range(len(names)), key=lambda k: len(names[k]), reverse=True)
    taken = set(names)
    parts = [f"(?P<g{k}>{_bounded(names[k], taken, whole)})" for k in order]
    return re.compile("|".join(parts))


def _bounded(name: str, taken: set[str], whole: bool) -> str:
    words = re.split(_GAP, name) if re.fullmatch(r"\w[\w\s\-]*", name) else [name]
    body = _GAP.join(_inflected(word, whole) for word in words)
    # "Earnings reports." as an answer. Short words have other plurals, or are labels themselves.
    plural = name.isascii() and (len(words) > 1 or (name.isalpha() and len(name) > 4))
    if (
        whole
        and plural
        and words[-1].isalpha()
        and not name.endswith("s")
        and f"{name}s" not in taken
    ):
        body += "s?"
    # A decimal, a percentage, a range or another word is no label: 2.5, 2%, -2, no-one, C#.
    # An underscore is Markdown at a word's edge (__no__) and part of it elsewhere (no_answer).
    before = after = ""
    if name[0].isalnum():
        before = r"(?<![^\W_]|-)(?<![^\W_]_)(?<!\d[.,])"
    elif name[0] in "-<>+":
        before = r"(?<!\w)"
    if name[-1].isalnum():
        after = r"(?![^\W_]|_[^\W_]|-\w|[.,]\d|\s?%|\#|\+\+|'\w)"
    return f"{before}{body}{after}"


def _inflected(word: str, whole: bool) -> str:
    """The forms of a Russian word; any other is itself."""
    if not _CYRILLIC.fullmatch(word) or len(word) < 4:
        return re.escape(word)
    adjective = _ADJECTIVE.search(word)
    if adjective and len(word) > 5:
        adverb = "|о" if whole else ""  # "Нейтрально." as an answer, not "позитивно удивлен"
        return f"{word[: adjective.start()]}(?:{_ADJECTIVE_ENDINGS}{adverb})"
    return f"{_NOUN_END.sub('', word)}(?:{_NOUN_ENDINGS})"
