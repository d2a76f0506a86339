"""Regenerates ``harness/keys.json``: ``python -m harness.hf.snapshot``."""

from __future__ import annotations

import dataclasses
import inspect
import json
from pathlib import Path
from typing import Any


def snapshot() -> dict[str, Any]:
    """The field names of the installed libraries' config classes."""
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
    from transformers import BitsAndBytesConfig, GenerationConfig, TrainingArguments
    from trl import SFTConfig

    adapters = {
        str(kind.value).lower(): _fields(config)
        for kind, config in PEFT_TYPE_TO_CONFIG_MAPPING.items()
    }
    parameters = set(inspect.signature(BitsAndBytesConfig.__init__).parameters)
    generation = {key for key in vars(GenerationConfig()) if not key.startswith("_")}
    return {
        "adapter": dict(sorted(adapters.items())),
        "generation": sorted(generation - {"transformers_version"}),
        "quantization": sorted(parameters - {"self", "kwargs"}),
        "trainer": _fields(TrainingArguments),
        "training": _fields(SFTConfig),
    }


def _fields(config: type) -> list[str]:
    return sorted(field.name for field in dataclasses.fields(config) if field.init)


if __name__ == "__main__":
    target = Path(__file__).parent.parent / "keys.json"
    target.write_text(json.dumps(snapshot(), indent=0, sort_keys=True) + "\n", encoding="utf-8")
