"""A driver that gives no answer is not a machine without GPUs."""

import pytest

from harness.doctor.training import accelerators
from harness.errors import HarnessError
from harness.plan import machine as module
from harness.plan.machine import gpus, machine


@pytest.fixture
def silent(tmp_path, monkeypatch):
    command = tmp_path / "nvidia-smi"
    command.write_text("#!/bin/sh\nexec sleep 600\n")
    command.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    monkeypatch.setattr(module, "SMI_SECONDS", 0.5)
    monkeypatch.setattr(module, "_silent", [])
    machine.cache_clear()
    yield
    machine.cache_clear()


def test_an_nvidia_smi_that_hangs_is_said_and_not_taken_for_none(silent, monkeypatch):
    for _ in range(2):
        with pytest.raises(HarnessError, match=r"gave no answer in 0\.5 s: the GPUs are not known"):
            machine()
    (found,) = accelerators({})
    assert (found.name, found.state) == ("GPU", "fail")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus() == ()
    assert machine().gpu is None
