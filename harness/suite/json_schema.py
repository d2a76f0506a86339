"""The JSON Schema of a suite, for editors: they complete its keys and flag its mistakes.

Pydantic gives the suite's own keys with their descriptions. The keys that pass through to PEFT,
TRL, transformers and bitsandbytes are free-form there; here they are typed from the same snapshot
of the libraries' classes that the loader checks (``keys.json``), so that an editor and
`harness validate` agree.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from harness.suite import options
from harness.suite.model_card import ModelCard
from harness.suite.schema import AXES, DatasetEntry, Suite

Schema = dict[str, Any]
"""A JSON Schema as plain values."""
TYPES = {
    "bool": "boolean",
    "int": "integer",
    "float": "number",
    "str": "string",
    "list": "array",
    "dict": "object",
    "none": "null",
}
"""Our name for a kind of value → JSON Schema's."""
OPTION_BLOCKS = {"training": "TrainingKeys", "generation": "GenerationKeys"}
"""Free-form block of the suite → the definition that types it."""


def suite_schema() -> Schema:
    """The JSON Schema (draft 2020-12) of a suite file."""
    schema = Suite.model_json_schema()
    defs: Schema = schema["$defs"]
    defs.update(_library_definitions())
    defs["ModelCard"] = _without_required(_merged(ModelCard.model_json_schema(), defs))
    defs["EvaluationKeys"] = _without_required(defs["Evaluation"])
    for owner in (schema, *defs.values()):
        _type_blocks(owner)
    properties = {name: defs[name]["properties"] for name in ("ModelEntry", "AdapterEntry")}
    properties["ModelEntry"]["card"]["anyOf"][0] = _reference("ModelCard")
    _type_config(defs["QuantizationEntry"], "QuantizationKeys", "OtherQuantizationKeys")
    defs["AdapterEntry"]["allOf"] = _configs_by_method(defs)
    properties["AdapterEntry"]["peft_type"]["enum"] = sorted(options.peft_types())
    defs["TrainingEntry"]["properties"]["options"] |= _reference("TrainingKeys")
    tiny = _without_required(DatasetEntry.model_json_schema())
    typed = {"properties": tiny["properties"], "additionalProperties": False}
    defs["Tiny"]["properties"]["dataset"] |= typed
    for block in ("include", "exclude"):
        schema["properties"][block]["items"] = _axes_of(block)
    return schema


def _library_definitions() -> Schema:
    managed = options.MANAGED_TRAINING_KEYS  # the harness sets them: the loader refuses them too
    training = {k: kind for k, kind in options.training_keys().items() if k not in managed}
    return {
        "TrainingKeys": _keys(training, "TRL's `SFTConfig`"),
        "GenerationKeys": _keys(options.generation_keys(), "transformers' `GenerationConfig`"),
        "QuantizationKeys": _keys(
            {**options.quantization_keys(), "quant_method": f"={options.BITS_AND_BYTES}"},
            "`BitsAndBytesConfig`",
        ),
        "OtherQuantizationKeys": {
            "type": "object",
            "description": "Keys of another quantization config of transformers.",
            "properties": {
                "quant_method": {
                    "enum": options.quantization_methods(),
                    "description": "The method; a checkpoint stored so needs nothing else.",
                }
            },
            "required": ["quant_method"],
        },
    }


def _keys(known: Mapping[str, str], library: str) -> Schema:
    """An object of exactly the keys ``known``, each with the kind of its value."""
    properties = {}
    for key, kind in sorted(known.items()):
        text = options.OWN_KEYS.get(key) or f"`{key}` of {library}."
        properties[key] = {**_kind(kind), "description": text}
    return {
        "type": "object",
        "description": f"Keys of {library}.",
        "properties": properties,
        "additionalProperties": False,
    }


def _kind(kinds: str) -> Schema:
    """The schema of a value of ``kinds``, as in ``keys.json``: `float|none`, `=no|=steps`."""
    allowed = kinds.split("|")
    if "any" in allowed:
        return {}
    choices = [kind[1:] for kind in allowed if kind.startswith("=")]
    types = sorted({TYPES[kind] for kind in allowed if kind in TYPES})
    if not choices:
        return {"type": types[0] if len(types) == 1 else types}
    if not types:
        return {"enum": choices}
    return {"anyOf": [{"enum": choices}, {"type": types}]}


def _configs_by_method(defs: Schema) -> list[Schema]:
    """For every PEFT method the keys that `config` takes; without `peft_type` those of LoRA."""
    rules = []
    for method in sorted(options.peft_types()):
        name = f"AdapterKeys_{method}"
        defs[name] = _keys(options.adapter_keys(method), f"PEFT's config of `{method}`")
        chosen: Schema = {"properties": {"peft_type": {"const": method}}}
        if method != "lora":  # the default: an absent `peft_type` matches `const` too
            chosen["required"] = ["peft_type"]
        rules.append({"if": chosen, "then": {"properties": {"config": _reference(name)}}})
    return rules


def _type_blocks(owner: Schema) -> None:
    """Type the free-form `training`, `generation` and `evaluation` of one definition."""
    for block, name in {**OPTION_BLOCKS, "evaluation": "EvaluationKeys"}.items():
        field = owner.get("properties", {}).get(block)
        if field and field.get("additionalProperties") is True:
            del field["additionalProperties"]
            field.update(_reference(name))


def _type_config(entry: Schema, *names: str) -> None:
    choices = entry["properties"]["config"]["anyOf"]
    entry["properties"]["config"]["anyOf"] = [*map(_reference, names), *choices[1:]]


def _axes_of(block: str) -> Schema:
    """An entry of `include` or `exclude`: values on the axes, and for `include` settings."""
    properties: Schema = {
        axis: {"type": "string", "description": f"A name on the `{axis}` axis."}
        for axis in AXES[:-1]
    }
    properties["seed"] = {"type": ["integer", "null"], "description": "A training seed."}
    if block == "include":
        names = {**OPTION_BLOCKS, "evaluation": "EvaluationKeys"}
        for kind, name in names.items():
            text = f"`{kind}` keys for the cells that this entry matches."
            properties[kind] = {**_reference(name), "description": text}
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _merged(schema: Schema, defs: Schema) -> Schema:
    """``schema`` with its own definitions moved into ``defs``."""
    defs.update(schema.pop("$defs", {}))
    return schema


def _without_required(schema: Schema) -> Schema:
    """``schema`` for a block that overrides: any of its keys, none of them needed."""
    return {key: value for key, value in schema.items() if key != "required"}


def _reference(name: str) -> Schema:
    return {"$ref": f"#/$defs/{name}"}
