"""`harness export`: written, scored as a cell of its own, and compared with the trained one."""

import json
import shutil

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file

from harness.api.exporting import export
from harness.cli import main
from harness.errors import HarnessError

LORA, WHOLE = "tiny-qwen2--none--lora-r4", "tiny-qwen2--none--whole"


def test_an_exported_model_is_scored_on_the_same_items_and_compared(run, tmp_path):
    pytest.importorskip("gguf")
    out = tmp_path / "Out 1"  # a blank, and a capital: the command below is there to be pasted
    words = ["export", str(run), LORA, "--to", "ollama", "-o", str(out), "--score"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    assert "weights differ by 0 and logits by 0 of the largest" in done.output
    assert "all 12 answers are the same to the letter, so their scores are the same" in done.output
    assert "undecided" not in done.output
    assert f"ollama create out-1 -f '{out}/Modelfile'" in done.output
    assert {"model.gguf", "Modelfile", "tokenizer.json", "export.json"} <= {
        path.name for path in out.iterdir()
    }
    record = json.loads((out / "export.json").read_text())
    assert record["from_cell"].startswith(LORA)
    assert record["read_back"]["logits_differ_by"] == 0.0
    again = CliRunner().invoke(
        main, ["plan", str(out / "scores" / "suite.yaml"), "-o", str(out / "scores")]
    )
    assert "1 current" in again.output, again.output  # a suite that anybody can run again


def test_a_model_that_was_trained_whole_keeps_its_weights(run, tmp_path):
    done = export(run, WHOLE, tmp_path / "out", to="merged")
    (trained,) = run.glob(f"cells/{WHOLE}*/adapter/model.safetensors")
    ours, theirs = load_file(trained), load_file(tmp_path / "out" / "model.safetensors")
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert done.exported.cell.is_baseline


def test_vllm_gets_a_plain_adapter_beside_its_base(run, tmp_path):
    words = ["export", str(run), LORA, "--to", "vllm", "-o", str(tmp_path / "other"), "--json"]
    said = json.loads(CliRunner().invoke(main, words).stdout)
    assert (said["folder"], said["comparison"]) == (str(tmp_path / "other"), None)
    assert "serve.sh" in said["files"]
    done = export(run, LORA, tmp_path / "lora", to="vllm")
    assert "--enable-lora" in done.exported.command
    assert (tmp_path / "lora" / "adapter" / "adapter_model.safetensors").is_file()
    assert done.exported.cell.adapter_config == {"source": str(tmp_path / "lora" / "adapter")}
    assert (tmp_path / "lora" / "serve.sh").read_text().endswith('serving "$@"\n')


@pytest.mark.parametrize(
    ("cell", "options", "message"),
    [
        ("other", {"to": "merged"}, 'no cell "other"'),
        ("tiny-qwen2", {"to": "merged"}, "matches 3 cells"),
        (LORA, {"to": "onnx"}, 'unknown target "onnx"'),
    ],
)
def test_what_cannot_be_exported_is_refused(run, tmp_path, cell, options, message):
    with pytest.raises(HarnessError, match=message):
        export(run, cell, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_files_are_not_overwritten_and_half_a_model_is_not_left(run, tmp_path):
    (tmp_path / "mine.txt").write_text("")
    with pytest.raises(HarnessError, match="the folder is not empty"):
        export(run, LORA, tmp_path, to="merged")
    copied = shutil.copytree(run, tmp_path / "copy")
    (weights,) = copied.glob(f"cells/{LORA}*/adapter/adapter_model.safetensors")
    weights.unlink()
    with pytest.raises(HarnessError, match=r"is not the adapter that result\.json was made with"):
        export(copied, LORA, tmp_path / "out", to="merged")
    assert not (tmp_path / "out").exists()
