"""A result of now is read in one go; every other one the long way, to the same end."""

import json
from dataclasses import replace

import pytest

from harness.errors import HarnessError
from harness.results import result as module
from harness.results.paths import CellPaths, json_text
from harness.results.result import CellResult, load_result, save_result
from harness.results.value import Value

CELL = CellResult(
    "k", "ok", "m", "none", "base", "d", None, "f", values=(Value("rougeL", 0.1, "F1", True, 3),)
)
ODD = {
    "NaN": ("0.1", "NaN"),
    "infinite": ("0.1", "1e999"),
    "beyond 64 bits": ('"n": 3', f'"n": {10**19}'),
    "no schema": (',\n "schema": 3', ""),
    "a newer schema": ('"schema": 3', '"schema": 4'),
    "a schema within another field alone": (',\n "schema": 3\n}', ',\n "data": {"schema": 3\n}\n}'),
    "an unknown field": ('"key": "k"', '"key": "k", "more": 1'),
    "another type": ('"n": 3', '"n": "3"'),
    "cut": ('"schema": 3\n}\n', ""),
    "an interval with one end": ('"ci_low": null', '"ci_low": 0.0'),
}


def stored(tmp_path, result=CELL):
    paths = CellPaths(tmp_path)
    save_result(paths, result)
    return paths.result


def the_long_way(path, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(module, "_ENDING", b"never")
        return load_result(path)


@pytest.mark.parametrize(
    "result", [CELL, replace(CELL, reason="café \u2028 “x” NaN", data={"schema": 3, "a": [1, {}]})]
)
def test_both_ways_read_the_same(tmp_path, monkeypatch, result):
    path = stored(tmp_path, result)
    assert load_result(path) == the_long_way(path, monkeypatch) == result


def test_a_whole_result_of_now_is_read_in_one_go(tmp_path):
    assert module._read_at_once(stored(tmp_path).read_bytes()) == CELL


@pytest.mark.parametrize("kind", ODD)
def test_what_is_odd_is_refused_by_both_ways_in_the_same_words(tmp_path, monkeypatch, kind):
    path = stored(tmp_path)
    before, after = ODD[kind]
    text = path.read_text()
    assert before in text
    path.write_text(text.replace(before, after, 1))
    with pytest.raises(HarnessError) as quick:
        load_result(path)
    with pytest.raises(HarnessError) as slow:
        the_long_way(path, monkeypatch)
    assert str(quick.value) == str(slow.value)


def test_an_older_result_is_brought_to_the_shape_of_now(tmp_path):
    path = stored(tmp_path)
    record = json.loads(path.read_text())
    record |= {"metrics_version": 1, "audit": {"warnings": [], "dropped": 2}}
    path.write_text(json_text(record))
    assert load_result(path).audit.counts == {"dropped": 2}


@pytest.mark.parametrize("text", ["ab3e104cd", "1" * 30, "x-1e999"])
def test_digits_within_a_hash_need_no_closer_look(text):
    assert not module.has_odd_number(json.dumps({"fingerprint": text}).encode())


@pytest.mark.parametrize("number", ["0.0043478260869565218", "-1.5e-300", "123456789012345678"])
def test_a_small_number_of_many_digits_needs_no_closer_look(number):
    assert not module.has_odd_number(f'{{"a": {number}, "b": [{number}]}}'.encode())


@pytest.mark.parametrize(
    "number", ["1e999", "-2.5E+400", "9" * 25, "-" + "1" * 19, "1.5e+12345", "NaN", "-Infinity"]
)
@pytest.mark.parametrize("place", ['{"a": %s}', '{"a":%s}', "[1,%s]", "[%s]", "[\n %s\n]"])
def test_a_number_that_no_file_of_ours_holds_is_looked_at(number, place):
    assert module.has_odd_number((place % number).encode())
