"""A run of which nothing can run any more keeps the plan and the page of the results it has."""

import pytest
from click.testing import CliRunner

import harness
from harness.api.running import execute
from harness.cli import main
from harness.errors import AllSkipped

SUITE = """\
name: kept
matrix:
  model: [tiny-qwen2]
  adapter: [{name: a, config: {r: 4}}]
  dataset: [{name: ru-calculations, train: 8, test: 4}]
"""
OTHER = "generation: {max_new_tokens: 4}\n"
FILES = ("plan.json", "leaderboard.html", "results.csv")


def planned(suite, out, **options):
    return harness.plan(suite, output=out, backend="testing", executor="in_process", **options)


@pytest.fixture
def finished(write_suite, tmp_path):
    execute(planned(write_suite(SUITE), tmp_path / "run"))
    return tmp_path / "run"


def test_results_of_other_settings_are_not_hidden_by_a_plan_without_cells(finished, write_suite):
    before = {name: (finished / name).read_bytes() for name in FILES}
    changed = write_suite(SUITE + OTHER)
    with pytest.raises(AllSkipped, match="the 2 results there are of other settings") as caught:
        execute(planned(changed, finished, max_vram_gib=0.0001))
    assert "more than --max-vram" in caught.value.hint
    assert {name: (finished / name).read_bytes() for name in FILES} == before


def test_it_ends_like_a_run_of_which_all_is_skipped(finished, write_suite, tmp_path):
    changed = str(write_suite(SUITE + OTHER))
    for out, said in ((finished, "Nothing was changed"), (tmp_path / "new", "2 skipped")):
        words = ["run", changed, "-o", str(out), "--max-vram", "0.0001GB"]
        done = CliRunner().invoke(main, words)
        assert done.exit_code == 4, done.output
        assert said in done.output


def test_what_can_run_runs(finished, write_suite):
    assert execute(planned(write_suite(SUITE + OTHER), finished)).counts["ok"] == 2
