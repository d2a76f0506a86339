"""How bitsandbytes is told to quantize; known without torch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

HEADS = ["score", "classifier", "lm_head"]
"""Modules that are never quantized: output heads."""


def config_arguments(options: Mapping[str, Any], compute_dtype: object | None) -> dict[str, Any]:
    """The arguments of `BitsAndBytesConfig` for a suite's ``options``.

    Args:
        options: What the quantization axis says.
        compute_dtype: What 4-bit weights compute in, unless ``options`` say; None: the library's.
    """
    found = {"llm_int8_skip_modules": HEADS, **options}
    found.pop("quant_method", None)
    if found.get("load_in_4bit") and compute_dtype is not None:
        found.setdefault("bnb_4bit_compute_dtype", compute_dtype)
    return found
