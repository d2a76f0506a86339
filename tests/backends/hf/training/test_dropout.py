"""What is dropped out is dropped again when gradient checkpointing computes a layer anew."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForSequenceClassification,
    GPTNeoXConfig,
    LlamaConfig,
    OPTConfig,
    Starcoder2Config,
    set_seed,
)
from transformers.models.auto.modeling_auto import AutoModelForCausalLM
from trl import SFTConfig

from harness.backends.hf.training.dropout import (
    UNCOUNTED,
    config_dropouts,
    drops_out,
    masks_reason,
)
from harness.backends.hf.training.engine import FlatTraining
from harness.backends.hf.training.flat_batch import rows_of
from harness.backends.hf.training.fused import Fused
from harness.backends.hf.training.fused_lora import Copies
from harness.backends.hf.training.head import LABELS, head_rows
from harness.backends.hf.training.head_check import trainer_reason
from harness.backends.hf.training.objective import TEXT

SIZES = {
    "vocab_size": 64, "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2,
    "max_position_embeddings": 64, "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
OPT = {**SIZES, "ffn_dim": 48, "word_embed_proj_dim": 32, "num_labels": 2}
LLAMA = {**SIZES, "intermediate_size": 48, "num_key_value_heads": 1, "num_labels": 2}
MODELS = {
    "opt": (OPTConfig(**OPT), ["dropout"]),
    "opt without": (OPTConfig(**OPT, dropout=0.0), []),
    "opt's head": (OPTConfig(**OPT), ["dropout"]),
    "starcoder2": (
        Starcoder2Config(**LLAMA, residual_dropout=0.2, embedding_dropout=0.1),
        ["embedding_dropout", "residual_dropout"],
    ),
    "llama's head": (LlamaConfig(**LLAMA, attention_dropout=0.1), ["attention_dropout"]),
    "llama": (LlamaConfig(**LLAMA), []),
    "neox": (GPTNeoXConfig(**SIZES, intermediate_size=48), []),
}  # fmt: skip
TARGETS = {"neox": ["query_key_value"]}


def built(name, lora_dropout=0.0):
    config, _ = MODELS[name]
    head = "head" in name
    set_seed(0)
    auto = AutoModelForSequenceClassification if head else AutoModelForCausalLM
    model = auto.from_config(config, dtype=torch.float32)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(0, 0.2)
    lora = LoraConfig(
        r=2, target_modules=TARGETS.get(name, ["q_proj", "v_proj"]), lora_dropout=lora_dropout,
        init_lora_weights=False, task_type="SEQ_CLS" if head else "CAUSAL_LM",
    )  # fmt: skip
    return get_peft_model(model, lora)


def trained(name, checkpointing):
    """What one step of plain gradient descent makes of the adapter: its gradients."""
    model = built(name)
    ids = [[5 + (7 * k + n) % 50 for k in range(12)] for n in range(2)]
    if "head" in name:
        rows = head_rows([{"input_ids": row, "labels": n} for n, row in enumerate(ids)], model)
    else:
        rows = rows_of([{"input_ids": row, "labels": row} for row in ids])
    arguments = SFTConfig(
        output_dir="unused", use_cpu=True, bf16=False, seed=7, save_strategy="no", max_steps=1,
        per_device_train_batch_size=2, optim="sgd", learning_rate=1.0, logging_steps=1,
        max_grad_norm=0.0, gradient_checkpointing=checkpointing,
    )  # fmt: skip
    before = [p.detach().clone() for p in model.parameters() if p.requires_grad]
    objective = LABELS if "head" in name else TEXT
    FlatTraining(model, rows, arguments, objective=objective).run(24)
    after = [p.detach() for p in model.parameters() if p.requires_grad]
    pairs = zip(after, before, strict=True)
    return torch.cat([(new - old).flatten() for new, old in pairs])


@pytest.mark.parametrize("name", MODELS)
def test_checkpointing_gives_the_gradients_of_a_training_without(name):
    plain, checkpointed = trained(name, False), trained(name, True)
    assert float(plain.norm()) > 0
    assert float((checkpointed - plain).norm() / plain.norm()) < 1e-5


@pytest.mark.parametrize("name", MODELS)
def test_a_rate_in_the_config_counts_though_no_module_has_it(name):
    model, (_, fields) = built(name), MODELS[name]
    assert config_dropouts(model) == fields
    assert drops_out(model) is bool(fields)
    assert Fused(Copies(torch.float32)).draws(model) is not bool(fields)


def test_masks_of_the_adapter_alone_are_drawn_by_it():
    own, mixed = built("llama", lora_dropout=0.1), built("opt", lora_dropout=0.1)
    assert drops_out(own)
    # as if all four layers drew their own masks, as they do on a CUDA device
    fused = Fused(Copies(torch.float32, masks=4))
    assert fused.draws(own)
    assert not fused.draws(mixed)
    assert not Fused(Copies(torch.float32)).draws(own)


@pytest.mark.parametrize(
    ("rate", "tokens", "refused"),
    [
        (0.1, UNCOUNTED // 32, True),
        (0.1, UNCOUNTED // 32 - 1, False),
        (0.0, UNCOUNTED, False),
    ],
)
def test_masks_of_more_numbers_than_a_kernel_counts_are_refused(rate, tokens, refused):
    reason = masks_reason(built("llama", lora_dropout=rate), tokens)
    assert reason == (
        f"dropout of {tokens} tokens of 32 numbers, more than its kernel counts"
        if refused
        else None
    )


@pytest.mark.parametrize("field", ["layerdrop", "encoder_layerdrop", "decoder_layerdrop"])
def test_a_head_over_layers_that_are_left_out_is_trained_by_trainer(field, monkeypatch):
    model = built("opt's head")
    options = {"output_dir": "unused", "use_cpu": True, "bf16": False, "save_strategy": "no"}
    asked = (model, options, SFTConfig(**options), [{"input_ids": [5, 6], "labels": 0}])
    assert trainer_reason(*asked) is None
    monkeypatch.setattr(model.config, field, 0.1, raising=False)  # other tests read it too
    reason = trainer_reason(*asked)
    assert reason.startswith("dropout of whole layers (")
    assert field in reason
