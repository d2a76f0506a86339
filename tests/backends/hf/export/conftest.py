"""Cells of the tiny models with an adapter that was not trained, only filled."""

import pytest
import torch
from peft import LoraConfig, PrefixTuningConfig, get_peft_model
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from harness.plan.expand import expand
from harness.suite.loading import load_suite

SUITE = """\
name: exported
matrix:
  model: [tiny-qwen2, tiny-llama]
  quantization: [none, nf4, int8]
  adapter: [{name: mine, config: {r: 4, target_modules: all-linear}}]
  dataset: [{name: ru-calculations, rows: 40}]
"""
CONFIGS = {
    "lora": LoraConfig(r=4, target_modules="all-linear", task_type="CAUSAL_LM"),
    "prefix": PrefixTuningConfig(num_virtual_tokens=4, task_type="CAUSAL_LM"),
}


@pytest.fixture
def cell_of(write_suite):
    """The tuned cell of a model under a quantization."""

    def find(model, quantization="none"):
        path = write_suite(SUITE)
        cells = expand(load_suite(path), path)
        wanted = (model, quantization, "mine")
        return next(c for c in cells if (c.model.name, c.quantization, c.adapter) == wanted)

    return find


@pytest.fixture
def adapter_of(tmp_path):
    """Saves an adapter whose update is a tenth of the weights it is added to."""

    def save(cell, kind="lora"):
        torch.manual_seed(0)
        base = AutoModelForCausalLM.from_pretrained(cell.model.source, dtype=torch.float32)
        adapted = get_peft_model(base, CONFIGS[kind])
        with torch.no_grad():
            for name, weight in adapted.named_parameters():
                if "lora_" in name:
                    weight.normal_(std=0.05)
        adapted.save_pretrained(tmp_path / kind)
        return tmp_path / kind

    return save
