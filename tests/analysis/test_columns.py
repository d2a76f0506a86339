"""Columns of a cell's records say what its records say, whatever the other side's order."""

import random

import numpy as np
import pytest

from harness.analysis.columns import aligned, ids_of, parsed_in, scores_in
from harness.analysis.flips import flips
from harness.results.result import by_id


def side(seed, count, share=0.9):
    rng = random.Random(seed)
    records = []
    for i in rng.sample(range(count), int(count * share)):
        scores = {"rougeL": rng.choice((0.0, 0.25, 0.5, 1.0))} if rng.random() < 0.9 else {}
        records.append({"id": f"e{i}", "scores": scores, "extracted": rng.choice((None, "5"))})
    return records


@pytest.mark.parametrize("made", [by_id, lambda records: {r["id"]: r for r in records}])
def test_flips_are_those_of_each_example_by_itself(made):
    first, second = made(side(1, 200)), made(side(2, 200))
    found = flips(first, second, "rougeL")
    changes = {
        i: second[i]["scores"]["rougeL"] - record["scores"]["rougeL"]
        for i, record in first.items()
        if "rougeL" in record["scores"] and "rougeL" in second.get(i, {"scores": {}})["scores"]
    }
    lost = sorted((change, i) for i, change in changes.items() if change < 0)
    assert (found.won, found.lost) == (sum(c > 0 for c in changes.values()), len(lost))
    assert found.tied == sum(c == 0 for c in changes.values())
    assert found.unparsed_second == sum(second[i]["extracted"] is None for i in changes)
    assert [(-flip.loss, flip.id) for flip in found.regressions] == lost
    for part in (slice(3), slice(2, 9), slice(0), slice(None, None, -1)):
        assert [flip.id for flip in found.regressions[part]] == [i for _, i in lost][part]
    assert (found.regressions[0].id, found.regressions[-1].id) == (lost[0][1], lost[-1][1])
    with pytest.raises(IndexError):
        found.regressions[len(lost)]


def test_a_column_is_computed_once_and_put_in_the_order_that_is_asked_for():
    records = by_id(side(3, 20, share=1))
    column = scores_in(records, "rougeL")
    assert scores_in(records, "rougeL") is column
    assert aligned(column, records, list(ids_of(records))) is column
    wanted = [*reversed(ids_of(records)), "unknown"]
    expected = [records[i]["scores"].get("rougeL", np.nan) for i in wanted[:-1]]
    np.testing.assert_array_equal(aligned(column, records, wanted), [*expected, np.nan])
    assert set(parsed_in(records)) <= {0.0, 1.0}
