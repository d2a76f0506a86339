"""Every architecture of the training engine against `SFTTrainer`, and what their configs can say.

Tiny models with random weights, in float32. A few run always, all of them by ``tox -e training``.
"""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from same_training import assert_same_training, few_steps
from transformers import CONFIG_MAPPING, AutoTokenizer, set_seed
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from harness.backends.hf.training.evidence import DROPOUTS, FLAT_TYPES
from harness.backends.hf.training.trainer import train_rows

SIZES = {
    "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
OPT = {"ffn_dim": 48, "word_embed_proj_dim": 32}
GPT2 = {"n_positions": 64, "n_inner": 48}
HEAD = {"head_dim": 8}
OWN = {
    "opt": OPT, "gpt2": GPT2, "gpt_bigcode": GPT2,
    **dict.fromkeys(("gemma", "gemma3_text", "glm", "glm4", "helium", "qwen3"), HEAD),
    **dict.fromkeys(("hunyuan_v1_dense", "ministral", "ministral3", "seed_oss"), HEAD),
}  # fmt: skip
"""What an architecture's sizes need besides."""
QUIET = {
    *DROPOUTS, "dropout", "activation_dropout", "hidden_dropout", "resid_pdrop", "embd_pdrop",
    "residual_dropout", "embedding_dropout",
}  # fmt: skip
"""Dropouts: with them, losses agree as two seeds do where rows differ in length."""


def rope(kind, **values):
    values = {"rope_theta": 10000.0, "original_max_position_embeddings": 16, **values}
    return {"rope_parameters": {"rope_type": kind, **values}}


VARIANTS = {
    "biases, tied": (
        "llama",
        {"attention_bias": True, "mlp_bias": True, "tie_word_embeddings": True},
    ),
    "one key head": ("llama", {"num_key_value_heads": 1}),
    "yarn": ("llama", rope("yarn", factor=4.0)),
    "dynamic": ("llama", {**rope("dynamic", factor=4.0), "max_position_embeddings": 31}),
    "linear": ("llama", rope("linear", factor=4.0)),
    "llama3": ("llama", rope("llama3", factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0)),
    "longrope": (
        "phi3",
        {
            **rope("longrope", short_factor=[1.0] * 4, long_factor=[4.0] * 4),
            "num_key_value_heads": 4,
            "original_max_position_embeddings": 16,
        },
    ),
    "a window that no row exceeds": ("mistral", {"sliding_window": 30}),
    "some layers with a window": (
        "qwen2",
        {"use_sliding_window": True, "sliding_window": 40, "max_window_layers": 1},
    ),
    "capped logits": ("gemma3_text", {"final_logit_softcapping": 3.0, "sliding_window": 40}),
    "capped logits of nanochat": ("nanochat", {"final_logit_softcapping": 2.0}),
    "multipliers": (
        "granite",
        {
            "embedding_multiplier": 3.0,
            "logits_scaling": 4.0,
            "residual_multiplier": 0.5,
            "attention_multiplier": 0.3,
        },
    ),
    "scaled logits, norms of queries": ("cohere", {"logit_scale": 0.5, "use_qk_norm": True}),
    "parallel residual": (
        "stablelm",
        {"use_qkv_bias": True, "qk_layernorm": True, "use_parallel_residual": True},
    ),
    "norm behind": ("opt", {"do_layer_norm_before": False}),
    "narrow embeddings": ("opt", {"word_embed_proj_dim": 16}),
    "scales of attention": (
        "gpt2",
        {"scale_attn_by_inverse_layer_idx": True, "reorder_and_upcast_attn": True},
    ),
    "many key heads": ("gpt_bigcode", {"multi_query": False}),
    "layers without positions": ("smollm3", {"no_rope_layers": [0, 1]}),
    "clipped queries": ("olmo", {"clip_qkv": 0.1}),
    "partly rotated": ("phi", {"qk_layernorm": True, "partial_rotary_factor": 0.5}),
}
CASES = {**{kind: (kind, {}) for kind in sorted(FLAT_TYPES)}, **VARIANTS}
ALWAYS = ("cohere", "granite", "opt", "longrope", "multipliers")


@pytest.fixture(scope="module")
def tokenizer(root):
    return AutoTokenizer.from_pretrained(root / "models" / "tiny" / "tiny-qwen2")


def built(kind, keys):
    config = CONFIG_MAPPING[kind](**{"sliding_window": 64, **SIZES, **OWN.get(kind, {}), **keys})
    for name in QUIET:
        if getattr(config, name, None):
            setattr(config, name, 0.0)
    set_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(0, 0.2)
    set_seed(1)
    lora = LoraConfig(r=4, lora_alpha=8, target_modules="all-linear", task_type="CAUSAL_LM")
    return get_peft_model(model, lora).eval()


def rows():
    draw = torch.Generator().manual_seed(3)
    made = []
    for length in (30, 6, 17, 24, 9, 12, 28, 7):
        ids = torch.randint(3, 96, (length,), generator=draw).tolist()
        made.append({"input_ids": ids, "labels": [-100] * (length // 3) + ids[length // 3 :]})
    return made


@pytest.mark.parametrize(
    "name", [n if n in ALWAYS else pytest.param(n, marks=pytest.mark.training) for n in CASES]
)
def test_an_architecture_trains_as_trl_trains_it(name, tokenizer, tmp_path):
    results = []
    for engine in ("trl", "auto"):
        model = built(*CASES[name])
        options = {**few_steps(tmp_path / engine), "max_steps": 3, "engine": engine}
        done = train_rows(model, tokenizer, options, rows(), 133)
        trained = [p.detach().flatten() for p in model.parameters() if p.requires_grad]
        results.append((done, torch.cat(trained)))
    (wanted, right), (found, weights) = results
    assert found.how == {"engine": "flat"}
    assert_same_training(found, wanted)
    assert float((weights - right).norm() / right.norm()) < 1e-3
