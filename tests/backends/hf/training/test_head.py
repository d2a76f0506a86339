"""Tokens that are trained one by one must be trained in a tied head too, or be refused."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from harness.backends.hf.training.trainer import check_head
from harness.errors import HarnessError


def adapted(*, tied):
    config = LlamaConfig(
        vocab_size=64, hidden_size=16, intermediate_size=16, num_hidden_layers=1,
        num_attention_heads=2, tie_word_embeddings=tied,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    lora = LoraConfig(r=2, trainable_token_indices=[5, 6], task_type="CAUSAL_LM")
    return get_peft_model(model, lora)


def test_trainable_tokens_of_an_untied_model_are_taken():
    check_head(adapted(tied=False))


def test_trainable_tokens_of_a_tied_model_are_refused():
    with pytest.raises(HarnessError, match="changes the language head"):
        check_head(adapted(tied=True))
