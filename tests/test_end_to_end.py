import json

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.results.run import load_run


def run(*arguments):
    return CliRunner().invoke(main, ["run", *map(str, arguments)], catch_exceptions=False)


@pytest.mark.parametrize("quantization", ["none", "int8", "nf4", "fp4"])
def test_a_text_cell_trains_and_is_scored(write_suite, tmp_path, quantization):
    out = tmp_path / "out"
    result = run(write_suite(quantization=quantization), "-o", out, "--workers", "1")
    assert result.exit_code == 0, (result.output, *(p.read_text() for p in out.rglob("cell.log")))
    base, tuned = load_run(out).cells
    assert base.status == tuned.status == "ok"
    assert tuned.value("eval_loss").value < base.value("eval_loss").value
    kinds = tuned.facts["loaded"]["linear_modules"]
    wanted = {"none": "Linear", "int8": "Linear8bitLt"}.get(quantization, "Linear4bit")
    assert kinds[wanted] >= 28
    assert tuned.facts["adapter_moves_logits_by"] > 0
    assert tuned.audit.counts["rows_without_eos"] == 0


def test_labels_get_a_head_and_the_baseline_a_likelihood(write_suite, tmp_path):
    out = tmp_path / "out"
    result = run(write_suite(dataset="finance-labels"), "-o", out, "--workers", "1")
    assert result.exit_code == 0, (result.output, *(p.read_text() for p in out.rglob("cell.log")))
    loaded = load_run(out)
    for cell in loaded.cells:
        assert cell.value("f1_macro").value is not None
        assert cell.value("accuracy_majority").note.startswith("always")
        assert all(len(row) == 4 for row in cell.confusion.matrix)


@pytest.mark.parametrize("mode", ["likelihood", "generation"])
def test_labels_as_answers_ask_both_sides_the_same_question(write_suite, tmp_path, mode):
    out, suite = tmp_path / "out", write_suite(dataset="finance-labels")
    suite.write_text(suite.read_text().replace("test: 12", f"test: 12, classify_by: {mode}"))
    result = run(suite, "-o", out, "--workers", "1")
    assert result.exit_code == 0, (result.output, *(p.read_text() for p in out.rglob("cell.log")))
    loaded = load_run(out)
    base, tuned = (loaded.predictions(cell) for cell in loaded.cells)
    assert [r["prompt_hash"] for r in base] == [r["prompt_hash"] for r in tuned]
    assert {r["answered_by"] for r in base + tuned} == {mode}
    if mode == "generation":
        parsed = [cell.value("unparsed_share").value for cell in loaded.cells]
        assert parsed[0] > parsed[1]
    else:
        gold = [sum(r["label_scores"][r["label"]] for r in side) for side in (base, tuned)]
        assert gold[1] > gold[0]


def test_a_trained_adapter_is_scored_as_it_is(write_suite, tmp_path):
    first = write_suite()
    run(first, "-o", tmp_path / "a", "--workers", "1")
    tuned = load_run(tmp_path / "a").cells[1]
    adapter = tmp_path / "a" / "cells" / tuned.key / "adapter"
    text = first.read_text()
    start, end = text.index("      config:"), text.index("  dataset:")
    first.write_text(f"{text[:start]}      source: {adapter}\n{text[end:]}")
    result = run(first, "-o", tmp_path / "b", "--workers", "1")
    assert result.exit_code == 0, result.output
    again = load_run(tmp_path / "b")
    before = [r["prediction"] for r in load_run(tmp_path / "a").predictions(tuned)]
    assert [r["prediction"] for r in again.predictions(again.cells[1])] == before
    assert again.cells[1].value("train_seconds") is None


def test_a_second_run_has_nothing_to_do(write_suite, tmp_path):
    out, suite = tmp_path / "out", write_suite()
    run(suite, "-o", out)
    before = {p: p.stat().st_mtime_ns for p in out.rglob("result.json")}
    result = run(suite, "-o", out)
    assert "2 current" in result.output
    assert before == {p: p.stat().st_mtime_ns for p in out.rglob("result.json")}


def test_the_same_seed_gives_the_same_predictions(write_suite, tmp_path):
    suite = write_suite()
    found = []
    for name in ("a", "b"):
        run(suite, "-o", tmp_path / name)
        loaded = load_run(tmp_path / name)
        found.append([{**r, "batch_ms": 0} for c in loaded.cells for r in loaded.predictions(c)])
    assert found[0] == found[1]


