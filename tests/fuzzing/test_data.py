"""Broken data files: CSV, TSV, JSON, JSON lines and Parquet as disks, editors and tools leave them."""

import csv
import gzip
import io
import itertools
import json
import random

import pyarrow as pa
import pytest
from mutations import DIGITS, ODD_VALUES, SEED, broken_bytes, broken_text, broken_values
from pyarrow import parquet

SUITE = """\
name: small
matrix:
  model: [tiny-qwen2]
  adapter: [{name: lora-r4, config: {r: 4, lora_alpha: 8}}]
  dataset: [{name: own, source: FILE}]
"""
ROWS = [
    {"prompt": f"What is {i} plus {i}?", "completion": f"{2 * i}, or so", "n": i, "note": None}
    for i in range(12)
]
CHATS = [
    {
        "messages": [
            {"role": "user", "content": f"hello {i}"},
            {"role": "assistant", "content": "hi"},
        ]
    }
    for i in range(12)
]


@pytest.fixture(autouse=True)
def models(attempts, root):
    (attempts.folder / "models").symlink_to(root / "models")


def table(rows, separator=","):
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), delimiter=separator)
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def lines(rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def parquet_of(rows):
    buffer = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(rows), buffer)
    return buffer.getvalue()


TEXTS = {
    "d.csv": table(ROWS), "d.tsv": table(ROWS, "\t"), "e.csv": table(ROWS, ";"),
    "d.jsonl": lines(ROWS), "c.jsonl": lines(CHATS), "d.json": json.dumps(ROWS, indent=1),
    "e.json": json.dumps({"data": ROWS}), "f.json": json.dumps({k: [r[k] for r in ROWS] for k in ROWS[0]}),
}  # fmt: skip
HAND_MADE = {
    "d.csv": ["prompt,completion\n", "prompt\n1\n", ",\n,\n", '"prompt,completion\na,b\n', "prompt,prompt\na,b\n",
              "sep=;\nprompt;completion\na;b\n", "prompt,completion\n" + "a" * 200_000 + ",b\n",
              "prompt,completion\n" + ",".join("a" * 3000) + "\n", "\n" * 50_000, "prompt,completion\r\ra,b\r",
              ",".join(f"c{i}" for i in range(3000)) + "\n", "prompt,completion\n=1+1,@x\n" * 9],
    "d.jsonl": ["[" * 50_000, "{" * 50_000, '{"a":' * 20_000, DIGITS, f'{{"prompt": {DIGITS}, "completion": 1}}\n' * 9,
                '{"prompt": "\\ud800", "completion": "x"}\n' * 9, "null\n" * 9, '"x"\n', "[]\n",
                '{"prompt": NaN, "completion": Infinity}\n' * 9, '{"prompt": {"a": 1}, "completion": [1]}\n' * 9,
                '{"prompt": 1e999, "completion": -0}\n' * 9, '{"": 1}\n' * 9, '{"prompt": "a", "prompt": "b"}\n'],
    "d.json": ["[]", "{}", "null", "3", "[[]]", "[null]", '{"a": {"b": {}}}', '{"columns": [], "data": []}',
               '{"columns": [[1]], "data": [[1]]}', '{"data": [{}]}', '{"a": [], "b": []}', '{"0": {}, "1": {}}',
               '{"schema": {}, "data": [{"prompt": "a"}]}', "[" * 100_000 + "]" * 100_000, f"[{DIGITS}]"],
}  # fmt: skip


