"""The first screen: a card for each data set, reasons for doubt, and what got worse."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from harness.analysis.cautions import Caution, Gravity, run_cautions
from harness.analysis.decision import Decision, decisions
from harness.analysis.fallen import control_falls, metric_falls
from harness.analysis.flips import Flip
from harness.analysis.leaderboard import Leaderboard
from harness.analysis.table import Table
from harness.analysis.wording import joined, variant
from harness.counting import counted
from harness.metrics.meaning import title_of
from harness.report.page.answers import example_numbers
from harness.report.page.picture import Picture, picture
from harness.report.section import shortened

BADGES = {"ship": "Ship", "candidate": "Not yet", "keep": "Keep", "no gain": "No gain shown",
          "unknown": "Cannot say"}  # fmt: skip
"""Outcome → the words on its badge."""
FIRST_CAUTIONS = 7
"""So many reasons for doubt are open on the first screen of one data set; the others unfold."""
FEWEST_CAUTIONS = 3
"""So many are open however many data sets there are."""
TOGETHER = 3
"""From so many data sets that say something grave in other words, it is said once for all."""
WORST = 3
"""How many flipped answers are listed for a data set."""
WIDTH = 110
"""Characters of a prompt or answer in such a list."""


_SENTENCE = re.compile(r"((?:`[^`]*`|[^`])*?\.)(?=\s|$)")


@dataclass(frozen=True)
class Card:
    """One data set's answer."""

    dataset: str
    metric: str
    outcome: str
    badge: str
    headline: str
    """What to do: the first sentence."""
    reason: str
    """The rest of it."""
    facts: tuple[str, ...]
    more: tuple[str, ...]
    worse: str
    """One sentence on what got worse, or empty."""
    variant: int | None
    """The number of the variant that the headline names."""


@dataclass(frozen=True)
class Doubt:
    """One reason for doubt, for the data sets that share it."""

    level: str
    where: str
    text: str
    brief: str = ""
    """The same in a few words, for a phone. Of what is grave there is the whole text alone, but
    for what several data sets have: then it is what they share."""


@dataclass(frozen=True)
class FlippedAnswer:
    """One answer that got worse."""

    link: str
    prompt: str
    before: str
    after: str


@dataclass(frozen=True)
class Worse:
    """What got worse on one data set for the variant that its card names."""

    place: int
    """The data set's number."""
    dataset: str
    variant: str
    sentence: str
    falls: tuple[str, ...]
    flips: tuple[FlippedAnswer, ...]


@dataclass(frozen=True)
class FirstScreen:
    """Everything above the questions."""

    cards: tuple[Card, ...]
    doubts: tuple[Doubt, ...]
    later: tuple[Doubt, ...]
    """Doubts of less weight, which unfold."""
    worse: tuple[Worse, ...]
    uncompared: Mapping[int, str]
    """Data set's number → why nothing can be said about what got worse there."""
    pictures: Mapping[str, Picture]
    decisions: tuple[Decision, ...]
    fell: Mapping[int, Mapping[int, Sequence[str]]]
    """Data set's number → variant's number → its metrics and controls that got worse."""


def first_screen(board: Leaderboard, numbers: Mapping[str, int]) -> FirstScreen:
    """The first screen of ``board``.

    Args:
        board: What is reported.
        numbers: Variant → its number in the page.
    """
    made = decisions(board)
    current = board.deciding
    # a point of an earlier run would look like one more variant to ship, and take part in the front
    drawn = {
        decision.dataset: picture(current, table, decision, numbers)
        for table, decision in zip(current.tables, made, strict=True)
    }
    doubts = _doubts([*(c for d in made for c in d.cautions), *run_cautions(current)])
    # what is grave is never folded, however long the list
    grave = sum(doubt.level == Gravity.GRAVE.name.lower() for doubt in doubts)
    # many data sets have many cards, and a line among the doubts for each kind of them
    shown = max(FIRST_CAUTIONS + 1 - len(made), FEWEST_CAUTIONS, grave)
    return FirstScreen(
        tuple(_card(d, numbers) for d in made), tuple(doubts[:shown]), tuple(doubts[shown:]),
        tuple(_worse(board, d, numbers, place) for place, d in enumerate(made) if d.fallen),
        {place: _uncompared(d) for place, d in enumerate(made) if not d.fallen},
        {name: found for name, found in drawn.items() if found}, made,
        {place: _fell(table, numbers) for place, table in enumerate(board.tables)},
    )  # fmt: skip


def _card(decision: Decision, numbers: Mapping[str, int]) -> Card:
    return Card(
        decision.dataset, title_of(decision.metric), decision.outcome, BADGES[decision.outcome],
        *_split(decision.headline), decision.facts, decision.more, worse_sentence(decision),
        numbers.get(decision.row.name) if decision.row else None,
    )  # fmt: skip


def _split(headline: str) -> tuple[str, str]:
    """The first sentence and the rest; a full stop within code marks ends none."""
    first = _SENTENCE.match(headline)
    return (first[1], headline[first.end() :].strip()) if first else (headline, "")


