"""A damaged file of a run is named: its place, what is wrong, what to do; never a traceback."""

import io
import json
import tarfile

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.errors import HarnessError
from harness.importers import Reading, import_answers
from harness.results.packing import pack
from harness.results.paths import CellPaths
from harness.results.reading import keep_aside
from harness.results.records import Audit, ConfusionMatrix, Noise, Provenance
from harness.results.result import load_result, save_result
from harness.results.run import load_run

ROWS = [{"id": str(i), "prompt": f"p{i}", "reference": "r", "prediction": "r"} for i in range(4)]


@pytest.fixture
def run(tmp_path):
    (tmp_path / "m.json").write_text(json.dumps(ROWS))
    import_answers([tmp_path / "m.json"], tmp_path / "run", Reading(), name="run")
    return tmp_path / "run"


def invoke(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def report(path, out):
    return invoke("report", path, "-o", out)


READERS = {
    "report": lambda run, cell, out: report(run, out / "out"),
    "compare": lambda run, cell, out: invoke("compare", run, run),
    "compare cells": lambda run, cell, out: invoke("compare", cell, cell),
    "score": lambda run, cell, out: invoke("score", run),
    "show": lambda run, cell, out: invoke("show", run, ""),
}
"""The commands that read a run: (run, a cell's folder, folder for output) → what it said."""


PLANS = ["", "{", "{}", "null", "[]", "3", '{"cells": 3}', '{"cells": [], "suite": 3}',
         '{"cells": [3], "suite": {"name": "s"}}', '{"cells": [{}], "suite": {"name": "s"}}']  # fmt: skip


@pytest.mark.parametrize("text", PLANS)
def test_a_plan_that_is_none(run, tmp_path, text):
    (run / "plan.json").write_text(text)
    found = report(run, tmp_path / "out")
    assert found.exit_code == 2, found.output
    assert f"{run}: plan.json is no plan of a run" in found.output


ODD_PLANS = {
    "a gate of a number": ("suite", "gate", 3), "a rule of another kind": ("suite", "gate", {"rules": [{"metric": 3}]}),
    "an unknown order": ("suite", "objectives", {"order_by": "luck"}), "claims of numbers": ("suite", "claims", [3]),
    "a claim of nothing": ("suite", "claims", [{"claim": {}, "model": "m"}]), "a source of a number": ("suite", "source", 3),
    "an unknown axis": ("suite", "baseline_of", "luck"), "a path of a number": ("suite", "path", 3),
    "a name of a list": ("suite", "name", ["s"]), "a model of a number": ("cells", "model", 3),
    "a seed of a text": ("cells", "seed", "x"), "a reason of a number": ("cells", "skip", 3.5),
    "a fingerprint of nothing": ("cells", "fingerprint", None), "a data set of a list": ("cells", "dataset", []),
}  # fmt: skip


@pytest.mark.parametrize("command", ["report", "show"])
@pytest.mark.parametrize(("block", "key", "value"), ODD_PLANS.values(), ids=ODD_PLANS)
def test_an_odd_value_in_a_plan_is_named(run, tmp_path, command, block, key, value):
    plan = json.loads((run / "plan.json").read_text())
    (plan["suite"] if block == "suite" else plan["cells"][0])[key] = value
    (run / "plan.json").write_text(json.dumps(plan))
    found = READERS[command](run, run, tmp_path)
    assert found.exit_code == 2, found.output
    place = f"suite.{key}" if block == "suite" else f"cells.0.{key}"
    assert f"plan.json is no plan of a run: {place}" in found.output


@pytest.mark.parametrize("suite", [{}, None, [], 3, {"name": "s", "path": "p"}])
def test_a_packed_plan_that_is_none_names_the_file_that_was_given(run, tmp_path, suite):
    packed = pack(run, tmp_path / "run.tar.xz")
    assert report(packed, tmp_path / "out").exit_code == 0
    broken = tmp_path / "broken.tar.xz"
    with tarfile.open(packed) as old, tarfile.open(broken, "w:xz") as new:
        for member in old.getmembers():
            content = old.extractfile(member).read()
            if member.name == "plan.json":
                content = json.dumps({"cells": [3], "suite": suite}).encode()
            member.size = len(content)
            new.addfile(member, io.BytesIO(content))
    found = report(broken, tmp_path / "out")
    assert found.exit_code == 2, found.output
    assert f"{broken}: plan.json is no plan of a run" in found.output


@pytest.mark.parametrize(
    "change", [{"suite": {}}, {"suite": None}, {"cells": None}, {"cells": [{}]}]
)
def test_a_run_whose_plan_is_none_is_not_packed(run, tmp_path, change):
    plan = json.loads((run / "plan.json").read_text())
    (run / "plan.json").write_text(json.dumps({**plan, **change}))
    found = CliRunner().invoke(main, ["pack", str(run), "-o", str(tmp_path / "x.tar.xz")])
    assert found.exit_code == 2, found.output
    assert f"{run}: plan.json is no plan of a run" in found.output
    assert not (tmp_path / "x.tar.xz").exists()


LINES = [
    ('{"id": "0', "the line is cut"), ("x", "the line is cut"), ("", "the line is cut"),
    ("[" * 100_000, "the line is cut"), ("3", "Input should be"), ("null", "Input should be"),
    ("[1]", "Input should be"), ("{}", 'no "id"'), ('{"id": 3}', "id: Input should be"),
    ('{"id": "2", "scores": {"rougeL": "high"}}', "scores.rougeL: Input should be"),
    ('{"id": "2", "scores": {"rougeL": 1' + "0" * 400 + "}}", "scores.rougeL: Input should be a finite"),
    ('{"id": "2", "scores": {"rougeL": 1e999}}', "scores.rougeL: Input should be a finite"),
    ('{"id": "2", "scores": {"rougeL": NaN}}', "scores.rougeL: Input should be a finite"),
]  # fmt: skip


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize(("line", "why"), LINES)
def test_a_damaged_line_of_predictions_is_named(run, tmp_path, command, line, why):
    path = next(run.glob("cells/*/predictions.jsonl"))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], line, *lines[3:]]) + "\n")
    found = READERS[command](run, path.parent, tmp_path)
    assert found.exit_code == 2, found.output
    assert f"{path}:3: is damaged: {why}" in found.output
    assert "run the cell again" in found.output


