"""Which reasons are worth another attempt, and how the time that a cell may take is written."""

import pytest
from click.testing import CliRunner

from harness.commands.run import DURATION
from harness.plan.devices import DIED
from harness.run.executors.lost import LOST, is_worth_retrying

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
