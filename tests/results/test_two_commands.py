"""Two commands on one run directory: each sees a run of one moment, and neither ends the other."""

import errno
import fcntl
import json
import os
import shutil
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from filelock import FileLock
from moments import just_before
from stubs import stub_plan, stub_run

from harness.analysis.leaderboard import build_leaderboard
from harness.api import rescoring
from harness.api.reports import report
from harness.api.running import execute
from harness.errors import HarnessError
from harness.plan.plan import make_plan
from harness.report.files import write_report
from harness.results import state
from harness.results.companions import draft_of, table_of
from harness.results.leftovers import leftovers, remove
from harness.results.locking import drafts_in, remove_drafts
from harness.results.packing import pack
from harness.results.paths import CellPaths, RunPaths, write_json, write_text, written
from harness.results.result import load_result, save_result
from harness.results.run import load_run
from harness.results.shards import join
from harness.results.stages import copy_stage, load_stage
from harness.results.state import is_shown
from harness.scoring.rescoring import rescore

SUITE = """\
name: twice
matrix:
  model: [tiny-qwen2]
  adapter: [base]
  dataset: [{name: ru-calculations, train: 8, test: 4}]
evaluation: {latency_prompts: 0, noise_examples: 0}
"""


@pytest.fixture(scope="module")
def made(tmp_path_factory, root):
    return stub_run(tmp_path_factory.mktemp("twice"), root, SUITE)


@pytest.fixture
def run(made, tmp_path):
    return Path(shutil.copytree(made, tmp_path / "run"))


def cell(run):
    (home,) = (run / "cells").iterdir()
    return CellPaths(home)


def start_again(run):
    """What `run` does first with a cell that is to be done again."""
    cell(run).result.unlink()
    cell(run).stage("predict").unlink()
    cell(run).predictions.unlink()


def score(run, *, done=True):
    """What `score` does with a cell of which an answer is read otherwise; up to its last step."""
    paths = cell(run)
    content = paths.predictions.read_bytes().replace(b'"finish_reason"', b'"finish_reason" ', 1)
    draft_of(paths.predictions).write_bytes(content)
    found = load_result(paths.result)
    companions = {**found.companions, paths.predictions.name: table_of(content)}
    save_result(paths, replace(found, companions=companions))
    if done:
        draft_of(paths.predictions).replace(paths.predictions)


READERS = {
    "load": lambda run, folder: load_run(run),
    "plan": lambda run, folder: make_plan(run / "suite.yaml", run, backend="testing"),
    "report": lambda run, folder: report(run, folder / "report"),
}
MOMENTS = [
    ("result.json", start_again), (".predictions.jsonl.next", start_again),
    ("result.json", score), (".predictions.jsonl.next", score),
    ("result.json", lambda run: score(run, done=False)),
]  # fmt: skip


@pytest.mark.parametrize("reader", READERS)
@pytest.mark.parametrize("moment", range(len(MOMENTS)))
def test_a_run_is_read_while_it_is_written(run, root, tmp_path, reader, moment):
    (run / "models").symlink_to(root / "models")
    name, other = MOMENTS[moment]
    with just_before("open", name, lambda: other(run)):
        READERS[reader](run, tmp_path)
    assert [c.status for c in load_run(run).cells] == ["missing" if other is start_again else "ok"]


def test_a_report_may_put_answers_in_place_before_their_writer_does(run):
    for path in run.glob("cells/*/result.json"):
        path.write_text(path.read_text().replace("|v:", "|v:0"))
    with just_before("os.rename", ".predictions.jsonl.next", lambda: load_run(run)):
        assert rescore(load_run(run))
    found = load_run(run)
    assert found.predictions(found.cells[0])
    assert not drafts_in(run)


@pytest.mark.parametrize("other", [start_again, score])
def test_answers_that_were_replaced_since_are_not_called_damaged(run, other):
    found = load_run(run)
    other(run)
    with pytest.raises(HarnessError, match="changed while it was read") as raised:
        found.predictions(found.cells[0])
    assert "Another command writes to the run" in str(raised.value)


def test_a_plan_that_changes_is_read_with_its_own_state(run):
    text = (run / "plan.json").read_text()
    other = text.replace('"twice"', '"thrice"')
    with just_before("open", "environment.json", lambda: write_text(run / "plan.json", other)):
        found = load_run(run)
    assert found.suite["name"] == "thrice"
    assert found.state == load_run(run).state


