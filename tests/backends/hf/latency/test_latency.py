"""A latency is of rounds that agree, says how far they do, and how it stands to other work."""

import statistics

import pytest
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from harness.backends.hf.latency import latency as measuring
from harness.backends.hf.models.loading import load_tokenizer
from harness.suite.model_card import load_model_card


@pytest.fixture(scope="module")
def card(request):
    return load_model_card(request.config.rootpath / "models" / "tiny-llama.yaml")


@pytest.fixture(scope="module")
def parts(card):
    tokenizer = load_tokenizer(card)
    prompts = [tokenizer(text).input_ids for text in ("What is a bond?", "150 / 600 =")]
    return AutoModelForCausalLM.from_pretrained(card.source).eval(), tokenizer, prompts


def test_three_rounds_at_the_least_are_compared(parts):
    found = measuring.generation_latency(*parts, 4)
    values = found.values()
    assert values["latency_cv"] == measuring.variation(found.kept) is not None
    assert len(found.rounds) >= len(found.kept) == measuring.ROUNDS
    assert len(found.milliseconds()) == measuring.ROUNDS * 2
    assert values["latency_p50_ms"] == pytest.approx(statistics.median(found.milliseconds()))


def test_one_round_has_no_variation(parts, monkeypatch):
    monkeypatch.setattr(measuring, "MAX_SECONDS", 0.0)
    found = measuring.generation_latency(*parts, 4)
    assert len(found.milliseconds()) == 2
    assert "latency_cv" not in found.values()
    assert found.values()["latency_p50_ms"] > found.values()["ttft_p50_ms"] > 0


def test_the_ratio_is_of_each_round_to_the_work_beside_it(parts):
    found = measuring.generation_latency(*parts, 4)
    ratios = [statistics.fmean(one.seconds) / one.reference for one in found.rounds]
    values = found.values()
    assert values["latency_ratio"] == statistics.median(ratios)
    assert values["latency_ratio_least"] == min(ratios) <= values["latency_ratio"]


def test_a_classifier_is_timed_in_rounds_too(card, parts):
    model = AutoModelForSequenceClassification.from_pretrained(card.source, num_labels=3).eval()
    found = measuring.forward_latency(model, parts[2])
    assert len(found.rounds) >= measuring.ROUNDS
    assert found.values()["latency_cv"] >= 0
    assert not {"ttft_p50_ms", "decode_tokens_per_s"} & set(found.values())


def test_no_prompt_has_no_latency(parts):
    model, tokenizer, _ = parts
    assert measuring.generation_latency(model, tokenizer, [], 4).values() == {}
    assert measuring.forward_latency(model, []).values() == {}
