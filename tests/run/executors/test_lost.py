"""Workers that die, hang or outlive: each is a failed cell with its cause, and nothing stays."""

import errno
import fcntl
import multiprocessing
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from scripted import PLUGIN, scripted_suite
from stubs import SUITE as STUBS

from harness.errors import HarnessError
from harness.plan.plan import make_plan
from harness.plugins import load_plugins
from harness.results.paths import CellPaths
from harness.results.result import load_result
from harness.results.run import load_run
from harness.run.executors.cards import Card, Group
from harness.run.executors.limits import Limits, Watch, end_all
from harness.run.executors.local import LocalExecutor
from harness.run.executors.local_worker import Worker, living
from harness.run.executors.stopping import is_stopped, resume
from harness.run.runner import run_suite

STARTED: list[subprocess.Popen[str]] = []
"""Runs of the present test."""
PATIENCE = 240
"""Seconds to wait for what happens in one: a busy machine must not fail a test."""


def _some(cases, *always):
    """``cases``, all but those that CI runs marked as long: each one starts a whole run."""
    marks = pytest.mark.reliability
    return [case if case in always else pytest.param(case, marks=marks) for case in cases]


@pytest.fixture(autouse=True)
def ended():
    """A test that fails leaves no run behind, which would slow all that come after it."""
    yield
    while STARTED:
        process = STARTED.pop()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()


@pytest.fixture
def scripted(write_suite, install_plugin):
    """Writes a suite whose cells do what a script says."""
    site = install_plugin("scripted_lost", PLUGIN)
    load_plugins()

    def make(scripts):
        return scripted_suite(write_suite, scripts)

    make.site = site
    return make


def run(suite, out, limits=None, workers=1):
    """Adapter → its result, and the events."""
    plan, events = make_plan(suite, out, backend="scripted_lost"), []
    executor = LocalExecutor(workers, 1, limits=limits)
    run_suite(plan, executor, events.append)
    found = {d.cell.adapter: load_result(plan.run.cell(d.key).result) for d in plan.decisions}
    return found, events


DEATHS = {
    "killed": ("os.kill(os.getpid(), signal.SIGKILL)", "killed by signal 9 from outside"),
    "segfault": ("os.kill(os.getpid(), signal.SIGSEGV)", "killed by signal 11 (segmentation"),
    "exit 0": ("os._exit(0)", "exit code 0"),
    "exit 3": ("os._exit(3)", "exit code 3"),
    "host memory": ("raise MemoryError()", "MemoryError"),
    "graphics memory": (
        "import torch; raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 2 GiB')",
        "OutOfMemoryError: CUDA out of memory",
    ),
    "disk full": ("open('/dev/full', 'w').write('x' * 100_000)", "No space left on device"),
    "file too large": (
        "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))",
        "File too large",
    ),
    "read-only": ("(paths.directory / 'adapter').touch(mode=0)", "adapter"),
    "fork server": ("os.kill(os.getppid(), signal.SIGKILL); time.sleep(60)", "the fork server"),
}


def test_every_way_to_die_is_a_failed_cell_with_its_cause_and_stops_no_other(scripted, tmp_path):
    suite = scripted(
        {name.replace(" ", "-"): {"train": code} for name, (code, _) in DEATHS.items()}
    )
    found, _ = run(suite, tmp_path / "out")
    assert found["base"].status == "ok"
    for name, (_, cause) in DEATHS.items():
        result = found[name.replace(" ", "-")]
        assert result.status == "failed", name
        assert cause in result.reason, (name, result.reason)


HANGS = {
    "asleep": ("time.sleep(600)", Limits(stall=5), "it hung: no processor time used in 5 s"),
    "stopped": (
        "os.kill(os.getpid(), signal.SIGSTOP)",
        Limits(stall=5),
        "it was stopped from outside: no processor time used in 5 s",
    ),
    "endless": (
        "while True: pass",
        Limits(seconds=1),
        "it took longer than --cell-timeout, 1 s, and was ended",
    ),
}


