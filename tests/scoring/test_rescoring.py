import json
import re
import shutil

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.plan.plan import make_plan
from harness.results.run import load_run
from harness.run.executors.local import LocalExecutor
from harness.run.runner import run_suite
from harness.scoring import rescoring
from harness.scoring.rescoring import rescore

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


def answered_otherwise(path, records):
    """Replace the answers of a cell, and its result by one that has recorded no files yet."""
    path.write_text("".join(f"{json.dumps(record)}\n" for record in records))
    result = path.with_name("result.json")
    old = json.loads(result.read_text()) | {"companions": {}, "schema": 2}
    result.write_text(json.dumps(old))


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
    answered_otherwise(path, records)
    CliRunner().invoke(main, ["score", str(out)])
    after = load_run(out).cells[0]
    assert base.value("numeric_accuracy").value > after.value("numeric_accuracy").value == 0
    assert after.value("latency_p50_ms") == base.value("latency_p50_ms")


def test_older_metrics_are_brought_up_to_date_without_training(write_suite, tmp_path):
    suite, out = run(write_suite, tmp_path)
    now = {cell.key: cell.metric_signatures for cell in load_run(out).cells}
    for path in out.rglob("result.json"):
        path.write_text(re.sub(r"(?<=\|v:)\d+", "0", path.read_text()))
    args = ["run", str(suite), "-o", str(out), "--backend", "testing"]
    result = CliRunner().invoke(main, args)
    assert "4 cells scored again by newer metrics, without training" in result.output
    assert {cell.key: cell.metric_signatures for cell in load_run(out).cells} == now


def lines_of(out, index=0):
    key = load_run(out).cells[index].key
    path = out / "cells" / key / "predictions.jsonl"
    return key, path, path.read_text().splitlines()


def test_score_says_what_changed_in_each_cell(write_suite, tmp_path):
    _, out = run(write_suite, tmp_path)
    key, path, lines = lines_of(out)
    records = [json.loads(line) for line in lines]
    golds = [r for r in records if "numeric_accuracy" in r["scores"]]
    wrong = next(r for r in golds if not r["scores"]["numeric_accuracy"])
    wrong["prediction"] = f"<think>0</think>Ответ: {wrong['gold']}"
    answered_otherwise(path, records)
    before = load_run(out).cells[0].value("numeric_accuracy").value
    output = CliRunner().invoke(main, ["score", str(out)]).output
    assert f"{key}: " in output
    assert "answers read differently" in output
    assert f"  numeric_accuracy {before:.4g} → {before + 1 / len(golds):.4g}" in output
    assert "  reasoning_chars none → " in output
    assert output.count("read differently") == 1
    again = CliRunner().invoke(main, ["score", str(out)]).output
    assert "read differently" not in again


@pytest.mark.parametrize("damage", ["shorter", "torn", "empty", "missing", "longer"])
def test_damaged_predictions_are_never_scored_over(write_suite, tmp_path, damage):
    _, out = run(write_suite, tmp_path)
    key, path, lines = lines_of(out, index=2)
    text = {
        "shorter": "\n".join(lines[:-2]), "torn": "\n".join(lines)[:-40], "empty": "",
        "missing": None, "longer": "\n".join([*lines, lines[0]]),
    }[damage]  # fmt: skip
    path.unlink() if text is None else path.write_text(text)
    kept = {p: p.read_bytes() for p in out.rglob("*.json*")}
    result = CliRunner().invoke(main, ["score", str(out)])
    assert result.exit_code == 2
    assert "predictions.jsonl" in result.output.replace("\n", "")
    assert key in result.output.replace("\n", "")
    assert {p: p.read_bytes() for p in out.rglob("*.json*")} == kept


def test_code_that_a_run_names_is_not_run_unless_it_is_allowed(write_suite, tmp_path):
    """A run comes from anyone: its result may name any file as a metric's module."""
    _, out = run(write_suite, tmp_path)
    module, mark = tmp_path / "evil.py", tmp_path / "sprung"
    module.write_text(f"open({str(mark)!r}, 'w')\n")
    for path in out.glob("cells/*/result.json"):
        record = json.loads(path.read_text())
        metric = {"source": str(module), "higher_is_better": True}
        record["provenance"]["cell"]["evaluation"]["metrics"] = [metric]
        path.write_text(json.dumps(record))
    before = {path: path.read_text() for path in out.rglob("*.json*")}
    for command in ("score", "report", "compare"):
        more = ["--axis", "adapter"] if command == "compare" else []
        found = CliRunner().invoke(main, [command, str(out), *more])
        assert not mark.exists(), command
        if command == "score":
            assert found.exit_code == 2, found.output
            assert "evil.py" in found.output
            assert "--metric-code" in found.output
            assert {path: path.read_text() for path in out.rglob("*.json*")} == before
    assert "evil.py" in CliRunner().invoke(main, ["score", str(out), "--metric-code"]).output
    assert mark.exists()


def files_of(out):
    names = ("result.json", "predictions.jsonl")
    return {p.relative_to(out): p.read_bytes() for name in names for p in out.rglob(name)}


def test_scoring_in_several_processes_writes_the_same_bytes(write_suite, tmp_path, monkeypatch):
    _, out = run(write_suite, tmp_path)
    for path in out.rglob("predictions.jsonl"):
        records = [json.loads(line) for line in path.read_text().splitlines()]
        answered_otherwise(path, [r | {"prediction": f"{r['prediction']} 7"} for r in records])
    shutil.copytree(out, again := tmp_path / "again")
    changes = []
    monkeypatch.setattr(rescoring, "WORTH_FORKING", 0)
    for directory, count in ((out, 1), (again, 3)):
        monkeypatch.setattr(rescoring, "processes", lambda count=count: count)
        changes.append([one.changes for one in rescore(load_run(directory))])
    assert files_of(out) == files_of(again)
    assert changes[0] == changes[1] != []
