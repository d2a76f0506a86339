"""The keys of PEFT, bitsandbytes, TRL and transformers configs, without importing these.

``keys.json`` is a snapshot of the classes' fields, each with the kind of its values;
``python -m harness.hf.snapshot`` regenerates it and a test holds it true.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

HARNESS_TRAINING_KEYS = {"loss_on": "str", "prepare_for_kbit": "bool", "loraplus_lr_ratio": "float"}
"""Training keys of the harness itself: `loss_on` is `answer`, `all` or `prompt` (the answer is
left out of training); `prepare_for_kbit` calls PEFT's `prepare_model_for_kbit_training`, which
upcasts what is not quantized and can cost more memory than quantization saves;
`loraplus_lr_ratio` is LoRA+'s ratio of B's learning rate to A's (Hayou et al. 2024)."""

FULL = "full"
"""The `peft_type` of full fine-tuning: no adapter, every weight is trained."""

MANAGED_TRAINING_KEYS = frozenset(
    {
        "output_dir", "seed", "data_seed", "report_to", "push_to_hub", "disable_tqdm",
        "completion_only_loss", "assistant_only_loss", "dataset_text_field", "run_name",
        "logging_dir", "use_cpu", "resume_from_checkpoint", "remove_unused_columns",
    }
)  # fmt: skip
"""Training keys that the harness sets; a suite that names one is refused."""


@cache
def _snapshot() -> dict[str, Any]:
    text = files("harness").joinpath("keys.json").read_text(encoding="utf-8")
    snapshot: dict[str, Any] = json.loads(text)
    return snapshot


def training_keys() -> dict[str, str]:
    """What `training` takes: `SFTConfig`'s fields and the harness's own, each with its kind."""
    return {**_snapshot()["training"], **HARNESS_TRAINING_KEYS}


def trainer_keys() -> frozenset[str]:
    """The fields of plain `TrainingArguments`."""
    return frozenset(_snapshot()["trainer"])


def generation_keys() -> dict[str, str]:
    """The fields of `GenerationConfig`."""
    return dict(_snapshot()["generation"])


def quantization_keys() -> dict[str, str]:
    """The fields of `BitsAndBytesConfig`."""
    return dict(_snapshot()["quantization"])


def peft_types() -> frozenset[str]:
    """PEFT's method names in lower case, such as `lora` and `ia3`; and `full`, all weights."""
    return frozenset({*_snapshot()["adapter"], FULL})


def adapter_keys(peft_type: str) -> dict[str, str]:
    """The fields of the PEFT config of ``peft_type``; none for `full`."""
    if peft_type == FULL:
        return {}
    return dict(_snapshot()["adapter"][peft_type])
