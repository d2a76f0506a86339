"""Values at their place on a scale, and round ticks between its ends."""

import pytest

from harness.report.page.scale import PAD, scale_of

SCALES = {
    "shares": ([0.1, 0.158], {}, ["0.1", "0.12", "0.14"]),
    "around zero": ([-0.01, 0.031], {}, ["-0.01", "0", "0.01", "0.02", "0.03"]),
    "far apart: logarithmic": ([3, 900], {"logarithmic": True}, ["5", "10", "20", "50", "100",
                                                               "200", "500"]),
    "near each other: not": ([3, 9], {"logarithmic": True}, ["4", "6", "8"]),
    "negative: not": ([-3, 900], {"logarithmic": True}, ["0", "200", "400", "600", "800"]),
    "MiB as GiB": ([3000, 9000], {"unit": 1024.0}, ["4096", "6144", "8192"]),
    "one value": ([5, 5], {}, ["5"]),
}  # fmt: skip


@pytest.mark.parametrize(("values", "more", "texts"), SCALES.values(), ids=SCALES)
def test_ticks_are_round_and_within_the_scale(values, more, texts):
    scale = scale_of(values, **more)
    ticks = scale.ticks(lambda value: f"{value:g}")
    assert [tick.text for tick in ticks] == texts
    assert all(PAD - 0.1 <= tick.place <= 100 - PAD + 0.1 for tick in ticks)
    assert [tick.place for tick in ticks] == sorted(tick.place for tick in ticks)


def test_the_ends_are_inside_the_plot_and_equal_values_in_its_middle():
    assert [scale_of([2, 4]).place(v) for v in (2, 3, 4)] == [PAD, 50.0, 100 - PAD]
    assert scale_of([7, 7]).place(7) == 50.0
