"""Which answers a page holds: the worst, and a sample with the shares of all."""

from collections import Counter

import pytest

from harness.analysis.table import Row
from harness.report.page.answers import WORST, Pair, shown_answer

ROW = Row("m", "none", "r8", (), None, {})


def pair(lost, won, equal):
    changes = [-0.1 - k / 1000 for k in range(lost)] + [0.2] * won + [0.0] * equal
    return Pair(0, 0, ROW, "rougeL", {}, {}, {f"e{k}": c for k, c in enumerate(changes)})


SAMPLES = {
    "even shares": ((30, 60, 10), 10, (3, 6, 1)),
    "the largest remainder gets the rest": ((1, 1, 2), 3, (1, 1, 1)),
    "a rare outcome may be missing": ((1, 98, 1), 10, (0, 10, 0)),
    "nothing lost": ((0, 5, 5), 4, (0, 2, 2)),
    "more than there are": ((1, 2, 3), 48, (1, 2, 3)),
    "all": ((1, 2, 3), None, (1, 2, 3)),
    "none": ((1, 2, 3), 0, (0, 0, 0)),
}


@pytest.mark.parametrize(("outcomes", "size", "wanted"), SAMPLES.values(), ids=SAMPLES)
def test_each_outcome_has_its_share_of_the_sample(outcomes, size, wanted):
    made = pair(*outcomes)
    sample = made.sample(size)
    counts = Counter(map(made.outcome, sample))
    assert tuple(counts[name] for name in ("lost", "won", "equal")) == wanted
    assert len(set(sample)) == len(sample)
    assert sample == pair(*outcomes).sample(size), "the same every time"


def test_the_worst_are_those_that_lost_most_and_never_more_than_lost():
    assert pair(10, 3, 3).worst == [f"e{k}" for k in range(9, 9 - WORST, -1)]
    assert pair(2, 3, 3).worst == ["e1", "e0"]
    assert pair(0, 3, 3).worst == []


def test_what_was_read_keeps_its_place_after_the_reasoning_is_folded():
    text = "<think>2 + 2</think> It is 4."
    at = text.index("4")
    shown = shown_answer(
        {"prediction": text, "reasoning_chars": len("2 + 2"), "reasoning_closed": True,
         "extracted": "4", "extracted_span": [at, at + 1]}
    )  # fmt: skip
    assert shown.text == "It is 4."
    assert shown.read == "4"
    assert shown.span is not None
    assert shown.text[slice(*shown.span)] == "4"
