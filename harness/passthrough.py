"""The keys that PEFT, bitsandbytes, TRL and transformers configs take, without importing them.

``keys.json`` is a snapshot of the field names of the libraries' own classes;
``python -m harness.hf.snapshot`` regenerates it and a test holds it true.
"""

from __future__ import annotations

import json
from functools import cache
from importlib.resources import files

HARNESS_TRAINING_KEYS = frozenset({"loss_on"})
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
def _snapshot() -> dict[str, list[str] | dict[str, list[str]]]:
    text = files("harness").joinpath("keys.json").read_text(encoding="utf-8")
    snapshot: dict[str, list[str] | dict[str, list[str]]] = json.loads(text)
    return snapshot


def training_keys() -> frozenset[str]:
    """What `training` takes: `SFTConfig`'s fields and the harness's own."""
    return frozenset(_snapshot()["training"]) | HARNESS_TRAINING_KEYS


def trainer_keys() -> frozenset[str]:
    """The fields of plain `TrainingArguments`."""
    return frozenset(_snapshot()["trainer"])


def generation_keys() -> frozenset[str]:
    """The fields of `GenerationConfig`."""
    return frozenset(_snapshot()["generation"]) | {"stop_strings"}


def quantization_keys() -> frozenset[str]:
    """The fields of `BitsAndBytesConfig`."""
    return frozenset(_snapshot()["quantization"])


def peft_types() -> frozenset[str]:
    """PEFT's method names in lower case, such as `lora` and `ia3`."""
    return frozenset(_snapshot()["adapter"])


def adapter_keys(peft_type: str) -> frozenset[str]:
    """The fields of the PEFT config of ``peft_type``."""
    adapters = _snapshot()["adapter"]
    assert isinstance(adapters, dict)
    return frozenset(adapters[peft_type])
