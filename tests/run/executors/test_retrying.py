"""Which reasons are worth another attempt, and how the time that a cell may take is written."""

import subprocess
import sys

import pytest
from click.testing import CliRunner

from harness.commands.run import DURATION
from harness.plan.devices import DIED
from harness.results.paths import CellPaths, write_json
from harness.run.executors.limits import Limits, Watch
from harness.run.executors.local_worker import longest_wait
from harness.run.executors.lost import LOST, is_worth_retrying
from harness.suite.endpoint import Endpoint

REASONS = {
    LOST + "exit code 1": True,
    "ReadTimeoutError: (host='hub', port=443): Read timed out.": True,
    "RemoteProtocolError: Server disconnected without sending a response.": True,
    "RemoteProtocolError: peer closed connection without sending complete message body": True,
    "ConnectError: [Errno 111] Connection refused": True,
    "RemoteDisconnected: Remote end closed connection without response": True,
    "LocalEntryNotFoundError: … Please check your connection and try again": True,
    "OSError: We couldn't connect to 'https://hub' to load the files": True,
    "HfHubHTTPError: 503 Server Error: Service Unavailable for url": True,
    "ConnectionError: ('Connection aborted.', ConnectionResetError(104))": True,
    f"{DIED}number 2 of 2 was killed by SIGKILL": True,
    "RepositoryNotFoundError: 404 Client Error for url": False,
    "GatedRepoError: 403 Client Error": False,
    "ValueError: the column 500 is missing": False,
    "OutOfMemoryError: CUDA out of memory": False,
    "training diverged: the loss is nan at step 2": False,
}


@pytest.mark.parametrize("reason", REASONS)
def test_only_what_may_end_otherwise_is_worth_retrying(reason, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    assert is_worth_retrying(reason) is REASONS[reason]
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")  # then the hub says the same the next time
    assert is_worth_retrying(reason) is reason.startswith((LOST, DIED))


TIMES = {"90": 90, "90s": 90, "1.5m": 90, "2h": 7200, " 30 m ": 1800}


@pytest.mark.parametrize("text", TIMES)
def test_a_time_is_read(text):
    assert DURATION.convert(text, None, None) == TIMES[text]


@pytest.mark.parametrize("text", ["", "0", "-1", "soon", "1d", "nan", "inf", "1e9", "9" * 20])
def test_a_time_that_is_none_is_refused(text):
    from harness.cli import main

    found = CliRunner().invoke(main, ["run", "x.yaml", "--cell-timeout", text])
    assert found.exit_code == 2
    assert "is not a time: write 90s, 30m or 2h" in found.output


WAITS = {
    "default": ({}, 6 * 180.0), "none": (None, 0.0), "damaged": ("x", 0.0),
    "patient": ({"timeout_s": 3600, "max_retries": 0}, 3660.0),
}  # fmt: skip


@pytest.mark.parametrize("case", WAITS)
def test_a_worker_that_waits_for_its_server_does_not_hang(tmp_path, case):
    given, seconds = WAITS[case]
    if isinstance(given, dict):
        given = Endpoint(base_url="http://a/v1", model="m", **given).model_dump(mode="json")
    paths = CellPaths(tmp_path)
    write_json(paths.cell, {"cell": {"model": {"endpoint": given}}})
    assert longest_wait(paths) == seconds
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as process:
        for still, ended in ((600 + seconds - 30, False), (600 + seconds + 30, True)):
            watch = Watch(process.pid, still=still, may_wait=seconds)
            watch._looked -= 5.0
            watch._cpu = 9.0  # however long Python took to start
            reason = watch.look(Limits(), free=True)
            assert bool(reason) is ended
            assert not ended or f"no processor time used in {600 + seconds:g} s" in reason
        process.stdin.close()
