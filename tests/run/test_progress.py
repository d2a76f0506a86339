"""Progress off a terminal: a line per cell with what elapsed and about what is left."""

import re

import pytest

from harness.run.executors.base import Event
from harness.run.progress import SuiteProgress, _clock


def test_a_log_says_what_elapsed_and_what_is_left(capsys):
    with SuiteProgress(3) as progress:
        for key in ("a", "b", "c"):
            progress(Event(key, "stage", "train"))
            progress(Event(key, "done", ""))
    first, second, third = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"\[1/3\] ok a \d+\.\d s \(\d:\d\d elapsed\)", first)
    assert re.fullmatch(r"\[2/3\] ok b \d+\.\d s \(\d:\d\d elapsed, about \d:\d\d left\)", second)
    assert re.fullmatch(r"\[3/3\] ok c \d+\.\d s \(\d:\d\d elapsed\)", third)


@pytest.mark.parametrize(
    ("workers", "ends", "left"),
    [
        # 30 seconds of imports, then 20 a cell
        (1, (50, 70, 90, 110), ["", "about 0:40 left", "about 0:20 left", ""]),
        # two at a time, which end in pairs: 50 seconds a cell
        (
            2,
            (130, 131, 230, 231, 330, 331),
            ["", "", "", "about 1:40 left", "about 1:06 left", ""],
        ),
        # more workers than a second round has cells: nothing is known before the end
        (3, (60, 61, 62, 120), ["", "", "", ""]),
    ],
)
def test_the_time_left_is_said_once_the_pace_is_known(workers, ends, left, monkeypatch, capsys):
    now = [0.0]
    monkeypatch.setattr("harness.run.progress.time.monotonic", lambda: now[0])
    keys = [str(k) for k in range(len(ends))]
    with SuiteProgress(len(ends)) as progress:
        for k in keys[:workers]:
            progress(Event(k, "stage", "load"))
        for k, end in enumerate(ends):
            now[0] = float(end)
            progress(Event(keys[k], "done", ""))
            for following in keys[k + workers : k + workers + 1]:
                progress(Event(following, "stage", "load"))
    lines = capsys.readouterr().err.splitlines()
    assert [(re.findall(r"about .* left", line) or [""])[0] for line in lines] == left


def test_a_clock_shows_hours_only_when_there_are_some():
    assert [_clock(s) for s in (5, 65, 3600, 7384)] == ["0:05", "1:05", "1:00:00", "2:03:04"]
