"""Your own answers as a run: scored by our metrics, paired by id, and refused with counts."""

import csv
import json
import re

import pytest
from click.testing import CliRunner

from harness.analysis.leaderboard import build_leaderboard
from harness.cli import main
from harness.results.run import load_run

FIELDS = ("id", "model", "prompt", "reference", "prediction")


def harness(*arguments):
    return CliRunner().invoke(main, [*map(str, arguments)], catch_exceptions=False)


def answers(model, hits, first=0, **more):
    """Answers of ``model`` to numbered questions, right where ``hits`` is 1."""
    return [
        {"id": f"q{i}", "model": model, "prompt": f"What is {i} + 1?", "reference": str(i + 1),
         "prediction": f"It is {i + 1 if hit else i + 5}.", **more}
        for i, hit in enumerate(hits, start=first)
    ]  # fmt: skip


def table(path, rows):
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def write(path, rows):
    if path.suffix == ".csv":
        return table(path, rows)
    if path.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".jsonl":
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    else:
        path.write_text(json.dumps(rows))
    return path


@pytest.mark.parametrize("suffix", [".csv", ".jsonl", ".json", ".parquet"])
def test_a_table_of_two_models_is_scored_compared_and_reported(tmp_path, suffix):
    rows = answers("base", [1] * 10 + [0] * 30) + answers("tuned", [1] * 35 + [0] * 5)
    rows = [{**row, "gold": row["reference"]} for row in rows]
    path = write(tmp_path / f"a{suffix}", rows)
    found = harness("import", path, "--columns", "id=id", "-o", tmp_path / "run")
    assert found.exit_code == 0, found.output
    run = load_run(tmp_path / "run")
    assert [(c.model, c.value("numeric_accuracy").value) for c in run.cells] == [
        ("base", 0.25), ("tuned", 0.875),
    ]  # fmt: skip
    delta = build_leaderboard(run).tables[0].rows[1].deltas["numeric_accuracy"]
    assert (delta.delta, delta.won, delta.lost, delta.verdict) == (0.625, 25, 0, "better")
    assert (
        "compared with their baselines: 1 better"
        in (tmp_path / "run" / "leaderboard.md").read_text()
    )
    compared = harness("compare", tmp_path / "run", "--axis", "model", "--pairs").output
    assert re.search(r"base → tuned.*\n.*numeric_accuracy +\+0\.625", compared), compared


def test_columns_are_named_and_the_model_is_the_file(tmp_path):
    for name, hits in (("one", [1, 0, 1]), ("two", [1, 1, 1])):
        rows = [
            {"q": r["prompt"], "truth": r["reference"], "out": r["reference" if h else "prompt"]}
            for r, h in zip(answers("", hits), hits, strict=True)
        ]
        table(tmp_path / f"{name}.csv", rows)
    found = harness(
        "import", tmp_path / "one.csv", tmp_path / "two.csv", "-o", tmp_path / "run",
        "--columns", "prompt=q,reference=truth", "--columns", "prediction=out",
        "--metric", "exact_match", "--baseline", "two",
    )  # fmt: skip
    assert found.exit_code == 0, found.output
    cells = load_run(tmp_path / "run").cells
    scores = [(c.model, round(c.value(c.primary_metric).value, 3)) for c in cells]
    assert scores == [("two", 1.0), ("one", 0.667)]


def test_labels_are_read_from_the_answers_and_unparsed_ones_counted(tmp_path):
    texts = {"positive": "Positive.", "negative": "I would say negative", "neutral": "no idea"}
    rows = [
        {"id": i, "model": "m", "prompt": f"t{i}", "label": label, "prediction": texts[label]}
        for i, label in enumerate(["positive", "negative", "neutral"] * 4)
    ]
    path = table(tmp_path / "a.csv", rows)
    labels = "negative,neutral,positive"
    found = harness("import", path, "--labels", labels, "-o", tmp_path / "run")
    assert found.exit_code == 0, found.output
    (cell,) = load_run(tmp_path / "run").cells
    assert cell.task == "classification"
    assert cell.value("accuracy").value == pytest.approx(2 / 3)
    assert cell.value("f1_macro").value == pytest.approx(2 / 3)
    assert cell.value("unparsed_share").value == pytest.approx(1 / 3)
    assert cell.confusion.labels == tuple(labels.split(","))


def test_scores_are_computed_again_from_the_stored_answers(tmp_path):
    path = table(tmp_path / "a.csv", answers("m", [1, 0, 1, 1]))
    harness("import", path, "-o", tmp_path / "run", "--metric", "chrf")
    before = load_run(tmp_path / "run").cells[0].values
    assert "1 cell scored again" in harness("score", tmp_path / "run").output
    assert load_run(tmp_path / "run").cells[0].values == before


