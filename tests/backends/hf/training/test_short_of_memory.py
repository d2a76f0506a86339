"""A training that the engine began, and left to the trainer because memory was short."""

import gc

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


def model_of(auto):
    set_seed(0)
    kind = "SEQ_CLS" if auto is AutoModelForSequenceClassification else "CAUSAL_LM"
    model = auto.from_config(CONFIG, dtype=torch.float32)
    return get_peft_model(model, LoraConfig(r=2, target_modules=["q_proj"], task_type=kind))


def train(auto, tokenizer, checkpoints, tell, model=None):
    head = auto is AutoModelForSequenceClassification
    model = model or model_of(auto)
    options = {
        "output_dir": str(checkpoints.folder), "use_cpu": True, "report_to": "none", "bf16": False,
        "disable_tqdm": True, "logging_steps": 1, "gradient_checkpointing": False, "max_steps": 8,
        "per_device_train_batch_size": 2, "save_strategy": "steps", "save_steps": 2,
        "save_total_limit": None, "dataloader_pin_memory": False,
    }  # fmt: skip
    rows = [{"input_ids": ids, "labels": n % 2 if head else ids} for n, ids in enumerate(IDS)]
    if head:
        rows = TrainingRows(rows, {"tokens": 64})
        return train_head(model, tokenizer, options, rows, checkpoints, tell=tell)
    return train_rows(model, tokenizer, options, rows, 64, checkpoints, tell=tell)


BOTH = pytest.mark.parametrize(
    "auto", [AutoModelForCausalLM, AutoModelForSequenceClassification], ids=["text", "head"]
)


@BOTH
def test_what_the_engine_wrote_does_not_count_once_the_trainer_trains(auto, root, tmp_path):
    """The engine writes a checkpoint after step 6, then memory is short; the trainer after 2."""
    tokenizer = AutoTokenizer.from_pretrained(root / "models" / "tiny" / "tiny-qwen2")
    with pytest.raises(KeyboardInterrupt):
        train(auto, tokenizer, Checkpoints(tmp_path, "these"), Teller(7, 11))
    found = Checkpoints(tmp_path, "these").look()
    assert (found.engine, found.step) == ("trl", 2)
    assert found.reason == "the engine ran out of device memory"


@BOTH
def test_the_trainer_begins_without_the_state_of_the_engines_optimizer(auto, root, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(root / "models" / "tiny" / "tiny-qwen2")

    class Counting(Teller):
        """Counts the optimizers with a state when the trainer tells of its first step."""

        states = None

        def __call__(self, record):
            super().__call__(record)
            if self.count == 8:
                found = [o for o in gc.get_objects() if isinstance(o, torch.optim.Optimizer)]
                mine = {id(p) for p in model.parameters()}
                # accelerate's wrapper shows the state of the one that it wraps
                self.states = len(
                    {id(o.state) for o in found if any(id(p) in mine for p in o.state)}
                )

    model, tell = model_of(auto), Counting(7, 0)
    done = train(auto, tokenizer, Checkpoints(tmp_path, "these"), tell, model)
    assert done.how["reason"] == "the engine ran out of device memory"
    assert tell.states == 1


@BOTH
def test_a_check_that_runs_out_of_memory_leaves_training_to_the_trainer(auto, root, tmp_path):
    tokenizer = AutoTokenizer.from_pretrained(root / "models" / "tiny" / "tiny-qwen2")
    model = model_of(auto)

    def full(*_):
        if not model.training:  # as the check runs it
            raise torch.OutOfMemoryError("out of memory")

    model.get_base_model().model.register_forward_hook(full)
    done = train(auto, tokenizer, Checkpoints(tmp_path, "these"), None, model)
    assert done.how == {"engine": "trl", "reason": "the check ran out of device memory"}
    assert done.steps == 8
