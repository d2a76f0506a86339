"""YAML as YAML 1.2 means it, and limits that no honest suite reaches."""

import pytest
from mutations import bomb

from harness.errors import HarnessError
from harness.suite.yaml_file import MOST_BYTES, MOST_DEPTH, parse_value, read_yaml

VALUES = [
    ("010", 10), ("-7", -7), ("+3", 3), ("0x1F", 31), ("0o17", 15), ("12:30", "12:30"), ("1_000", "1_000"),
    ("190:20:30.15", "190:20:30.15"), ("2e-4", 2e-4), ("1.5", 1.5), ("no", "no"), ("on", "on"), ("true", True),
    ("~", None), ("0", 0), ("-0", 0), ("9" * 300, int("9" * 300)), ("[a, 1]", ["a", 1]), ("", None),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), VALUES, ids=[text[:20] for text, _ in VALUES])
def test_scalars(text, value):
    found = parse_value(text, "--set r")
    assert found == value
    assert type(found) is type(value)


DEEP = MOST_DEPTH + 1
REFUSED = {
    "a number of 5,000 digits": ("9" * 5000, "cannot be read as a number"),
    "a hexadecimal number of 5,000 digits": ("0x" + "f" * 5000, "cannot be read as a number"),
    "a tag that does not fit": ("!!int x", "cannot be read as a number; quote it"),
    "a truth value that is none": ("!!bool x", "cannot be read as bool"),
    "a date that is none": ("2020-13-45", "cannot be read as a date; quote it"),
    "code": ("!!python/object/apply:os.system [ls]", "could not determine a constructor"),
    "an alias of nothing": ("*a", "found undefined alias"),
    "an anchor within itself": ("&a [*a]", "an anchor that contains itself"),
    "a key that is a list": ("{[a]: b}", "a key is a list or a mapping"),
    "a key twice": ("{a: 1, a: 2}", 'duplicate key "a"'),
    "lists within lists": ("[" * DEEP + "]" * DEEP, "nested too deeply"),
    "an open bracket a thousand times": ("[" * 5000, "nested too deeply"),
    "mappings within mappings": ("{a: " * DEEP + "1" + "}" * DEEP, "nested too deeply"),
    "the billion laughs": (bomb(), "values, with its aliases written out"),
    "two to the thirtieth": (bomb(30, 2), "values, with its aliases written out"),
    "merged mappings": ("a: &a {x: 1}\n" + "".join(
        f"{'abcdefghijklm'[k + 1]}: &{'abcdefghijklm'[k + 1]} {{<<: [{', '.join(['*' + 'abcdefghijklm'[k]] * 9)}]}}\n"
        for k in range(11)), "values, with its aliases written out"),
    "an escape of no character": ('"\\U00110000"', "not valid YAML"),
}  # fmt: skip


@pytest.mark.parametrize(("text", "why"), REFUSED.values(), ids=REFUSED)
def test_what_is_refused_is_named_with_its_place(text, why):
    with pytest.raises(HarnessError) as caught:
        parse_value(text, "--set r")
    assert str(caught.value).startswith("--set r:")
    assert why in str(caught.value)


def test_forty_levels_and_a_thousand_aliases_are_read():
    assert parse_value("[" * MOST_DEPTH + "]" * MOST_DEPTH, "x")
    assert len(parse_value("a: &a [1, 2]\nb: [" + "*a, " * 1000 + "]", "x")["b"]) == 1000


def test_a_file_that_is_too_large_is_refused_before_it_is_read(tmp_path):
    (tmp_path / "s.yaml").write_bytes(b"#" * (MOST_BYTES + 1))
    for path in (tmp_path / "s.yaml", tmp_path / "zero"):
        path.exists() or path.symlink_to("/dev/zero")
        with pytest.raises(HarnessError, match=r"256 KiB: too large for a suite(?s:.*)by `source`"):
            read_yaml(path)


@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig"])
def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path, codec):
    (tmp_path / "s.yaml").write_text("name: é", encoding=codec)
    assert read_yaml(tmp_path / "s.yaml").value == {"name": "é"}
