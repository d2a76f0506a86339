"""A driver that gives no answer is not a machine without GPUs."""

import subprocess

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
    monkeypatch.setattr(module, "_left", [])
    machine.cache_clear()
    yield
    machine.cache_clear()


def test_an_nvidia_smi_that_hangs_is_said_and_not_taken_for_none(silent, monkeypatch):
    with pytest.raises(HarnessError, match=r"gave no answer in 0\.5 s: the GPUs are not known"):
        machine()
    with pytest.raises(HarnessError, match=r"in 1 s, and none in 0\.5 s before: the GPUs are not"):
        machine()
    (found,) = accelerators({})
    assert (found.name, found.state) == ("GPU", "fail")
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpus() == ()
    assert machine().gpu is None


def test_one_that_no_signal_ends_does_not_keep_the_command(silent, monkeypatch):
    """A process that waits in the driver dies when the driver lets it: nobody waits for that."""
    monkeypatch.setattr(subprocess.Popen, "kill", lambda self: None)
    try:
        with pytest.raises(HarnessError, match="gave no answer"):
            gpus()
    finally:
        monkeypatch.undo()
        for process in module._left:
            assert process.poll() is None, "it goes on, and was not waited for"
            process.kill()
            process.wait()


FAILS = {
    "it is not there": None,
    "it fails": "#!/bin/sh\necho 'NVIDIA-SMI has failed'\nexit 9\n",
    "it is no program": "nothing to run",
}


@pytest.mark.parametrize("text", FAILS.values(), ids=FAILS)
def test_without_a_driver_there_are_no_gpus(tmp_path, monkeypatch, text):
    if text is not None:
        (tmp_path / "nvidia-smi").write_text(text)
        (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert gpus() == ()
