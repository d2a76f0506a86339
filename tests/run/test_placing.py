"""What a cell may take of its device while it answers, and what a shared device cannot measure."""

import pytest

from harness.results.stages import StageRecord
from harness.run.placing import answering_gib, placed

ALONE, SHARED = {"cells_at_once": 1}, {"cells_at_once": 3}


@pytest.mark.parametrize("device", [ALONE, SHARED, None])
@pytest.mark.parametrize(("takes", "gib"), [(6.5, 6.5), (None, 0.0)])
def test_what_a_cell_may_take_does_not_depend_on_who_runs_beside_it(device, takes, gib):
    assert answering_gib({"takes_gib": takes, "needs_gib": 2.0, "device": device}) == gib


@pytest.mark.parametrize(("device", "kept"), [(ALONE, 2), (SHARED, 1)])
def test_what_the_board_counts_for_all_cells_is_left_out_of_one(device, kept):
    record = StageRecord("key", {"train_energy_j": 3.0, "train_seconds": 2.0}, {}, {})
    found = placed(record, {"device": device})
    assert found.facts["device"] == device
    assert len(found.numbers) == kept
