"""ROUGE-1, -2, -L and -Lsum that equals `rouge_score` on English and also reads other scripts.

Source: Lin 2004, "ROUGE: a Package for Automatic Evaluation of Summaries"; reference
implementation `rouge_score` 0.1.2. Longest common subsequences use bit-parallel rows (Hyyro 2004).
"""

from __future__ import annotations

import re
from collections import Counter
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

from rapidfuzz.distance import LCSseq

from harness.counting import counted
from harness.errors import HarnessError
from harness.metrics.ngrams import shared_ngrams
from harness.metrics.record import ScoredTask, Scores
from harness.metrics.registry import PerName, metric
from harness.metrics.tokenize import Stemmer, Tokenizer, tokens_of

if TYPE_CHECKING:  # a declaration must not load numpy
    from collections.abc import Hashable, Sequence

    from numpy.typing import NDArray

MAX_LOST_SHARE = 0.5
TOGETHER = 512
"""Pairs that are counted in one call of NumPy."""
FEW = 16
"""Fewer pairs are counted in Python: NumPy's calls alone cost as much."""

_WORD = re.compile(r"\S+")


class RougeScores(NamedTuple):
    """F-measures of one prediction, each in 0..1."""

    rouge1: float
    rouge2: float
    rougeL: float
    rougeLsum: float


def _check_options(tokenizer: str, stemmer: str) -> None:
    """Raises HarnessError for a tokenizer and stemmer that do not go together."""
    if tokenizer not in ("unicode", "rouge_score"):
        raise HarnessError(
            f"unknown ROUGE tokenizer {tokenizer!r}", hint="use unicode or rouge_score"
        )
    if stemmer not in ("none", "porter", "snowball-russian"):
        raise HarnessError(
            f"unknown stemmer {stemmer!r}", hint="use none, porter or snowball-russian"
        )
    if tokenizer == "rouge_score" and stemmer == "snowball-russian":
        raise HarnessError(
            "the rouge_score tokenizer drops Cyrillic, so a Russian stemmer has nothing to do",
            hint="set tokenizer: unicode",
        )


def _f_measure(hits: int, predicted: int, wanted: int) -> float:
    """Gives the F1 of `hits` in the operation order of the reference implementation."""
    if not hits:
        return 0.0
    precision, recall = hits / predicted, hits / wanted
    return 2 * precision * recall / (precision + recall)


def _shared(left: Counter[Hashable], right: Counter[Hashable]) -> int:
    """Gives the size of the multiset intersection."""
    common = left.keys() & right.keys()
    return sum([min(left[key], right[key]) for key in common])


def _lcs_indices(rows: list[tuple[int, int]], width: int) -> list[int]:
    """Gives the reference indices on the LCS that the reference implementation's path picks.

    Tokens without a match never change that path, so they have no row. In the state of a row,
    bit `j` is clear where the LCS length grows at candidate token `j`.

    Args:
        rows: (reference index, bit mask of its matches in the candidate), in order.
        width: Number of candidate tokens.
    """
    if len(rows) < 2:
        return [index for index, _ in rows]
    state = full = (1 << width) - 1
    states = [state]
    for _, mask in rows:
        hit = state & mask
        state = ((state + hit) | (state - hit)) & full
        states.append(state)
    length = width - state.bit_count()
    if length == len(rows):
        return [index for index, _ in rows]
    row, column, picked = len(rows), width, []
    while length:
        index, mask = rows[row - 1]
        last = 1 << (column - 1)
        if mask & last:
            picked.append(index)
            column -= 1
            length -= 1
        elif states[row] & last and (
            length > column - (states[row - 1] & (last + last - 1)).bit_count()
        ):
            column -= 1
            continue
        row -= 1
    return picked


def _bit_positions(lines: list[list[str]]) -> dict[str, dict[int, int]]:
    """Gives token -> line number -> bit mask of its places in that line."""
    places: dict[str, dict[int, int]] = {}
    for number, line in enumerate(lines):
        bit = 1
        for token in line:
            masks = places.setdefault(token, {})
            masks[number] = masks.get(number, 0) | bit
            bit <<= 1
    return places


def _union_hits(
    reference: list[list[str]], predicted: list[list[str]], counts: Counter[str]
) -> int:
    """Gives the summary-level union-LCS hits, clipped by the prediction's token counts."""
    places = _bit_positions(predicted)
    found: Counter[str] = Counter()
    for line in reference:
        rows: dict[int, list[tuple[int, int]]] = {}
        for i, token in enumerate(line):
            if token in places:
                for number, mask in places[token].items():
                    rows.setdefault(number, []).append((i, mask))
        union: set[int] = set()
        for number, matches in rows.items():
            union.update(_lcs_indices(matches, len(predicted[number])))
        found.update([line[i] for i in union])
    return sum([min(count, counts[token]) for token, count in found.items()])


