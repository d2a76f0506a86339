"""A worker on the CPU uses freed memory again, unless somebody has chosen other rules."""

import os
import subprocess
import sys

import pytest

from harness.backends.hf.counters import allocator
from harness.backends.hf.counters.allocator import OWN_SETTINGS

FAULTS = """
import ctypes
import resource
import sys
import torch
from harness.run.executors import child

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    # two sizes in turn, as the layers of a model have them: the default gives both back each time
    for size in 20 * [2 << 20, 4 << 20]:
        torch.ones(size)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

# PR_SET_THP_DISABLE: where the kernel gives huge pages unasked, one fault has 512 of these
ctypes.CDLL(None).prctl(41, 1, 0, 0, 0)
torch.cuda.is_available = lambda: False
child._keep_freed_memory()
faults()
print(faults())
"""
PAGES = 20 * (8 + 16) * 256
"""Pages of 4 KiB that the tensors have in all."""


def faults(**variables):
    plain = {k: v for k, v in os.environ.items() if k not in OWN_SETTINGS and k[:7] != "MALLOC_"}
    run = subprocess.run(
        [sys.executable, "-c", FAULTS], env={**plain, **variables}, capture_output=True, text=True,
        check=True, timeout=300,
    )  # fmt: skip
    return int(run.stdout)


@pytest.mark.skipif(allocator._glibc() is None, reason="the allocator is not glibc's")
def test_a_worker_takes_each_page_from_the_kernel_once():
    assert faults() < PAGES / 20


@pytest.mark.skipif(allocator._glibc() is None, reason="the allocator is not glibc's")
def test_what_somebody_chose_is_left_alone():
    assert faults(MALLOC_MMAP_THRESHOLD_="1000000") > PAGES / 2


def test_where_there_is_no_glibc_nothing_is_set(monkeypatch):
    for name in [*OWN_SETTINGS, *(n for n in os.environ if n.startswith("MALLOC_"))]:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(allocator, "_glibc", lambda: None)
    assert not allocator.keep_freed_memory()
    allocator.give_back()
