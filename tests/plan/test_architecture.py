import pytest

from harness.plan.adapter_shape import low_rank_params, targets, trainable_params
from harness.plan.architecture import architecture_of, model_bytes, shape_of
from harness.plan.memory import trained_weights
from harness.suite.model_card import load_model_card
from harness.suite.schema import QUANTIZATIONS

PUBLISHED = {
    "qwen2-0.5b-instruct": 494_032_768,
    "tinyllama-1.1b-chat": 1_100_048_384,
    "mistral-7b-v0.1": 7_241_732_096,
    "llama-2-7b": 6_738_415_616,
}
ADAPTERS = [
    {"peft_type": "lora", "r": 8},
    {"peft_type": "lora", "r": 16, "target_modules": "all-linear"},
    {"peft_type": "lora", "r": 4, "use_dora": True, "target_modules": ["o_proj", "down_proj"]},
    {"peft_type": "ia3"},
]

PATTERNS = [
    {"peft_type": "lora", "r": 8, "target_modules": r".*\.(q|v)_proj"},
    {"peft_type": "lora", "r": 8, "target_modules": r".*layers\.[01]\..*\.down_proj"},
    {"peft_type": "lora", "r": 8, "target_modules": ["self_attn.o_proj", "1.mlp.up_proj"]},
]


def card(root, name):
    return load_model_card(root / "models" / f"{name}.yaml")


@pytest.mark.parametrize(
    "name", [*PUBLISHED, "tiny-qwen2", "tiny-llama", "qwen3-0.6b", "gemma-3-1b-it"]
)
@pytest.mark.parametrize("adapter", ADAPTERS, ids=["default", "all", "dora", "ia3"])
def test_counting_equals_building_on_the_meta_device(root, name, adapter):
    from harness.backends.hf.models.random import counted

    architecture = architecture_of(card(root, name))
    shape = shape_of(architecture)
    built = counted(architecture, adapter)
    assert built["total_params"] - built["trainable_params"] == shape.parameters
    assert built["trainable_params"] == trainable_params(shape, adapter)
    assert shape.parameters == PUBLISHED.get(name, shape.parameters)


@pytest.mark.parametrize("adapter", PATTERNS, ids=["pattern", "some layers", "ends"])
def test_layers_named_by_a_pattern_or_a_path_are_those_that_peft_takes(root, adapter):
    from harness.backends.hf.models.random import counted

    architecture = architecture_of(card(root, "tiny-llama"))
    built = counted(architecture, adapter)["trainable_params"]
    assert built == trainable_params(shape_of(architecture), adapter) > 0


@pytest.mark.parametrize(
    "more",
    [
        {"modules_to_save": ["lm_head"]}, {"rank_pattern": {"q_proj": 2}}, {"bias": "all"},
        {"layers_to_transform": [0]}, {"exclude_modules": ["v_proj"]}, {"lora_bias": True},
    ],
    ids=lambda more: next(iter(more)),
)  # fmt: skip
def test_what_is_not_counted_is_said_to_be_so(root, more):
    shape = shape_of(architecture_of(card(root, "tiny-qwen2")))
    adapter = {"peft_type": "lora", "r": 8, "target_modules": ["q_proj", "v_proj"], **more}
    assert trainable_params(shape, adapter) is None
    # memory is estimated all the same, and not too low
    assert trained_weights(shape, adapter) >= low_rank_params(shape, {**adapter, "r": 2})


@pytest.mark.parametrize("family", ["bert", "roberta"])
def test_layers_of_encoders_are_found_by_their_paths(root, family):
    shape = shape_of(architecture_of(card(root, {"bert": "minilm-l6"}.get(family, "roberta-base"))))
    for named, wanted in (
        ("all-linear", 6), (None, 2), (["attention.output.dense"], 1), (["output.dense"], 2),
        (["dense"], 3), (r".*\.query", 1), ([f"{family}.encoder.layer.0.attention.self.key"], 1),
    ):  # fmt: skip
        assert len(targets(shape, {"peft_type": "lora", "target_modules": named})) == wanted, named


