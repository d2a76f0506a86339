"""The training keys that the harness's training engine follows, known without importing it.

`backends/hf/training/evidence.py` asks before it trains, and the plan says beforehand which cells
TRL will train because of their keys. `docs/training.md` describes both engines.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.suite.options import HARNESS_TRAINING_KEYS, Options, trainer_keys

KEYS = frozenset(
    {
        # the harness's own and those that it sets
        "output_dir", "use_cpu", "seed", "data_seed", "report_to", "disable_tqdm",
        "dataloader_pin_memory", "logging_steps", "max_length", "save_strategy", "save_steps",
        "save_total_limit", "auto_find_batch_size",
        # what is learned, how often and from how many rows
        "num_train_epochs", "max_steps", "per_device_train_batch_size",
        "gradient_accumulation_steps", "train_sampling_strategy", "padding_free",
        # the optimizer and its schedule
        "optim", "learning_rate", "weight_decay", "adam_beta1", "adam_beta2", "adam_epsilon",
        "max_grad_norm", "lr_scheduler_type", "lr_scheduler_kwargs", "warmup_steps", "warmup_ratio",
        # precision and memory
        "bf16", "tf32", "gradient_checkpointing", "activation_checkpointing",
    }
)  # fmt: skip
"""Keys of `SFTConfig` that the engine follows; any other one in a suite means TRL."""
VALUES: Mapping[str, frozenset[str]] = {
    "optim": frozenset(
        {"adamw_torch", "adamw_torch_fused", "adamw_8bit", "adamw_bnb_8bit", "paged_adamw_8bit",
         "paged_adamw_32bit"}
    ),
    "lr_scheduler_type": frozenset(
        {"linear", "cosine", "constant", "constant_with_warmup", "cosine_with_restarts",
         "polynomial", "inverse_sqrt"}
    ),
    "train_sampling_strategy": frozenset({"random", "sequential"}),
    "save_strategy": frozenset({"no", "steps", "epoch"}),
}  # fmt: skip
"""The values of some of them that it follows."""
OFF = frozenset(
    {
        "packing", "eval_packing", "shuffle_dataset", "torch_compile", "fp16",
        "logging_nan_inf_filter", "label_smoothing_factor", "dataloader_drop_last",
        "full_determinism", "use_liger_kernel", "activation_offloading", "logging_first_step",
        # true, it saves a random number an epoch, and dropout falls elsewhere
        "dataloader_persistent_workers",
    }
)  # fmt: skip
"""Keys that change nothing while they are false, or 0."""
NO_EFFECT = frozenset(
    {
        # how quickly rows are read, not which: the harness prepares them
        "dataset_num_proc", "dataloader_num_workers", "dataloader_prefetch_factor",
        # evaluation in the midst of training, which a suite cannot turn on
        "eval_accumulation_steps", "eval_delay", "eval_steps", "per_device_eval_batch_size",
        "prediction_loss_only", "bf16_full_eval", "fp16_full_eval",
        # what is written where, and by which process of several: there is one
        "log_level", "log_level_replica", "log_on_each_node", "save_on_each_node",
        "average_tokens_across_devices", "do_train", "do_eval", "do_predict",
    }
)  # fmt: skip
"""Keys of training scripts that change no number of a training here; a test compares them."""


def trl_keys(training: Mapping[str, Any]) -> str | None:
    """Return the keys or values of ``training`` that only TRL follows; None if there are none."""
    known = KEYS | NO_EFFECT | HARNESS_TRAINING_KEYS.keys()
    extra = sorted(
        key
        for key, value in training.items()
        if key not in known and value is not None and not (key in OFF and not value)
    )
    if extra:
        return f"training keys {', '.join(extra)}"
    for key, values in VALUES.items():
        value = training.get(key)
        if value is not None and str(value) not in values:
            return f"{key} {value}"
    return None


def is_checkpointed(training: Options) -> bool:
    """Whether the pass back computes activations anew; transformers' newer name of it counts."""
    newer = training.get("activation_checkpointing")
    return bool(training.get("gradient_checkpointing") if newer is None else newer)


def keys_without_head(training: Options) -> list[str]:
    """The keys of ``training`` that train text alone: under a classification head they do nothing.

    They are `SFTTrainer`'s own; a head is trained as transformers' `Trainer` does it.
    """
    known = trainer_keys() | HARNESS_TRAINING_KEYS.keys() | {"max_length"}
    return sorted(key for key, value in training.items() if value and key not in known)