def test_sampled_answers_repeat_with_the_seed_and_differ_from_greedy_ones(write_suite, tmp_path):
    greedy = write_suite()
    run(greedy, "-o", tmp_path / "greedy", "--workers", "1")
    text = greedy.read_text()
    greedy.write_text(text.replace("max_new_tokens: 16", "max_new_tokens: 16, do_sample: true"))
    found = []
    for name in ("a", "b"):
        run(greedy, "-o", tmp_path / name, "--workers", "1")
    for name in ("greedy", "a", "b"):
        loaded = load_run(tmp_path / name)
        found.append([r["prediction"] for r in loaded.predictions(loaded.cells[1])])
    assert found[1] == found[2]
    assert found[0] != found[1]


def test_a_paged_eight_bit_optimizer_trains_a_quantized_model_on_a_cpu(write_suite, tmp_path):
    path = write_suite(quantization="nf4")
    text = path.read_text().replace("max_length: 256", "max_length: 256, optim: paged_adamw_8bit")
    path.write_text(text)
    result = run(path, "-o", tmp_path / "out", "--workers", "1")
    assert result.exit_code == 0, result.output
    base, tuned = load_run(tmp_path / "out").cells
    assert tuned.value("eval_loss").value < base.value("eval_loss").value


def test_another_seed_starts_from_other_weights_and_sees_another_order(write_suite, tmp_path):
    path = write_suite()
    path.write_text(path.read_text().replace("training: {", "training: {max_steps: 2, ", 2))
    text = path.read_text().replace("max_steps: 2, learning_rate: 5e-3}", "learning_rate: 5e-3}")
    path.write_text(text.replace("\ntraining:", "\n  seed: [0, 1]\ntraining:", 1))
    result = run(path, "-o", tmp_path / "out", "--workers", "1")
    assert result.exit_code == 0, result.output
    _, first, second = load_run(tmp_path / "out").cells
    logs = [
        (tmp_path / "out" / "cells" / cell.key / "train_log.jsonl").read_text()
        for cell in (first, second)
    ]
    losses = [json.loads(log.splitlines()[0])["loss"] for log in logs]
    assert losses[0] != losses[1]


@pytest.mark.parametrize("policy", ["warn", "error"])
def test_cut_rows_are_counted_and_fail_a_cell_where_the_suite_says_so(
    write_suite, tmp_path, policy
):
    path = write_suite()
    text = path.read_text().replace("max_length: 256", "max_length: 40, max_steps: 1")
    rules = f"evaluation: {{on_cut: {policy}, on_unlearnable: warn, "
    path.write_text(text.replace("evaluation: {", rules))
    run(path, "-o", tmp_path / "out", "--workers", "1")
    _, tuned = load_run(tmp_path / "out").cells
    if policy == "error":
        assert tuned.status == "failed"
        assert "cut at max_length" in tuned.reason
    else:
        assert tuned.audit.counts["rows_cut"] > 0
        assert any("cut at max_length" in warning for warning in tuned.audit.warnings)


def test_a_failed_cell_never_stops_the_others(write_suite, tmp_path):
    path = write_suite()
    text = path.read_text().replace("max_length: 256", "max_length: 40")
    path.write_text(text.replace("evaluation: {", "evaluation: {on_unlearnable: error, "))
    result = run(path, "-o", tmp_path / "out")
    assert result.exit_code == 4
    base, tuned = load_run(tmp_path / "out").cells
    assert (base.status, tuned.status) == ("ok", "failed")
    assert "no token left to learn from" in tuned.reason
    assert "Traceback" in next((tmp_path / "out").rglob(f"{tuned.key}/cell.log")).read_text()


def test_reports_are_the_same_bytes_and_escape_a_model_s_answer(write_suite, tmp_path):
    out = tmp_path / "out"
    run(write_suite(), "-o", out)
    for path in out.rglob("predictions.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        lines[0]["prediction"] = "<script>alert(1)</script>"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        result = path.with_name("result.json")  # of a version that did not tie it to its answers
        old = json.loads(result.read_text()) | {"companions": {}, "schema": 2}
        result.write_text(json.dumps(old))
    for name in ("r1", "r2"):
        CliRunner().invoke(main, ["report", str(out), "-o", str(tmp_path / name)])
    for name in ("leaderboard.md", "leaderboard.html", "results.json", "results.csv"):
        assert (tmp_path / "r1" / name).read_bytes() == (tmp_path / "r2" / name).read_bytes()
    html = (tmp_path / "r1" / "leaderboard.html").read_text()
    assert "<script>alert" not in html
    assert "&lt;script&gt;" in html
