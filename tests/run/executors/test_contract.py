"""What every registered executor keeps: one true end for each job, order, exclusivity, its machine.

An executor of a plug-in is proved by running this file with the plug-in installed.
"""

import json
import os
import subprocess
import sys
import time

import psutil
import pytest

from harness.errors import HarnessError
from harness.run.executors.base import EXECUTORS, executor_of

COUNT = """
device.stage("count")
end = time.monotonic() + 240
stop = Path({stop!r})
number = 0
while not stop.exists() and time.monotonic() < end:
    number += 1
    Path({counter!r}).write_text(str(number))
"""
WAIT = """
end = time.monotonic() + 240
while not Path({counter!r}).exists() and time.monotonic() < end:
    time.sleep(0.01)
"""
MEASURE = """
counter = Path({counter!r})
seen = []
for _ in range(20):
    seen.append(counter.read_text() if counter.exists() else "")
    time.sleep(0.02)
Path({stop!r}).touch()
assert len(set(seen)) == 1, f"another cell ran: {{sorted(set(seen))}}"
"""


CLUSTERS = {"ray": None, "slurm": "local"}
"""Executors of clusters, with the address that tests use. They give a measuring cell a whole node or
card, so nobody is stopped for it. Their tests take longer."""
NAMES = [
    pytest.param(name, marks=pytest.mark.cluster if name in CLUSTERS else [])
    for name in sorted(EXECUTORS)
]


@pytest.fixture(params=NAMES)
def name(request):
    if request.param == "slurm":
        pytest.importorskip("submitit")
    if request.param == "ray":
        request.getfixturevalue("ray_cluster")
    return request.param


@pytest.fixture
def jobs(name, scripted):
    """Makes jobs, each of which runs its lines of Python and then the testing backend."""
    return scripted(executor_at(name).machine())


def executor_at(name, workers=None):
    return executor_of(name, workers, address=CLUSTERS.get(name))


def events(name, jobs, workers=None):
    return list(executor_at(name, workers).run(jobs))


def ends(found):
    return {event.key: (event.kind, event.text) for event in found if event.is_end}


def test_a_job_ends_in_done_after_its_stages_and_its_result_is_there(name, jobs):
    (job,) = made = jobs("device.stage('first'); device.stage('second')")
    found = events(name, made)
    assert {event.key for event in found} == {"job0"}
    kinds = [event.kind for event in found]
    assert kinds == ["stage"] * (len(kinds) - 1) + ["done"]
    texts = [event.text for event in found]
    assert texts.index("first") < texts.index("second")
    assert json.loads(job[1].result.read_text())["status"] == "ok"


FAILURES = {
    "raise ValueError('it broke')": "ValueError: it broke",
    "raise HarnessError('the column is missing')": "the column is missing",
    "raise HarnessError('two lines', hint='and what to do')": "two lines",
}


@pytest.mark.parametrize("code", FAILURES)
def test_a_failure_is_one_end_with_its_reason_and_leaves_its_traceback(name, jobs, code):
    ((_, paths),) = made = jobs(code)
    found = events(name, made)
    assert [event.kind for event in found if event.is_end] == ["failed"]
    assert found[-1].text.splitlines()[0] == FAILURES[code]
    assert not paths.result.exists()
    assert "Traceback" in paths.log.read_text()


def test_a_skip_is_one_end_with_its_reason(name, jobs):
    found = events(name, jobs("raise SkipCell('no such card here')"))
    assert [event.kind for event in found if event.is_end] == ["skipped"]
    assert found[-1].text == "no such card here"


def test_every_job_ends_once_and_a_failure_stops_no_other(name, jobs):
    found = events(name, jobs("", "raise ValueError('no')", "raise SkipCell('no')", ""))
    kinds = [(event.key, event.kind) for event in found if event.is_end]
    assert sorted(kinds) == [
        ("job0", "done"), ("job1", "failed"), ("job2", "skipped"), ("job3", "done"),
    ]  # fmt: skip


def test_nothing_is_heard_of_a_cell_after_its_end(name, jobs):
    ended = set()
    for event in executor_at(name).run(jobs("", "raise ValueError('no')")):
        assert event.key not in ended
        if event.is_end:
            ended.add(event.key)
    assert len(ended) == 2


def test_one_at_a_time_goes_in_the_order_of_the_jobs(name, jobs):
    found = events(name, jobs("time.sleep(0.2)", "", ""), workers=1)
    assert list(ends(found)) == ["job0", "job1", "job2"]


def test_no_jobs_are_no_events(name):
    assert events(name, []) == []


def test_closing_it_ends_what_runs_and_starts_nothing_more(name, jobs, tmp_path):
    mark = tmp_path / "still-running"
    slow = (
        f"device.stage('slow')\nfor _ in range(600): Path({str(mark)!r}).touch(); time.sleep(0.05)"
    )
    made = jobs("", slow, slow)
    running = executor_at(name, 1).run(made)
    for event in running:
        if event.kind == "done":
            break
    running.close()
    mark.unlink(missing_ok=True)
    time.sleep(0.4)
    assert not mark.exists()
    assert made[0][1].result.exists()
    assert not made[2][1].result.exists()


