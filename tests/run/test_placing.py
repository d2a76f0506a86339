"""What a cell may take of its device while it answers, and what a shared device cannot measure."""

import math

import pytest

from harness.results.stages import StageRecord
from harness.run.placing import answering_gib, placed

ALONE, SHARED = {"cells_at_once": 1}, {"cells_at_once": 3}


@pytest.mark.parametrize(
    ("job", "gib"),
    [
        ({"needs_gib": 6.5, "device": ALONE}, math.inf),
        ({"needs_gib": 6.5, "device": ALONE, "max_vram_gib": None}, math.inf),
        ({"needs_gib": 6.5, "device": ALONE, "max_vram_gib": 8.0}, 8.0),
        ({"needs_gib": 6.5, "device": SHARED}, 6.5),
        ({"needs_gib": 6.5, "device": SHARED, "max_vram_gib": 8.0}, 6.5),
        ({"needs_gib": 6.5}, 6.5),
        ({"needs_gib": None, "device": SHARED}, 0.0),
        ({}, 0.0),
    ],
)
def test_a_cell_takes_more_than_its_plan_expects_on_a_device_of_its_own_alone(job, gib):
    assert answering_gib(job) == gib


@pytest.mark.parametrize(("device", "kept"), [(ALONE, 2), (SHARED, 1)])
def test_what_the_board_counts_for_all_cells_is_left_out_of_one(device, kept):
    record = StageRecord("key", {"train_energy_j": 3.0, "train_seconds": 2.0}, {}, {})
    found = placed(record, {"device": device})
    assert found.facts["device"] == device
    assert len(found.numbers) == kept
