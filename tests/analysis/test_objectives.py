from dataclasses import replace

from harness.analysis.objectives import standings
from harness.analysis.table import Row, Table
from harness.results.records import Environment, Provenance
from harness.results.result import CellResult, Value
from harness.suite.schema import Objectives


def row(name, quality, memory, latency, machine="cpu"):
    values = (
        Value("rougeL", quality, n=10), Value("infer_peak_rss_mib", memory),
        Value("latency_p50_ms", latency),
    )  # fmt: skip
    environment = Environment(machine={"cpu": machine, "cores": 2, "gpu": None})
    cell = CellResult(
        name, "ok", "m", "none", name, "d", 0, "f", primary_metric="rougeL", values=values,
        provenance=Provenance(environment=environment),
    )  # fmt: skip
    return Row("m", "none", name, (cell,), None, {})


TABLE = Table(
    "d", "generation", "rougeL",
    (row("good", 0.8, 4096, 20), row("small", 0.7, 1024, 10), row("bad", 0.6, 4096, 30)),
)  # fmt: skip


def names(table, **wanted):
    return [s.row.adapter for s in standings(table, Objectives(**wanted)) if not s.outside]


def test_rows_stand_by_quality_or_by_quality_per_gib():
    assert names(TABLE) == ["good", "small", "bad"]
    assert names(TABLE, order_by="quality_per_gib") == ["small", "good", "bad"]


def test_bounds_put_rows_outside_with_the_reason():
    assert names(TABLE, max_memory_mib=2000) == ["small"]
    found = standings(TABLE, Objectives(max_latency_ms=15))
    assert [s.outside for s in found] == [
        None,
        "latency 20 ms is over 15",
        "latency 30 ms is over 15",
    ]


def test_the_front_holds_what_nothing_beats_in_everything():
    front = {s.row.adapter for s in standings(TABLE, Objectives()) if s.on_front}
    assert front == {"good", "small"}


def test_speed_of_another_machine_is_left_out():
    rows = (*TABLE.rows, row("away", 0.9, 4096, 1, machine="other"))
    found = standings(replace(TABLE, rows=rows), Objectives())
    assert {s.latency_ms for s in found} == {None}


def test_what_was_not_measured_beats_nothing():
    rows = (*TABLE.rows, row("unknown", 0.7, None, None))
    found = standings(replace(TABLE, rows=rows), Objectives(order_by="quality_per_gib"))
    assert {s.row.adapter for s in found if s.on_front} == {"good", "small"}
    assert [s.row.adapter for s in found] == ["small", "good", "bad", "unknown"]


def test_the_best_of_unmeasured_rows_is_the_front():
    rows = (row("one", 0.7, None, None), row("two", 0.8, None, None))
    found = standings(replace(TABLE, rows=rows), Objectives(order_by="quality_per_gib"))
    assert [(s.row.adapter, s.on_front) for s in found] == [("two", True), ("one", False)]
