"""A report and a pack without texts: a sweep over every file that is written.

The data holds marker words in every field. A section, chart or file that is added later and quotes
data fails here, because nothing of the data may turn up anywhere.
"""

import csv
import json
import tarfile

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from harness.analysis.leaderboard import build_leaderboard
from harness.cli import main
from harness.gate.baseline import snapshot_of
from harness.plan.plan import make_plan
from harness.results.redaction import PROMPTING, without_texts
from harness.results.run import load_run
from harness.results.tidy import tidy_records
from harness.run.runner import run_here

MARK = "zqx"
"""In every text of the data, and in no word of ours."""
NUMBER = "7707077"
"""In every number of the data, and so long that no hash or time holds it by chance."""
SUITE = """\
name: private
matrix:
  model: [tiny-qwen2]
  adapter: [{name: a, config: {r: 4}}, {name: b, config: {r: 8}}]
  dataset:
    - name: numbers
      source: numbers.csv
      columns: {prompt: question, context: more, reference: answer, category: kind, gold: number}
      group_by: topic
      language: en
    - name: texts
      source: texts.jsonl
      columns: {messages: chat, category: kind}
      evaluation: {latency_prompts: 1}
    - {name: labels, source: labels.csv, labels: [up, down], columns: {category: kind}}
    - {name: broken, source: labels.csv, labels: [up, down], evaluation: {on_leakage: error}}
evaluation: {control: control.jsonl, on_leakage: warn}
"""
CONTROL = {"prompt": f"{MARK}control asks", "reference": f" {MARK}right", "wrong": f" {MARK}wrong"}


def _table(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def _chat(k):
    return [
        {"role": "system", "content": f"{MARK}system"},
        {"role": "user", "content": f"{MARK}first {k}"},
        {"role": "assistant", "content": f"{MARK}earlier {k}"},
        {"role": "user", "content": f"{MARK}asked {k} {'and more ' * (k % 5)}"},
        {"role": "assistant", "content": f"{MARK}reply {k} {'so it goes ' * (k % 7)}"},
    ]


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory, root):
    """A run whose data, and whose results wherever they hold free text, quote the data."""
    folder = tmp_path_factory.mktemp("private")
    (folder / "models").symlink_to(root / "models")
    n = range(80)
    _table(folder / "numbers.csv", [
        {"question": f"{MARK}question {k} of {MARK}", "more": f"{MARK}context {k % 3}",
         "answer": f"{MARK}answer is {NUMBER}{k}", "kind": f"{MARK}kind{k % 2}", "number": f"{NUMBER}{k}",
         "topic": f"{MARK}topic{k // 2}", "unused": f"{MARK}unused"} for k in n
    ])  # fmt: skip
    (folder / "texts.jsonl").write_text(
        "".join(f"{json.dumps({'chat': _chat(k), 'kind': f'{MARK}sort{k % 2}'})}\n" for k in n)
    )
    labels = [{"text": f"{MARK}text {k}", "label": ("up", "down")[k % 2], "kind": f"{MARK}k"}
              for k in n]  # fmt: skip
    _table(folder / "labels.csv", labels)  # its prompts nearly repeat, so `broken` fails
    (folder / "control.jsonl").write_text(f"{json.dumps(CONTROL)}\n" * 4)
    (folder / "private.yaml").write_text(SUITE)
    run_here(make_plan(folder / "private.yaml", folder / "out", backend="testing"))
    for path in (folder / "out").glob("cells/*/result.json"):
        _quote(path)
    return folder / "out"


def _quote(path):
    """Free text that a backend, a plug-in or an older version may have put into a result."""
    result = json.loads(path.read_text())
    known = dict.fromkeys(PROMPTING, "ours")
    if result["reason"]:
        result["reason"] += f": {MARK}reason"
    result["facts"] |= {
        "first_prompt": f"{MARK}first prompt", f"{MARK}fact": {"deep": [f"{MARK}deep"]},
        "loaded": {"notes": [f'a note on "{MARK}note"'], "linear_modules": {"Linear": 2}},
        "prompting": {**known, "first_prompt": f"{MARK}prompt", "first_prompt_ids": [int(NUMBER), 1]},
    }  # fmt: skip
    result["data"] |= {"notes": [f"{MARK}read"], "nearest": [[f"{MARK}near", f"{MARK}nearer"]]}
    result["audit"]["warnings"] += [f"“{MARK}warned” twice", f"row '{MARK}row'", "3 rows are cut"]
    result["trivial"] |= {"constant": f"{MARK}constant"}
    for value in result["values"]:
        value["note"] = value["note"] or f"{MARK}noted"
    path.write_text(json.dumps(result))