@pytest.mark.parametrize("name", ["predictions.jsonl", "result.json", ".run.tar.xz.*"])
def test_a_pack_of_two_moments_is_not_written(run, tmp_path, name):
    packed = tmp_path / "run.tar.xz"
    replaced = pytest.raises(HarnessError, match="replaced while it was packed")
    with just_before("open", name, lambda: score(run)), replaced:
        pack(run, packed)
    assert not packed.exists()
    assert not list(tmp_path.glob(".run.tar.xz*"))
    assert pack(run, packed) == packed


def test_a_run_whose_scoring_was_killed_is_packed(run, tmp_path):
    score(run, done=False)
    found = load_run(pack(run, tmp_path / "run.tar.xz"))
    assert found.predictions(found.cells[0])


def test_a_draft_is_deleted_only_if_nobody_writes_it(tmp_path):
    path = tmp_path / "results.csv"
    (tmp_path / ".results.csv.0a1b2c3d").write_bytes(b"of a process that was killed")
    with written(path) as file:
        file.write(b"whole")
        remove_drafts(tmp_path)
        assert len(drafts_in(tmp_path)) == 1
    assert path.read_bytes() == b"whole"
    assert not drafts_in(tmp_path)


@pytest.mark.parametrize("rights", [0o644, 0o444])
def test_a_draft_is_known_for_abandoned_on_nfs_and_of_another_user(tmp_path, monkeypatch, rights):
    lock = fcntl.flock

    def nfs(file, how):
        """As in flock(2): of a file that is not open for writing there is no exclusive lock."""
        if how & fcntl.LOCK_EX and not file.writable():
            raise OSError(errno.EBADF, os.strerror(errno.EBADF))
        lock(file, how)

    if rights == 0o644:
        monkeypatch.setattr(fcntl, "flock", nfs)
    else:  # root may write it all the same
        monkeypatch.setattr(os, "access", lambda *_: False)
    draft = tmp_path / ".results.csv.0a1b2c3d"
    draft.write_bytes(b"of a process that was killed")
    draft.chmod(rights)
    remove_drafts(tmp_path)
    assert not drafts_in(tmp_path)


def test_a_draft_that_is_deleted_as_it_begins_is_written_under_another_name(tmp_path, monkeypatch):
    lock, found = fcntl.flock, []

    def late(file, how):
        if not found:  # a cleaning that comes between the opening and the locking
            found.extend(drafts_in(tmp_path))
            found[0].unlink()
        lock(file, how)

    monkeypatch.setattr(fcntl, "flock", late)
    write_json(tmp_path / "a.json", 1)
    assert json.loads((tmp_path / "a.json").read_text()) == 1


