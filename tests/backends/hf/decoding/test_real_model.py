"""The engine on a pretrained model that `HARNESS_REAL_MODEL` names, such as SmolLM2-135M-Instruct.

HARNESS_REAL_MODEL=FOLDER pytest -m gpu tests/backends/hf/decoding/test_real_model.py
"""

import os

import pytest
import torch
from real_model import VARIANTS, checked, prefix_shares

FOLDER = os.environ.get("HARNESS_REAL_MODEL")


@pytest.mark.gpu
@pytest.mark.skipif(not FOLDER, reason="HARNESS_REAL_MODEL names no folder")
@pytest.mark.parametrize("variant", VARIANTS)
def test_answers_follow_float32_as_far_as_those_of_generate(variant):
    device = "cuda" if torch.cuda.is_available() else "cpu"
    count = int(os.environ.get("HARNESS_REAL_QUESTIONS", "192"))
    tokens = int(os.environ.get("HARNESS_REAL_TOKENS", "64"))
    found = checked(FOLDER, variant, count=count, tokens=tokens, device=device)
    assert found["float32_equal_with_kernels"] == found["questions"], found
    assert found["float32_equal_plain"] == found["questions"], found
    # worse would be an interval that lies below zero
    assert found["difference"] + found["half_width"] >= 0, found


@pytest.mark.parametrize(
    ("answer", "exact", "share"),
    [([1, 2, 3], [1, 2, 3], 1), ([1, 9, 3], [1, 2, 3], 1 / 3), ([1], [1, 2], 0.5), ([9], [1], 0)],
)
def test_the_share_counts_tokens_before_the_first_difference(answer, exact, share):
    assert prefix_shares([answer], [exact]) == [pytest.approx(share)]
