"""The printed summary: two pages by an installed browser, a clear message without one."""

import shutil

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.report.pdf import BROWSERS


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
