"""The printed summary: two pages by an installed browser, a clear message without one."""

import shutil

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.importers.imported import Imported, write_run
from harness.report.pdf import BROWSERS
from harness.results.result import Value

RECORD = {
    "reference": "reference", "prediction": "answer", "finish_reason": "stop", "data_hash": "d",
    "prompt_hash": "p", "answered_by": "generation", "category": None, "group": None, "gold": None,
}  # fmt: skip


def report(run, folder, *more):
    return CliRunner().invoke(main, ["report", str(run), "-o", str(folder), "--pdf", *more])


@pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="needs a browser")
def test_the_summary_is_a_pdf_of_two_pages(browser_run, tmp_path):
    result = report(browser_run, tmp_path)
    assert result.exit_code == 0, result.output
    assert result.output.splitlines()[-1].endswith("leaderboard.pdf")
    content = (tmp_path / "leaderboard.pdf").read_bytes()
    assert content.startswith(b"%PDF")
    assert content.count(b"/Type /Page\n") == 2


@pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="needs a browser")
def test_many_choices_on_four_data_sets_are_two_pages_still(tmp_path):
    (tmp_path / "source").write_text("x")
    cells = [
        Imported(
            "m", quantization, adapter, f"data-{d}", None if adapter == "base" else 0, "rougeL",
            tmp_path / "source",
            values=(Value("rougeL", 0.3 + 0.01 * k, "F1", True, 40),
                    Value("infer_peak_vram_mib", 1000.0 + 50 * k)),
            records=[{**RECORD, "id": f"e{i}", "prompt": f"{i}", "example_prompt": f"{i}",
                      "scores": {"rougeL": 0.3 + 0.01 * k + 0.02 * ((i * 7 + k) % 5)}}
                     for i in range(40)],
        )
        for d in range(4)
        for quantization in ("none", "int8", "nf4")
        for k, adapter in enumerate(["base", "r4", "r8", "r16", "r32", "full"])
    ]  # fmt: skip
    write_run(tmp_path / "run", "many", cells)
    assert report(tmp_path / "run", tmp_path / "r").exit_code == 0
    assert (tmp_path / "r" / "leaderboard.pdf").read_bytes().count(b"/Type /Page\n") == 2


def test_without_a_browser_nothing_is_started_and_the_message_says_what_to_do(
    browser_run, tmp_path, monkeypatch
):
    monkeypatch.setenv("PATH", str(tmp_path))
    result = report(browser_run, tmp_path / "r")
    assert result.exit_code == 2
    assert "no browser to write a PDF with" in result.output
    assert "chromium" in result.output
    assert "print it" in result.output
    assert not (tmp_path / "r").exists()
