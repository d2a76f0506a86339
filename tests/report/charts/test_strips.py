"""The mean effect of each axis value is drawn of any grid; of a big one without its rows."""

import pytest

from harness.analysis.difference import Delta
from harness.analysis.table import Row, Table
from harness.report.charts import strips
from harness.report.figure import MAX_ROWS


def table(models, adapters):
    """Row k of a model differs from its baseline by k hundredths, and by one more in model m1."""
    rows = tuple(
        Row(f"m{m}", "none", f"a{a}", (), None, {
            "rougeL": Delta("rougeL", a / 100 + m, 0.0, 1.0, "better", 9, 5, 4),
        })
        for m in range(models) for a in range(adapters)
    )  # fmt: skip
    return Table("d", "generation", "rougeL", rows)


def drawn(figure):
    means, *points = figure.spec["layer"]
    values = {value["level"]: value["delta"] for value in means["data"]["values"]}
    return values, len(figure.spec["data"]["values"]) if points else 0


@pytest.mark.parametrize("adapters", [3, MAX_ROWS])
def test_means_are_those_of_all_rows_whatever_their_number(adapters):
    figure = strips.main_effects(table(2, adapters))
    means, points = drawn(figure)
    assert means["model: m1"] == pytest.approx((adapters - 1) / 200 + 1)
    assert means["model: m1"] - means["model: m0"] == pytest.approx(1)
    assert means["adapter: a2"] == pytest.approx(0.52)
    assert points == 2 * 2 * adapters
    assert figure.text.startswith("Δ rougeL of every row")


def test_of_very_many_rows_the_means_alone_are_drawn(monkeypatch):
    monkeypatch.setattr(strips, "MOST_POINTS", 50)
    figure = strips.main_effects(table(2, MAX_ROWS))
    means, points = drawn(figure)
    assert (len(means), points) == (2 + MAX_ROWS, 0)
    assert figure.text == f"Mean Δ rougeL by each axis alone, over {2 * MAX_ROWS} rows."


def test_an_axis_of_more_values_than_a_chart_has_lines_is_named_and_left_out():
    figure = strips.main_effects(table(2, MAX_ROWS + 1))
    means, _ = drawn(figure)
    assert set(means) == {"model: m0", "model: m1"}
    assert figure.text.endswith(f"Not drawn, with more than {MAX_ROWS} values: adapter.")
    assert strips.main_effects(table(1, MAX_ROWS + 1)) is None
