"""A tied head is multiplied with every token, as an untied one is."""

import pytest
import torch
from transformers import LlamaConfig
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from harness.backends.hf.counters.ceilings import multiplied_params


@pytest.mark.parametrize("tied", [False, True])
def test_multiplied_parameters_are_those_of_layers_and_head(tied):
    config = LlamaConfig(
        vocab_size=100, hidden_size=16, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2, tie_word_embeddings=tied,
    )  # fmt: skip
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)
    layers = sum(p.numel() for n, p in model.model.named_parameters() if "embed" not in n)
    assert multiplied_params(model) == layers + 100 * 16
