"""Checks of pass-through options: key names, kinds of values, contradictions.

The keys are those of PEFT, bitsandbytes, TRL and transformers configs, read without importing
these: ``keys.json`` is a snapshot of the classes' fields, each with the kind of its values;
``python -m harness.backends.hf.library_keys`` regenerates it and a test holds it true. So a suite
is refused with the line and the nearest key before anything heavy is imported.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from harness.registry import did_you_mean
from harness.trackers.names import KIND as REPORT_TO

Options = Mapping[str, Any]
KINDS: dict[str, tuple[type, ...]] = {
    "bool": (bool,),
    "int": (int,),
    "float": (int, float),
    "str": (str,),
    "list": (list, tuple),
    "dict": (dict,),
    "none": (type(None),),
}
WORDS = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "list": "a list",
    "dict": "keys and values",
    "none": "null",
}


def key_problems(options: Options, known: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """Each wrong key of ``options`` with what is wrong: its name, or the kind of its value."""
    for key, value in options.items():
        if key not in known:
            yield key, f'unknown key "{key}". {did_you_mean(key, known)}'
        else:
            wrong = kind_problem(value, known[key])
            if wrong:
                yield key, wrong


def kind_problem(value: object, kinds: str) -> str | None:
    """Why ``value`` is of none of ``kinds``; None if it is, or if they are not known.

    Args:
        value: what the suite says.
        kinds: `any`, or kinds joined by `|`, such as `float|none` or `=no|=steps|=epoch`,
            where `=` marks a value that is allowed by itself.
    """
    allowed = kinds.split("|")
    if isinstance(value, float) and not math.isfinite(value):
        return f"expected a finite number, got {value!r}"
    if "any" in allowed:
        return None
    choices = [choice[1:] for choice in allowed if choice.startswith("=")]
    if isinstance(value, str) and value in choices:
        return None
    for kind in allowed:
        types = KINDS.get(kind, ())
        if isinstance(value, types) and not (isinstance(value, bool) and kind in ("int", "float")):
            return None
    if choices and isinstance(value, str):
        return f'"{value}" is not one of its values. {did_you_mean(value, choices)}'
    words = " or ".join([*(WORDS[k] for k in allowed if k in WORDS), *choices])
    return f"expected {words}, got {value!r}"


HARNESS_TRAINING_KEYS = {
    "loss_on": "=answer|=all|=prompt",
    "prepare_for_kbit": "bool",
    "loraplus_lr_ratio": "float",
    "engine": "=auto|=trl",
    "unpack_4bit": "bool",
    "devices": "int",
}
"""Training keys of the harness itself, each with the kind of its value."""

OWN_KEYS = {
    "loss_on": "The tokens that are learned: those of the `answer` alone, of `all` the row, or of "
    "the `prompt` (the answer is left out of training).",
    "prepare_for_kbit": "Call PEFT's `prepare_model_for_kbit_training`. It upcasts what is not "
    "quantized, which can cost more memory than quantization saves.",
    "loraplus_lr_ratio": "LoRA+: the learning rate of B as a multiple of A's (Hayou et al. 2024).",
    "engine": "What trains: `auto`, the harness's own engine where it is known to give TRL's "
    "losses and TRL elsewhere, or `trl`, always `SFTTrainer`.",
    "unpack_4bit": "Unpack 4-bit weights once for the whole training: faster, the same numbers, "
    "two bytes more for each weight. Without effect on other weights.",
    "devices": "Train one cell on so many GPUs, data-parallel, each with a batch of "
    "`per_device_train_batch_size`. Answers and speed are measured on one.",
}
"""What each training key of the harness itself does."""

BITS_AND_BYTES = "bitsandbytes"
"""The `quant_method` where a quantization names none."""

LOSS_TYPES = "=nll|=dft|=chunked_nll"
"""What `SFTTrainer` takes as `loss_type`. The field is a plain text: the trainer refuses others
when the model is loaded, which is late. `chunked_nll` is deprecated and read as `nll`."""

FULL = "full"
"""The `peft_type` of full fine-tuning: no adapter, every weight is trained."""

MANAGED_TRAINING_KEYS = frozenset(
    {
        "output_dir", "seed", "data_seed", "push_to_hub", "disable_tqdm",
        "completion_only_loss", "assistant_only_loss", "dataset_text_field", "run_name",
        "logging_dir", "use_cpu", "resume_from_checkpoint", "remove_unused_columns",
    }
)  # fmt: skip
"""Training keys that the harness sets; a suite that names one is refused."""


@cache
def _snapshot() -> Mapping[str, Any]:
    text = files("harness.suite").joinpath("keys.json").read_text(encoding="utf-8")
    snapshot: Mapping[str, Any] = json.loads(text)
    return snapshot


def training_keys() -> dict[str, str]:
    """What `training` takes: `SFTConfig`'s fields and the harness's own, each with its kind."""
    return {
        **_snapshot()["training"],
        "loss_type": LOSS_TYPES,
        "report_to": REPORT_TO,
        **HARNESS_TRAINING_KEYS,
    }


def training_value(training: Options, key: str) -> Any:
    """The value of ``key`` as the trainer takes it: the suite's, else `SFTConfig`'s own default."""
    if key in training:
        return training[key]
    return _snapshot()["training_defaults"][key]


def trainer_keys() -> frozenset[str]:
    """The fields of plain `TrainingArguments`."""
    return frozenset(_snapshot()["trainer"])


def generation_keys() -> dict[str, str]:
    """The fields of `GenerationConfig`."""
    return dict(_snapshot()["generation"])


def quantization_keys(method: object = None) -> dict[str, str]:
    """The fields of the quantization config of ``method``; by default `BitsAndBytesConfig`'s.

    A method that is not known takes none but `quant_method` itself, which is then refused.
    """
    if method in (None, BITS_AND_BYTES):
        found = dict(_snapshot()["quantization"])
    else:
        known = _snapshot()["quantizers"]
        # a suite may hold anything here, a list too, which no dictionary can look up
        found = dict(known.get(method, {})) if isinstance(method, str) else {}
    methods = [BITS_AND_BYTES, *quantization_methods()]
    return {**found, "quant_method": "|".join(f"={name}" for name in methods)}


def quantization_methods() -> list[str]:
    """The `quant_method`s of transformers beside bitsandbytes, such as `gptq` and `fp8`."""
    return sorted(_snapshot()["quantizers"])


def peft_types() -> frozenset[str]:
    """PEFT's method names in lower case, such as `lora` and `ia3`; and `full`, all weights."""
    return frozenset({*_snapshot()["adapter"], FULL})


def adapter_keys(peft_type: str) -> dict[str, str]:
    """The fields of the PEFT config of ``peft_type``; none for `full`."""
    if peft_type == FULL:
        return {}
    return dict(_snapshot()["adapter"][peft_type])
