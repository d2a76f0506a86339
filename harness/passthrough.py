"""The keys of PEFT, bitsandbytes, TRL and transformers configs, without importing these.

``keys.json`` is a snapshot of the classes' fields, each with the kind of its values;
``python -m harness.hf.snapshot`` regenerates it and a test holds it true.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files
from typing import Any

HARNESS_TRAINING_KEYS = {"loss_on": "str"}
"""Training keys of the harness itself: `loss_on` is `answer` or `all`."""

MANAGED_TRAINING_KEYS = frozenset(
    {
        "output_dir", "seed", "data_seed", "report_to", "push_to_hub", "disable_tqdm",
        "completion_only_loss", "assistant_only_loss", "dataset_text_field", "run_name",
        "logging_dir", "resume_from_checkpoint", "remove_unused_columns",
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
    """PEFT's method names in lower case, such as `lora` and `ia3`."""
    return frozenset(_snapshot()["adapter"])


def adapter_keys(peft_type: str) -> dict[str, str]:
    """The fields of the PEFT config of ``peft_type``."""
    return dict(_snapshot()["adapter"][peft_type])
