"""Prediction records come back as they were written."""

import pytest

from harness.results.answers import write_predictions
from harness.results.reading import read_predictions


@pytest.mark.parametrize("text", ["plain", "a\u2028b", "a\x85b\u2029", "a\r\nb\x0b\x0c\x1c", ""])
def test_whatever_an_answer_holds_is_one_line(tmp_path, text):
    records = [{"id": "1", "prediction": text}, {"id": "2", "prediction": f"{text},{text}\n"}]
    write_predictions(tmp_path / "p.jsonl", records)
    assert read_predictions(tmp_path / "p.jsonl") == records


@pytest.mark.parametrize("records", [[], None])
def test_no_record_is_an_empty_list(tmp_path, records):
    if records is not None:
        write_predictions(tmp_path / "p.jsonl", records)
    assert read_predictions(tmp_path / "p.jsonl") == []
