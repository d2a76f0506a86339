import json
import re

from click.testing import CliRunner

from harness.cli import main
from harness.plan.plan import make_plan
from harness.results.result import load_run
from harness.run.executors.local import LocalExecutor
from harness.run.runner import run_suite

SUITE = """\
name: again
matrix:
  model: [tiny-qwen2]
  adapter: [{name: a, config: {r: 4}}]
  dataset: [{name: ru-calculations, train: 60, test: 30}, {name: finance-labels, train: 60, test: 30}]
"""


def run(write_suite, tmp_path):
    suite, out = write_suite(SUITE), tmp_path / "r"
    run_suite(make_plan(suite, out, backend="testing"), LocalExecutor(2, 1), lambda _: None)
    return suite, out


def test_scores_come_back_from_predictions_alone(write_suite, tmp_path):
    _, out = run(write_suite, tmp_path)
    before = [cell.values for cell in load_run(out).cells]
    result = CliRunner().invoke(main, ["score", str(out)])
    assert result.exit_code == 0, result.output
    assert [cell.values for cell in load_run(out).cells] == before


def test_a_changed_prediction_changes_the_score_and_keeps_the_measurements(write_suite, tmp_path):
    _, out = run(write_suite, tmp_path)
    base = load_run(out).cells[0]
    path = out / "cells" / base.key / "predictions.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        record["prediction"] = "nothing"
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    CliRunner().invoke(main, ["score", str(out)])
    after = load_run(out).cells[0]
    assert base.value("numeric_accuracy").value > after.value("numeric_accuracy").value == 0
    assert after.value("latency_p50_ms") == base.value("latency_p50_ms")


def test_older_metrics_are_brought_up_to_date_without_training(write_suite, tmp_path):
    suite, out = run(write_suite, tmp_path)
    now = {cell.key: cell.metric_signatures for cell in load_run(out).cells}
    for path in out.rglob("result.json"):
        path.write_text(re.sub(r"(?<=\|v:)\d+", "0", path.read_text()))
    result = CliRunner().invoke(main, ["run", str(suite), "-o", str(out)])
    assert "4 cells scored again by newer metrics, without training" in result.output
    assert {cell.key: cell.metric_signatures for cell in load_run(out).cells} == now
