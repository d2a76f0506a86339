"""Texts of a data file in a first suite: YAML reads them back as they were."""

import pytest

from harness.starter.yaml_text import scalar
from harness.suite.yaml_file import parse_value


@pytest.mark.parametrize(
    "text",
    ["plain", "no", "True", "1", "a: b", "# c", '"', "Ünter", "", " x", "a\nb", "x\u2028y", "\u0085",
     "[a]", "../a/b.csv", "-", "é", "\U0001f600", "null", "~", "2024-01-01", "*a", "&a", "\x07"],
)  # fmt: skip
def test_any_text_of_the_data_is_read_back_as_it_was(text):
    assert parse_value(f"[{scalar(text)}]", "here") == [text]
