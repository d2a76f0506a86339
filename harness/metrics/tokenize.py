"""Words and numbers of a text in any script, and the ASCII words of the `rouge_score` package.

Number rules of `unicode_tokens`: a number is one token with its sign and decimals.

* Digits grouped by spaces (plain, thin, no-break) join: ``1 234,5`` gives ``1234.5``.
* A lone comma is a decimal separator when that is the only reading (``3,14``, ``0,125``,
  ``1 234,567``) and becomes a dot. ``1,234`` has two readings and stays ``1,234``: it matches
  neither ``1234`` nor ``1.234``. A lone dot is always decimal.
* Repeated groups of three (``1,234,567``) are thousands. With both signs the last is decimal.
* A minus (``-`` or U+2212) counts when no word, digit, percent sign or bracket touches it on the
  left, so ``5-7`` and ``covid-19`` hold no negative number. A plus is dropped.
* Dates and versions (``15.03.2024``) stay whole; ``1,2,3`` is three numbers.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from typing import TYPE_CHECKING, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    class _WordStemmer(Protocol):
        def stem(self, word: str) -> str: ...


Stemmer = Literal["none", "porter", "snowball-russian"]
Tokenizer = Literal["unicode", "rouge_score"]

_ASCII_WORD = re.compile(r"[a-z0-9]+")
_DIGIT = re.compile("[0-9]")
# what the pattern of all scripts finds in lower-case ASCII without digits, three times as fast
_PLAIN_WORD = re.compile("[a-z]+(?:'[a-z]+)*|%")
_CYRILLIC = re.compile("[\u0400-\u04ff]")
# Scripts written without spaces: every character is a word.
_UNSPACED = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
_SIGN = r"(?:(?<![\w\-%)\]])-[$\u20ac\u00a3\u00a5\u20bd]?)?"
_GROUPED = r"(?<![\d.,])\d{1,3}(?: \d{3})+(?:[.,]\d+)?(?![\d]|[.,]\d)"
_PLAIN = r"\d+(?:[.,]\d+)*"
# Superscripts and fractions would fuse with the digit on their left under NFKC (10\u00b2 -> 102).
_RAISED = re.compile("(?<=[0-9])(?=[\u00b2\u00b3\u00b9\u00bc-\u00be\u2070-\u2089\u2150-\u215f])")
_FOLD = str.maketrans(
    {"\u2212": "-", "\u2019": "'", "\u00ad": None, "\u200b": None, "\ufeff": None}
)


@lru_cache(maxsize=256)
def _token_pattern(marks: str) -> re.Pattern[str]:
    """Gives the token pattern in which the combining `marks` belong to words."""
    extra = "|[" + re.escape(marks) + "]" if marks else ""
    letter = rf"(?:[^\W_{_UNSPACED}]{extra})"
    head = rf"[^\W\d_{_UNSPACED}]"
    word = rf"{head}{letter}*(?:'{head}{letter}*)*"
    number = rf"{_SIGN}(?:{_GROUPED}|{_PLAIN})"
    return re.compile(rf"(?P<number>{number})|{word}|[{_UNSPACED}]|%")


def _decimal_parts(number: str, grouped: bool) -> list[str]:
    """Gives the token or tokens of an unsigned `number` without spaces."""
    commas, dots = number.count(","), number.count(".")
    if not commas and dots < 2:
        return [number]
    if commas and dots:
        decimal = "," if number.rfind(",") > number.rfind(".") else "."
        thousands = "." if decimal == "," else ","
        whole, _, fraction = number.rpartition(decimal)
        if decimal not in whole and re.fullmatch(rf"\d{{1,3}}(\{thousands}\d{{3}})+", whole):
            return [whole.replace(thousands, "") + "." + fraction]
        return number.split(",")
    separator = "," if commas else "."
    if commas + dots > 1:
        if re.fullmatch(rf"[1-9]\d{{0,2}}(\{separator}\d{{3}})+", number):
            return [number.replace(separator, "")]
        return number.split(",")
    whole, fraction = number.split(",")
    ambiguous = len(fraction) == 3 and len(whole) <= 3 and not whole.startswith("0")
    return [number] if ambiguous and not grouped else [f"{whole}.{fraction}"]


def _number_tokens(raw: str) -> list[str]:
    """Gives the tokens of one matched number; the sign belongs to the first."""
    negative = raw[0] == "-"
    digits = raw.lstrip("-$\u20ac\u00a3\u00a5\u20bd")
    parts = _decimal_parts(digits.replace(" ", ""), " " in digits)
    return ["-" + parts[0], *parts[1:]] if negative else parts


def unicode_tokens(text: str, *, fold_yo: bool = True) -> list[str]:
    """Gives the case-folded words, whole numbers and percent signs of a text in any script.

    The text is NFKC-normalised and case-folded first. Chinese and Japanese characters are one
    token each. Punctuation, underscores and emoji are dropped. Number rules: see the module.

    Args:
        text: Any text.
        fold_yo: Read the Russian letter U+0451 as U+0435, as most texts print it.

    Returns:
        Tokens in text order.
    """
    if text.isascii():
        folded, marks = text.lower(), ""
        if _DIGIT.search(folded) is None:
            return _PLAIN_WORD.findall(folded)
    else:
        folded = unicodedata.normalize("NFKC", _RAISED.sub(" ", text)).casefold().translate(_FOLD)
        if fold_yo:
            folded = folded.replace("\u0451", "\u0435")
        odd = {c for c in set(folded) if not c.isascii() and not c.isalnum()}
        marks = "".join(sorted(c for c in odd if unicodedata.category(c)[0] == "M"))
    tokens: list[str] = []
    for match in _token_pattern(marks).finditer(folded):
        token = match[0]
        if match.lastgroup is None or token.isdecimal():
            tokens.append(token)
        else:
            tokens += _number_tokens(token)
    return tokens


@lru_cache(maxsize=2)
def _load_stemmer(stemmer: Stemmer) -> _WordStemmer:
    """Gives the NLTK stemmer object behind a stemmer name."""
    from nltk.stem import porter, snowball

    made: _WordStemmer = (
        porter.PorterStemmer() if stemmer == "porter" else snowball.SnowballStemmer("russian")
    )
    return made


@lru_cache(maxsize=131_072)
def _porter(word: str) -> str:
    """Gives the Porter stem; words of three letters or fewer stay, as in `rouge_score`."""
    return str(_load_stemmer("porter").stem(word)) if len(word) > 3 else word


@lru_cache(maxsize=131_072)
def _porter_ascii_word(word: str) -> str:
    """Gives the Porter stem of an English word; numbers and other scripts stay as they are."""
    return _porter(word) if word.isascii() and word[0].isalpha() else word


@lru_cache(maxsize=131_072)
def _snowball_russian(word: str) -> str:
    """Gives the Snowball stem of a Cyrillic word; other tokens stay as they are."""
    return str(_load_stemmer("snowball-russian").stem(word)) if _CYRILLIC.search(word) else word


def ascii_tokens(text: str, stemmer: Stemmer = "none") -> list[str]:
    """Gives exactly the tokens of the default tokenizer of `rouge_score` 0.1.2.

    It lower-cases and keeps runs of ``a-z0-9``; every other character vanishes, so a Cyrillic
    text keeps only its digits.

    Args:
        text: Any text.
        stemmer: ``porter`` equals ``use_stemmer=True`` there.

    Returns:
        Tokens in text order.
    """
    words = _ASCII_WORD.findall(text.lower())
    return [_porter(word) for word in words] if stemmer == "porter" else words


_UNICODE_STEM: dict[Stemmer, Callable[[str], str]] = {
    "porter": _porter_ascii_word,
    "snowball-russian": _snowball_russian,
}


def tokens_of(text: str, tokenizer: Tokenizer, stemmer: Stemmer) -> list[str]:
    """Gives the stemmed tokens of `text` under a tokenizer and a stemmer, both by name."""
    if tokenizer == "rouge_score":
        return ascii_tokens(text, stemmer)
    tokens = unicode_tokens(text)
    stem = _UNICODE_STEM.get(stemmer)
    return tokens if stem is None else [stem(token) for token in tokens]
