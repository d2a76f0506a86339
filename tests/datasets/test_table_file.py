"""Files as people have them: each comes out right, or is refused with its line."""

import bz2
import gzip
import json
import lzma

import pytest

from harness.datasets.csv_table import read_csv
from harness.datasets.table_file import kind_of, read_table
from harness.errors import HarnessError

WANTED = [
    {"instruction": "Why, then?", "output": 'He said "no",\nand left.'},
    {"instruction": "Ещё?", "output": "Да; нет"},
]
QUOTED = 'instruction,output\n"Why, then?","He said ""no"",\nand left."\nЕщё?,Да; нет\n'
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in WANTED)
COLUMNS = {key: [row[key] for row in WANTED] for key in WANTED[0]}
INDEXED = {key: {str(k): row[key] for k, row in enumerate(WANTED)} for key in WANTED[0]}
SPLIT = {
    "columns": list(WANTED[0]),
    "index": [0, 1],
    "data": [list(row.values()) for row in WANTED],
}


def utf16(text):
    return text.encode("utf-16")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", QUOTED),
        ("t.csv", "\ufeff" + QUOTED),
        ("t.csv", utf16(QUOTED)),
        ("t.csv", QUOTED.encode("utf-32")),
        ("t.csv", QUOTED.replace("\n", "\r\n")),
        ("t.csv", QUOTED.replace(',"He', ', "He')),
        ("t.csv", "\n" + QUOTED + "\n\n"),
        ("t.csv", QUOTED.replace("instruction,output", " instruction , output ")),
        ("t.csv", 'sep=;\n' + 'instruction;output\n"Why, then?";"He said ""no"",\nand left."\nЕщё?;"Да; нет"\n'),
        ("t.csv", 'instruction;output\n"Why, then?";"He said ""no"",\nand left."\nЕщё?;"Да; нет"\n'),
        ("t.csv", 'instruction\toutput\nWhy, then?\t"He said ""no"",\nand left."\nЕщё?\tДа; нет\n'),
        ("t.tsv", 'instruction\toutput\nWhy, then?\t"He said ""no"",\nand left."\nЕщё?\tДа; нет\n'),
        ("t.csv", QUOTED.replace("output\n", "output,\n").replace('left."', 'left.",').replace("нет", "нет,")),
        ("t.csv", QUOTED.replace('left."', 'left.",').replace("нет", "нет,")),
        ("t.csv", ",instruction,output\n" + '0,"Why, then?","He said ""no"",\nand left."\n1,Ещё?,Да; нет\n'),
        ("t.csv.gz", gzip.compress(QUOTED.encode(), mtime=0)),
        ("T.CSV", QUOTED),
        ("t.jsonl", LINES),
        ("t.jsonl", "\ufeff" + LINES),
        ("t.jsonl", LINES.replace("\n", "\r\n") + "\n\n"),
        ("t.ndjson", LINES),
        ("t.jsonl.bz2", bz2.compress(LINES.encode())),
        ("t.jsonl.xz", lzma.compress(LINES.encode())),
        ("t.json", LINES),
        ("t.json", json.dumps(WANTED)),
        ("t.json", utf16(json.dumps(WANTED, ensure_ascii=False))),
        ("t.json", json.dumps({"version": 2, "data": WANTED})),
        ("t.json", json.dumps(COLUMNS)),
        ("t.json", json.dumps(INDEXED)),
        ("t.json", json.dumps({str(k): row for k, row in enumerate(WANTED)})),
        ("t.json", json.dumps(SPLIT)),
    ],
)  # fmt: skip
def test_a_file_is_read_whatever_its_shape(tmp_path, name, content):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    rows = [{key: row[key] for key in WANTED[0]} for row in read_table(path).rows]
    assert [{k: v.replace("\r\n", "\n") for k, v in row.items()} for row in rows] == WANTED


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("t.csv", "a,b\nx,y,z\n", r"t.csv:2: 3 fields, the header has 2"),
        ("t.csv", "a,b\nx,y\nsecond line\n", r"t.csv:3: 1 field, the header has 2"),
        ("t.csv", "a,b\nx,y,\nv,w\n", r"t.csv:2: 3 fields"),
        ("t.csv", 'a,b\nx,"open\n', r"t.csv:2: this row cannot be read"),
        ("t.csv", 'a,b\nx,"one" two\n', r"t.csv:2: this row cannot be read"),
        ("t.csv", 'a,b\nx,"one\ntwo"\ny,"thr\\"ee"\n', r"t.csv:4: this row cannot be read"),
        ("t.csv", "a,b,a\nx,y,z\n", r't.csv:1: duplicate column "a"'),
        ("t.csv", "a,b;c\nx,y;z\n", r"t.csv:1: its columns can be read by comma or semicolon"),
        ("t.csv", "", r"t.csv: has no header"),
        ("t.csv", "a,b\n", r"t.csv: has no rows"),
        ("t.csv", "a,b\nТекст,с кириллицей\n".encode("cp1251"), r"t.csv:2: not utf-8(.|\n)*`encoding: cp1251`"),
        ("t.csv", "a,b\nCafé crème,où\n".encode("cp1252"), r"`encoding: cp1252`"),
        ("t.csv", "a,b\nПривет,мир\n".encode("koi8-r"), r"`encoding: koi8-r`"),
        ("t.csv", "a,b\nx,y\n".encode("utf-16-le"), r"NUL characters(.|\n)*utf-16-le"),
        ("t.csv", "a,b\nx,y\n".encode("utf-16-be"), r"NUL characters(.|\n)*utf-16-be"),
        ("t.csv", "вопрос,ответ\nсколько,четыре\n".encode("utf-16-le"), r"NUL characters(.|\n)*utf-16-le"),
        ("t.csv", "вопрос,ответ\nсколько,четыре\n".encode("utf-16-be"), r"NUL characters(.|\n)*utf-16-be"),
        ("t.csv", "a,b\nx\0,y\n", r"t.csv:2: holds NUL characters\n  Delete them"),
        ("t.csv", "вопрос,ответ\nсколько\0,четыре\n", r"t.csv:2: holds NUL characters\n  Delete them"),
        ("t.jsonl", '{"a": "x', r"Unterminated string at column 7"),
        ("t.jsonl", '{"a": 1}\n["x"]\n', r"t.jsonl:2: a list, where an object"),
        ("t.jsonl", '\n{"a": 1}\nnull\n', r"t.jsonl:3: null, where an object"),
        ("t.jsonl", '{"a": 1}\n{"a": \n', r"t.jsonl:2: not valid JSON"),
        ("t.jsonl", '{"a": 1, "a": 2}\n', r't.jsonl:1: the key "a" is there twice'),
        ("t.jsonl", '{"a": ' + "[" * 50_000 + "]" * 50_000 + "}\n", r"t.jsonl:1: lists or objects nested too"),
        ("t.jsonl", '[\n{"a": 1}\n]\n', r"t.jsonl:1: not valid JSON"),
        ("t.json", "7", r"holds int instead of a list of objects"),
        ("t.json", '"text"', r"holds str instead of a list of objects"),
        ("t.json", '[{"a": 1}, "b"]', r"t.json: row 2: a text, where an object"),
        ("t.json", '{"a": [1, 2], "b": [1]}', r"columns differ in length \(a: 2, b: 1\)"),
        ("t.json", '{"train": [{"a": 1}], "test": [{"a": 2}]}', r"holds several lists of rows"),
        ("t.json", '{"a": {"x": 1}, "b": {"x": 2}}', r"objects within an object"),
        ("t.json", "[]", r"has no rows"),
        ("t.parquet", b"PAR1 or so", r"t.parquet: cannot be read as Parquet"),
        ("t.csv.gz", b"a,b\nx,y\n", r"t.csv.gz: cannot be read"),
        ("t.csv.gz", gzip.compress(b"a,b\nx,y\n", mtime=0)[:-6], r"t.csv.gz: cannot be read"),
        ("t.jsonl", gzip.compress(b'{"a": 1}\n', mtime=0), r"is compressed with gzip\n  Name it t.jsonl.gz"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_told_is_refused_with_its_line(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(HarnessError, match=message):
        read_table(path)


def test_a_declared_encoding_and_separator_are_used(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("a|b,c\nраз|два,три\n".encode("cp1251"))
    table = read_table(path, encoding="cp1251", separator="|")
    assert table.rows == [{"a": "раз", "b,c": "два,три"}]
    assert table.notes == ("separator: bar", "encoding: cp1251")


@pytest.mark.parametrize(
    ("encoding", "message"), [("utf8000", "unknown encoding"), ("ascii", "not ascii")]
)
def test_a_wrong_encoding_says_so(tmp_path, encoding, message):
    (tmp_path / "t.csv").write_text("a,b\né,y\n")
    with pytest.raises(HarnessError, match=message):
        read_table(tmp_path / "t.csv", encoding=encoding)


def test_several_marks_in_the_header_are_settled_by_the_rows():
    table = read_csv("a|b,c\nx,y\nv,w\n", "t.csv")
    assert table.rows[0] == {"a|b": "x", "c": "y"}


def test_every_row_knows_its_line(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text('a,b\nx,"two\nlines"\n\ny,z\n')
    table = read_table(path)
    assert [table.place(k).rsplit(":", 1)[1] for k in range(2)] == ["2", "5"]


def test_a_long_field_is_no_reason_to_stop(tmp_path):
    path = tmp_path / "t.csv"
    path.write_text("a,b\nx," + "y" * 200_000 + "\n")
    assert len(read_table(path).rows[0]["b"]) == 200_000


def test_numbers_stay_as_they_are_written(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('{"a": 1.50, "b": 12, "c": NaN, "d": 1e400}\n')
    assert read_table(path).rows == [{"a": "1.50", "b": 12, "c": None, "d": "1e400"}]


def test_a_line_separator_within_a_text_ends_no_line(tmp_path):
    path = tmp_path / "t.jsonl"
    path.write_text('{"a": "one\u2028two\x85three"}\n', encoding="utf-8")
    assert read_table(path).rows == [{"a": "one\u2028two\x85three"}]


def test_a_parquet_file_is_read(tmp_path):
    import pyarrow
    from pyarrow import parquet

    parquet.write_table(pyarrow.Table.from_pylist(WANTED), tmp_path / "t.parquet")
    assert read_table(tmp_path / "t.parquet").rows == WANTED


@pytest.mark.parametrize("name", ["t.xlsx", "owner/name", "t", "t.gz", "t.csv.zip"])
def test_other_names_are_no_files_that_are_read(name):
    assert kind_of(name) is None


NO_ENCODINGS = [
    "utf-9",
    "idna",
    "punycode",
    "unicode_escape",
    "undefined",
    "base64",
    "hex",
    "rot13",
    "../x",
    "a\x00b",
]


@pytest.mark.parametrize("encoding", NO_ENCODINGS)
def test_what_is_no_encoding_of_files_is_refused(tmp_path, encoding):
    (tmp_path / "d.csv").write_bytes(b"prompt,completion\n{[,-\n")
    with pytest.raises(HarnessError, match=r"d\.csv: unknown encoding(?s:.*)Use Python's names"):
        read_table(tmp_path / "d.csv", encoding=encoding)
