"""Widths that batches of prompts are padded to, so that they share a shape where they are short."""

import pytest
import torch

from harness.backends.hf.decoding.prompts import few_tokens, width_of


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
    assert width_of([[5] * longest, *[[5]] * (rows - 1)], 2048) == width


@pytest.mark.parametrize(("size", "few"), [(100, 2048), (40_000, 1250)])
def test_a_large_model_reads_fewer_tokens_by_a_graph(size, few):
    with torch.device("meta"):
        assert few_tokens(torch.nn.Sequential(torch.nn.Linear(size, size))) == few