def _lines(text: str, tokenizer: Tokenizer, stemmer: Stemmer) -> list[list[str]]:
    """Gives the tokens of every line that has any."""
    if "\n" not in text:
        tokens = tokens_of(text, tokenizer, stemmer)
        return [tokens] if tokens else []
    return [t for line in text.split("\n") if (t := tokens_of(line, tokenizer, stemmer))]


def _score_lines(predicted: list[list[str]], reference: list[list[str]]) -> RougeScores:
    """Gives the four F-measures from tokenised lines."""
    if not predicted or not reference:
        return RougeScores(0.0, 0.0, 0.0, 0.0)
    single = len(predicted) == 1 and len(reference) == 1
    p = predicted[0] if len(predicted) == 1 else [t for line in predicted for t in line]
    r = reference[0] if len(reference) == 1 else [t for line in reference for t in line]
    n, m = len(p), len(r)
    p_counts = Counter(p)
    rouge1 = _f_measure(_shared(p_counts, Counter(r)), n, m)  # type: ignore[arg-type]
    if not rouge1:
        return RougeScores(0.0, 0.0, 0.0, 0.0)
    pairs = _shared(Counter(pairwise(p)), Counter(pairwise(r)))
    rouge_l = _f_measure(LCSseq.similarity(p, r), n, m)
    rouge_lsum = rouge_l
    if not single:
        rouge_lsum = _f_measure(_union_hits(reference, predicted, p_counts), n, m)
    return RougeScores(rouge1, _f_measure(pairs, n - 1, m - 1), rouge_l, rouge_lsum)


def rouge(
    prediction: str,
    reference: str,
    *,
    tokenizer: Tokenizer = "unicode",
    stemmer: Stemmer = "none",
) -> RougeScores:
    r"""Gives the ROUGE F-measures of one prediction against one reference.

    ``tokenizer="rouge_score"`` gives the very numbers of `rouge_score.rouge_scorer.RougeScorer`;
    it suits English only. rougeLsum takes lines (split at ``\n``) as sentences and equals rougeL
    when both texts have one line. An empty text scores 0, also against another empty text.

    Args:
        prediction: Text of the model.
        reference: Text to match.
        tokenizer: ``unicode`` (any script) or ``rouge_score`` (ASCII only).
        stemmer: ``none``, ``porter`` (English) or ``snowball-russian`` (with ``unicode``).

    Returns:
        F-measures in 0..1.

    Raises:
        HarnessError: On an unknown option or a pair of options that cannot work.
    """
    _check_options(tokenizer, stemmer)
    return _of_pair(prediction, reference, tokenizer, stemmer)


def _words_kept(text: str, tokenizer: Tokenizer) -> tuple[int, int]:
    """Gives (words, words that survive whole), a word being a spaced run with a letter or digit."""
    total = kept = 0
    for match in _WORD.finditer(text.lower()):
        letters = [c for c in match[0] if c.isalnum()]
        if letters:
            total += 1
            kept += tokenizer == "unicode" or "".join(letters).isascii()
    return total, kept


def lost_token_share(text: str, tokenizer: Tokenizer) -> float:
    """Gives the share of words, in 0..1, that the tokenizer drops or cuts.

    A word is a run without spaces that holds a letter or a digit; it is lost when any of its
    letters vanishes. A text without words loses 0. The Unicode tokenizer loses none.
    """
    total, kept = _words_kept(text, tokenizer)
    return (total - kept) / total if total else 0.0


def rouge_many(
    predictions: Sequence[str],
    references: Sequence[str],
    *,
    tokenizer: Tokenizer = "unicode",
    stemmer: Stemmer = "none",
    refuse_lost: bool = True,
) -> list[RougeScores]:
    """Gives the ROUGE F-measures of every (prediction, reference) pair, in order.

    Args:
        predictions: Texts of the model.
        references: Texts to match, as many.
        tokenizer: See `rouge`.
        stemmer: See `rouge`.
        refuse_lost: Whether a tokenizer that loses most words is an error.

    Returns:
        One `RougeScores` per pair; the mean over pairs is the corpus score.

    Raises:
        HarnessError: On unequal lengths, or when the tokenizer loses more than half of all the
            reference words, so that the score would rest on digits and Latin remnants.
    """
    _check_options(tokenizer, stemmer)
    if len(predictions) != len(references):
        raise HarnessError(
            f"{counted(len(predictions), 'prediction')} for {counted(len(references), 'reference')}"
        )
    if (
        refuse_lost
        and tokenizer == "rouge_score"
        and not all(text.isascii() for text in references)
    ):
        lost = lost_token_share("\n".join(references), tokenizer)
        if lost > MAX_LOST_SHARE:
            raise HarnessError(
                f"the rouge_score tokenizer loses {lost:.0%} of the reference words",
                hint="set tokenizer: unicode",
            )
    found: list[RougeScores] = []
    for first in range(0, len(predictions), TOGETHER):
        batch = slice(first, first + TOGETHER)
        given, wanted = (
            [_lines(text, tokenizer, stemmer) for text in side[batch]]
            for side in (predictions, references)
        )
        scores = _scored_together(given, wanted) if len(given) >= FEW else None
        found += list(map(_score_lines, given, wanted)) if scores is None else scores
    return found


