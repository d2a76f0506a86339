"""A latency is of rounds that agree, and says how far they do."""

import pytest
from transformers import AutoModelForCausalLM

from harness.hf import measuring
from harness.hf.loading import load_tokenizer
from harness.model_card import load_model_card


@pytest.fixture(scope="module")
def parts(request):
    card = load_model_card(request.config.rootpath / "models" / "tiny-llama.yaml")
    tokenizer = load_tokenizer(card)
    prompts = [tokenizer(text).input_ids for text in ("What is a bond?", "150 / 600 =")]
    return AutoModelForCausalLM.from_pretrained(card.source).eval(), tokenizer, prompts


def test_three_rounds_at_the_least_are_compared(parts):
    found = measuring.generation_latency(*parts, 4)
    assert found.variation is not None
    assert found.values()["latency_cv"] == found.variation
    assert len(found.total) == measuring.ROUNDS * 2


def test_one_round_has_no_variation(parts, monkeypatch):
    monkeypatch.setattr(measuring, "MAX_SECONDS", 0.0)
    found = measuring.generation_latency(*parts, 4)
    assert len(found.total) == 2
    assert "latency_cv" not in found.values()
    assert found.values()["latency_p50_ms"] > found.values()["ttft_p50_ms"] > 0
