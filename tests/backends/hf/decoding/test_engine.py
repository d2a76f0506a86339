"""The engine's tokens are `generate`'s, one by one, on every kind of model that it takes."""

import gc

import pytest
import torch
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from tiny_geometries import tiny
from transformers import BitsAndBytesConfig, set_seed
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from harness.backends.hf.decoding.decode import decode
from harness.backends.hf.decoding.engine import Engine
from harness.backends.hf.models.loading import load_tokenizer
from harness.backends.hf.models.random import random_model
from harness.suite.model_card import load_model_card

SIZES = {
    "vocab_size": 4096, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 3,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256,
}  # fmt: skip
FAMILIES = {
    "qwen2": tiny("qwen2", **SIZES),
    "llama": tiny("llama", **SIZES),
    "mistral": tiny("mistral", **SIZES, sliding_window=64),
    "mistral, a short window": tiny("mistral", **SIZES, sliding_window=8),
    "qwen2, both kinds of layers": tiny(
        "qwen2", **SIZES, tie_word_embeddings=False, use_sliding_window=True, sliding_window=8,
        max_window_layers=1,
    ),
}  # fmt: skip
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]
END = 7


def built(family, device, scale=0.3):
    """A model whose logits spread enough to end some rows early and others late."""
    set_seed(0)
    model = AutoModelForCausalLM.from_config(FAMILIES[family], dtype=torch.float32)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(0, scale)
    return model.to(device).eval()


def with_lora(model):
    set_seed(1)
    config = LoraConfig(
        r=4, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM"
    )
    return get_peft_model(model, config).eval()


def prompts(count=9, seed=0):
    generator = torch.Generator().manual_seed(seed)
    lengths = torch.randint(1, 24, (count,), generator=generator).tolist()
    return [torch.randint(10, 4000, (n,), generator=generator).tolist() for n in lengths]


def by_generate(model, rows, max_new, min_new=0, ends=(END,)):
    width = max(map(len, rows))
    ids = torch.tensor([[0] * (width - len(r)) + r for r in rows], device=model.device)
    mask = torch.tensor([[0] * (width - len(r)) + [1] * len(r) for r in rows], device=model.device)
    found = model.generate(
        input_ids=ids, attention_mask=mask, max_new_tokens=max_new, min_new_tokens=min_new or None,
        do_sample=False, pad_token_id=0, eos_token_id=list(ends),
    )  # fmt: skip
    kept = []
    for row in found[:, width:].tolist():
        stop = next((i for i, token in enumerate(row) if token in ends), None)
        kept.append(row if stop is None else row[: stop + 1])
    return kept


def often(model, rows, max_new):
    """Tokens that the model gives early: as ends they stop rows at different steps."""
    made = by_generate(model, rows, max_new, ends=(4095,))
    places = zip(made, (3, 9, 20, 30, 2), strict=False)
    return sorted({row[min(k, len(row) - 1)] for row, k in places})


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("adapted", [False, True], ids=["base", "lora"])
@pytest.mark.parametrize("family", FAMILIES)
def test_tokens_equal_those_of_generate(family, adapted, device):
    model = built(family, device)
    model = with_lora(model) if adapted else model
    rows = prompts()
    ends = often(model, rows, 40)
    engine = Engine(model, pad=0, ends=ends, capture=device == "cuda")
    found = engine.decode(rows, 40)
    assert found == by_generate(model, rows, 40, ends=ends)
    assert len({len(row) for row in found}) > 1


@pytest.mark.parametrize("device", DEVICES)
def test_rows_that_ended_are_dropped_from_the_batch_without_a_trace(device):
    model = built("llama", device)
    rows = prompts(count=12)
    ends = often(model, rows, 160)
    engine = Engine(model, pad=0, ends=ends, capture=device == "cuda")
    assert engine.decode(rows, 160) == by_generate(model, rows, 160, ends=ends)
    assert engine.compactions > 0


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("min_new", [1, 5, 40])
def test_an_end_is_held_back_until_the_least_number_of_tokens(device, min_new):
    model = built("qwen2", device)
    rows = prompts(4)
    ends = often(model, rows, 40)
    engine = Engine(model, pad=0, ends=ends, capture=device == "cuda")
    found = engine.decode(rows, 40, min_new)
    assert found == by_generate(model, rows, 40, min_new, ends=ends)
    assert min(map(len, found)) >= min_new


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("count", [1, 2])
def test_one_token_and_one_prompt(device, count):
    model = built("llama", device)
    engine = Engine(model, pad=0, ends=[END], capture=device == "cuda")
    assert engine.decode(prompts(1), count) == by_generate(model, prompts(1), count)


