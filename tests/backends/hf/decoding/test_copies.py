"""Steps with 16-bit copies of 4-bit weights give the tokens of packed ones, and leave no trace."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, BitsAndBytesConfig, set_seed

from harness.backends.hf.counters.memory import Aside, memory_peak
from harness.backends.hf.decoding.copies import KIND, Copies, copied_elements, copies_for
from harness.backends.hf.decoding.decode import decode
from harness.backends.hf.decoding.engine import Engine
from harness.backends.hf.decoding.ways import way_of
from harness.backends.hf.models.loading import load_tokenizer
from harness.backends.hf.training.unpacked import four_bit_layers
from harness.suite.model_card import load_model_card

GREEDY = {"max_new_tokens": 24, "do_sample": False}


@pytest.fixture(scope="module")
def tokenizer(request):
    return load_tokenizer(load_model_card(request.config.rootpath / "models" / "tiny-llama.yaml"))


def model_of(root, name, *, device="cpu", dtype=torch.float32, nested=False):
    options = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype,
        bnb_4bit_use_double_quant=nested,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained(
        load_model_card(root / "models" / f"{name}.yaml").source, dtype=dtype,
        quantization_config=options, device_map={"": device},
    )  # fmt: skip
    for layer in four_bit_layers(model):
        # on some CPUs bitsandbytes packs weights anew, and computes in bfloat16 whatever the type
        layer.support_avx512bf16_for_cpu = False
    set_seed(1)
    config = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    return get_peft_model(model, config).eval()


def prompts(tokenizer):
    return [tokenizer(text).input_ids for text in ("What is a bond?", "150 / 600 =", "Hello")]


@pytest.mark.parametrize("nested", [False, True], ids=["plain", "nested"])
@pytest.mark.parametrize("name", ["tiny-llama", "tiny-qwen2"])
def test_tokens_are_those_of_packed_weights(root, name, nested, tokenizer):
    model = model_of(root, name, nested=nested)
    engine = Engine(model, pad=0, ends=[tokenizer.eos_token_id], capture=False)
    copies = Copies(engine)
    copies.make(torch.float32)
    layers = len(four_bit_layers(model))
    assert engine.describe()["fused"] == {KIND: layers}
    assert copies.describe()["copies_mib"] == copied_elements(model) * 4 / 2**20
    found = engine.decode(prompts(tokenizer), 24)
    assert not any("forward" in vars(module) for module in model.modules())
    assert copies.release("for another reason")
    assert not copies.release()
    assert copies.describe() == {"no_copies": "for another reason"}
    assert engine.decode(prompts(tokenizer), 24) == found
    assert engine.describe()["fused"] == {}


def test_nothing_is_copied_for_steps_that_are_not_captured(root, tokenizer):
    model = model_of(root, "tiny-llama")
    way = way_of(model, tokenizer, GREEDY, prompts(tokenizer))
    with copies_for(way, 64, wanted=True) as copies:
        assert copies.describe() == {}


@pytest.mark.gpu
@pytest.mark.parametrize("copied", [False, True])
def test_copies_change_neither_the_answers_nor_the_peak(root, tokenizer, copied):
    model = model_of(root, "tiny-llama", device="cuda", dtype=torch.bfloat16)
    rows = [tokenizer(f"What is {k} / 600?").input_ids for k in range(24)]
    found = {}
    for name, copies in (("packed", False), ("asked", copied)):
        with memory_peak("infer_peak") as peak:
            found[name] = decode(
                model, tokenizer, rows, options=GREEDY, batch_size=24, copies=copies
            )
        found[name, "peak"] = peak.values
    asked = found["asked"]
    assert ("copies_mib" in asked.how) == copied, asked.how
    assert "no_copies" not in asked.how
    equal = sum(
        a.text == b.text for a, b in zip(found["packed"].answers, asked.answers, strict=True)
    )
    assert equal >= 12  # in bfloat16 near-ties may go the other way
    packed, peak = found["packed", "peak"], found["asked", "peak"]
    assert peak["infer_peak_vram_mib"] <= packed["infer_peak_vram_mib"] + 1


@pytest.mark.gpu
def test_memory_that_is_set_aside_is_in_no_peak():
    device = torch.device("cuda")

    def work(aside):
        with memory_peak("phase") as peak:
            held = torch.ones(8 * 2**20, device=device)  # 32 MiB
            piece = Aside(64 * 2**20, torch.bfloat16, device) if aside else None
            more = torch.ones(4 * 2**20, device=device)
            del more
            if piece:
                piece.release()
            last = torch.ones(2 * 2**20, device=device)
        assert len(held) > len(last)
        return peak.values

    assert work(True)["phase_vram_mib"] == work(False)["phase_vram_mib"]
    assert work(True)["phase_reserved_vram_mib"] <= work(False)["phase_reserved_vram_mib"] + 4


def test_memory_that_was_set_aside_is_given_back_whoever_still_holds_it():
    piece = Aside(1000, torch.float32, torch.device("cpu"))
    held = piece.room[:10]
    assert piece.room.untyped_storage().nbytes() == 4000
    piece.release()
    assert held.untyped_storage().nbytes() == 0
