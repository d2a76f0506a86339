"""`harness clean` deletes what no cell of a suite refers to, after asking; and nothing else."""

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.results.run import load_run

SUITE = """\
name: tidy
matrix:
  model: [tiny-qwen2]
  adapter: [{name: a, config: {r: 4}}]
  dataset: [{name: ru-calculations, train: 8, test: 4}]
training: {max_steps: 1}
"""


@pytest.fixture
def stale(write_suite, tmp_path):
    """A run of the suite as it is now, which also holds the cell of an earlier setting."""
    out = tmp_path / "out"
    for steps in (1, 2):
        suite = write_suite(SUITE.replace("max_steps: 1", f"max_steps: {steps}"))
        args = ["run", str(suite), "-o", str(out), "--backend", "testing"]
        found = CliRunner().invoke(main, [*args, "--executor", "in_process"])
        assert found.exit_code == 0, found.output
    (out / "cells" / ".result.json.0a1b2c3d").touch()
    (out / "cells" / "notes.txt").touch()
    return suite, out


def clean(stale, *options, **more):
    suite, out = stale
    args = ["clean", str(suite), "-o", str(out), "--backend", "testing", *options]
    return CliRunner().invoke(main, args, **more)


def cells(stale):
    return {path.name for path in (stale[1] / "cells").iterdir() if path.is_dir()}


ANSWERS = {
    "yes": ((), "y\n", 0, True), "no": ((), "n\n", 130, False), "no input": ((), "", 130, False),
    "--yes": (("--yes",), None, 0, True), "--dry-run": (("--dry-run",), None, 0, False),
}  # fmt: skip


@pytest.mark.parametrize("answer", ANSWERS)
def test_nothing_is_deleted_without_a_yes(stale, answer):
    options, typed, code, deletes = ANSWERS[answer]
    before = cells(stale)
    assert len(before) == 3
    found = clean(stale, *options, input=typed)
    assert found.exit_code == code, found.output
    assert "2 entries" in found.output
    kept = {cell.key for cell in load_run(stale[1]).cells}
    assert cells(stale) == (kept if deletes else before)
    assert (stale[1] / "cells" / "notes.txt").exists()
    again = CliRunner().invoke(main, ["report", str(stale[1])])
    assert again.exit_code == 0, again.output


def test_cells_of_the_last_run_are_kept_by_whatever_backend_it_was(stale):
    suite, out = stale
    found = CliRunner().invoke(main, ["clean", str(suite), "-o", str(out), "--yes"])
    assert found.exit_code == 0, found.output
    assert {cell.key for cell in load_run(out).cells} == cells(stale)


def test_a_folder_without_a_run_is_refused(stale, tmp_path):
    found = clean((stale[0], tmp_path / "elsewhere"), "--yes")
    assert found.exit_code == 2
    assert "there is no run of the suite here" in found.output


def test_tensorboard_folders_of_cells_that_are_gone_go_with_them(stale):
    boards = stale[1] / "trackers" / "tensorboard"
    kept = {cell.key for cell in load_run(stale[1]).cells} | {stale[1].name}
    for name in kept | cells(stale):
        (boards / name).mkdir(parents=True)
    assert clean(stale, "--yes").exit_code == 0
    assert {path.name for path in boards.iterdir()} == kept