@pytest.mark.parametrize("hang", HANGS)
def test_a_worker_that_hangs_is_ended_and_the_others_go_on(scripted, tmp_path, hang):
    code, limits, reason = HANGS[hang]
    suite = scripted({"a": {"train": code}, "b": {}})
    if limits.seconds:  # the cells that work must be within it, however busy the machine is
        limits = Limits(seconds=20)
        reason = reason.replace("1 s", "20 s")
    found, _ = run(suite, tmp_path / "out", limits)
    assert found["a"].reason.startswith(reason)
    assert (found["base"].status, found["b"].status) == ("ok", "ok")
    log = (tmp_path / "out" / "cells" / found["a"].key / "cell.log").read_text()
    assert 'File "<string>", line 1' in log, "the log says where it hung"


ONCE = "mark = folder / 'once'\nif not mark.exists(): mark.touch(); "
RETRIES = {
    "lost": (ONCE + "os._exit(1)", 1, True),
    "hub": (ONCE + "raise ConnectionError('Read timed out')", 1, True),
    "lost for good": ("os._exit(1)", 2, False),
    "not asked for": (ONCE + "os._exit(1)", 0, False),
    "deterministic": (ONCE + "raise ValueError('no')", 5, False),
}


@pytest.mark.parametrize("case", RETRIES)
def test_a_lost_cell_is_tried_again_as_often_as_asked_for(scripted, tmp_path, case, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    code, retry, is_done = RETRIES[case]
    found, events = run(scripted({"a": {"train": code}}), tmp_path / "out", Limits(retry=retry))
    assert found["a"].status == ("ok" if is_done else "failed")
    again = [event.text for event in events if event.text.startswith("again")]
    expected = {"lost": 1, "hub": 1, "lost for good": 2}.get(case, 0)
    assert len(again) == expected
    assert len([event for event in events if event.is_end]) == 2


@pytest.fixture
def temporary():
    """A folder for temporary files, with a path short enough for sockets."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        yield Path(folder)


def start(suite, out, temporary):
    """A run of ``suite`` in a process group of its own."""
    command = [sys.executable, "-m", "harness.cli", "run", str(suite), "-o", str(out)]
    process = subprocess.Popen(
        [*command, "--backend", "scripted_lost", "--workers", "2"],
        env={**os.environ, "TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    STARTED.append(process)
    return process


def until(condition, process=None):
    end = time.monotonic() + PATIENCE
    while not condition():
        ended = process is not None and process.poll() is not None
        assert not ended, process.communicate()
        assert time.monotonic() < end, "it never happened"
        time.sleep(0.02)


def family(process):
    return psutil.Process(process.pid).children(recursive=True)


def gone(processes):
    return not [p for p in processes if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]


ONCE_BESIDE = "while not (folder / 'beside').exists(): time.sleep(0.01)"
SPIN = "(folder / 'measuring').touch()\nwhile True: pass"
BESIDE = "(folder / 'beside').touch()\nwhile not (folder / 'measuring').exists(): time.sleep(0.01)\nwhile True: pass"
ENDS = {
    "parent killed": (signal.SIGKILL, False),
    "parent terminated": (signal.SIGTERM, False),
    "group killed": (signal.SIGKILL, True),
    "Ctrl-C": (signal.SIGINT, True),
}


@pytest.mark.parametrize("end", _some(ENDS, "parent killed"))
def test_nothing_outlives_a_run_ended_while_a_cell_measures(scripted, tmp_path, temporary, end):
    number, group = ENDS[end]
    suite = scripted({"a": {"train": ONCE_BESIDE, "measure": SPIN}, "b": {"train": BESIDE}})
    process = start(suite, tmp_path / "out", temporary)
    until((tmp_path / "measuring").exists, process)
    all_of_it = family(process)
    assert [p for p in all_of_it if p.status() == psutil.STATUS_STOPPED], "the other is stopped"
    (os.killpg if group else os.kill)(process.pid, number)
    _, errors = process.communicate(timeout=PATIENCE)
    until(lambda: gone(all_of_it))
    assert "Traceback" not in errors
    left = [*temporary.glob("pymp-*"), *temporary.glob("harness-workers-*")]
    assert left == [] or end == "group killed", left  # nobody was left to remove it


def _late(pipe):
    time.sleep(0.3)
    pipe.send(("follows", ""))
    pipe.send(("stage", "load"))
    signal.pause()


def test_a_worker_is_stopped_only_once_it_ends_with_the_run():
    """Stopped before that, it and the fork server would keep each other alive for good."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_late, args=(theirs,))
    process.start()
    worker = Worker("a", None, process, ours, None)
    try:
        assert LocalExecutor(1, 1)._stop([worker]).stopped == 1
        assert worker.follows
        assert is_stopped(process.pid)
        resume([process.pid])
        assert ours.recv() == ("stage", "load")  # nothing else of what it said is lost
    finally:
        process.kill()
        process.join()


def _says(pipe, *messages):
    for message in messages:
        pipe.send(message)
    signal.pause()


@contextmanager
def _workers(executor, **messages):
    """Two workers of ``executor`` on one card, which have said what is given and wait."""
    card = Card(None, Group())
    for name, said in messages.items():
        ours, theirs = multiprocessing.Pipe()
        process = multiprocessing.get_context("fork").Process(target=_says, args=(theirs, *said))
        process.start()
        theirs.close()
        executor._active[ours] = Worker(name, None, process, ours, card)
    try:
        for pipe in executor._active:
            assert pipe.poll(PATIENCE)
        yield list(executor._active.values())
    finally:
        for worker in executor._active.values():
            worker.process.kill()
            worker.process.join()


@pytest.mark.timeout(PATIENCE)
def test_a_worker_that_is_stopped_as_it_begins_keeps_nobody_waiting():
    """Both are heard in one round: the one measures, and stopping the other reads its message."""
    executor = LocalExecutor(2, 1)
    with _workers(executor, a=[("exclusive", "")], b=[("follows", "")]) as (measuring, other):
        assert list(executor._listen()) == []
        assert measuring.card.group.measuring is measuring
        assert other.follows
        assert is_stopped(other.process.pid)


@pytest.mark.timeout(PATIENCE)
@pytest.mark.parametrize("asked", ["exclusive", "release", "pauses"])
def test_a_worker_that_dies_as_it_asks_does_not_end_the_run(asked):
    executor = LocalExecutor(1, 1)
    with _workers(executor, a=[("exclusive", ""), (asked, "")]) as (worker,):
        list(executor._listen())
        assert worker.pipe.poll(PATIENCE)
        worker.process.kill()
        worker.process.join()
        assert list(executor._listen()) == []  # what it asked for; then that it is gone
        assert worker.pipe.poll()


HOLDS = """\
import os, sys
from harness.run.executors.lifeline import own_folder
print(own_folder(), flush=True)
sys.stdin.read()
os.kill(os.getpid(), 9)
"""


def test_folders_of_killed_runs_are_removed_by_the_next():
    """By whether somebody holds them: a number may be of another machine, or another process."""
    from harness.run.executors.lifeline import HELD, PREFIX, own_folder

    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    older = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{ended.pid}-"))  # that of another container
    unheld = Path(tempfile.mkdtemp(prefix=f"{PREFIX}{os.getpid()}-"))
    (unheld / HELD).touch()
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", HOLDS], **pipes) as other:
        theirs = Path(other.stdout.readline().strip())
        own_folder()
        folders = (older, unheld, theirs, Path(own_folder()))
        assert [folder.exists() for folder in folders] == [True, False, True, True]
        assert theirs.name.startswith(f"{PREFIX}{other.pid}-")
        other.stdin.close()
        other.wait()
    own_folder()
    assert not theirs.exists()
    older.rmdir()


def test_a_temporary_folder_without_locks_is_used_and_swept_by_nobody(monkeypatch):
    """Such as one of Lustre that is mounted without `flock`."""
    from harness.run.executors import lifeline

    def refuse(*_):
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", refuse)
    folder = lifeline._held_folder()
    lifeline._sweep()
    assert folder.is_dir()
    shutil.rmtree(folder)


def _with_result(folder):
    folder.mkdir()
    (folder / "result.json").touch()
    return CellPaths(folder)


@pytest.mark.timeout(PATIENCE)
@pytest.mark.parametrize("said", [[("done", "")], [("stage", "score"), ("done", "")], []])
def test_what_a_cell_had_reported_counts_when_its_time_is_over(said, tmp_path):
    executor = LocalExecutor(1, 1, limits=Limits(seconds=0.01))
    with _workers(executor, a=[("follows", ""), *said]) as (worker,):
        worker.paths = _with_result(tmp_path / "a")  # without a word, it has done that much
        worker.watch = Watch(worker.process.pid, worked=1.0)
        worker.watch._looked -= 1.0
        executor._end_hung()
        assert worker.given_up is None  # it has said something: that is heard first
        worker.given_up = "it took longer"
        end_all([worker.process.pid])
        executor._cards.leave = lambda *_: None
        events = []
        while executor._active:
            events += executor._listen()
        assert [event.kind for event in events if event.is_end] == ["done"]


def test_a_process_that_has_ended_gets_no_signal():
    """Its number may be that of another one by the time that the run learns of its end."""
    process = multiprocessing.get_context("fork").Process(target=int)
    process.start()
    workers = [Worker("a", None, process, None, None)]
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert living(workers) == []


class NoProcess:
    """A context of multiprocessing on a machine that has no room for another process."""

    Pipe = staticmethod(multiprocessing.Pipe)

    def Process(self, **_):
        return self

    def start(self):
        raise OSError(errno.EAGAIN, os.strerror(errno.EAGAIN))


@pytest.mark.timeout(PATIENCE)
def test_workers_that_run_are_not_lost_because_another_cannot_be_started(tmp_path):
    """There may be room when one of them ends; their news follow each other in milliseconds."""
    executor = LocalExecutor(2, 1)
    executor._context, executor._folder = NoProcess(), str(tmp_path)
    with _workers(executor, a=[("stage", "train")]):
        assert [executor._start("b", CellPaths(tmp_path / "b")) for _ in range(9)] == [False] * 9
    executor._active.clear()
    with pytest.raises(HarnessError, match="no worker can be started"):
        [executor._start("b", CellPaths(tmp_path / "b")) for _ in range(3)]


DIES_AT_START = """\
import os, sys
from pathlib import Path
if any("forkserver import main" in word for word in sys.orig_argv):
    marks = Path(__file__).with_name("starts")
    with marks.open("ab") as file:
        file.write(b".")
    if marks.stat().st_size <= TIMES:
        os._exit(1)
"""


@pytest.mark.parametrize(
    ("times", "code", "words"), [(2, 0, "2 ok"), (9, 2, "no worker can be started")]
)
def test_a_fork_server_that_dies_is_started_again(write_suite, tmp_path, times, code, words):
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(DIES_AT_START.replace("TIMES", str(times)))
    suite = write_suite(STUBS.replace("SEEDS", "0"))
    command = [sys.executable, "-m", "harness.cli", "run", str(suite), "-o", str(tmp_path / "out")]
    found = subprocess.run(
        [*command, "--backend", "testing", "--cell-timeout", "10s"], capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(site), os.environ.get("PYTHONPATH", "")])},
    )  # fmt: skip
    assert found.returncode == code, found.stderr
    assert words in found.stdout + found.stderr
    assert "Traceback" not in found.stderr


@pytest.mark.parametrize("times", _some([1, 2, 20], 20))
def test_any_number_of_interrupts_ends_a_run(scripted, tmp_path, temporary, times):
    suite = scripted({"a": {"train": SPIN}})
    process = start(suite, tmp_path / "out", temporary)
    until((tmp_path / "measuring").exists, process)
    all_of_it = family(process)
    for _ in range(times):
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGINT)
    _, errors = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130, errors
    assert "stopped; the same command goes on where this one was" in errors
    assert "Traceback" not in errors
    until(lambda: gone(all_of_it))
    assert {cell.status for cell in load_run(tmp_path / "out").cells} <= {"ok", "missing"}
