"""Labels are never read from inside words; scores equal scikit-learn's over declared labels."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, precision_recall_fscore_support

from harness.errors import HarnessError
from harness.metrics.classification import (
    classification_scores,
    confusion,
    exact_match,
    parse_label,
    per_class,
)

LABELS = ("a", "b", "c")


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("Yes", "yes"),
        (" **NO.** ", "no"),
        ("yes\nbecause no other reading fits", "yes"),
        ("The answer is no, I think", "no"),
        ("I know", None),
        ("yesterday", None),
        ("no-one", None),
        ("yes and no", None),
        ("", None),
    ],
)
def test_parse_label(text: str, label: str | None) -> None:
    assert parse_label(text, ["yes", "no"]) == label


def test_parse_label_takes_the_longest_of_overlapping_labels() -> None:
    labels = ["positive", "very positive"]
    assert parse_label("I say very positive here", labels) == "very positive"


def test_parse_label_folds_yo() -> None:
    assert parse_label("Учёт", ["учет", "налоги"]) == "учет"


def test_labels_equal_after_normalising_are_refused() -> None:
    with pytest.raises(HarnessError, match="not distinct"):
        parse_label("x", ["Yes", "yes."])


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["a", "b", "c", None]), st.sampled_from(LABELS)), min_size=1)
)
def test_scores_equal_sklearn(pairs: list[tuple[str | None, str]]) -> None:
    predicted, gold = [p for p, _ in pairs], [g for _, g in pairs]
    ours = classification_scores(predicted, gold, LABELS)
    filled = [p or "?" for p in predicted]
    for average in ("macro", "weighted"):
        precision, recall, f1, _ = precision_recall_fscore_support(
            gold, filled, labels=list(LABELS), average=average, zero_division=0
        )
        assert ours[f"f1_{average}"] == pytest.approx(f1)
        if average == "macro":
            assert ours["precision_macro"] == pytest.approx(precision)
            assert ours["recall_macro"] == pytest.approx(recall)
    assert ours["accuracy"] == pytest.approx(accuracy_score(gold, filled))


def test_absent_class_counts_in_the_macro_mean() -> None:
    assert classification_scores(["a"], ["a"], LABELS)["f1_macro"] == pytest.approx(1 / 3)


def test_unparsed_is_a_column_and_not_a_class() -> None:
    matrix = confusion(["a", None, "junk"], ["a", "b", "b"], LABELS)
    assert matrix.counts == ((1, 0, 0, 0), (0, 0, 0, 2), (0, 0, 0, 0))
    assert matrix.columns == ("a", "b", "c", "unparsed")
    assert set(per_class(matrix)) == set(LABELS)
    assert per_class(matrix)["b"].recall == 0.0


def test_undeclared_gold_label_is_refused() -> None:
    with pytest.raises(HarnessError, match="not declared: z"):
        confusion(["a"], ["z"], LABELS)


@pytest.mark.parametrize(
    ("left", "right", "score"),
    [("Paris.", " paris", 1.0), ("-5", "5", 0.0), ("\u22125", "-5", 1.0), ("5 %", "5", 0.0)],
)
def test_exact_match(left: str, right: str, score: float) -> None:
    assert exact_match(left, right) == score


@pytest.mark.parametrize("name", ["f1_macro", "f1_weighted", "precision_macro", "recall_macro"])
def test_every_value_over_labels_is_compared_as_it_is_defined(name):
    from harness.metrics.registry import find
    from harness.statistics import LABEL_STATISTICS

    labels, gold = ("a", "b", "c"), "aaabbbcc" * 4

    def answered(guesses):
        pairs = zip(gold, guesses, strict=True)
        return [{"label": label, "predicted_label": guess} for label, guess in pairs]

    first, second = (
        answered("aabbbaca" * 4),
        answered(["a", "a", None, "b", "b", "b", "c", "c"] * 4),
    )
    corpus = find(name).corpus
    values = [corpus.value(side, labels) for side in (first, second)]
    found = corpus.difference([(first, second)], labels, clusters=None, confidence=0.95)
    assert found.delta == pytest.approx(values[1] - values[0])
    low, high = corpus.interval(first, labels, clusters=None)
    assert low < values[0] < high
    p = corpus.p_value([(first, second)], labels, clusters=None, resamples=10_000)
    assert p == pytest.approx(found.p_value)
    assert set(LABEL_STATISTICS) == {"f1_macro", "f1_weighted", "precision_macro", "recall_macro"}
