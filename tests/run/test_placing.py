"""What a cell may take of its device while it answers, and what a shared device cannot measure."""

import pytest

from harness.results.stages import StageRecord
from harness.run.placing import placed

ALONE, SHARED = {"cells_at_once": 1}, {"cells_at_once": 3}


@pytest.mark.parametrize(("device", "kept"), [(ALONE, 2), (SHARED, 1)])
def test_what_the_board_counts_for_all_cells_is_left_out_of_one(device, kept):
    record = StageRecord("key", {"train_energy_j": 3.0, "train_seconds": 2.0}, {}, {})
    found = placed(record, {"device": device})
    assert found.facts["device"] == device
    assert len(found.numbers) == kept
