"""A training that the engine began, and left to the trainer because memory was short."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    LlamaConfig,
    set_seed,
)
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from harness.backends.hf.encoding import TrainingRows
from harness.backends.hf.training.checkpoints import Checkpoints
from harness.backends.hf.training.label_trainer import train_head
from harness.backends.hf.training.trainer import train_rows

CONFIG = LlamaConfig(
    vocab_size=64, hidden_size=32, intermediate_size=32, num_hidden_layers=1,
    num_attention_heads=2, num_key_value_heads=1, pad_token_id=0, num_labels=2,
)  # fmt: skip
IDS = [[5 + (7 * k + n) % 50 for k in range(8)] for n in range(8)]


class Teller:
    """Told of each step, it runs out of memory after some, and is stopped by hand after more."""

    def __init__(self, out_of_memory, stop):
        self.out_of_memory, self.stop, self.count = out_of_memory, stop, 0

    def __call__(self, record):
        self.count += 1
        if self.count == self.out_of_memory:
            raise torch.OutOfMemoryError("out of memory")
        if self.count == self.stop:
            raise KeyboardInterrupt


def train(auto, tokenizer, checkpoints, tell):
    set_seed(0)
    head = auto is AutoModelForSequenceClassification
    kind = "SEQ_CLS" if head else "CAUSAL_LM"
    model = auto.from_config(CONFIG, dtype=torch.float32)
    model = get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], task_type=kind))
    options = {
        "output_dir": str(checkpoints.folder), "use_cpu": True, "report_to": "none", "bf16": False,
        "disable_tqdm": True, "logging_steps": 1, "gradient_checkpointing": False, "max_steps": 8,
        "per_device_train_batch_size": 2, "save_strategy": "steps", "save_steps": 2,
        "save_total_limit": None, "dataloader_pin_memory": False,
    }  # fmt: skip
    rows = [{"input_ids": ids, "labels": n % 2 if head else ids} for n, ids in enumerate(IDS)]
    if head:
        train_head(
            model, tokenizer, options, TrainingRows(rows, {"tokens": 64}), checkpoints, tell=tell
        )
    else:
        train_rows(model, tokenizer, options, rows, 64, checkpoints, tell=tell)


@pytest.mark.parametrize(
    "auto", [AutoModelForCausalLM, AutoModelForSequenceClassification], ids=["text", "head"]
)
def test_what_the_engine_wrote_does_not_count_once_the_trainer_trains(auto, root, tmp_path):
    """The engine writes a checkpoint after step 6, then memory is short; the trainer after 2."""
    tokenizer = AutoTokenizer.from_pretrained(root / "models" / "tiny" / "tiny-qwen2")
    with pytest.raises(KeyboardInterrupt):
        train(auto, tokenizer, Checkpoints(tmp_path, "these"), Teller(7, 11))
    found = Checkpoints(tmp_path, "these").look()
    assert (found.engine, found.step) == ("trl", 2)
    assert found.reason == "the engine ran out of device memory"
