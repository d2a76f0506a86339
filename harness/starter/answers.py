"""What kind of answers a data file has: labels, numbers, a few words, or texts; and the metric."""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass
from typing import Literal

from harness.counting import counted
from harness.datasets.near import UNSPACED
from harness.errors import HarnessError
from harness.metrics.numbers import gold_decimal
from harness.starter.data import Looked
from harness.starter.question import Ask, Question, settled
from harness.suite.dataset_entry import same_label

Kind = Literal["labels", "numbers", "text"]
LABEL_NAMES = {"label", "labels", "class", "category", "intent", "sentiment"}
"""Columns whose few numbers are classes and not quantities."""
MOST_LABELS = 30
"""Different answers up to which they are labels, if each occurs `ROWS_A_LABEL` times on average."""
MOST_NAMED_LABELS = 100
"""The same for a column that is called a label."""
ROWS_A_LABEL = 4
LABEL_WORDS = 5
SHORT_WORDS = 5
"""Words up to which nine answers of ten are short: then only the same words are right."""
EVEN = 0.5
"""Labels are balanced if the rarest has this share of an equal part."""
_NUMBER = re.compile(
    r"[^\w\d]{0,3}\d[\d\s.,'’/]*(?:e[-+]?\d+)?\s*(?P<unit>[^\W\d]{1,12}|[%$€£₽]){0,1}\.?"
)
"""A number with its sign or currency before it and at most a unit behind: no code such as A1."""
UNITS_SHOWN = 4


@dataclass(frozen=True)
class Answers:
    """What the answers are, and by which metric they are compared."""

    kind: Kind
    metric: str
    why: str
    """Why they are read so, for the suite's comment."""
    metric_why: str
    labels: tuple[str, ...] = ()
    gold: str | None = None
    """The column of the right number."""
    maybe_labels: tuple[str, ...] = ()
    """Labels that these could be as well: the suite has them as a comment."""


def answers_of(looked: Looked, *, kind: Kind | None, ask: Ask | None) -> Answers:
    """What kind of answers ``looked`` has.

    Args:
        looked: The data.
        kind: What the user said they are.
        ask: Asks a person.

    Raises:
        HarnessError: they are not of ``kind``, or labels differ by their case alone.
    """
    if looked.is_built_in:
        source = looked.source
        words = f"the built-in data set says so: {source.task}"
        named: Kind = "labels" if source.task == "classification" else "text"
        return Answers(named, source.primary_metric, words, "the data set's own", source.labels)
    counts = Counter(example.reference for example in looked.examples)
    if len(counts) == 1:
        only = next(iter(counts))
        text = f'every row has the answer "{only[:60]}": nothing can be compared'
        raise HarnessError(text, where=looked.place)
    found = kind or _kind(looked, counts, ask)
    if found == "labels":
        return _labels(looked, counts)
    if found == "numbers":
        return _numbers(looked, counts)
    return _texts(looked, counts)


def _kind(looked: Looked, counts: Counter[str], ask: Ask | None) -> Kind:
    few, numeric = _are_few(looked, counts), _all_numbers(looked)
    named = _reference_column(looked).casefold() in LABEL_NAMES
    if few and numeric and not named:
        # numbers are scored by value either way; as labels, 10 would be as far from 9 as from 1
        question = Question(
            "Are the answers classes or quantities", "--task labels or --task numbers",
            ("labels", "numbers"), default="numbers",
            why=f"the answers are {counted(len(counts), 'different number')}",
        )  # fmt: skip
        return "labels" if settled(question, ask) == "labels" else "numbers"
    if few:
        return "labels"
    return "numbers" if numeric or "gold" in looked.entry.columns else "text"


def _reference_column(looked: Looked) -> str:
    return looked.entry.columns.get("reference", "output")


def _are_few(looked: Looked, counts: Counter[str]) -> bool:
    named = _reference_column(looked).casefold() in LABEL_NAMES
    most = MOST_NAMED_LABELS if named else MOST_LABELS
    enough = len(looked.examples) >= ROWS_A_LABEL * len(counts)
    return len(counts) <= most and enough and all(len(a.split()) <= LABEL_WORDS for a in counts)


def _all_numbers(looked: Looked) -> bool:
    """Whether every answer is one number, or a worked one that ends in `#### 42` (GSM8K).

    A row with several accepted answers has no one number that `gold` could hold.
    """
    return all(
        not e.references
        and (_NUMBER.fullmatch(e.reference) or "####" in e.reference)
        and gold_decimal(e.reference, looked.language) is not None
        for e in looked.examples
    )


