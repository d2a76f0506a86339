"""A cell by the beginning of its key."""

from types import SimpleNamespace

import pytest

from harness.errors import HarnessError
from harness.results.finding import cell_named, cells_named

CELLS = [SimpleNamespace(key=f"tiny--none--lora-r{rank}--qa") for rank in (1, 2, 4, 8, 16, 32)]


def test_a_beginning_that_fits_one_cell_names_it():
    assert cell_named(CELLS, "tiny--none--lora-r2") is CELLS[1]
    assert cells_named(CELLS, "tiny--none--lora-r1") == [CELLS[0], CELLS[4]]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("tiny", r'"tiny" matches 6 cells\n.*lora-r1--qa.*lora-r8--qa and 2 more\.$'),
        ("tiny--none--lora-r1", r"matches 2 cells\n.*lora-r1--qa, tiny--none--lora-r16--qa\.$"),
        ("tiny--none--lora-r64--qa", 'no cell "tiny--none--lora-r64--qa"\n.*Did you mean'),
    ],
)
def test_others_are_refused_with_what_there_is(name, message):
    with pytest.raises(HarnessError, match=message):
        cell_named(CELLS, name)
