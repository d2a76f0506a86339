"""Exit code 1 is a regression and nothing else: damaged files and NaN are 2 or 3, with a message."""

import csv
import json
import re
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.gate.check import update_baseline
from harness.gate.rule_kinds import Finding
from harness.gate.verdict import OUTCOMES
from harness.importers import Reading, import_answers
from harness.results.run import load_run


def harness(*arguments):
    return CliRunner().invoke(main, [*map(str, arguments)])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """An imported run with labels and groups, and its baseline."""
    folder = tmp_path_factory.mktemp("broken")
    with (folder / "t.csv").open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(["id", "model", "prompt", "label", "prediction", "group"])
        for model in "ab":
            texts = ["yes" if i % 3 else "no" for i in range(20)]
            rows.writerows([i, model, f"p{i}", "yes", text, i // 2] for i, text in enumerate(texts))
    reading = Reading(labels=("yes", "no"), dataset="d")
    import_answers([folder / "t.csv"], folder / "run", reading, name="run")
    update_baseline(load_run(folder / "run"), folder / "first.json", "first")
    return folder


@pytest.fixture
def run(made, monkeypatch):
    """The run, in the working directory, beside a fresh copy of its baseline."""
    monkeypatch.chdir(made)
    shutil.copy(made / "first.json", made / "run.baseline.json")
    return made / "run"


def test_the_baseline_that_is_damaged_below_is_a_good_one(run):
    assert harness("check", "run").exit_code == 0


def changed(path, value):
    """Sets what is at ``path`` in the baseline of ``run``."""
    record = json.loads((file := _baseline()).read_text())
    place = record
    for key in path[:-1]:
        place = place[key]
    if value is KeyError:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    file.write_text(json.dumps(record))


def without_hashes(run):
    """Make ``run`` one of an older version, whose results record no files beside them."""
    for path in run.glob("cells/*/result.json"):
        path.write_text(json.dumps(json.loads(path.read_text()) | {"companions": {}, "schema": 2}))


def _baseline():
    return Path("run.baseline.json")


CELL = ("cells", 0)
BROKEN = {
    "another schema": (("schema",), 9), "no schema": (("schema",), KeyError),
    "cells that are none": (("cells",), 3), "cells of null": (("cells",), None),
    "a cell that is none": (CELL, "x"), "no cells": (("cells",), KeyError),
    "no row": ((*CELL, "row"), KeyError), "a row of a number": ((*CELL, "row"), 3.5),
    "no status": ((*CELL, "status"), KeyError), "a status of a list": ((*CELL, "status"), ["ok"]),
    "an unknown field": ((*CELL, "colour"), "red"), "a seed of a text": ((*CELL, "seed"), "x"),
    "values of a number": ((*CELL, "values"), 0.5),
    "a value of a text": ((*CELL, "values", "accuracy"), "0.5"),
    "examples of a list": ((*CELL, "examples"), [1]),
    "ids of a text": ((*CELL, "examples", "id"), "abc"),
    "an id of a number": ((*CELL, "examples", "id", 0), 0),
    "an id of a list": ((*CELL, "examples", "id", 0), [None]),
    "an id twice": ((*CELL, "examples", "id", 0), "1"),
    "no texts": ((*CELL, "examples", "text"), KeyError),
    "a column cut": ((*CELL, "examples", "text"), []),
    "scores cut": ((*CELL, "scores", "accuracy"), [1.0]),
    "a score of a text": ((*CELL, "scores", "accuracy", 0), "1"),
    "a group cut": ((*CELL, "examples", "group"), [1, 2]),
    "a label of none": ((*CELL, "examples", "label", 0), "maybe"),
    "a label of a list": ((*CELL, "examples", "label", 0), ["yes"]),
    "fewer labels": ((*CELL, "labels"), ["no"]),
    "signatures of a number": ((*CELL, "signatures"), 3),
    "packages of a number": ((*CELL, "packages"), {"torch": 2}),
    "a history of a text": (("history",), "first"),
}  # fmt: skip


@pytest.mark.parametrize(("path", "value"), BROKEN.values(), ids=BROKEN)
def test_a_damaged_baseline_is_named_with_its_place(run, path, value):
    changed(path, value)
    found = harness("check", "run")
    assert found.exit_code == 2, found.output
    assert re.search(r"run\.baseline\.json: this baseline cannot be read: \w", found.output)
    assert "Traceback" not in found.output


@pytest.mark.parametrize("text", ["", "{", "[]", "null", "3", '"x"', "[" * 100_000, "\x94"])
def test_a_file_that_is_no_baseline_is_named(run, text):
    _baseline().write_bytes(text.encode("latin-1"))
    found = harness("check", "run")
    assert found.exit_code == 2, found.output
    assert "run.baseline.json: this baseline cannot be read" in found.output


@pytest.fixture
def rules(tmp_path):
    path = tmp_path / "rules.yaml"
    path.write_text("rules: [{metric: accuracy}]\n")
    return path


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_a_score_of_the_run_that_is_no_number_is_damage(run, tmp_path, rules, value):
    shutil.copytree(run, tmp_path / "run")
    path = next((tmp_path / "run").glob("cells/a--*/predictions.jsonl"))
    path.write_text(path.read_text().replace('"accuracy": 1.0', f'"accuracy": {value}', 2))
    without_hashes(tmp_path / "run")
    found = harness("check", tmp_path / "run", "--rules", rules)
    assert found.exit_code == 2, found.output
    said = " ".join(found.output.split())
    assert re.search(r"predictions.jsonl:\d+: is damaged: scores.accuracy: .* finite", said)


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity"])
def test_a_score_of_the_baseline_that_is_no_number_is_never_a_regression(run, rules, value):
    text = re.sub(r'("accuracy": \[[^\]]*?)1\.0', rf"\1{value}", _baseline().read_text(), count=1)
    assert value in text
    _baseline().write_text(text)
    found = harness("check", run, "--rules", rules)
    assert found.exit_code == 3, found.output
    assert "not-a-number" in found.output
    said = " ".join(found.output.split())
    assert re.search(r"accuracy is not finite for \d examples? in the baseline, the first", said)


def test_a_fault_of_our_own_is_no_regression(run, monkeypatch):
    def fails(*_, **__):
        raise ZeroDivisionError("of our own")

    monkeypatch.setattr("harness.gate.check.snapshot_of", fails)
    found = harness("check", "run")
    assert found.exit_code == 70
    assert "a fault of the harness (ZeroDivisionError: of our own)" in found.output


def test_findings_have_an_outcome_that_the_gate_knows():
    assert OUTCOMES[Finding("not-a-number", "").outcome] == "incomparable"


def test_a_label_that_the_result_does_not_count_is_named(run, tmp_path):
    shutil.copytree(run, tmp_path / "run")
    for path in (tmp_path / "run").glob("cells/*/result.json"):
        record = json.loads(path.read_text())
        record["confusion"] = {"labels": ["no", "other"], "matrix": [[0, 0, 0], [0, 0, 0]]}
        path.write_text(json.dumps(record))
    without_hashes(tmp_path / "run")
    found = harness("check", tmp_path / "run", "--against", _baseline())
    assert found.exit_code == 2, found.output
    assert 'predictions.jsonl:1: is damaged: label: "yes" is none of' in found.output


@pytest.mark.parametrize("path", ["/", "../../x/suite.yaml", "/etc/passwd2", ""])
def test_a_baseline_goes_beside_a_suite_that_is_there_or_where_it_was_told_to(
    run, tmp_path, monkeypatch, path
):
    """A run that was sent to somebody names any path as its suite's."""
    shutil.copytree(run, tmp_path / "run")
    plan = tmp_path / "run" / "plan.json"
    record = json.loads(plan.read_text())
    record["suite"]["path"] = path
    plan.write_text(json.dumps(record))
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    found = harness("baseline", "update", tmp_path / "run", "--reason", "x")
    written = list(Path().iterdir())
    if found.exit_code == 0:  # no path: in the working directory, under the run's name
        assert [p.name for p in written] == ["run.baseline.json"]
    else:
        assert found.exit_code == 2, found.output
        assert "the suite that the run names is not here" in found.output
        assert written == []
    assert sorted(p.name for p in tmp_path.iterdir()) == ["here", "run"]
    named = harness(
        "baseline", "update", tmp_path / "run", "--reason", "x", "-o", tmp_path / "b.json"
    )
    assert named.exit_code == 0, named.output
