"""Checks of pass-through options: key names, kinds of values, contradictions.

The keys are those of PEFT, bitsandbytes, TRL and transformers configs, read without importing
these: ``keys.json`` is a snapshot of the classes' fields, each with the kind of its values;
``python -m harness.backends.hf.library_keys`` regenerates it and a test holds it true. So a suite
is refused with the line and the nearest key before anything heavy is imported.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from harness.registry import did_you_mean
from harness.trackers.names import KIND as REPORT_TO
from harness.trackers.names import TRACKERS, has_unknown

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


def contradictions(kind: str, options: Options) -> Iterator[tuple[str, str]]:
    """Each key of ``options`` that cannot hold beside the others, with the reason."""
    for key, (holds, reason) in CONTRADICTIONS.get(kind, {}).items():
        if key in options and holds(options):
            yield key, reason


def _sampling_without_sampling(options: Options) -> bool:
    return not options.get("do_sample", False)


def _not_positive(key: str) -> Callable[[Options], bool]:
    """Whether ``key`` is a number that is too low; what is no number is refused for its kind."""
    return lambda o: isinstance(o[key], int | float) and o[key] <= 0


def _no_steps(options: Options) -> bool:
    """Without an epoch and without `max_steps` the trainer ends at once, and says nothing."""
    steps = options.get("max_steps", 0)
    return _not_positive("num_train_epochs")(options) and not (isinstance(steps, int) and steps > 0)


_UNUSED = "has no effect without `do_sample: true`"
_NO_EVALUATION = "the harness scores the trained adapter itself; delete this key"
_NOT_ENOUGH = "an interrupted training could not go on as it was; delete this key"
CONTRADICTIONS: dict[str, dict[str, tuple[Callable[[Options], bool], str]]] = {
    "training": {
        "fp16": (lambda o: bool(o["fp16"] and o.get("bf16")), "bf16 and fp16 exclude each other"),
        "warmup_ratio": (
            lambda o: bool(o["warmup_ratio"] and o.get("warmup_steps")),
            "warmup_ratio and warmup_steps exclude each other",
        ),
        "eval_strategy": (lambda o: o["eval_strategy"] not in ("no", False), _NO_EVALUATION),
        "load_best_model_at_end": (lambda o: bool(o["load_best_model_at_end"]), _NO_EVALUATION),
        "loss_on": (
            lambda o: o["loss_on"] not in ("answer", "all", "prompt"),
            "must be `answer`, `all` or `prompt`",
        ),
        **{
            key: (_not_positive(key), "must be above 0")
            for key in (
                "learning_rate",
                "per_device_train_batch_size",
                "gradient_accumulation_steps",
                "max_length",
                "devices",
            )
        },
        "max_steps": (
            # the trainer makes one step or all of them, by its version
            lambda o: o["max_steps"] == 0 and not isinstance(o["max_steps"], bool),
            "must be above 0; leave it out to count epochs",
        ),
        "num_train_epochs": (_no_steps, "must be above 0, or nothing is trained"),
        "report_to": (
            lambda o: has_unknown(o["report_to"]),
            f"a list holds names of trackers alone: {', '.join(TRACKERS)}",
        ),
        "save_strategy": (lambda o: o["save_strategy"] == "best", _NO_EVALUATION),
        "save_steps": (
            lambda o: o.get("save_strategy") != "steps" or _not_positive("save_steps")(o),
            "must be above 0, and has no effect without `save_strategy: steps`",
        ),
        "save_total_limit": (_not_positive("save_total_limit"), "must be above 0"),
        "save_only_model": (lambda o: bool(o["save_only_model"]), _NOT_ENOUGH),
        "ignore_data_skip": (lambda o: bool(o["ignore_data_skip"]), _NOT_ENOUGH),
    },
    "generation": {
        **dict.fromkeys(
            ("temperature", "top_p", "top_k", "min_p", "typical_p"),
            (_sampling_without_sampling, _UNUSED),
        ),
        "max_new_tokens": (_not_positive("max_new_tokens"), "must be above 0"),
        "num_return_sequences": (
            lambda o: o["num_return_sequences"] not in (None, 1),
            "an example has one prediction",
        ),
        "max_length": (lambda o: o["max_length"] is not None, "use max_new_tokens"),
    },
    "quantization": {
        "load_in_8bit": (
            lambda o: bool(o["load_in_8bit"] and o.get("load_in_4bit")),
            "load_in_8bit and load_in_4bit exclude each other",
        ),
        **{
            key: (
                lambda o: not o.get("load_in_4bit"),
                "has no effect without `load_in_4bit: true`",
            )
            for key in (
                "bnb_4bit_quant_type",
                "bnb_4bit_use_double_quant",
                "bnb_4bit_compute_dtype",
            )
        },
        "llm_int8_threshold": (
            lambda o: not o.get("load_in_8bit"),
            "has no effect without `load_in_8bit: true`",
        ),
    },
    "adapter": {"r": (_not_positive("r"), "must be above 0")},
}
"""Kind of options → key → when it is wrong, and why."""


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


def is_checkpointed(training: Options) -> bool:
    """Whether the pass back computes activations anew; transformers' newer name of it counts."""
    newer = training.get("activation_checkpointing")
    return bool(training.get("gradient_checkpointing") if newer is None else newer)


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
