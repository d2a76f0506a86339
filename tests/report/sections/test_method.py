"""How the report says what trained a cell."""

import pytest

from harness.report.section import MISSING
from harness.report.sections.method import trained_by


@pytest.mark.parametrize(
    ("how", "text"),
    [
        ({"engine": "flat"}, "harness"),
        ({"engine": "flat", "captured": True, "captured_sizes": [64]}, "harness, captured steps"),
        (
            {"engine": "flat", "captured": True, "unfused_reason": "gradients differ"},
            "harness, captured steps, unfused: gradients differ",
        ),
        (
            {"engine": "flat", "captured": False, "eager_reason": "4 steps"},
            "harness, eager steps: 4 steps",
        ),
        ({"engine": "trl", "reason": "training keys packing"}, "TRL: training keys packing"),
        (
            {
                "engine": "trl",
                "reason": "several",
                "devices": 2,
                "on": "cuda",
                "rows_a_step": 16,
                "peaks_mib": [1024.0, 900.0],
            },
            "TRL on 2 GPUs, 16 rows a step, peaks of 1,024 and 900 MiB",
        ),
    ],
)
def test_what_trained_a_cell_is_named_with_the_reason(how, text):
    assert trained_by({"trained": {"training": how}}) == text


@pytest.mark.parametrize("facts", [{}, {"trained": None}, {"trained": {"steps": 3}}])
def test_a_cell_that_does_not_say_shows_nothing(facts):
    assert trained_by(facts) == MISSING


def test_what_trains_a_head_beside_the_engine_is_transformers_trainer():
    facts = {"trained": {"training": {"engine": "trl", "reason": "optim adafactor"}}}
    assert trained_by(facts, "Trainer") == "Trainer: optim adafactor"
