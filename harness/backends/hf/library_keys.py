"""Regenerates ``harness/suite/keys.json``: ``python -m harness.backends.hf.library_keys``.

A key's kind is written as `suite.options.kind_problem` reads it: `float|none`, `=no|=steps`.
"""

from __future__ import annotations

import dataclasses
import enum
import inspect
import json
import types
import typing
from importlib.metadata import version
from pathlib import Path
from typing import Any

SIMPLE = {bool: "bool", int: "int", float: "float", str: "str", list: "list", dict: "dict"}
SIMPLE_NAMES = {type(None): "none", tuple: "list", set: "list"}
GENERATION = {
    "do_sample": "bool", "max_new_tokens": "int|none", "min_new_tokens": "int|none",
    "num_beams": "int|none", "temperature": "float|none", "top_p": "float|none",
    "top_k": "int|none", "min_p": "float|none", "repetition_penalty": "float|none",
    "stop_strings": "str|list|none", "no_repeat_ngram_size": "int|none",
}  # fmt: skip
"""Kinds that `GenerationConfig` does not declare."""
QUANTIZATION = {"bnb_4bit_quant_type": "=fp4|=nf4"}
"""Narrower than `BitsAndBytesConfig` declares: its two types of four bits."""
COUNTED = (
    "gradient_accumulation_steps", "max_length", "max_steps", "num_train_epochs",
    "per_device_train_batch_size",
)  # fmt: skip
"""Training keys whose defaults decide how long a cell trains and what it needs."""


def snapshot() -> dict[str, object]:
    """The keys of the installed libraries' config classes, each with its kind."""
    from peft.mapping import PEFT_TYPE_TO_CONFIG_MAPPING
    from transformers import BitsAndBytesConfig, GenerationConfig, TrainingArguments
    from trl import SFTConfig

    adapters = {
        str(kind.value).lower(): _fields(config)
        for kind, config in PEFT_TYPE_TO_CONFIG_MAPPING.items()
    }
    generation = {key: "any" for key in vars(GenerationConfig()) if not key.startswith("_")}
    generation.pop("transformers_version", None)
    return {
        "adapter": dict(sorted(adapters.items())),
        "generation": generation | GENERATION,
        "quantization": _parameters(BitsAndBytesConfig.__init__) | QUANTIZATION,
        "quantizers": _quantizers(),
        "trainer": _fields(TrainingArguments),
        "training": _fields(SFTConfig),
        "training_defaults": {key: _default(SFTConfig, key) for key in COUNTED},
        "versions": {name: version(name) for name in ("peft", "transformers", "trl")},
    }


def _quantizers() -> dict[str, dict[str, str]]:
    """`quant_method` → the keys of its config, of every method but bitsandbytes."""
    from transformers.quantizers.auto import AUTO_QUANTIZATION_CONFIG_MAPPING

    return {
        method: dict.fromkeys(sorted(_parameters(config.__init__)), "any")
        for method, config in sorted(AUTO_QUANTIZATION_CONFIG_MAPPING.items())
        if not method.startswith("bitsandbytes")
    }


def _default(config: type, key: str) -> Any:
    return next(field.default for field in dataclasses.fields(config) if field.name == key)


def _fields(config: type) -> dict[str, str]:
    try:
        hints = typing.get_type_hints(config)
    except NameError:  # an annotation that names something imported for type checkers only
        hints = {}
    return {
        field.name: _kind(hints.get(field.name, Any), field.default)
        for field in dataclasses.fields(config)
        if field.init
    }


def _parameters(function: Any) -> dict[str, str]:
    """The parameters of ``function``, of the kind of their default."""
    found = {}
    for name, parameter in inspect.signature(function).parameters.items():
        if name not in ("self", "kwargs"):
            found[name] = SIMPLE.get(type(parameter.default), "any")
    return found


def _kind(hint: Any, default: Any) -> str:
    kinds = sorted({"any"} if hint is Any else set(_kinds(hint)))
    if default is None and "any" not in kinds and "none" not in kinds:
        kinds.append("none")
    if any(kind.startswith("=") for kind in kinds) and "str" in kinds:
        kinds.remove("str")  # `SchedulerType | str` means one of the enumeration's values
    return "any" if "any" in kinds else "|".join(kinds)


def _kinds(hint: Any) -> list[str]:
    origin = typing.get_origin(hint)
    if origin in (typing.Union, types.UnionType):
        return [kind for part in typing.get_args(hint) for kind in _kinds(part)]
    if origin is typing.Literal:
        return [_literal(value) for value in typing.get_args(hint)]
    plain = origin or hint
    if isinstance(plain, type) and issubclass(plain, enum.Enum):
        return [f"={member.value}" for member in plain]
    return [SIMPLE.get(plain) or SIMPLE_NAMES.get(plain) or "any"]


def _literal(value: Any) -> str:
    if isinstance(value, bool):
        return "bool"
    return f"={value}" if isinstance(value, str) and "[" not in value else "any"


if __name__ == "__main__":
    target = Path(__file__).parents[2] / "suite" / "keys.json"
    target.write_text(json.dumps(snapshot(), indent=0, sort_keys=True) + "\n", encoding="utf-8")
