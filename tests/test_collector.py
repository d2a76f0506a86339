"""The collector rests inside and is afterwards as it was."""

import gc

import pytest

from harness.collector import uncollected


@pytest.mark.parametrize("before", [True, False])
def test_it_rests_inside_and_is_as_before_afterwards(before):
    was = gc.isenabled()
    (gc.enable if before else gc.disable)()
    try:
        with uncollected():
            with uncollected():
                pass
            assert not gc.isenabled()  # the inner one has not turned it on
        assert gc.isenabled() is before
        with pytest.raises(ZeroDivisionError), uncollected():
            _ = 1 / 0
        assert gc.isenabled() is before
    finally:
        (gc.enable if was else gc.disable)()