def _labels(looked: Looked, counts: Counter[str]) -> Answers:
    where = looked.place
    twins: dict[str, str] = {}
    for label in counts:
        other = twins.setdefault(same_label(label), label)
        if other != label:
            rows = f"{counts[other]} and {counted(counts[label], 'row')}"
            text = f'the labels "{other}" and "{label}" differ by case, blanks or form alone'
            raise HarnessError(f"{text} ({rows})", where=where, hint="Make them equal.")
    if len(counts) > MOST_NAMED_LABELS:
        hint = "Leave out `--task labels`, or join rare labels."
        raise HarnessError(counted(len(counts), "different label"), where=where, hint=hint)
    labels = tuple(sorted(counts, key=_label_order))
    rarest, total = min(counts.values()), sum(counts.values())
    even = rarest >= EVEN * total / len(counts)
    shown = ", ".join(f"{label} {counts[label]}" for label in labels[:5])
    more = f", and {len(labels) - 5} more" if len(labels) > 5 else ""
    balance = "accuracy is easy to read, and the labels are about equally frequent"
    if not even:
        balance = "macro-F1 counts every label alike, and some are rare here"
    return Answers(
        "labels", "accuracy" if even else "f1_macro",
        f"the answers are {counted(len(counts), 'label')} (rows: {shown}{more})", balance, labels,
    )  # fmt: skip


def _label_order(label: str) -> tuple[float, str]:
    """Numbers by value, then texts by the alphabet."""
    try:
        return float(label), label
    except ValueError:
        return float("inf"), label


def _numbers(looked: Looked, counts: Counter[str]) -> Answers:
    column = looked.entry.columns.get("gold")
    if column is None and not _all_numbers(looked):
        several = next((e.references for e in looked.examples if e.references), ())
        if several:
            shown = ", ".join(f'"{answer[:20]}"' for answer in several[:3])
            hint = "Leave out `--task numbers`: any of the accepted answers is then right."
            text = f"a row accepts several answers, and numbers are compared with one: {shown}"
            raise HarnessError(text, where=looked.place, hint=hint)
        answers = [example.reference for example in looked.examples]
        wrong = next((a for a in answers if not gold_decimal(a, looked.language)), answers[0])
        text = f'an answer is not one number: "{wrong[:60]}"'
        raise HarnessError(text, where=looked.place)
    few = _are_few(looked, counts) and len(counts) <= MOST_LABELS
    held = f"`{column}` holds the right number" if column else "every answer holds one number"
    if units := _units(looked):
        held += f", whose unit ({units}) is not compared: `--task text` compares all of it"
    return Answers(
        "numbers", "numeric_accuracy", held, "the number in the answer is compared by its value",
        gold=column or _reference_column(looked),
        maybe_labels=tuple(sorted(counts, key=_label_order)) if few and not column else (),
    )  # fmt: skip


def _units(looked: Looked) -> str:
    """The words behind the numbers, where they differ: `5 g` would be right for `5 kg`."""
    found = (_NUMBER.fullmatch(example.reference) for example in looked.examples)
    counts = Counter(match["unit"] for match in found if match and match["unit"])
    if len(counts) < 2:
        return ""
    shown = [unit for unit, _ in counts.most_common(UNITS_SHOWN)]
    return ", ".join(shown) + (", …" if len(counts) > len(shown) else "")


def _texts(looked: Looked, counts: Counter[str]) -> Answers:
    words = sorted(len(e.reference.split()) for e in looked.examples)
    most = words[int(0.9 * (len(words) - 1))]
    if sum(bool(UNSPACED.search(e.reference)) for e in looked.examples) * 2 > len(words):
        why = "the script has no spaces between words, so characters are compared (chrF)"
        return Answers("text", "chrf", "the answers are texts", why)
    if most <= SHORT_WORDS:
        why = "an answer of a few words is either right or not"
        return Answers(
            "text",
            "exact_match",
            f"nine answers of ten have at most {most} word{'s' * (most != 1)}",
            why,
        )
    why = "ROUGE-L compares the words and their order; `chrf` compares characters"
    middle = words[len(words) // 2]
    return Answers(
        "text", "rougeL", f"the answers are texts, half of them over {counted(middle, 'word')}", why
    )
