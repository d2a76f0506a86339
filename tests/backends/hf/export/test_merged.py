"""Merged weights answer as the cell did: of a quantized cell those that the adapter was trained on."""

import pytest
import torch
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from harness.backends.hf.export.merged import merge, write_merged
from harness.backends.hf.models.loading import load_served, load_tokenizer
from harness.errors import HarnessError

IDS = torch.arange(5, 45).reshape(2, 20)


def logits(model):
    with torch.inference_mode():
        return model(input_ids=IDS).logits.float()


def apart(first, second):
    return float((first - second).abs().max() / first.abs().max())


def served(cell, adapter):
    return logits(load_served(cell, load_tokenizer(cell.model), adapter))


@pytest.mark.parametrize("model", ["tiny-qwen2", "tiny-llama"])
def test_plain_weights_are_those_of_the_attached_adapter_and_load_without_peft(
    cell_of, adapter_of, tmp_path, model
):
    cell = cell_of(model)
    adapter = adapter_of(cell)
    merged = merge(cell, adapter)
    assert merged.notes == ()
    assert apart(served(cell, adapter), logits(merged.model)) < 1e-4
    write_merged(merged, tmp_path / "out")
    again = AutoModelForCausalLM.from_pretrained(tmp_path / "out")
    assert again.dtype == merged.model.dtype
    assert torch.equal(logits(again), logits(merged.model))


@pytest.mark.parametrize(("quantization", "within"), [("nf4", 0.02), ("int8", 0.1)])
def test_a_quantized_cell_is_written_out_and_not_merged_into_weights_it_never_saw(
    cell_of, adapter_of, quantization, within
):
    """The kernels round inputs too, to bfloat16 or int8, which plain weights cannot repeat."""
    cell = cell_of("tiny-llama", quantization)
    adapter = adapter_of(cell)
    trained = served(cell, adapter)
    written = merge(cell, adapter)
    original = merge(cell, adapter, base="original")
    assert "are written out" in written.notes[0]
    assert "so answers change" in original.notes[0]
    near = apart(trained, logits(written.model))
    assert near < within
    if quantization == "nf4":
        assert near < apart(trained, logits(original.model)) / 2
    assert "quantization_config" not in written.model.config.to_dict()


def test_weights_are_rounded_once(cell_of, adapter_of):
    cell = cell_of("tiny-llama")
    adapter = adapter_of(cell)
    exact = merge(cell, adapter).model.state_dict()
    rounded = merge(cell, adapter, dtype="bfloat16").model.state_dict()
    assert all(torch.equal(exact[name].bfloat16(), rounded[name]) for name in exact)


def test_what_cannot_be_merged_is_refused(cell_of, adapter_of):
    cell = cell_of("tiny-llama")
    with pytest.raises(HarnessError, match="cannot be merged: it puts virtual tokens"):
        merge(cell, adapter_of(cell, "prefix"))
