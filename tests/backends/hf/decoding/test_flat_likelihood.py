"""References scored in flat batches: the numbers of padded ones, for each option that is taken."""

from dataclasses import astuple

import pytest
import torch
from peft import IA3Config, LoraConfig, PromptTuningConfig, get_peft_model
from tiny_geometries import tiny
from transformers import (
    AutoModelForCausalLM,
    BitsAndBytesConfig,
    FalconConfig,
    set_seed,
)

from harness.backends.hf.decoding import likelihood
from harness.backends.hf.decoding.agreement import checks_of
from harness.backends.hf.decoding.flat_likelihood import flat_batch_of, flat_order
from harness.backends.hf.decoding.likelihood import score_answers
from harness.backends.hf.encoding import Encoded

MODELS = {
    "qwen2": tiny("qwen2"),
    "llama": tiny("llama"),
    "window wider than a row": tiny("mistral", sliding_window=48),
    "window narrower than a row": tiny("mistral", sliding_window=8),
    "gemma3": tiny("gemma3", sliding_window=48),
    "learned positions, dropout": tiny("gpt2"),
    "another architecture": FalconConfig(
        vocab_size=96, hidden_size=32, num_hidden_layers=2, num_attention_heads=4
    ),
}
LORA = {
    "r": 4,
    "target_modules": "all-linear",
    "init_lora_weights": False,
    "task_type": "CAUSAL_LM",
}
ADAPTERS = {
    "lora": LoraConfig(**LORA), "dora": LoraConfig(**LORA, use_dora=True),
    "ia3": IA3Config(task_type="CAUSAL_LM"),
    "prompt tuning": PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3),
}  # fmt: skip
PADDED = torch.tensor([94, 95])
"""Ids of the vocabulary that stand for nothing."""
FLAT = {
    "qwen2": None, "llama": None, "window wider than a row": None, "gemma3": None,
    "learned positions, dropout": None, "lora": None, "dora": None, "nf4": None,
    "window narrower than a row": "its attention has a window of",
    "another architecture": "falcon is not among those compared",
    "ia3": "adapter method ia3", "prompt tuning": "adapter method prompt_tuning",
}  # fmt: skip
"""Kind → what the reason says where it is scored in padded batches."""


def model_of(kind, root):
    set_seed(0)
    if kind == "nf4":
        options = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")
        return AutoModelForCausalLM.from_pretrained(
            root / "models" / "tiny" / "tiny-qwen2", quantization_config=options,
            dtype=torch.float32,
        ).eval()  # fmt: skip
    config = MODELS.get(kind, MODELS["qwen2"])
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(0, 0.2)
    if kind in ADAPTERS:
        model = get_peft_model(model, ADAPTERS[kind])
    return model.eval()


def rows_of(prompts):
    """``prompts`` prompts of 1 to 25 ids, of every third one three answers of 1 to 5 ids."""
    draw = torch.Generator().manual_seed(1)

    def ids(most):
        size = int(torch.randint(1, most + 1, (1,), generator=draw))
        return torch.randint(3, 96, (size,), generator=draw).tolist()

    rows = []
    for k in range(prompts):
        prompt = ids(25)
        rows += [Encoded(prompt, ids(5), False) for _ in range(1 if k % 3 else 3)]
    return rows


@pytest.mark.parametrize("kind", FLAT)
def test_flat_scores_are_those_of_rows_alone(kind, root):
    model, rows = model_of(kind, root), rows_of(9)
    found = score_answers(model, rows, pad=0, batch_size=4)
    how, reason = checks_of(model).scored, FLAT[kind]
    if reason is None:
        assert how == {"engine": "flat"}
    else:
        assert reason in how["reason"]
    with torch.inference_mode():
        alone = [likelihood._batch(model, [row], 0)[0] for row in rows]
    # on a CPU, bitsandbytes computes in bfloat16 whatever the model's type is
    away = 1e-2 if kind == "nf4" else 1e-5
    close = pytest.approx([x for one in alone for x in astuple(one)], rel=away, abs=away)
    assert [x for one in found for x in astuple(one)] == close


@pytest.mark.parametrize("engine", ["flat", "padded"])
def test_a_vocabulary_padded_with_minus_infinity_has_an_entropy(monkeypatch, root, engine):
    model, rows = model_of("llama", root), rows_of(4)
    model.lm_head.register_forward_hook(lambda _, __, out: out.index_fill(-1, PADDED, -torch.inf))
    if engine == "padded":
        monkeypatch.setattr(likelihood, "flat_reason", lambda *_: "as asked")
    found = score_answers(model, rows, pad=0, batch_size=4)
    assert checks_of(model).scored["engine"] == engine
    assert all(0 < one.entropy < 5 * one.tokens for one in found)


