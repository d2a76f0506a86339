"""Widths that batches of prompts are padded to, so that they share a shape where they are short."""

import pytest

from harness.backends.hf.decoding.prompts import width_of


@pytest.mark.parametrize(
    ("rows", "longest", "width"),
    [
        (1, 1, 64),
        (1, 64, 64),
        (16, 65, 128),
        (16, 128, 128),
        (16, 129, 129),
        (64, 20, 20),
        (1, 2049, 2049),
    ],
)
def test_few_tokens_are_padded_to_a_width_that_others_have(rows, longest, width):
    assert width_of([[5] * longest, *[[5]] * (rows - 1)]) == width
