"""Packing is refused where packed rows read each other."""

import pytest
import torch
from peft import PromptTuningConfig, get_peft_model
from transformers import BloomConfig, LlamaConfig, MambaConfig, set_seed
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from harness.backends.hf.training.packing import check_packing
from harness.errors import HarnessError

ROWS = [{"input_ids": [5, 6, 7, 8, 9]}, {"input_ids": [11, 12, 13]}]
CONFIGS = {
    "llama": LlamaConfig(
        vocab_size=64, hidden_size=32, intermediate_size=32, num_hidden_layers=2,
        num_attention_heads=2,
    ),
    "mamba": MambaConfig(vocab_size=64, hidden_size=32, num_hidden_layers=2),
    "bloom": BloomConfig(vocab_size=64, hidden_size=32, n_layer=2, n_head=2),
}  # fmt: skip


def built(kind):
    set_seed(0)
    model = AutoModelForCausalLM.from_config(CONFIGS[kind], dtype=torch.float32)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(0, 0.3)
    return model.train()


def test_positions_that_start_anew_keep_rows_apart():
    model = built("llama")
    check_packing(model, ROWS)
    check_packing(model, ROWS[:1])
    assert model.training


@pytest.mark.parametrize("kind", ["mamba", "bloom"])
def test_an_architecture_that_does_not_see_positions_is_refused(kind):
    with pytest.raises(HarnessError, match=f"{kind} mixes packed rows"):
        check_packing(built(kind), ROWS)


def test_virtual_tokens_hide_the_positions():
    config = PromptTuningConfig(num_virtual_tokens=2, task_type="CAUSAL_LM")
    with pytest.raises(HarnessError, match="mixes packed rows"):
        check_packing(get_peft_model(built("llama"), config), ROWS)