@pytest.mark.parametrize("device", DEVICES)
def test_batches_of_one_shape_share_a_graph_and_keep_their_own_answers(device):
    model = built("llama", device)
    rows = prompts(count=12)
    engine = Engine(model, pad=0, ends=[END], capture=device == "cuda")
    for chunk in (rows[:4], rows[4:8], rows[8:]):
        assert engine.decode(chunk, 24) == by_generate(model, chunk, 24)
    assert engine.captures == (1 if device == "cuda" else 0)


@pytest.mark.gpu
@pytest.mark.parametrize("adapted", [False, True], ids=["base", "lora"])
@pytest.mark.parametrize("family", FAMILIES)
def test_prompts_of_one_shape_share_a_graph_and_keep_their_own_answers(family, adapted):
    model = built(family, "cuda")
    model = with_lora(model) if adapted else model
    rows = prompts(count=20)
    engine = Engine(model, pad=0, ends=[END], capture=True)
    for first in range(0, 20, 4):
        chunk = rows[first : first + 4]
        assert engine.decode(chunk, 24) == by_generate(model, chunk, 24)
    assert engine.by_graph == 4
    longer = [[*row, *range(10, 90)] for row in rows[:4]]
    assert engine.decode(longer, 24) == by_generate(model, longer, 24)
    assert engine.by_graph == 4


@pytest.mark.gpu
@pytest.mark.parametrize("family", FAMILIES)
def test_kernels_take_the_place_of_norms_adapters_and_attention_for_a_step_alone(family):
    model = with_lora(built(family, "cuda"))
    engine = Engine(model, pad=0, ends=[END], capture=True)
    engine.decode(prompts(2), 4)
    assert engine.describe()["fused"] == {"adapters": 21, "norms": 7, "attention": 3}
    assert not any("forward" in vars(module) for module in model.modules())
    assert model.config._attn_implementation == "sdpa"


@pytest.fixture(scope="module")
def tokenizer(request):
    root = request.config.rootpath
    return load_tokenizer(load_model_card(root / "models" / "tiny-llama.yaml"))


def how(model, tokenizer, **options):
    options = {"max_new_tokens": 8, "do_sample": False, **options}
    return decode(model, tokenizer, prompts(3), options=options, batch_size=2).how


def test_what_the_engine_does_not_take_goes_through_generate_and_says_so(tokenizer):
    model = built("mistral", "cpu")
    assert how(model, tokenizer)["engine"] == "eager"
    assert how(model, tokenizer, do_sample=True)["reason"] == "sampling"
    assert "repetition_penalty" in how(model, tokenizer, repetition_penalty=1.2)["reason"]
    config = PromptTuningConfig(num_virtual_tokens=2, task_type="CAUSAL_LM")
    assert how(get_peft_model(model, config).eval(), tokenizer)["reason"] == "prompt learning"


@pytest.mark.parametrize("bits", ["int8", "nf4"])
def test_a_quantized_model_decodes_as_generate_does(bits, root, tokenizer):
    options = {
        "int8": {"load_in_8bit": True},
        "nf4": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4"},
    }
    folder = load_model_card(root / "models" / "tiny-llama.yaml").source
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, quantization_config=BitsAndBytesConfig(**options[bits])
    ).eval()
    rows = [tokenizer(text).input_ids for text in ("What is a bond?", "150 / 600 =", "Hello")]
    ends = [tokenizer.eos_token_id]
    engine = Engine(model, pad=0, ends=ends, capture=False)
    assert engine.decode(rows, 24) == by_generate(model, rows, 24, ends=ends)


@pytest.mark.gpu
@pytest.mark.parametrize(("quantization", "int8"), [("none", None), ("nf4", None), ("int8", 21)])
def test_a_step_is_captured_with_any_quantization(quantization, int8, tokenizer, write_suite):
    from harness.plan.expand import expand
    from harness.suite.loading import load_suite

    path = write_suite(quantization=quantization)
    cell = expand(load_suite(path), path)[0]
    architecture = {"model_type": "llama", **SIZES, "num_key_value_heads": 4}
    card = cell.model.model_copy(update={"architecture": architecture, "dtype": "bfloat16"})
    from dataclasses import replace

    model = random_model(replace(cell, model=card), torch.device("cuda"))
    told = how(with_lora(model), tokenizer)
    assert told["engine"] == "cuda graph", told
    assert told["fused"].get("int8") == int8


@pytest.mark.gpu
def test_a_batch_that_does_not_fit_is_halved(tokenizer):
    model = built("llama", "cuda")
    rows = prompts(256)
    options = {"max_new_tokens": 64, "do_sample": False}
    roomy = decode(model, tokenizer, rows, options=options, batch_size=256)
    gc.collect()
    torch.cuda.empty_cache()
    room = torch.cuda.memory_reserved() + 60 * 2**20
    share = room / torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction(share)
    try:
        tight = decode(model, tokenizer, rows, options=options, batch_size=256)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert tight.how["out_of_memory_halvings"] > 0
    assert [a.text for a in tight.answers] == [a.text for a in roomy.answers]
