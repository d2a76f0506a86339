"""What the training engine does not know goes through TRL, and the result says why."""

import pytest
import torch
from peft import AdaLoraConfig, IA3Config, LoraConfig, PromptTuningConfig, get_peft_model
from transformers import (
    AutoTokenizer,
    Gemma2Config,
    LlamaConfig,
    MistralConfig,
    MixtralConfig,
    OPTConfig,
    set_seed,
)
from transformers.models.auto.modeling_auto import AutoModelForCausalLM
from trl import SFTConfig

from harness.backends.hf.training.check import disagreement
from harness.backends.hf.training.evidence import trl_reason
from harness.backends.hf.training.trainer import train_rows

SIZES = {
    "vocab_size": 64, "hidden_size": 32, "intermediate_size": 32, "num_hidden_layers": 1,
    "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 16,
}  # fmt: skip
ROWS = [{"input_ids": list(range(5, 5 + n)), "labels": list(range(5, 5 + n))} for n in (9, 4, 6)]
LORA = LoraConfig(r=2, target_modules="all-linear", task_type="CAUSAL_LM")


def built(config=None, adapter=LORA):
    set_seed(0)
    model = AutoModelForCausalLM.from_config(config or LlamaConfig(**SIZES), dtype=torch.float32)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(0, 0.3)
    return get_peft_model(model, adapter) if adapter else model


def arguments(**options):
    options = {"output_dir": "unused", "use_cpu": True, "bf16": False, "save_strategy": "no",
               "logging_steps": 1, **options}  # fmt: skip
    return options, SFTConfig(**options)


KEYS = {
    "packing": ({"packing": True}, "training keys packing"),
    "unknown keys": (
        {"neftune_noise_alpha": 5.0, "label_smoothing_factor": 0.1},
        "training keys label_smoothing_factor, neftune_noise_alpha",
    ),
    "optimizer": ({"optim": "adafactor"}, "optim adafactor"),
    "schedule": (
        {"lr_scheduler_type": "warmup_stable_decay", "lr_scheduler_kwargs": {"num_decay_steps": 2}},
        "lr_scheduler_type warmup_stable_decay",
    ),
    "sampling": (
        {"train_sampling_strategy": "group_by_length"}, "train_sampling_strategy group_by_length",
    ),
    "saving": ({"save_strategy": "best"}, "save_strategy best"),
    "no steps": ({"max_steps": 0}, "max_steps 0, which the trainers read in different ways"),
    "logging": ({"logging_steps": 0.5}, "logging_steps that is a share of the training"),
}  # fmt: skip


@pytest.mark.parametrize("name", KEYS)
def test_a_training_key_that_it_does_not_know_means_trl(name):
    changes, reason = KEYS[name]
    assert trl_reason(built(), *arguments(**changes)) == reason


MODELS = {
    "ia3": (
        None, IA3Config(target_modules=["k_proj"], feedforward_modules=[], task_type="CAUSAL_LM"),
        "the adapter method ia3",
    ),
    "adalora": (
        None, AdaLoraConfig(init_r=4, target_r=2, total_step=9, target_modules=["q_proj"]),
        "the adapter method adalora",
    ),
    "prompt": (
        None, PromptTuningConfig(num_virtual_tokens=2, task_type="CAUSAL_LM"),
        "the adapter method prompt_tuning",
    ),
    "a field of LoRA": (
        None, LoraConfig(target_modules=["q_proj"], trainable_token_indices=[3]),
        "the adapter's trainable_token_indices",
    ),
    "experts": (
        MixtralConfig(**SIZES), LoraConfig(target_modules=["q_proj"]),
        "the architecture mixtral is not among those compared",
    ),
    "soft cap": (
        Gemma2Config(**SIZES), LORA, "the architecture gemma2 is not among those compared",
    ),
    "attention dropout": (
        LlamaConfig(**SIZES, attention_dropout=0.1), LORA,
        "dropout of attention weights (attention_dropout)",
    ),
    "layers left out": (
        OPTConfig(vocab_size=64, hidden_size=32, word_embed_proj_dim=32, ffn_dim=32,
                  num_hidden_layers=1, num_attention_heads=2, layerdrop=0.1),
        LoraConfig(target_modules=["q_proj"]),
        "dropout of whole layers (layerdrop)",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_a_model_or_adapter_that_it_does_not_know_means_trl(name):
    config, adapter, reason = MODELS[name]
    assert trl_reason(built(config, adapter), *arguments()) == reason


def test_what_it_knows_has_no_reason():
    assert trl_reason(built(), *arguments()) is None
    assert trl_reason(built(adapter=None), *arguments()) is None
    assert disagreement(built(), ROWS, arguments()[1]) is None


def test_a_model_that_mixes_rows_is_found_out():
    """Its class is on the list, but it was changed: each token sees the mean of those before it."""
    model = built()
    norm = model.get_base_model().model.norm

    def mixed(module, inputs, output):
        before = output.cumsum(1) / torch.arange(1, output.shape[1] + 1)[None, :, None]
        return output + before

    norm.register_forward_hook(mixed)
    assert "nats a token off" in disagreement(model, ROWS, arguments()[1])


def test_a_window_shorter_than_a_row_is_found_out():
    model = built(MistralConfig(**SIZES, sliding_window=4))
    reason = disagreement(model, ROWS, arguments()[1])
    assert reason == "its attention has a window of 4 tokens, and rows are up to 9"


@pytest.mark.parametrize(
    "lengths", [(9, 4, 30), (150,)], ids=["not in the first batch", "where the check cuts it"]
)
def test_a_window_that_a_row_exceeds_later_means_trl(lengths, root, tmp_path):
    """The check reads a part of some rows: what the others are may not end the training."""
    window = 140 if 150 in lengths else 12
    model = built(MistralConfig(**SIZES, sliding_window=window))
    ids = [[5 + k % 50 for k in range(size)] for size in lengths]
    rows = [{"input_ids": row, "labels": row} for row in ids]
    options, _ = arguments(
        output_dir=str(tmp_path), max_steps=len(rows), per_device_train_batch_size=1,
        report_to="none", disable_tqdm=True, train_sampling_strategy="sequential",
    )  # fmt: skip
    tokenizer = AutoTokenizer.from_pretrained(root / "models" / "tiny" / "tiny-qwen2")
    done = train_rows(model, tokenizer, options, rows, sum(lengths))
    reason = f"its attention has a window of {window} tokens, and rows are up to {max(lengths)}"
    assert done.how == {"engine": "trl", "reason": reason}


def test_the_check_changes_nothing():
    model = built()
    state = {k: v.clone() for k, v in model.state_dict().items()}
    model.eval()
    random = torch.get_rng_state()
    assert disagreement(model, ROWS, arguments()[1]) is None
    assert not model.training
    assert torch.equal(random, torch.get_rng_state())
    assert all(p.grad is None for p in model.parameters())
    assert all(torch.equal(v, state[k]) for k, v in model.state_dict().items())
    assert model.config._attn_implementation == "sdpa"