def worse_sentence(decision: Decision) -> str:
    """What got worse in one sentence; empty if nothing was compared."""
    fell = decision.fallen
    if fell is None:
        return ""
    kinds = [(len([f for f in fell.falls if f.kind == kind]), name)
             for kind, name in (("metric", "metric"), ("category", "category"),
                                ("control", "control"))]  # fmt: skip
    found = [f"{count} {_plural(name, count)}" for count, name in kinds if count]
    looked = [f"{count} {_plural(name, count)}"
              for count, name in ((fell.metrics, "metric"), (fell.categories, "category"),
                                  (fell.controls, "control")) if count]  # fmt: skip
    text = f"{joined(found)} got worse" if found else "Nothing got worse beyond noise"
    text += f" (of {joined(looked)})" if looked else ""
    if fell.flips and fell.flips.lost:
        total = fell.flips.won + fell.flips.lost + fell.flips.tied
        text += f"; {fell.flips.lost} of {counted(total, 'answer')} scored lower"
    return f"{text}."


def _uncompared(decision: Decision) -> str:
    """Said instead of nothing: an empty list would read as if nothing had got worse."""
    if decision.row is None:
        why = "the card names no variant to look at"
    elif decision.outcome == "keep":
        why = "the untouched model is kept, so nothing changes"
    else:
        why = f"{variant(decision.row)} has no baseline to compare with"
    return f"{decision.dataset}: {why}."


def _plural(name: str, count: int) -> str:
    if count == 1:
        return name
    return "categories" if name == "category" else f"{name}s"


def _doubts(found: Sequence[Caution]) -> list[Doubt]:
    """Gravest first; the same doubt on several data sets becomes one line."""
    kinds: dict[tuple[Gravity, str], list[Caution]] = {}
    for caution in found:
        # what is grave is said in full of every data set
        key = caution.text if caution.gravity is Gravity.GRAVE else caution.short or caution.text
        kinds.setdefault((caution.gravity, key), []).append(caution)
    merged = [_doubt(gravity, same) for (gravity, _), same in _by_head(kinds).items()]
    order = [gravity.name.lower() for gravity in sorted(Gravity, reverse=True)]
    return sorted(merged, key=lambda doubt: order.index(doubt.level))


def _by_head(
    kinds: Mapping[tuple[Gravity, str], list[Caution]],
) -> dict[tuple[Gravity, str], list[Caution]]:
    """``kinds`` with grave ones together that differ in what follows the colon, if they are many.

    Eight data sets that say the same at length would fill a phone's screen by themselves.
    """
    heads = Counter(text.partition(":")[0] for gravity, text in kinds if gravity is Gravity.GRAVE)
    found: dict[tuple[Gravity, str], list[Caution]] = {}
    for (gravity, text), same in kinds.items():
        head = text.partition(":")[0]
        together = gravity is Gravity.GRAVE and heads[head] >= TOGETHER
        found.setdefault((gravity, head if together else text), []).extend(same)
    return found


def _doubt(gravity: Gravity, same: Sequence[Caution]) -> Doubt:
    first = same[0]
    names = [caution.dataset for caution in same if caution.dataset]
    if gravity is Gravity.GRAVE and len({caution.text for caution in same}) > 1:
        head = first.text.partition(":")[0]
        each = (f"{c.dataset}: {c.text.partition(':')[2].strip().rstrip('.')}" for c in same)
        return Doubt(gravity.name.lower(), joined(names), f"{head}. {'; '.join(each)}.", head)
    brief = "" if gravity is Gravity.GRAVE else first.short
    if all(caution.text == first.text for caution in same):
        return Doubt(gravity.name.lower(), joined(names), first.text, brief)
    text = f"{first.text} Likewise on {joined(names[1:])}."
    more = f" (also on {joined(names[1:])})" if brief else ""
    return Doubt(gravity.name.lower(), first.dataset or "", text, brief + more)


def _worse(board: Leaderboard, decision: Decision, numbers: Mapping[str, int], place: int) -> Worse:
    fell, row = decision.fallen, decision.row
    assert fell is not None
    assert row is not None
    quoted = fell.flips if board.run.has_texts else None
    losses = quoted.regressions[:WORST] if quoted else ()
    number, known = numbers[row.name], example_numbers(board, board.tables[place])
    return Worse(
        place, decision.dataset, variant(row), worse_sentence(decision),
        tuple(fall.text for fall in fell.falls),
        tuple(_flipped(flip, f"#answer-{place}-{number}-{known[flip.id]}") for flip in losses),
    )  # fmt: skip


def _fell(table: Table, numbers: Mapping[str, int]) -> dict[int, list[str]]:
    """What a reader who pins a variant is shown; categories cost seconds for every variant."""
    return {
        numbers[row.name]: [fall.text for fall in (*metric_falls(row), *control_falls(row))]
        for row in table.rows
        if row.baseline and row.deltas
    }


def _flipped(flip: Flip, link: str) -> FlippedAnswer:
    asked, before, after = (
        shortened(" ".join(text.split()), WIDTH) or "(empty)"
        for text in (flip.first["example_prompt"], flip.first["prediction"],
                     flip.second["prediction"])
    )  # fmt: skip
    return FlippedAnswer(link, asked, before, after)
