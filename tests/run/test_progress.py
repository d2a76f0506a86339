"""Progress off a terminal: a line per cell with what elapsed and about what is left."""

import re

from harness.run.executors.base import Event
from harness.run.progress import SuiteProgress, _clock


def test_a_log_says_what_elapsed_and_what_is_left(capsys):
    with SuiteProgress(2) as progress:
        for key in ("a", "b"):
            progress(Event(key, "stage", "train"))
            progress(Event(key, "done", ""))
    first, second = capsys.readouterr().err.splitlines()
    assert re.fullmatch(r"\[1/2\] ok a \d+\.\d s \(\d:\d\d elapsed, about \d:\d\d left\)", first)
    assert re.fullmatch(r"\[2/2\] ok b \d+\.\d s \(\d:\d\d elapsed\)", second)


def test_a_clock_shows_hours_only_when_there_are_some():
    assert [_clock(s) for s in (5, 65, 3600, 7384)] == ["0:05", "1:05", "1:00:00", "2:03:04"]
