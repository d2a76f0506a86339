"""Points that cover each other say so."""

import pytest

from harness.report.page.points import Point, with_company


def point(x, y):
    return Point(0, "#", "a: 0.5", 0.5, y, y, y, x, None, False, False, False)


COMPANY = {
    "apart": ([({"memory": 10}, 10), ({"memory": 12}, 10)], ""),
    "equal in memory alone": (
        [({"memory": 10, "latency": 5}, 10), ({"memory": 10, "latency": 80}, 10)],
        "; at the same place: v1 (memory)",
    ),
    "equal in both": (
        [({"memory": 10, "latency": 5}, 10), ({"memory": 10, "latency": 5}, 10)],
        "; at the same place: v1 (memory and latency)",
    ),
    "another quality": ([({"memory": 10}, 10), ({"memory": 10}, 30)], ""),
    "one was not measured": ([({"memory": 10}, 10), ({}, 10)], ""),
    "many": (
        [({"memory": 10}, 10)] * 6,
        "; at the same place: v1 (memory), v2 (memory), v3 (memory) and 2 more",
    ),
}


@pytest.mark.parametrize(("places", "said"), COMPANY.values(), ids=COMPANY)
def test_points_at_one_place_are_named(places, said):
    points = [point(x, y) for x, y in places]
    found = with_company(points, [f"v{k}" for k in range(len(points))])
    assert found[0].text == "a: 0.5" + said