def test_a_prompt_is_read_once_for_all_its_answers(monkeypatch, root):
    model = model_of("llama", root)
    read = []
    model.register_forward_pre_hook(
        lambda _, __, given: read.append(given["input_ids"].numel()), with_kwargs=True
    )
    labels = [Encoded([5, 6, 7, 8, 9], [label, label, 2], False) for label in (11, 12, 13)]
    rows = [*labels, Encoded([4, 3], [10, 2], False)]
    with torch.inference_mode():
        flat_batch_of(model, [rows[i] for i in flat_order(rows)])
    # nothing follows an answer's last token, so it is not read
    assert read == [5 + 3 * 2 + 2 + 1]


def test_a_mask_that_is_wrong_is_found_before_it_is_used(monkeypatch, root):
    """Answers that read each other's tokens, and not the prompt's, score otherwise."""
    model, rows = model_of("llama", root), rows_of(9)
    wanted = score_answers(model, rows, pad=0, batch_size=4)
    checks_of(model).verdicts.clear()
    laid_out = likelihood.flat_batch_of.__globals__["_laid_out"]

    def without_prompts(rows, device):
        batch = laid_out(rows, device)
        batch.segments.prefixes = None
        return batch

    monkeypatch.setitem(likelihood.flat_batch_of.__globals__, "_laid_out", without_prompts)
    found = score_answers(model, rows, pad=0, batch_size=4)
    assert "nats a token off" in checks_of(model).scored["reason"]
    assert [s.nll for s in found] == pytest.approx([s.nll for s in wanted], rel=1e-5)


SHARED = {
    "of the shortest row": [([5], 2), ([5], 2), ([6, 7, 8], 2), ([9] * 9, 2)],
    "of neither the shortest, the middle nor the longest row": [
        ([5], 2), ([7, 8], 3), ([7, 8], 3), ([6] * 6, 2), ([9] * 7, 2), ([4] * 9, 2),
    ],
    "far from each other": [([7, 8], 3), ([5], 2), ([6] * 6, 2), ([9] * 9, 2), ([7, 8], 3)],
    "and the first answers of one token": [
        ([5], 1), ([5], 1), ([7, 8], 3), ([7, 8], 3), ([6] * 6, 2), ([9] * 9, 2), ([4] * 9, 2),
    ],
}  # fmt: skip
"""Where a shared prompt is among the rows → each row's prompt, and the length of its answer."""


@pytest.mark.parametrize("before", [False, True], ids=["first", "after rows that share none"])
@pytest.mark.parametrize("where", SHARED)
def test_a_shared_prompt_is_tried_wherever_it_is(where, before, monkeypatch, root):
    """Second answers that do not see their prompt are found out, and the rows then padded."""
    model = model_of("llama", root)
    rows = [
        Encoded(prompt, [10 + 5 * k + n for n in range(size)], False)
        for k, (prompt, size) in enumerate(SHARED[where])
    ]
    laid_out = likelihood.flat_batch_of.__globals__["_laid_out"]

    def without_prompts(rows, device):
        batch, seen = laid_out(rows, device), set()
        spans = batch.segments.prefixes or ()
        blind = [(a, a) if (a, b) in seen or seen.add((a, b)) else (a, b) for a, b in spans]
        batch.segments.prefixes = tuple(blind) or None
        return batch

    monkeypatch.setitem(likelihood.flat_batch_of.__globals__, "_laid_out", without_prompts)
    if before:
        score_answers(model, rows_of(9)[3:5], pad=0, batch_size=4)
        assert checks_of(model).scored == {"engine": "flat"}
    found = score_answers(model, rows, pad=0, batch_size=8)
    assert "nats a token off" in checks_of(model).scored["reason"]
    with torch.inference_mode():
        alone = [likelihood._batch(model, [row], 0)[0].nll for row in rows]
    assert [s.nll for s in found] == pytest.approx(alone, rel=1e-4)


def test_rows_beyond_the_window_are_padded_also_after_shorter_ones(root):
    model = model_of("window narrower than a row", root)
    labels = [[20, 21, 2], [30, 2]]
    short = [Encoded([5, 6, 7], label, False) for label in labels]
    long = [Encoded([*range(5, 17)], label, False) for label in labels]
    for rows, engine in ((short, "flat"), (short + long, "padded"), (short, "flat")):
        found = score_answers(model, rows, pad=0, batch_size=4)
        assert checks_of(model).scored["engine"] == engine
        with torch.inference_mode():
            alone = [likelihood._batch(model, [row], 0)[0] for row in rows]
        assert [s.nll for s in found] == pytest.approx([s.nll for s in alone], rel=1e-4)
        if engine == "padded":
            reason = checks_of(model).scored["reason"]
            assert reason.startswith("its attention has a window of ")