def test_imported_answers_go_through_the_gate(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for day, hits in (("monday", [1] * 36 + [0] * 4), ("tuesday", [1] * 5 + [0] * 35)):
        rows = [{**row, "gold": row["reference"]} for row in answers("m", hits)]
        harness("import", table(tmp_path / f"{day}.csv", rows), "-o", day, "--name", "mine",
                "--dataset", "sums")  # fmt: skip
    update = harness("baseline", "update", "monday", "--reason", "first")
    assert update.exit_code == 0, update.output
    assert harness("check", "monday").exit_code == 0
    worse = harness("check", "tuesday")
    assert worse.exit_code == 1, worse.output
    assert "regression" in worse.output
    fewer = [{**row, "gold": row["reference"]} for row in answers("m", [1] * 30)]
    harness("import", table(tmp_path / "w.csv", fewer), "-o", "wednesday", "--dataset", "sums")
    assert harness("check", "wednesday", "--against", "mine.baseline.json").exit_code == 3


def test_models_with_other_ids_are_counted_paired_and_not_ranked(tmp_path):
    rows = answers("a", [1] * 20 + [0] * 20) + answers("b", [1] * 40, first=3)
    rows = [{**row, "gold": row["reference"]} for row in rows]
    found = harness("import", table(tmp_path / "a.csv", rows), "-o", tmp_path / "run")
    assert "37 of 43 examples were answered by every model (a lacks 3, b lacks 3)" in found.output
    text = (tmp_path / "run" / "leaderboard.md").read_text()
    assert "tested on 2 different sets of examples" in text
    assert "highest mean" not in text
    counts = "paired 37 examples by id; left out: 3 only in the first, 3 only in the second"
    assert counts in text
    compared = harness("compare", tmp_path / "run", "--axis", "model", "--pairs")
    assert counts in compared.output
    delta = build_leaderboard(load_run(tmp_path / "run")).tables[0].rows[1].deltas
    assert delta["numeric_accuracy"].n == 37


ONE = answers("m", [1, 1, 1])
REFUSED = {
    "a missing column": (
        [{"id": 1, "prompt": "p", "reference": "r", "output": "o"}], (),
        "no column for prediction",
    ),
    "a misspelt column": (ONE, ("--columns", "prediction=predicton"), 'no column "predicton"'),
    "a misspelt field": (ONE, ("--columns", "predicton=prediction"), 'unknown field "predicton"'),
    "no field": (ONE, ("--columns", "prediction"), "is not field=column"),
    "two answers to one id": (
        [*ONE, {**ONE[0], "prediction": "another"}], (), "1 id has two different answers",
    ),
    "another prompt under one id": (
        [*ONE, {**ONE[0], "model": "n", "prompt": "another"}], (),
        "1 id has different prompts in two models (q0: m and n)",
    ),
    "another reference under one id": (
        [*ONE, {**ONE[0], "model": "n", "reference": "another"}], (),
        "1 id has different references in two models (q0: m and n)",
    ),
    "no id in a row": ([*ONE, {**ONE[0], "id": ""}], (), "1 row has no id (t.csv, row 4)"),
    "no reference": ([*ONE, {**ONE[0], "id": "x", "reference": ""}], (), "1 row has no reference"),
    "no prompt": ([*ONE, {**ONE[0], "id": "x", "prompt": " "}], (), "1 row has no prompt"),
    "a gold that is no number": (
        [{**row, "gold": "many"} for row in ONE], (), "3 gold answers are not numbers",
    ),
    "a label that is not declared": (
        [{**row, "label": "good"} for row in ONE], ("--labels", "yes,no"),
        '3 labels are not among the declared ones (t.csv, row 1: "good"',
    ),
    "labels that are not declared": ([{**row, "label": "yes"} for row in ONE], (), "--labels yes"),
    "a seed that is none": ([{**ONE[0], "seed": "x"}], (), "1 seed is not a whole number"),
    "no such baseline": (ONE, ("--baseline", "n"), 'unknown model "n"'),
    "an unknown metric": (ONE, ("--metric", "bleu"), 'no metric "bleu"'),
    "an empty table": ([{}], (), "has no header"),
}  # fmt: skip


def test_a_file_in_another_encoding_is_not_sent_to_a_suite(tmp_path):
    path = tmp_path / "t.csv"
    path.write_bytes("id,prompt,reference,prediction\n1,да,нет,нет\n".encode("cp1251"))
    found = harness("import", path, "-o", tmp_path / "run")
    assert found.exit_code == 2
    assert "It looks like cp1251. Save the file as UTF-8." in found.output


@pytest.mark.parametrize(("rows", "options", "said"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_read_is_one_clear_message(tmp_path, rows, options, said):
    path = table(tmp_path / "t.csv", rows)
    found = harness("import", path, "-o", tmp_path / "run", *options)
    assert found.exit_code == 2, found.output
    assert said in found.output
    assert not (tmp_path / "run" / "plan.json").exists()


def test_every_problem_is_said_at_once(tmp_path):
    rows = [{**ONE[0], "id": ""}, {**ONE[1], "prompt": ""}, ONE[2], {**ONE[2], "prediction": "x"}]
    found = harness("import", table(tmp_path / "t.csv", rows), "-o", tmp_path / "run")
    for said in ("1 row has no id", "1 row has no prompt", "1 id has two different answers"):
        assert said in found.output


def test_repeated_rows_and_empty_answers_are_counted(tmp_path):
    rows = [*ONE, ONE[0], {**ONE[0], "id": "x", "prediction": ""}]
    found = harness("import", table(tmp_path / "t.csv", rows), "-o", tmp_path / "run")
    assert found.exit_code == 0, found.output
    assert "1 row repeats another of the same model and was dropped (q0 of m)" in found.output
    assert "1 row has no prediction: it counts as an empty answer" in found.output
    (cell,) = load_run(tmp_path / "run").cells
    assert (cell.value("rougeL").n, cell.value("empty_share").value) == (4, 0.25)
    assert cell.value("truncated_share") is None  # a table does not say what was cut


def test_adapters_have_the_base_as_their_baseline(tmp_path):
    rows = answers("m", [0] * 20, adapter="base") + answers("m", [1] * 20, adapter="lora")
    harness("import", table(tmp_path / "t.csv", rows), "-o", tmp_path / "run", "--metric", "chrf")
    row = build_leaderboard(load_run(tmp_path / "run")).tables[0].rows[1]
    assert (row.adapter, row.deltas["chrf"].verdict) == ("lora", "better")


def test_seeds_of_one_variant_are_one_row(tmp_path):
    rows = answers("m", [0] * 9, seed=1) + answers("m", [1] * 9, seed=2)
    harness("import", table(tmp_path / "t.csv", rows), "-o", tmp_path / "run")
    (row,) = build_leaderboard(load_run(tmp_path / "run")).tables[0].rows
    assert [cell.seed for cell in row.cells] == [1, 2]


def test_names_of_any_script_and_shape_stay_and_never_lead_out(tmp_path):
    names = ["Модель-А", "Модель-Б", "owner/name", "../../evil", "=1+1", "r8[attn]"]
    rows = [row for name in names for row in answers(name, [1, 0, 1])]
    found = harness("import", table(tmp_path / "t.csv", rows), "-o", tmp_path / "run")
    assert found.exit_code == 0, found.output
    assert [cell.model for cell in load_run(tmp_path / "run").cells] == names
    assert "'=1+1" in (tmp_path / "run" / "results.csv").read_text()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["run", "t.csv"]


@pytest.fixture
def imported(tmp_path):
    """An imported run in a folder with a blank in its name."""
    table(tmp_path / "a.csv", [*answers("one", [1, 0, 1]), *answers("two", [1, 1, 1])])
    run = tmp_path / "my run"
    assert harness("import", tmp_path / "a.csv", "-o", run).exit_code == 0
    return run


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("predict {} one --prompt hi", "was imported: its model is not here"),
        ("export {} one --to merged -o {}/out", "was imported: its model is not here"),
        ("push {} one me/it --dry-run {}/out", "was imported: its model is not here"),
        ("merge {}/out {} {}", "imported answers are no shard"),
        ("judge {}", "imported answers have no suite"),
    ],
)
def test_commands_that_need_a_model_or_a_suite_say_that_it_was_imported(command, message, imported):
    words = [word.replace("{}", str(imported)) for word in command.split()]
    result = harness(*words)
    assert result.exit_code == 2
    assert message in result.output


def test_a_run_without_a_baseline_says_what_to_type(imported, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = harness("check", "my run")
    assert "harness baseline update 'my run' --reason" in result.output


@pytest.mark.parametrize(("order", "worse"), [(("one", "two"), False), (("two", "one"), True)])
def test_flips_that_are_asked_for_are_never_answered_by_nothing(order, worse, tmp_path):
    hits = {"one": [1, 0, 1], "two": [1, 1, 1]}
    table(tmp_path / "a.csv", [row for name in order for row in answers(name, hits[name])])
    harness("import", tmp_path / "a.csv", "-o", tmp_path / "run", "--baseline", order[0])
    for options in ((), ("--pairs",), ("--markdown",)):
        words = ("compare", tmp_path / "run", "--axis", "model", "--flips", "2", *options)
        output = " ".join(harness(*words).output.split())
        assert ("no example scored worse by" in output) != worse
        assert ("example q1" in output) == worse
    assert "scored worse" not in harness("compare", tmp_path / "run", "--axis", "model").output