FIELDS = ("data_hash", "example_prompt", "prediction", "prompt", "reference", "scores")
LABELS = ("label", "predicted_label", "scores")


@pytest.fixture
def labelled(tmp_path):
    rows = [{**row, "reference": "ab"[k % 2], "prediction": "a"} for k, row in enumerate(ROWS)]
    (tmp_path / "l.json").write_text(json.dumps(rows))
    reading = Reading(labels=("a", "b"))
    import_answers([tmp_path / "l.json"], tmp_path / "labelled", reading, name="labelled")
    return tmp_path / "labelled"


def without(run, field, lines):
    """Take ``field`` out of these lines of a run of before results recorded hashes; the file."""
    path = next(run.glob("cells/*/predictions.jsonl"))
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for number in lines:
        del rows[number][field]
    path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    result = path.with_name("result.json")
    older = json.loads(result.read_text()) | {"companions": {}, "schema": 2}
    result.write_text(json.dumps(older, indent=1))
    return path


@pytest.mark.parametrize("command", ["report", "compare cells"])
@pytest.mark.parametrize("field", FIELDS)
def test_a_line_without_a_field_of_the_others_is_named(run, tmp_path, command, field):
    path = without(run, field, [1])
    found = READERS[command](run, path.parent, tmp_path)
    assert found.exit_code == 2, found.output
    assert f'{path}:2: is damaged: no "{field}"' in found.output


