"""A way of decoding that differs from one prompt at a time is not taken, and the result says so."""

from pathlib import Path

import pytest
import torch
from transformers import GPT2Config, LlamaConfig, set_seed
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from harness.backends.hf.decoding import ways
from harness.backends.hf.decoding.agreement import Step, disagreement
from harness.backends.hf.decoding.decode import decode, decoding_facts
from harness.backends.hf.models.loading import load_tokenizer
from harness.suite.model_card import load_model_card

ROOT = Path(__file__).parents[4]
GREEDY = {"max_new_tokens": 6, "do_sample": False}
PROMPTS = [[5, 6, 7, 8], [9, 10], [11, 12, 13, 14, 15, 16, 17], [18, 19], [20, 21, 22, 23]]


def llama(**options):
    set_seed(0)
    config = LlamaConfig(
        vocab_size=4096, hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4, num_key_value_heads=2, **options,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(0, 0.3)
    return model


@pytest.fixture(scope="module")
def tokenizer():
    return load_tokenizer(load_model_card(ROOT / "models" / "tiny-llama.yaml"))


def test_an_engine_without_a_mask_is_found_out(tokenizer, monkeypatch):
    """What eager attention did with a boolean mask: added 0 and 1, and saw everything."""
    from harness.backends.hf.decoding import engine

    right = decode(llama(), tokenizer, PROMPTS, options=GREEDY, batch_size=5)
    assert right.how["engine"] == "eager"
    monkeypatch.setattr(engine, "additive", lambda mask, dtype: mask.to(dtype))
    model = llama(attn_implementation="eager")
    found = decode(model, tokenizer, PROMPTS, options=GREEDY, batch_size=5)
    assert found.how["engine"] == "generate"
    assert "standard deviations" in found.how["reason"]
    assert decoding_facts(model)["differs"] == {"engine": found.how["reason"]}
    assert [a.text for a in found.answers] == [a.text for a in right.answers]


def test_an_architecture_that_nobody_checked_goes_through_generate(tokenizer, monkeypatch):
    monkeypatch.setattr("harness.backends.hf.decoding.evidence.ENGINE_TYPES", frozenset())
    found = decode(llama(), tokenizer, PROMPTS, options=GREEDY, batch_size=5)
    assert found.how["reason"] == "the architecture llama is not among those checked"
    assert found.how["batches"] == "padded"


@pytest.mark.parametrize(
    ("batches", "count"), [("padded", 5), ("one length", 2), ("one prompt", 1)]
)
def test_batches_of_one_length_hold_prompts_of_one_length(batches, count):
    way = ways.ByGenerate(None, None, None, "", batches)
    assert way.fitting([4, 4, 3, 2, 2]) == count


def step(*logits):
    row = torch.tensor([logits])
    return Step([int(row.argmax())], row)


@pytest.mark.parametrize(
    ("right", "found", "agrees"),
    [
        (step(1.0, 2.0, 0.0), step(1.0, 2.0, 0.0), True),
        (step(1.0, 1.01, 0.0), step(1.01, 1.0, 0.0), True),  # a near-tie
        (step(1.0, 2.0, 0.0), step(2.0, 1.0, 0.0), False),
        (step(1.0, 2.0, 0.0), step(float("nan"), 2.0, 0.0), False),
        (step(1.0, 2.0, 0.0), Step([0], torch.tensor([[1.0, 2.0, 0.0]])), False),
        (step(1.0, 2.0, float("-inf")), step(1.0, 2.0, float("-inf")), True),
    ],
)
def test_rounding_is_no_difference_and_another_token_is(right, found, agrees):
    assert (disagreement([right], lambda: [found], 0.1) is None) == agrees


def test_a_way_that_fails_is_not_taken():
    def fails():
        raise ValueError("no such layer")

    assert disagreement([step(1.0, 2.0)], fails, 0.1) == "ValueError: no such layer"


def test_absolute_positions_survive_padding_and_one_at_a_time(tokenizer):
    set_seed(0)
    config = GPT2Config(vocab_size=4096, n_embd=64, n_layer=2, n_head=4, n_positions=64)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    for parameter in model.parameters():
        parameter.data.normal_(0, 0.3)
    together = decode(model, tokenizer, PROMPTS, options=GREEDY, batch_size=5)
    single = decode(model, tokenizer, PROMPTS, options=GREEDY, batch_size=1)
    assert [a.text for a in together.answers] == [a.text for a in single.answers]