def harness(*arguments):
    result = CliRunner().invoke(main, [*map(str, arguments)], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


def _texts(folder):
    """File → everything in it, of a folder and of the packs in it."""
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        if path.suffix == ".parquet":
            yield path, pq.read_table(path).to_pandas().to_csv()
        elif path.suffix == ".xz":
            with tarfile.open(path) as archive:
                for member in archive.getmembers():
                    yield path / member.name, archive.extractfile(member).read().decode()
        else:
            yield path, path.read_text()


def _quoting(folder):
    return {
        path.name for path, text in _texts(folder) if MARK in text.lower() or NUMBER in text
    }  # fmt: skip


def test_nothing_that_is_written_without_texts_quotes_the_data(run_dir, tmp_path):
    harness("report", run_dir, "-o", tmp_path, "--latex")
    # with texts the files quote, so the sweep can fail
    assert {"leaderboard.html", "leaderboard.md", "leaderboard.tex", "results.csv"} <= _quoting(
        tmp_path
    )
    # the same folder again: nothing of the report with texts may be left in it
    harness("report", run_dir, "-o", tmp_path, "--no-examples")
    harness("pack", run_dir, "-o", tmp_path / "run.tar.xz", "--no-texts")
    assert _quoting(tmp_path) == set()
    names = {path.name for path, _ in _texts(tmp_path)}
    assert {"predictions.jsonl", "control.jsonl", "leaderboard.tex", "results.parquet"} <= names
    assert any(name.endswith(".svg") for name in names)


def test_its_numbers_are_those_of_the_run(run_dir, tmp_path):
    harness("pack", run_dir, "-o", tmp_path / "run.tar.xz", "--no-texts")
    whole, bare = load_run(run_dir), load_run(tmp_path / "run.tar.xz")
    assert not bare.has_texts
    boards = [build_leaderboard(run) for run in (whole, bare)]
    for ours, theirs in zip(*(board.tables for board in boards), strict=True):
        assert ours.ties == theirs.ties
        for row, other in zip(ours.rows, theirs.rows, strict=True):
            assert row.deltas == other.deltas
            assert row.control == other.control
    numbers = [[{**r, "category": None} for r in tidy_records(run)] for run in (whole, bare)]
    assert numbers[0] == numbers[1]
    assert {r["category"] for r in tidy_records(bare)} >= {None, "category 1", "category 2"}
    clusters = [[cell.examples for cell in snapshot_of(run).cells] for run in (whole, bare)]
    assert [c.get("group") for c in clusters[0]] == [c.get("group") for c in clusters[1]]
    assert [c.get("text") for c in clusters[0]] == [c.get("text") for c in clusters[1]]


def test_a_pack_without_texts_is_reported_as_the_run_is_without_them(run_dir, tmp_path):
    packed = tmp_path / "run.tar.xz"
    harness("pack", run_dir, "-o", packed, "--no-texts")
    harness("report", packed, "-o", tmp_path / "a")
    harness("report", run_dir, "-o", tmp_path / "b", "--no-examples")
    ours, theirs = ((tmp_path / k / "leaderboard.md").read_text() for k in "ab")
    assert theirs.replace(f"{run_dir.parent}/", "") == ours
    assert "leaves out all texts of the data" in ours
    assert "3 rows are cut" in ours
    assert "broken" in ours
    harness("pack", packed, "-o", tmp_path / "again.tar.xz")  # texts cannot come back
    assert (tmp_path / "again.tar.xz").read_bytes() == packed.read_bytes()
    assert MARK not in harness("show", packed, "tiny-qwen2--none--a--numbers")
    assert "differ" not in harness("compare", packed, run_dir)
    assert CliRunner().invoke(main, ["score", str(packed)]).exit_code == 2
    # one run without texts takes them from all: the tables are shared
    harness("report", run_dir, packed, "-o", tmp_path / "both")
    assert _quoting(tmp_path / "both") == set()


def test_imported_answers_lose_their_ids_and_their_labels(tmp_path):
    _table(tmp_path / "answers.csv", [
        {"id": f"{MARK}{k}", "model": m, "prompt": f"{MARK} {k}", "group": f"{MARK}g{k // 2}",
         "label": f"{MARK}up", "prediction": f"{MARK}up" if k % 2 else f"{MARK}down"}
        for m in ("one", "two") for k in range(20)
    ])  # fmt: skip
    harness("import", tmp_path / "answers.csv", "-o", tmp_path / "run",
            "--labels", f"{MARK}up,{MARK}down")  # fmt: skip
    bare = without_texts(load_run(tmp_path / "run"))
    (first, *_) = build_leaderboard(bare).records(bare.cells[0]).values()
    assert first["label"] == "class 1"
    assert {r["predicted_label"] for r in bare.predictions(bare.cells[0])} == {"class 1", "class 2"}
    harness("report", tmp_path / "run", "-o", tmp_path / "bare", "--no-examples", "--latex")
    harness("pack", tmp_path / "run", "-o", tmp_path / "bare" / "run.tar.xz", "--no-texts")
    assert _quoting(tmp_path / "bare") == set()