@pytest.mark.parametrize("lines", [[1], range(4)], ids=["one", "all"])
@pytest.mark.parametrize("field", LABELS)
def test_answers_without_what_the_result_is_computed_from_are_named(
    labelled, tmp_path, field, lines
):
    path = without(labelled, field, lines)
    found = report(labelled, tmp_path / "out")
    assert found.exit_code == 2, found.output
    assert f'{path}:{min(lines) + 1}: is damaged: no "{field}"' in found.output


RESULTS = {
    "cut": (lambda text: text[:40], ":2: is damaged: Unterminated string"),
    "no end": (lambda _: '{"half\n', ":1: is damaged: Invalid control character\n"),
    "empty": (lambda _: "", ":1: is damaged: Expecting value"),
    "a list": (lambda _: "[]", ":1: is damaged: no JSON object"),
    "deep": (lambda _: "[" * 100_000, ": is damaged: nested too deep"),
    "unknown field": ({"colour": "red"}, 'is damaged: unknown field "colour"'),
    "no values": ({"values": None}, "is damaged: values: Input should be"),
    "no metric": ({"values": [{}]}, 'is damaged: field "values.0.metric" is missing'),
    "a text": ({"values": [{"metric": "a", "value": "1"}]}, "is damaged: values.0.value"),
    "status": ({"status": "fine"}, ":3: is damaged: status: Input should be 'ok', "),
    "half an interval": (
        {"values": [{"metric": "a", "value": 1.0, "ci_low": 0.5}]},
        "is damaged: a: an interval",
    ),
    "NaN": ({"timings": {"total": float("nan")}}, "is damaged: NaN is no number"),
    "infinity": ({"timings": {"total": float("-inf")}}, "is damaged: -Infinity is no number"),
    "a number beyond all": (
        lambda text: text.replace('"schema": ', '"schema": 1e999, "x": ', 1),
        "is damaged: 1e999 is no",
    ),
    "a number of 5,000 digits": ({"seed": 10**4000}, "is damaged: 1000000"),
    "a number of 65 bits": ({"seed": 2**64}, "is damaged: 18446744073709551616 is no number"),
    "no schema": ({"schema": None}, ": is damaged: schema None"),
    "zero": ({"schema": 0}, ": is damaged: schema 0"),
    "newer": ({"schema": 99}, ": is of schema 99; this harness reads up to"),
}


def damage_result(run, case):
    """Damage one result of ``run``; its path, and what is to be said of it."""
    change, message = RESULTS[case]
    path = next(run.glob("cells/*/result.json"))
    text = path.read_text()
    changed = change(text) if callable(change) else json.dumps(json.loads(text) | change, indent=1)
    path.write_text(changed)
    return path, message


@pytest.mark.parametrize("command", READERS)
@pytest.mark.parametrize("case", RESULTS)
def test_a_damaged_result_is_named_and_left_alone(run, tmp_path, command, case):
    path, message = damage_result(run, case)
    text = path.read_text()
    found = READERS[command](run, path.parent, tmp_path)
    assert found.exit_code == 2, found.output
    assert found.output.startswith(f"error: {path}:")
    assert message in found.output
    assert "harness" in found.output.splitlines()[1]
    assert path.read_text() == text


COUNTS = [
    ("ab", [[1, 0, 0], []]), ("ab", [[1, 0, 0]]), ("ab", [[1, 0], [0, 1]]), ("ab", []),
    ("ab", [[1, 0, 0], [0, -1, 0]]), ("aa", [[1, 0, 0], [0, 1, 0]]), ("", [[]]), ("a", [[1, 2], [0, 1]]),
]  # fmt: skip


@pytest.mark.parametrize(("labels", "counts"), COUNTS)
def test_counts_that_are_not_of_their_labels_are_damage(run, labels, counts):
    path = next(run.glob("cells/*/result.json"))
    confusion = {"labels": list(labels), "matrix": counts}
    path.write_text(json.dumps(json.loads(path.read_text()) | {"confusion": confusion}, indent=1))
    with pytest.raises(HarnessError, match="is damaged: confusion: its rows and columns"):
        load_result(path)


