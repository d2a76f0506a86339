"""Names of layers against what transformers builds, and PEFT's rule of matching."""

import pytest

from harness.plan.modules import BLOCKS, layer_names, matched, short_names

SMALL = {
    "vocab_size": 32, "hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 2,
    "num_attention_heads": 2, "num_key_value_heads": 2, "n_layer": 2, "n_head": 2,
    "n_embd": 16, "ffn_dim": 32, "word_embed_proj_dim": 16, "pad_token_id": 0, "bos_token_id": 1,
    "eos_token_id": 2, "max_position_embeddings": 64, "n_positions": 64,
}  # fmt: skip


@pytest.mark.parametrize("kind", BLOCKS)
def test_the_layers_are_those_that_transformers_builds(kind):
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM
    from transformers.pytorch_utils import Conv1D

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(AutoConfig.for_model(kind, **SMALL))
    kinds = (torch.nn.Linear, Conv1D, torch.nn.Embedding)
    built = {name for name, module in model.named_modules() if isinstance(module, kinds)}
    named = layer_names({"model_type": kind, **SMALL})
    inside = {name for name in built if BLOCKS[kind][0] in name}
    assert {name for name in named if BLOCKS[kind][0] in name} == inside
    assert {"lm_head", "embed_out"} & built <= set(named)


@pytest.mark.parametrize(
    ("targets", "count"),
    [
        ("all-linear", 16),
        (["q_proj"], 2),
        (["q_proj", "nothing"], 2),
        (["proj"], 0),
        (["self_attn.v_proj"], 2),
        (["model.layers.1.mlp.up_proj"], 1),
        (["lm_head"], 1),
        (r".*\.(q|k)_proj", 4),
        ("q_proj", 0),
        ("[", 0),
        (5, 0),
    ],
)
def test_targets_match_as_peft_matches_them(targets, count):
    names = layer_names({"model_type": "llama", "num_hidden_layers": 2})
    assert len(matched(names, targets)) == count


def test_an_unknown_architecture_has_no_names():
    assert layer_names({"model_type": "new"}) is None
    assert layer_names(None) is None


def test_short_names_are_what_one_writes():
    assert list(short_names(["a.b.q_proj", "a.c.q_proj", "lm_head"])) == ["q_proj", "lm_head"]