def test_a_file_is_written_where_the_file_system_counts_no_links(tmp_path, monkeypatch):
    """Some in user space report none of any file: it is not deleted for that."""
    stat = os.fstat

    def without_links(handle):
        assert len(drafts_in(tmp_path)) < 3, "it makes drafts without end"
        return os.stat_result((*stat(handle)[:3], 0, *stat(handle)[4:10]))

    monkeypatch.setattr(os, "fstat", without_links)
    write_json(tmp_path / "a.json", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["a.json"]


def test_a_run_that_begins_keeps_answers_whose_scoring_was_killed(run):
    score(run, done=False)
    remove_drafts(run)
    found = load_run(run)
    assert found.predictions(found.cells[0])
    assert not drafts_in(run)


def test_cleaning_up_keeps_answers_whose_scoring_was_killed(run):
    score(run, done=False)
    key = cell(run).directory.name
    remove(RunPaths(run), leftovers(RunPaths(run), [key]))
    found = load_run(run)
    assert found.predictions(found.cells[0])
    assert not drafts_in(run)


def test_what_a_run_has_planned_since_is_not_cleaned_up(run):
    key = cell(run).directory.name
    found = leftovers(RunPaths(run), [])
    assert key in [one.path.name for one in found]
    remove(RunPaths(run), found)
    assert cell(run).result.is_file()


def test_a_link_to_a_folder_of_earlier_settings_is_cleaned_up_and_the_folder_kept(run, tmp_path):
    (tmp_path / "elsewhere").mkdir()
    key = cell(run).directory.name
    link = run / "cells" / "stale"
    link.symlink_to(tmp_path / "elsewhere")
    remove(RunPaths(run), leftovers(RunPaths(run), [key]))
    assert not link.is_symlink()
    assert (tmp_path / "elsewhere").is_dir()


def test_leftovers_are_counted_while_they_go_away(run):
    key = cell(run).directory.name
    stale = run / "cells" / "stale"
    (stale / "adapter").mkdir(parents=True)
    (stale / "adapter" / "weights").write_bytes(b"1234")
    with just_before("os.scandir", "adapter", lambda: shutil.rmtree(stale)):
        found = leftovers(RunPaths(run), [key])
    assert [one.path for one in found] == [stale]


def test_a_run_does_not_repeat_what_another_did_between_its_plan_and_its_lock(
    write_suite, tmp_path
):
    out = tmp_path / "out"
    first, second = (
        replace(stub_plan(write_suite, out, seeds=1), executor="in_process") for _ in "12"
    )
    assert execute(first).counts["ok"] == 2
    before = {path: path.stat().st_mtime_ns for path in out.glob("cells/*/result.json")}
    assert execute(second).counts == {"ok": 0, "failed": 0, "skipped": 0, "current": 2}
    assert before == {path: path.stat().st_mtime_ns for path in out.glob("cells/*/result.json")}


def test_a_score_is_of_what_is_there_under_its_lock(run, monkeypatch):
    for path in run.glob("cells/*/result.json"):
        path.write_text(path.read_text().replace("|v:", "|v:0"))
    with just_before("open", ".lock", lambda: score(run)):
        found = rescoring.score(run)
    assert [one.answers for one in found.cells] == [4]
    loaded = load_run(run)
    assert b'"finish_reason" ' not in cell(run).predictions.read_bytes()
    assert loaded.predictions(loaded.cells[0])


def test_a_stage_whose_files_go_away_while_they_are_copied_is_not_there(run, tmp_path):
    source, target = cell(run), CellPaths(tmp_path / "cells" / "other")
    key = json.loads(source.stage("predict").read_text())["key"]
    with just_before("open", "predictions.jsonl", source.predictions.unlink):
        copy_stage(source, target, "predict")
    assert load_stage(target, "predict", key) is None
    assert not list(target.directory.iterdir())


def test_the_page_of_an_older_state_is_not_noted_as_the_newest(run):
    older = build_leaderboard(load_run(run))
    score(run)
    newer = build_leaderboard(load_run(run))
    other = threading.Thread(target=write_report, args=(older, run), kwargs={"title": "older"})

    def meanwhile():
        other.start()
        other.join(1)  # without a lock it ends well before that

    with just_before("os.rename", ".report.json.*", meanwhile):
        write_report(newer, run, title="newer")
    other.join()
    is_new = "newer" in (run / "leaderboard.md").read_text().splitlines()[0]
    assert is_shown(run) == is_new


@pytest.mark.parametrize("held", ["stopped", "another user's"])
def test_a_report_is_written_though_its_lock_cannot_be_had(run, monkeypatch, held):
    """Its holder is stopped by Ctrl-Z, say, or the lock is the file of somebody else."""
    lock = run / ".report.json.lock"
    monkeypatch.setattr(state, "LONGEST_WRITING", 0.2)
    board = build_leaderboard(load_run(run))
    if held == "stopped":
        with FileLock(lock):
            write_report(board, run)
    else:
        lock.mkdir()  # as a file that may not be opened, which root may always
        write_report(board, run)
    assert is_shown(run)


@pytest.mark.parametrize("other", [start_again, score])
def test_shards_that_go_on_are_not_merged_half(run, tmp_path, other):
    second = shutil.copytree(run, tmp_path / "second")
    output = tmp_path / "merged"
    changes = pytest.raises(HarnessError, match="changed while it was read")
    with just_before("shutil.copyfile", "predictions.jsonl", lambda: other(run)), changes:
        join([run, second], output)
    assert not list(output.iterdir())
    shutil.copytree(second, run, dirs_exist_ok=True)
    assert join([run, second], output)["ok"] == 1


def test_a_merge_that_fails_before_its_first_folder_says_why(run, tmp_path):
    def full():
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    second = shutil.copytree(run, tmp_path / "second")
    with just_before("os.mkdir", "cells", full), pytest.raises(OSError, match="No space left"):
        join([run, second], tmp_path / "merged")
