"""Test prompts that training repeats: the counts, the cache, the record."""

from functools import partial

from moments import just_before

from harness.datasets import overlap as module
from harness.datasets.example import Example
from harness.datasets.overlap import Overlap, overlap_of


def examples(texts):
    return [Example(str(k), text, "x") for k, text in enumerate(texts)]


def test_exact_and_near_are_counted_apart_with_their_shares():
    train = examples(["How do I save money in 2021?", "What is a bond?"])
    test = examples(["how do i save money in 2021", "How do I save money in 2022?", "Who?", "Why?"])
    found = overlap_of(train, test)
    assert found == Overlap(exact=1, near=1, tested=4)
    assert found.record()["near_share"] == 0.25


def test_a_count_is_made_once_for_all_cells(tmp_path, monkeypatch):
    train, test = examples(["a b c", "d e f"]), examples(["a b c"])
    first = overlap_of(train, test, cache=tmp_path)
    monkeypatch.setattr(module, "_counted", None)
    assert overlap_of(train, test, cache=tmp_path) == first


def test_a_part_that_most_rows_share_makes_no_prompts_similar():
    rule = "Answer the question in one sentence, and name the source of every number in brackets."
    questions = ["What is a bond?", "Who pays tax?", "Why do banks fail?", "How is a share priced?"]
    rows = [Example(str(k), q, "x", system=rule) for k, q in enumerate(questions)]
    assert overlap_of(rows[:3], rows[3:]) == Overlap(exact=0, near=0, tested=1)
    same = [Example("9", "Who pays tax", "x", system=rule)]
    assert overlap_of(rows[:3], same).exact == 1
    alike = [Example(str(k), rule, "x", context=q) for k, q in enumerate(questions)]
    assert overlap_of(alike[:3], alike[3:]).near == 0


def test_two_workers_of_one_number_may_count_at_once(tmp_path):
    """On two nodes that share the run directory."""
    train, test = examples(["a b c", "d e f"]), examples(["a b c"])
    other = partial(overlap_of, train, test, cache=tmp_path)
    with just_before("os.rename", "*.json.*", other):
        assert overlap_of(train, test, cache=tmp_path).exact == 1
    assert len(list(tmp_path.iterdir())) == 1
