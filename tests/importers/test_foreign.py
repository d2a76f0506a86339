"""Values of another tool's files: what it never writes is absent, and no file of ours breaks on it."""

import json
import math

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.errors import HarnessError
from harness.importers.foreign import is_number, mapping, number, parsed_json, rows, text_in, word

NUMBERS = [(1, 1), (0.5, 0.5), (-3, -3), (True, None), ("1", None), (None, None), ([1], None), ({}, None),
           (math.nan, None), (math.inf, None), (10**400, None)]  # fmt: skip


@pytest.mark.parametrize(("value", "read"), NUMBERS)
def test_a_number_is_one_that_exists(value, read):
    assert number(value) == read
    assert is_number(value) == (read is not None or value is True)


@pytest.mark.parametrize("value", [None, 3, "x", [1], {"a": 1}, True, "", "  "])
def test_each_reader_takes_its_own_kind_alone(value):
    assert mapping(value) == (value if isinstance(value, dict) else {})
    assert rows(value) == (value if isinstance(value, list) else [])
    assert word(value) == ("x" if value == "x" else None)


@pytest.mark.parametrize(
    "text", ["", "{", "[" * 100_000, "9" * 5000, '"\\ud800"', '{"a": "\\uDC00"}']
)
def test_what_is_no_json_or_no_text_is_named(text):
    with pytest.raises(
        HarnessError, match=r"^f\.json:3: (cannot be read|holds a broken character)"
    ):
        parsed_json(text, "f.json:3")


def test_a_pair_of_surrogates_is_a_character():
    assert parsed_json('"\\ud83d\\ude00"', "f") == "😀"


@pytest.mark.parametrize("data", [b"\xff", b"\xb2abc"])
def test_bytes_that_are_no_text_are_named(tmp_path, data):
    (tmp_path / "f.json").write_bytes(data)
    with pytest.raises(HarnessError, match=r"f\.json: cannot be read"):
        text_in(tmp_path / "f.json")


PEFT = {
    "run_info": {"train_config": {"model_id": "o/m", "seed": 0, "max_seq_length": 9}},
    "train_info": {"status": "success", "metrics": [{"test accuracy": 0.5}]},
    "meta_info": {},
}
CONFIG = ("run_info", "train_config")
DAMAGED = [
    ((*CONFIG, "model_id"), 3), ((*CONFIG, "model_id"), ""), ((*CONFIG, "seed"), "x"), ((*CONFIG, "seed"), -1),
    ((*CONFIG, "seed"), 2**63), ((*CONFIG, "seed"), True), (("train_info", "status"), None),
    (("train_info", "metrics"), 3), (("train_info", "metrics"), []), (("train_info", "metrics", 0), [1]),
    (("train_info", "metrics", 0, "test accuracy"), "0.5"), (("train_info", "metrics", 0, "test accuracy"), 7),
    (("train_info", "metrics", 0, "test accuracy"), math.nan),
]  # fmt: skip
ABSENT = [
    (("run_info", "error_msg"), 3.5), (("run_info", "experiment_name"), []), (("meta_info", "system_info"), [1]),
    (("meta_info", "package_info"), 3.5), (("meta_info", "package_info"), {"a-version": {}}),
    (("train_info", "train_time"), "long"), (("train_info", "file_size"), math.inf),
    (("train_info", "accelerator_memory_max"), [1]), (("train_info", "num_trainable_params"), 10**400),
]  # fmt: skip


def imported(tmp_path, path, value):
    record = json.loads(json.dumps(PEFT))
    place = record
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    (tmp_path / "x.json").write_text(json.dumps(record))
    return CliRunner().invoke(
        main, ["import", str(tmp_path / "x.json"), "-o", str(tmp_path / "out")]
    )


@pytest.mark.parametrize(("path", "value"), DAMAGED)
def test_a_result_without_what_it_needs_is_refused(tmp_path, path, value):
    found = imported(tmp_path, path, value)
    assert found.exit_code == 2, found.output
    assert "a result of" in found.output
    assert "x.json" in found.output


@pytest.mark.parametrize(("path", "value"), ABSENT)
def test_a_side_value_of_another_type_is_absent(tmp_path, path, value):
    from harness.importers.peft_comparison import read

    imported_path = imported(tmp_path, path, value)
    assert imported_path.exit_code == 0, imported_path.output
    cell = read([tmp_path / "x.json"])[0]
    assert json.dumps([cell.facts, cell.machine, cell.packages, cell.axes], allow_nan=False)
