import json

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.results import load_run


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
    assert tuned.audit["rows_without_eos"] == 0


def test_labels_get_a_head_and_the_baseline_a_likelihood(write_suite, tmp_path):
    out = tmp_path / "out"
    result = run(write_suite(dataset="finance-labels"), "-o", out, "--workers", "1")
    assert result.exit_code == 0, (result.output, *(p.read_text() for p in out.rglob("cell.log")))
    loaded = load_run(out)
    for cell in loaded.cells:
        assert cell.value("f1_macro").value is not None
        assert cell.value("accuracy_majority").note.startswith("always")
        assert all(len(row) == 4 for row in cell.confusion["matrix"])


def test_a_second_run_has_nothing_to_do(write_suite, tmp_path):
    out, suite = tmp_path / "out", write_suite()
    run(suite, "-o", out)
    before = {p: p.stat().st_mtime_ns for p in out.rglob("result.json")}
    result = run(suite, "-o", out)
    assert "2 current" in result.output
    assert before == {p: p.stat().st_mtime_ns for p in out.rglob("result.json")}


def test_the_same_seed_gives_the_same_predictions(write_suite, tmp_path):
    suite = write_suite()
    texts = []
    for name in ("a", "b"):
        run(suite, "-o", tmp_path / name)
        texts.append([p.read_text() for p in sorted((tmp_path / name).rglob("predictions.jsonl"))])
    assert texts[0] == texts[1]


def test_a_failed_cell_never_stops_the_others(write_suite, tmp_path):
    path = write_suite()
    text = path.read_text().replace("target_modules: all-linear", "target_modules: [no_such]")
    path.write_text(text)
    result = run(path, "-o", tmp_path / "out")
    assert result.exit_code == 1
    base, tuned = load_run(tmp_path / "out").cells
    assert (base.status, tuned.status) == ("ok", "failed")
    assert "no_such" in tuned.reason
    assert "Traceback" in next((tmp_path / "out").rglob(f"{tuned.key}/cell.log")).read_text()


def test_reports_are_the_same_bytes_and_escape_a_model_s_answer(write_suite, tmp_path):
    out = tmp_path / "out"
    run(write_suite(), "-o", out)
    for path in out.rglob("predictions.jsonl"):
        lines = [json.loads(line) for line in path.read_text().splitlines()]
        lines[0]["prediction"] = "<script>alert(1)</script>"
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    for name in ("r1", "r2"):
        CliRunner().invoke(main, ["report", str(out), "-o", str(tmp_path / name)])
    for name in ("leaderboard.md", "leaderboard.html", "results.json", "results.csv"):
        assert (tmp_path / "r1" / name).read_bytes() == (tmp_path / "r2" / name).read_bytes()
    html = (tmp_path / "r1" / "leaderboard.html").read_text()
    assert "<script>" not in html
    assert "&lt;script&gt;" in html
