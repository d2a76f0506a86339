"""The repeats of the noise floor are other batches than those of the evaluation."""

import pytest

from harness.run.repeats import repeats_of


def batches(examples, size):
    return [min(size, examples - first) for first in range(0, examples, size)]


@pytest.mark.parametrize("size", [2, 3, 8, 32, 64, 1000])
@pytest.mark.parametrize(("test", "examples"), [(32, 32), (200, 32), (12, 32), (33, 32), (2, 32)])
def test_every_repeat_has_other_batches(test, examples, size):
    some = min(test, examples)
    for repeat in repeats_of(test, batch_size=size, examples=examples, tuned=False):
        assert repeat.examples == some
        assert repeat.batch_size >= 1
        assert batches(some, repeat.batch_size) != batches(some, size)
        assert batches(some, repeat.batch_size) != batches(test, size)


def test_two_repeats_of_a_baseline_differ_and_a_tuned_cell_has_one():
    again, half = repeats_of(200, batch_size=64, examples=32, tuned=False)
    assert (again.batch_size, half.batch_size) == (24, 16)
    assert repeats_of(200, batch_size=64, examples=32, tuned=True) == [half]


@pytest.mark.parametrize(("test", "examples"), [(0, 32), (32, 0)])
def test_nothing_is_repeated_where_nothing_is_asked(test, examples):
    assert repeats_of(test, batch_size=8, examples=examples, tuned=False) == []
