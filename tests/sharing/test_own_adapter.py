"""What is answered with, exported or pushed is the adapter that was scored, and no other."""

import shutil

import pytest
from click.testing import CliRunner

from harness.cli import main

LORA, WHOLE = "tiny-qwen2--none--lora-r4", "tiny-qwen2--none--whole"


@pytest.fixture(scope="module")
def other(run, tmp_path_factory):
    """The run, after one bit of each trained model has changed."""
    copy = tmp_path_factory.mktemp("other") / "run"
    shutil.copytree(run, copy)
    for path in copy.glob("cells/*/adapter/*.safetensors"):
        content = bytearray(path.read_bytes())
        content[-1] ^= 1
        path.write_bytes(content)
    return copy


@pytest.mark.parametrize("cell", [LORA, WHOLE])
@pytest.mark.parametrize(
    "command",
    [
        "predict {run} {cell} --prompt Why?",
        "export {run} {cell} --to merged -o {out}",
        "push {run} {cell} me/it --dry-run {out}",
    ],
)
def test_another_adapter_under_the_name_is_refused(command, cell, other, tmp_path):
    words = command.format(run=other, cell=cell, out=tmp_path / "out").split()
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 2, done.output
    assert "is not the adapter that result.json was made with" in done.output
    assert not (tmp_path / "out").exists()
