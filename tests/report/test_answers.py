"""The accounts of answers."""

from harness.analysis.table import Row, Table
from harness.report.sections.answers import answers
from harness.results.result import CellResult, Value


def test_n_is_the_answers_counted_and_not_the_control_set():
    values = (
        Value("accuracy", 0.5, n=56), Value("control_accuracy", 0.9, n=80),
        Value("empty_share", 0.0, n=56), Value("truncated_share", 0.0, n=56),
    )  # fmt: skip
    cell = CellResult(
        "k", "ok", "m", "none", "base", "d", None, "f", "classification", "accuracy", values=values
    )
    table = Table("d", "classification", "accuracy", (Row("m", "none", "base", (cell,), None, {}),))
    section = answers(table)
    assert section.rows[0][section.columns.index("n")] == "56"