def odd_tables(draw):
    """Parquet with a column of every type that Arrow has a simple value for."""
    import datetime
    import decimal

    columns = [
        [1, None], [1.5, float("nan")], [True, False], [b"a", b"\xff"], [["a"], []], [{"a": 1}, None],
        [datetime.date(2024, 1, 1), None], [datetime.timedelta(1), None], [decimal.Decimal("1.50"), None],
        [datetime.datetime(2024, 1, 1, tzinfo=datetime.UTC), None], [None, None], ["x", "\u2028"],
        [[{"role": "user", "content": "a"}], []], [datetime.time(1), None],
        pa.array([2**62, 0], pa.timestamp("ns")), pa.array([2**62, 0], pa.timestamp("s")),
        pa.array([2**62, 0], pa.duration("s")), pa.array([2**30, 0], pa.date32()),
        pa.array(["a", "b"]).dictionary_encode(), pa.array([[("k", 1)], []], pa.map_(pa.string(), pa.int64())),
        pa.array([1, 2], pa.uint64()), pa.array([b"a", b"b"], pa.binary(1)), pa.array([1.5, 2], pa.float16()),
        pa.array([2**62, 0], pa.time64("us")), pa.array([0, 1], pa.timestamp("us", tz="No/Where")),
    ]  # fmt: skip
    for first, second in itertools.product(columns, columns):
        names = draw.choice(
            (["prompt", "completion"], ["prompt", "prompt"], ["text", "label"], ["", "x"])
        )
        arrays = [
            c if isinstance(c, pa.Array | pa.DictionaryArray) else pa.array(c)
            for c in (first, second)
        ]
        buffer = io.BytesIO()
        try:
            parquet.write_table(pa.table(arrays, names=names), buffer)
        except (pa.ArrowException, ValueError):
            continue
        yield buffer.getvalue()


def files(count, seed):
    """``count`` broken files: a name and bytes."""
    draw = random.Random(seed)
    for name, texts in HAND_MADE.items():
        yield from ((name, text.encode("utf-8", "surrogatepass")) for text in texts)
    pq = parquet_of(ROWS)
    tables = list(odd_tables(draw))
    draw.shuffle(tables)
    packed = gzip.compress(TEXTS["d.jsonl"].encode())
    names = list(TEXTS)
    for number in range(count):
        name, new = names[number % len(names)], draw.randrange(2**32)
        match number % 6:
            case 0 | 1:
                yield name, list(broken_bytes(TEXTS[name].encode(), 17, new))[draw.randrange(17)]
            case 2:
                rows = list(broken_values(CHATS if name == "c.jsonl" else ROWS, 60, new))[
                    draw.randrange(60)
                ]
                text = (
                    json.dumps(rows)
                    if name.endswith(".json") or not isinstance(rows, list)
                    else lines(rows)
                )
                yield (name if "json" in name else "d.json"), text.encode("utf-8", "surrogatepass")
            case 3:
                text = next(broken_text(TEXTS[name], 1, new))
                yield name, text.encode("utf-8", "surrogatepass")
            case 4:
                yield (
                    "d.parquet",
                    draw.choice(
                        (list(broken_bytes(pq, 17, new))[-1], tables[number % len(tables)])
                    ),
                )
            case _ if draw.random() < 0.3:
                yield "d.jsonl.gz", list(broken_bytes(packed, 17, new))[-1]
            case _:
                row = {
                    k: draw.choice(ODD_VALUES)
                    for k in draw.choice((("prompt", "completion"), ("text", "label")))
                }
                yield "d.jsonl", lines([*ROWS[:5], row, *ROWS[5:]]).encode("utf-8", "surrogatepass")


EXTRAS = [
    "", ", columns: {prompt: prompt, reference: n}", ", encoding: utf-16", ", encoding: idna", ", labels: [a, b]",
    ", columns: {gold: n, prompt: prompt, reference: completion}", ", columns: {messages: messages}",
    ", columns: {category: note, prompt: prompt.a, reference: completion.text}", ", group_by: note", ", separator: ';'",
    ", test_source: ru-calculations", ", encoding: punycode", ", encoding: base64", ", split: in-order",
]  # fmt: skip


def every(attempts, count, seed):
    draw = random.Random(seed)
    for name, data in files(count, seed):
        (attempts.folder / name).write_bytes(data)
        extra = draw.choice(EXTRAS) if draw.random() < 0.5 else ""
        (attempts.folder / "s.yaml").write_text(SUITE.replace("FILE", name + extra))
        attempts.run("validate", "s.yaml")
    attempts.check()


def test_a_broken_data_file_is_refused_in_words(attempts):
    every(attempts, 150, seed=1)


@pytest.mark.reliability
def test_thousands_of_broken_data_files_are_refused_in_words(attempts):
    every(attempts, 4500, seed=SEED)
