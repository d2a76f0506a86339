"""A checkpoint or a label of quantization that is not what it says is refused, with names."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import BitsAndBytesConfig, MixtralConfig
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from harness.backends.hf.models.limits import check_context, context_of
from harness.backends.hf.models.loading import census, load_model, load_served, load_tokenizer
from harness.backends.hf.models.quantization import (
    method_of,
    quantization_arguments,
    quantized_share,
)
from harness.errors import HarnessError
from harness.plan.expand import expand
from harness.suite.loading import load_suite
from harness.suite.schema import QUANTIZATIONS

LAYER = "model.layers.1.mlp.up_proj.weight"


@pytest.fixture(scope="module")
def folder(root, tmp_path_factory):
    place = tmp_path_factory.mktemp("checkpoint") / "tiny-llama"
    shutil.copytree(root / "models" / "tiny" / "tiny-llama", place)
    return place


@pytest.fixture
def cell_of(write_suite, folder):
    """The cell of a suite whose model is a copy of the tiny Llama, perhaps changed."""
    from dataclasses import replace

    def make(source=folder, quantization="none", config=None, **card):
        path = write_suite(quantization="none")
        cell = expand(load_suite(path), path)[0]
        card = cell.model.model_copy(update={"source": str(source), "prompt": "plain", **card})
        options = QUANTIZATIONS.get(quantization, {}) if config is None else config
        return replace(cell, model=card, quantization=quantization, quantization_config=options)

    return make


def loaded(cell, labels=()):
    return load_model(cell, load_tokenizer(cell.model), labels=labels)


def changed(folder, place, change, **config):
    shutil.copytree(folder, place)
    weights = load_file(place / "model.safetensors")
    save_file(change(weights), place / "model.safetensors", {"format": "pt"})
    path = place / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | config))
    return place


def test_a_gguf_file_is_unpacked_also_where_its_blocks_could_be_computed_with(cell_of):
    """Newer versions of transformers leave it packed where they find a kernel."""
    config = pytest.importorskip("transformers.utils.quantization_config")
    if not hasattr(config, "GgufConfig"):
        pytest.skip("this version of transformers always unpacks it")
    found = quantization_arguments(cell_of(gguf_file="a.gguf"), torch.float32)
    assert found["quantization_config"].dequantize is True


def without(name):
    return lambda weights: {k: v for k, v in weights.items() if name not in k}


BROKEN = {
    "a weight is missing": (without(LAYER), {}, f"missing from the checkpoint: {LAYER}"),
    "a layer is missing": (without("layers.1."), {}, r"missing from the checkpoint: model.*more"),
    "the untied head is missing": (
        without("lm_head"),
        {"tie_word_embeddings": False},
        "missing from the checkpoint: lm_head.weight",
    ),
    "another prefix": (
        lambda w: {f"decoder.{k}": v for k, v in w.items()},
        {},
        "in the checkpoint, not in the model: decoder",
    ),
    "a layer too many": (
        lambda w: w | {LAYER.replace(".1.", ".9."): w[LAYER].clone()},
        {},
        r"in the checkpoint, not in the model: model.layers.9",
    ),
    "another shape": (
        lambda w: w | {LAYER: w[LAYER][:8].clone()},
        {},
        r"of another shape: model.layers.1.mlp.up_proj.weight \[8, 192\] for \[448, 192\]",
    ),
}


@pytest.mark.parametrize("kind", BROKEN)
def test_a_checkpoint_that_does_not_fit_is_refused_by_name(kind, folder, cell_of, tmp_path):
    change, config, said = BROKEN[kind]
    place = changed(folder, tmp_path / "broken", change, **config)
    with pytest.raises(HarnessError, match=said):
        loaded(cell_of(place))


@pytest.mark.parametrize("labels", [(), ("a", "b")], ids=["text", "head"])
def test_buffers_that_are_computed_anyway_are_no_misfit(labels, folder, cell_of, tmp_path):
    extra = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(4)}
    place = changed(folder, tmp_path / "older", lambda w: w | extra)
    assert loaded(cell_of(place), labels).num_parameters() > 0


@pytest.fixture(scope="module")
def stored_nf4(folder, tmp_path_factory):
    place = tmp_path_factory.mktemp("stored") / "nf4"
    config = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")
    model = AutoModelForCausalLM.from_pretrained(folder, quantization_config=config)
    shutil.copytree(folder, place, ignore=shutil.ignore_patterns("*.safetensors"))
    model.save_pretrained(place)
    return place


@pytest.mark.parametrize("name", ["none", "int8", "fp4"])
def test_a_checkpoint_in_four_bits_is_not_called_otherwise(name, stored_nf4, cell_of):
    with pytest.raises(HarnessError, match="stored in bitsandbytes nf4") as caught:
        loaded(cell_of(stored_nf4, name))
    assert "quantization: [nf4]" in caught.value.hint


def test_a_checkpoint_in_four_bits_is_welcome_as_that(stored_nf4, cell_of):
    facts = census(loaded(cell_of(stored_nf4, "nf4")))
    assert facts["quantized_share"] == 1.0
    assert facts["notes"] == []


def test_another_method_is_named_with_the_way_to_write_it(folder, cell_of, tmp_path):
    stored = {"quant_method": "gptq", "bits": 4, "group_size": 128}
    place = changed(folder, tmp_path / "gptq", dict, quantization_config=stored)
    with pytest.raises(HarnessError, match="stored in gptq") as caught:
        loaded(cell_of(place))
    assert "{name: gptq, config: {quant_method: gptq}}" in caught.value.hint


@pytest.mark.parametrize(
    ("config", "name"),
    [
        ({"quant_method": "awq", "bits": 4}, "awq"),
        ({"load_in_8bit": True}, "bitsandbytes int8"),
        ({"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"}, "bitsandbytes nf4"),
        ({"quant_method": "bitsandbytes", "load_in_4bit": True}, "bitsandbytes fp4"),
    ],
)
def test_a_method_has_one_name(config, name):
    assert method_of(config) == name


def test_experts_that_stay_wide_are_told_with_their_share(folder, cell_of, tmp_path):
    """bitsandbytes packs linear layers; fused experts are one parameter of three dimensions."""
    config = MixtralConfig(
        vocab_size=4096, hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=4, num_local_experts=4,
    )  # fmt: skip
    place = tmp_path / "mixtral"
    shutil.copytree(folder, place, ignore=shutil.ignore_patterns("*.safetensors", "config.json"))
    AutoModelForCausalLM.from_config(config).save_pretrained(place)
    facts = census(loaded(cell_of(place, "nf4")))
    assert 0 < facts["quantized_share"] < 0.2
    assert "of the blocks' weights are quantized" in facts["notes"][0]


def test_a_label_under_which_nothing_is_packed_is_refused(cell_of):
    names = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    skip = [*names, "lm_head"]
    config = {"load_in_8bit": True, "llm_int8_skip_modules": skip}
    with pytest.raises(HarnessError, match=r'"mine": no layer of .* was quantized'):
        loaded(cell_of(quantization="mine", config=config))


def test_the_share_of_plain_weights_is_none(cell_of):
    assert quantized_share(loaded(cell_of())) == 0.0


def test_a_context_is_what_the_configuration_says_and_scaling_makes_of_it(cell_of):
    model = loaded(cell_of())
    limit = context_of(model)
    check_context(model, [limit], "prompts")
    with pytest.raises(HarnessError, match=f"1 prompts of up to {limit + 1} tokens .* {limit}"):
        check_context(model, [5, limit + 1], "prompts")
    model.config.rope_parameters = {"rope_type": "linear", "factor": 4.0}
    assert context_of(model) == 4 * limit


def test_a_padding_token_without_a_row_is_replaced(cell_of):
    cell = cell_of()
    tokenizer = load_tokenizer(cell.model)
    tokenizer.add_special_tokens({"pad_token": "<new padding>"})
    rows = load_model(cell, tokenizer).get_input_embeddings().weight.shape[0]
    assert tokenizer.pad_token_id < rows


def test_a_tokenizer_without_an_end_is_refused(cell_of):
    cell = cell_of()
    tokenizer = load_tokenizer(cell.model)
    tokenizer.eos_token = None
    with pytest.raises(HarnessError, match="no end-of-text token"):
        load_model(cell, tokenizer)


def test_full_fine_tuning_is_served_in_the_dtype_of_its_base(cell_of, folder, tmp_path):
    from dataclasses import replace

    half = changed(
        folder,
        tmp_path / "half",
        lambda w: {k: v.bfloat16() for k, v in w.items()},
        dtype="bfloat16",
    )
    wide = changed(
        folder, tmp_path / "wide", lambda w: {k: v.float() for k, v in w.items()}, dtype="float32"
    )
    cell = replace(
        cell_of(half, dtype="auto"), adapter="full", adapter_config={"peft_type": "full"}
    )
    model = load_served(cell, load_tokenizer(cell.model), wide)
    assert model.dtype == torch.bfloat16