@pytest.mark.parametrize("quantization", ["none", "int8", "nf4", "fp4"])
def test_bytes_equal_those_of_a_loaded_model(root, quantization, write_suite):
    import torch

    from harness.backends.hf.models.loading import load_model, load_tokenizer
    from harness.plan.expand import expand
    from harness.suite.loading import load_suite

    path = write_suite(quantization=quantization)
    cell = expand(load_suite(path), path)[0]
    model = load_model(cell, load_tokenizer(cell.model))
    stored = sum(p.numel() * p.element_size() for p in model.parameters())
    for module in model.modules():
        state = getattr(getattr(module, "weight", None), "quant_state", None)
        scales = getattr(getattr(module, "weight", None), "SCB", None)
        if state is not None:
            nested = state.state2.absmax if state.nested else torch.empty(0)
            stored += sum(t.numel() * t.element_size() for t in (state.absmax, nested))
        if scales is not None:
            stored += scales.numel() * scales.element_size()
    shape = shape_of(architecture_of(cell.model))
    counted = model_bytes(shape, QUANTIZATIONS[quantization], "float32")
    assert counted == pytest.approx(stored, rel=0.01)


def test_random_weights_measure_and_leave_quality_empty(write_suite, tmp_path):
    from harness.plan.plan import make_plan
    from harness.results.run import load_run
    from harness.run.runner import run_here

    card = (
        "{source: none, weights: random, dtype: float32, architecture: {model_type: llama,"
        " hidden_size: 64, intermediate_size: 128, num_hidden_layers: 2, num_attention_heads: 4,"
        " num_key_value_heads: 2, vocab_size: 4096, tie_word_embeddings: true}}"
    )
    text = (
        "name: g\nmatrix:\n"
        f"  model: [{{name: shape, card: {card}}}]\n  quantization: [none, int8, nf4]\n"
        "  adapter: [{name: l, config: {r: 4, target_modules: all-linear}}]\n"
        "  dataset: [{name: finance-qa, train: 20, test: 10}]\n"
        "training: {per_device_train_batch_size: 2, max_length: 48, max_steps: 2}\n"
        "evaluation: {batch_size: 2, prompt_tokens: 16, latency_prompts: 2, latency_new_tokens: 4}\n"
        "generation: {max_new_tokens: 6}\n"
    )
    run_here(make_plan(write_suite(text), tmp_path / "out"))
    cells = load_run(tmp_path / "out").cells
    assert [cell.status for cell in cells] == ["ok"] * 6, [cell.reason for cell in cells]
    for cell in cells:
        assert cell.value("batch_tokens_per_s").value > 0
        assert cell.value("rougeL") is None
        kinds = cell.facts["loaded"]["linear_modules"]
        assert {"int8": "Linear8bitLt", "nf4": "Linear4bit"}.get(
            cell.quantization, "Linear"
        ) in kinds
    assert all(c.value("train_tokens_per_s") for c in cells if not c.is_baseline)


def test_models_show_prints_what_the_published_figures_are_held_against(root):
    import json

    from click.testing import CliRunner

    from harness.cli import main

    arguments = ["models", "show", "qwen2-0.5b-instruct", "--set", "r=8", "--json"]
    result = CliRunner().invoke(main, [*arguments, "--set", "target_modules=all-linear"])
    found = json.loads(result.stdout)
    assert found["trainable_params"] == 4_399_104
    assert found["weights_16bit_gib"] == pytest.approx(0.92, abs=0.01)
    assert found["weights_int8_gib"] == pytest.approx(0.59, abs=0.01)
    wrong = CliRunner().invoke(main, ["models", "show", "qwen2-0.5b-instruct", "--set", "r"])
    assert wrong.exit_code == 2