def _of_pair(
    prediction: str, reference: str, tokenizer: Tokenizer, stemmer: Stemmer
) -> RougeScores:
    return _score_lines(
        _lines(prediction, tokenizer, stemmer), _lines(reference, tokenizer, stemmer)
    )


def _scored_together(
    predicted: Sequence[list[list[str]]], wanted: Sequence[list[list[str]]]
) -> list[RougeScores] | None:
    """`_score_lines` of many pairs, to the last digit and in a fraction of the time.

    Each different word becomes one character, and so each text a word: what is quick on texts, in
    NumPy and in C, then counts words. None where there are more words than characters.
    """
    import numpy as np

    letters = _Letters()
    try:
        texts = [
            "".join([letters[token] for line in lines for token in line])
            for pair in zip(predicted, wanted, strict=True)
            for lines in pair
        ]
    except ValueError:  # a character has a number below 1,114,112
        return None
    hits = shared_ngrams(texts, 2)
    if hits is None:
        return None
    ours, theirs = texts[::2], texts[1::2]
    longest = np.array(list(map(LCSseq.similarity, ours, theirs)))
    n, m = (np.array([len(text) for text in side]) for side in (ours, theirs))
    rouge1, rouge_l = _f_measures(hits[0], n, m), _f_measures(longest, n, m)
    rouge2 = _f_measures(hits[1], n - 1, m - 1)
    rouge_lsum = rouge_l.copy()
    for i, (given, reference) in enumerate(zip(predicted, wanted, strict=True)):
        if longest[i] and (len(given) > 1 or len(reference) > 1):
            counts = Counter(token for line in given for token in line)
            rouge_lsum[i] = _f_measure(_union_hits(reference, given, counts), n[i], m[i])
    columns = (column.tolist() for column in (rouge1, rouge2, rouge_l, rouge_lsum))
    return list(map(RougeScores, *columns))


class _Letters(dict[str, str]):
    """Word → a character of its own."""

    def __missing__(self, word: str) -> str:
        self[word] = letter = chr(len(self) + 1)
        return letter


def _f_measures(hits: NDArray[Any], predicted: NDArray[Any], wanted: NDArray[Any]) -> NDArray[Any]:
    """`_f_measure` of many, by the same operations in the same order."""
    import numpy as np

    some = np.maximum(predicted, 1), np.maximum(wanted, 1)  # without hits they may be 0
    precision, recall = hits / some[0], hits / some[1]
    among = np.where(hits == 0, 1.0, precision + recall)
    found: NDArray[Any] = 2 * precision * recall / among
    return found


def _settings(task: ScoredTask) -> str:
    return f"tok:{task.evaluation.rouge_tokenizer}|stem:{task.evaluation.rouge_stemmer}"


@metric(
    "rougeL",
    "rouge1",
    "rouge2",
    "rougeLsum",
    takes="pairs",
    unit="F1",
    higher_is_better=True,
    family="rouge",
    version=2,
    settings=_settings,
    shown=PerName({"rougeL": ("leaderboard", "card")}),
    trivial=PerName({"rougeL": ("constant", "copied_prompt")}),
    primary_of=PerName({"rougeL": "generation"}, default=""),
)
def rouge_scores(
    predictions: Sequence[str], references: Sequence[str], task: ScoredTask
) -> list[Scores]:
    """The four F-measures of every pair, by the suite's tokenizer and stemmer."""
    found = rouge_of(predictions, references, task)
    return [{"rouge1": a, "rouge2": b, "rougeL": c, "rougeLsum": d} for a, b, c, d in found]


def rouge_of(
    texts: Sequence[str], references: Sequence[str], task: ScoredTask
) -> list[RougeScores]:
    """ROUGE of each text against its reference, by the suite's tokenizer and stemmer."""
    return rouge_many(
        texts,
        references,
        tokenizer=task.evaluation.rouge_tokenizer,
        stemmer=task.evaluation.rouge_stemmer,
        refuse_lost=task.evaluation.on_lost_words == "error",
    )