def test_a_run_with_a_cut_result_is_not_packed(run, tmp_path):
    path, message = damage_result(run, "cut")
    found = invoke("pack", run, "-o", tmp_path / "x.tar.xz")
    assert found.exit_code == 2, found.output
    assert f"{path}{message}" in found.output


@pytest.mark.parametrize("text", ["", "{", "[]", '{"colour": 1}', '{"packages": []}'])
def test_a_damaged_environment_is_named(run, tmp_path, text):
    (run / "environment.json").write_text(text)
    found = report(run, tmp_path / "out")
    assert found.exit_code == 2, found.output
    assert f"{run / 'environment.json'}" in found.output
    assert "is damaged" in found.output


def test_a_result_of_schema_1_is_read(run):
    """Counts stood beside the warnings then, and empty records were empty objects."""
    path = next(run.glob("cells/*/result.json"))
    old = json.loads(path.read_text())
    del old["stages"]
    old |= {
        "schema": 1, "metrics_version": 3, "noise": {}, "provenance": {},
        "audit": {"rows": 8, "rows_cut": 1, "warnings": ["1 row is cut"]},
        "confusion": {"labels": ["a", "b"], "matrix": [[1, 0, 0], [0, 2, 1]]},
    }  # fmt: skip
    path.write_text(json.dumps(old))
    cell = load_result(path)
    assert cell.audit == Audit(("1 row is cut",), {"rows": 8, "rows_cut": 1})
    assert cell.confusion == ConfusionMatrix(("a", "b"), ((1, 0, 0), (0, 2, 1)))
    assert (cell.noise, cell.provenance, cell.hardware) == (Noise(), Provenance(), "")
    save_result(CellPaths(path.parent), cell)
    assert load_result(path) == cell
    assert load_run(run).cells[0] == cell


@pytest.mark.parametrize("command", READERS)
def test_predictions_that_end_early_are_refused(run, tmp_path, command):
    path = next(run.glob("cells/*/predictions.jsonl"))
    path.write_text("".join(path.read_text().splitlines(keepends=True)[:3]))
    found = READERS[command](run, path.parent, tmp_path)
    assert found.exit_code == 2, found.output
    assert f"{path}: 3 answers; result.json was computed from 4" in found.output


def test_a_plan_of_a_newer_harness_is_refused_and_kept(run, tmp_path):
    plan = run / "plan.json"
    text = json.dumps({**json.loads(plan.read_text()), "schema": 99})
    plan.write_text(text)
    assert f"{run}: plan.json is of schema 99" in report(run, tmp_path / "out").output
    with pytest.raises(HarnessError, match=r"schema 99(?s:.*)Update the harness"):
        import_answers([tmp_path / "m.json"], run, Reading(), name="run")
    assert plan.read_text() == text


def test_importing_over_a_damaged_run_says_so(run, tmp_path):
    (run / "plan.json").write_text("{")
    with pytest.raises(HarnessError, match=r"plan.json is no plan of a run: Expecting"):
        import_answers([tmp_path / "m.json"], run, Reading(), name="run")


def test_older_results_are_not_overwritten_by_newer_ones(tmp_path):
    for number in range(3):
        (tmp_path / "result.json").write_text(str(number))
        keep_aside(tmp_path / "result.json")
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        "result.json.damaged": "0", "result.json.damaged-2": "1", "result.json.damaged-3": "2"
    }  # fmt: skip


@pytest.mark.parametrize(
    "change",
    [{"language": "xx"}, {"evaluation": 3}, {"evaluation": {"batch_size": "x"}}, {"task": 3}],
)
def test_settings_that_are_none_are_named_when_they_are_scored_by(run, change):
    path = next(run.glob("cells/*/result.json"))
    record = json.loads(path.read_text())
    record["provenance"]["task"] |= change
    path.write_text(json.dumps(record, indent=1))
    found = invoke("score", run)
    assert found.exit_code in (0, 2), found.output
    assert found.exit_code == 0 or "is damaged: provenance: " in found.output
