"""What the training engine takes, option by option: the cases that are compared with TRL."""

from dataclasses import dataclass, field

from same_training import LOSS
from tiny_geometries import NO_DROPOUT, tiny

MODELS = {
    "qwen2": tiny("qwen2"),
    "llama": tiny("llama"),
    "mistral": tiny("mistral", sliding_window=32),
    "qwen3": tiny("qwen3"),
    "gemma3": tiny("gemma3", sliding_window=32),
    "gpt2": tiny("gpt2", **NO_DROPOUT),
}
WEIGHTS = 1e-3


@dataclass
class Case:
    """One option of the allow-list, and what it needs."""

    training: dict = field(default_factory=dict)
    adapter: dict | None = field(default_factory=dict)
    """None for full fine-tuning."""
    model: str = "qwen2"
    equal: int | None = None
    """The length of all rows; None for rows of different lengths."""
    weights: float = WEIGHTS
    log: float = LOSS
    """How far numbers of the log may be apart."""


CASES = {
    "lora": Case(),
    "dora": Case(adapter={"use_dora": True}),
    "rslora": Case(adapter={"use_rslora": True}),
    "pissa": Case(adapter={"init_lora_weights": "pissa"}),
    "lora+": Case({"loraplus_lr_ratio": 8.0}),
    "biases": Case(adapter={"bias": "lora_only", "lora_bias": True}),
    "biases of all": Case({"weight_decay": 0.3}, adapter={"bias": "all"}),
    **{
        f"begins {name}": Case(adapter={"init_lora_weights": value})
        for name, value in {
            "gaussian": "gaussian",
            "olora": "olora",
            "orthogonal": "orthogonal",
            "anywhere": False,
            "pissa by iteration": "pissa_niter_4",
        }.items()
    },
    "dora, dropout, equal rows": Case(adapter={"use_dora": True, "lora_dropout": 0.3}, equal=16),
    "some layers": Case(
        adapter={
            "layers_to_transform": [1],
            "layers_pattern": "layers",
            "target_modules": ["q_proj"],
        }
    ),
    "all but one": Case(adapter={"exclude_modules": ["q_proj"]}),
    "embeddings": Case(
        {"loraplus_lr_ratio": 3.0}, adapter={"target_modules": ["embed_tokens", "q_proj"]}
    ),
    "transposed": Case(
        adapter={"target_modules": ["c_attn"], "fan_in_fan_out": True}, model="gpt2"
    ),
    "patterns": Case(adapter={"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"q_proj": 3}}),
    "full": Case(adapter=None),
    "dropout, equal rows": Case(adapter={"lora_dropout": 0.3}, equal=16),
    "accumulation": Case({"gradient_accumulation_steps": 3}),
    "accumulation over an epoch's end": Case(
        {"gradient_accumulation_steps": 4, "max_steps": -1, "num_train_epochs": 2}
    ),
    "part of an epoch": Case({"max_steps": -1, "num_train_epochs": 0.7}),
    "several epochs": Case({"max_steps": 9}),
    "sequential": Case({"train_sampling_strategy": "sequential"}),
    "no clipping": Case({"max_grad_norm": 0.0}),
    "no clipping, said by a number below 0": Case({"max_grad_norm": -1.0}),
    "tight clipping": Case({"max_grad_norm": 0.01}),
    "decay": Case({"weight_decay": 0.3}, adapter=None),
    "betas": Case({"adam_beta1": 0.7, "adam_beta2": 0.9, "adam_epsilon": 1e-4}),
    "unfused": Case({"optim": "adamw_torch"}),
    "8 bit": Case({"optim": "adamw_8bit"}),
    "8 bit of bitsandbytes": Case({"optim": "adamw_bnb_8bit"}),
    "8 bit, paged": Case({"optim": "paged_adamw_8bit"}),
    "paged": Case({"optim": "paged_adamw_32bit"}),
    "cosine": Case({"lr_scheduler_type": "cosine", "warmup_steps": 2}),
    "constant": Case({"lr_scheduler_type": "constant"}),
    "warm-up": Case({"lr_scheduler_type": "constant_with_warmup", "warmup_steps": 3}),
    "restarts": Case(
        {"lr_scheduler_type": "cosine_with_restarts", "lr_scheduler_kwargs": {"num_cycles": 2}}
    ),
    "polynomial": Case({"lr_scheduler_type": "polynomial"}),
    "polynomial to a rate above 0, lora+": Case(
        {
            "lr_scheduler_type": "polynomial",
            "lr_scheduler_kwargs": {"power": 2.0, "lr_end": 1e-3},
            "loraplus_lr_ratio": 8.0,
        }
    ),
    "warm-up as a share": Case({"warmup_steps": 0.4}),
    "inverse root": Case({"lr_scheduler_type": "inverse_sqrt", "warmup_steps": 1}),
    "checkpointing": Case({"gradient_checkpointing": True}),
    "checkpointing under its newer name": Case({"activation_checkpointing": True}),
    "padding free": Case({"padding_free": True}),
    "cut rows": Case({"max_length": 12}),
    "rows as they are": Case({"max_length": None, "max_steps": 12}),
    "more rows a batch than there are": Case({"per_device_train_batch_size": 64}),
    "more batches a step than there are": Case({"gradient_accumulation_steps": 50, "max_steps": 3}),
    "rarer logging": Case({"logging_steps": 2}),
    "everything at once": Case(
        {
            "loraplus_lr_ratio": 4.0,
            "gradient_accumulation_steps": 2,
            "weight_decay": 0.1,
            "lr_scheduler_type": "cosine",
            "warmup_steps": 2,
            "logging_steps": 2,
            "max_steps": 6,
        },
        {"use_rslora": True},
    ),
    # rounded elsewhere: the rows of a flat batch are products of another shape
    "bf16": Case({"bf16": True}, weights=3e-2, log=5e-3),
    "keys without effect": Case(
        {
            "dataset_num_proc": 1,
            "dataloader_num_workers": 2,
            "dataloader_prefetch_factor": 3,
            "eval_accumulation_steps": 2,
            "eval_delay": 3,
            "eval_steps": 5,
            "per_device_eval_batch_size": 3,
            "prediction_loss_only": True,
            "bf16_full_eval": True,
            "fp16_full_eval": False,
            "log_level": "error",
            "log_level_replica": "error",
            "log_on_each_node": False,
            "save_on_each_node": True,
            "average_tokens_across_devices": False,
            "do_train": True,
            "do_eval": True,
            "do_predict": True,
            "max_steps": 12,
        },
        {"lora_dropout": 0.3},
        equal=16,
    ),
    "one row": Case({"per_device_train_batch_size": 1}),
    **{name: Case(model=name) for name in MODELS},
    # Adam moves a weight by a whole step where its gradient is rounding alone; this model has such
    "nf4": Case({"learning_rate": 5e-4}, model="nf4", weights=1e-2),
    "fp4": Case({"learning_rate": 5e-4}, model="fp4", weights=1e-2),
    "nf4, quantized twice": Case({"learning_rate": 5e-4}, model="nf4 twice", weights=1e-2),
    "bfloat16": Case({"bf16": True}, model="bfloat16", weights=6e-2, log=2e-2),
    "nf4 unpacked": Case({"learning_rate": 5e-4, "unpack_4bit": True}, model="nf4", weights=1e-2),
}
