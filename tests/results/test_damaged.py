"""A damaged file of a run is named: its place, what is wrong, what to do; never a traceback."""

import json

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.importers import Reading, import_answers

ROWS = [{"id": str(i), "prompt": f"p{i}", "reference": "r", "prediction": "r"} for i in range(4)]


@pytest.fixture
def run(tmp_path):
    (tmp_path / "m.json").write_text(json.dumps(ROWS))
    import_answers([tmp_path / "m.json"], tmp_path / "run", Reading(), name="run")
    return tmp_path / "run"


def report(path, out):
    return CliRunner().invoke(main, ["report", str(path), "-o", str(out)])


PLANS = ["", "{", "{}", "null", "[]", "3", '{"cells": 3}', '{"cells": [], "suite": 3}',
         '{"cells": [3], "suite": {"name": "s"}}', '{"cells": [{}], "suite": {"name": "s"}}']  # fmt: skip


@pytest.mark.parametrize("text", PLANS)
def test_a_plan_that_is_none(run, tmp_path, text):
    (run / "plan.json").write_text(text)
    found = report(run, tmp_path / "out")
    assert found.exit_code == 2, found.output
    assert f"{run}: plan.json is no plan of a run" in found.output


@pytest.mark.parametrize("text", PLANS[2:5])
def test_a_packed_plan_that_is_none_names_the_file_that_was_given(run, tmp_path, text):
    from harness.results.packing import pack

    packed = pack(run, tmp_path / "run.tar.xz")
    assert report(packed, tmp_path / "out").exit_code == 0
    (run / "plan.json").write_text(json.dumps({"cells": [], "suite": json.loads(text)}))
    packed = pack(run, tmp_path / "broken.tar.xz")
    found = report(packed, tmp_path / "out")
    assert found.exit_code == 2, found.output
    assert f"{packed}: plan.json is no plan of a run" in found.output


@pytest.mark.parametrize("line", ['{"id": "0', "3", "null", "[1]", "x", "[" * 100_000])
def test_a_torn_line_of_predictions_is_named(run, tmp_path, line):
    path = next(run.glob("cells/*/predictions.jsonl"))
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines[:2], line, *lines[3:]]) + "\n")
    found = report(run, tmp_path / "out")
    assert found.exit_code == 2, found.output
    assert f"{path}:3: is not a record" in found.output


@pytest.mark.parametrize(
    ("key", "value"), [("values", None), ("values", [{"colour": 1}]), ("colour", "red")]
)
def test_a_result_with_another_field_is_named(run, tmp_path, key, value):
    path = next(run.glob("cells/*/result.json"))
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    found = report(run, tmp_path / "out")
    assert found.exit_code == 2, found.output
    assert f"{path}: is no result of a cell" in found.output
