"""A kill is laid to the kernel only where it says so of this run, not of anybody's process."""

import signal

import pytest

from harness.run.executors import lost
from harness.run.executors.lost import KERNEL, died
from harness.run.executors.oom import OomKills, oom_kills

V1 = "memory:/job/7"
MOUNT1 = "35 31 0:32 {root} {place} rw,relatime - cgroup cgroup rw,memory"
MOUNT2 = "41 31 0:38 {root} {place} rw,relatime shared:4 - cgroup2 cgroup2 rw"
CPU = "32 31 0:29 / {place} rw,relatime - cgroup cgroup rw,cpu"
WHERE = {
    "version 2": ("0::/job/7", MOUNT2, "/", "job/7/memory.events"),
    "version 2, a container that sees the whole path": (
        "0::/job/7", MOUNT2, "/job/7", "memory.events",
    ),
    "version 2, a container with a name space": ("0::/", MOUNT2, "/", "memory.events"),
    "version 1": ("4:memory:/job/7\n0::/", MOUNT1, "/", "job/7/memory.oom_control"),
    "version 1, in a container": ("4:cpu,memory:/job/7", MOUNT1, "/job/7", "memory.oom_control"),
}  # fmt: skip
NOWHERE = {
    "another controller": ("1:cpu:/job/7", CPU, "/", "job/7/memory.events"),
    "a mount of another group": ("0::/job/7", MOUNT2, "/other", "memory.events"),
    "no groups": ("", MOUNT2, "/", "memory.events"),
    "no counter in the root group": ("0::/", MOUNT2, "/", "elsewhere"),
}


def proc_of(tmp_path, groups, mount, root, counter):
    place = tmp_path / "sys"
    (place / counter).parent.mkdir(parents=True)
    (place / counter).write_text("low 0\noom 4\noom_kill 3\noom_group_kill 1\n")
    (tmp_path / "self").mkdir()
    (tmp_path / "self/cgroup").write_text(f"{groups}\n")
    (tmp_path / "self/mountinfo").write_text(f"{mount.format(root=root, place=place)}\n")
    (tmp_path / "vmstat").write_text("nr_free_pages 1\noom_kill 12\n")
    return tmp_path


@pytest.mark.parametrize("case", WHERE.values(), ids=WHERE)
def test_the_counter_of_the_own_group_is_found(tmp_path, case):
    assert oom_kills(proc_of(tmp_path, *case)) == OomKills(own=3, machine=12)


@pytest.mark.parametrize("case", NOWHERE.values(), ids=NOWHERE)
def test_another_group_s_counter_is_never_taken_for_the_own(tmp_path, case):
    assert oom_kills(proc_of(tmp_path, *case)) == OomKills(own=None, machine=12)


def test_a_system_that_says_nothing_is_not_asked_twice(tmp_path):
    assert oom_kills(tmp_path / "none") == OomKills()


SAYS = {
    "the own counter rose": (OomKills(0, 5), OomKills(1, 6), KERNEL),
    "another's process was killed": (OomKills(0, 5), OomKills(0, 6), "from outside"),
    "only the machine counts": (OomKills(None, 5), OomKills(None, 6), "perhaps this one"),
    "nothing was killed": (OomKills(2, 5), OomKills(2, 5), "from outside"),
    "nothing is known": (OomKills(), OomKills(), "from outside"),
}


@pytest.mark.parametrize(("before", "now", "words"), SAYS.values(), ids=SAYS)
def test_what_a_killed_worker_died_of(monkeypatch, before, now, words):
    monkeypatch.setattr(lost, "oom_kills", lambda: now)  # the kernel's counters
    reason = died(-signal.SIGKILL, oom_before=before)
    assert words in reason
    # only what is known to be memory makes the next attempt train in smaller batches
    assert reason.startswith(KERNEL) == (words == KERNEL)