def test_no_other_cell_runs_while_one_measures(name, jobs, tmp_path):
    """The other cell counts as fast as it can, and the number does not move."""
    beside = name == "local" or (name not in CLUSTERS and executor_at(name).at_once() > 1)
    places = {"counter": str(tmp_path / "counter"), "stop": str(tmp_path / "stop")}
    count, wait, measure = (code.format(**places) for code in (COUNT, WAIT, MEASURE))
    cells = jobs(count, (wait, measure)) if beside else jobs(("", measure))
    found = events(name, cells, workers=2 if beside else None)
    assert {kind for kind, _ in ends(found).values()} == {"done"}, found
    last = json.loads(cells[-1][1].result.read_text())
    seen = last["facts"]["exclusive"]
    assert seen.get("running", 0) == 0
    assert seen.get("stopped") == len(cells) - 1
    assert not [text for text in last["audit"]["warnings"] if "measured alone" in text]


def test_it_says_which_machine_cells_run_on(name):
    machine = executor_at(name).machine()
    assert machine.cores >= 1
    assert machine.memory_gib > 0
    assert executor_at(name).at_once() >= 1
    assert machine in executor_at(name).site().machines


def test_a_debugger_has_no_workers():
    with pytest.raises(HarnessError, match="one cell at a time, not 3"):
        executor_of("in_process", 3)


def test_an_unknown_executor_is_refused_with_the_nearest_name():
    with pytest.raises(HarnessError, match='Did you mean "local"'):
        executor_of("locl")


DEATHS = {
    "os._exit(0)": "the worker died: exit code 0",
    "os._exit(7)": "the worker died: exit code 7",
    "sys.exit(0)": "the worker died: exit code 0",
    "os.kill(os.getpid(), 9)": "the worker died: killed by signal 9 from outside, or by a limit on its memory",
}


@pytest.mark.parametrize("code", DEATHS)
@pytest.mark.parametrize("name", ["local"])
def test_a_worker_that_dies_is_a_failure_whatever_its_exit_code(name, jobs, code):
    assert events(name, jobs(code))[-1] == ("job0", "failed", DEATHS[code])


@pytest.mark.parametrize("name", ["local"])
def test_a_worker_s_child_processes_are_stopped_as_well(name, jobs, tmp_path):
    places = {"counter": str(tmp_path / "counter"), "stop": str(tmp_path / "stop")}
    counting = "import time\nfrom pathlib import Path\n" + COUNT.format(**places).replace(
        'device.stage("count")', ""
    )
    parent = f"import subprocess\nsubprocess.run([sys.executable, '-c', {counting!r}], check=True)"
    measuring = (WAIT.format(**places), MEASURE.format(**places))
    found = events(name, jobs(parent, measuring), workers=2)
    assert {kind for kind, _ in ends(found).values()} == {"done"}, found


@pytest.mark.parametrize("name", ["local"])
def test_no_worker_starts_while_another_measures(name, jobs, tmp_path):
    """A place is free and the second cell asks to measure, both before the executor looks."""
    ready = tmp_path / "ready"
    first = f"""
    (paths.directory / "pid").write_text(str(os.getpid()))
    while not Path({str(ready)!r}).exists():
        time.sleep(0.01)
    raise ValueError("a cell that fails asks the executor nothing more")
    """
    second = f"""
    while not (paths.directory.parent / "job0" / "pid").exists():
        time.sleep(0.01)
    device.stage("ready")
    Path({str(ready)!r}).touch()
    """
    # on a busy machine the third cell may have started before the second one asked; it is stopped then
    measure = """
    log = paths.directory.parent / "job2" / "cell.log"
    before = log.exists()
    time.sleep(3)
    assert log.exists() == before
    """
    found, made = [], jobs(first, (second, measure), "")
    for event in executor_of(name, 2).run(made):
        found.append(event)
        if event.text == "ready":
            pid = int((made[0][1].directory / "pid").read_text())
            deadline = time.monotonic() + 240
            while psutil.pid_exists(pid) and time.monotonic() < deadline:
                time.sleep(0.05)
    kinds = {key: kind for key, (kind, _) in ends(found).items()}
    assert kinds == {"job0": "failed", "job1": "done", "job2": "done"}


def test_local_leaves_the_environment_of_its_caller_alone(jobs):
    before = dict(os.environ)
    events("local", jobs(""))
    assert dict(os.environ) == before


def test_the_fork_server_preloads_all_that_it_names():
    code = "import sys, harness.run.executors.warm as warm; sys.exit('\\n'.join(warm.MISSED) or 0)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    # its output is closed, so the exit status alone speaks
    assert done.returncode == 0
