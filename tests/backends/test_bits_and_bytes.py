"""A quantization of a suite as arguments of `BitsAndBytesConfig`."""

import pytest

from harness.backends.bits_and_bytes import HEADS, config_arguments

CASES = {
    "int8": ({"load_in_8bit": True}, "bfloat16", {"load_in_8bit": True}),
    "4 bits": (
        {"load_in_4bit": True, "quant_method": "bitsandbytes"}, "bfloat16",
        {"load_in_4bit": True, "bnb_4bit_compute_dtype": "bfloat16"},
    ),
    "4 bits that say what they compute in": (
        {"load_in_4bit": True, "bnb_4bit_compute_dtype": "float32"}, "bfloat16",
        {"load_in_4bit": True, "bnb_4bit_compute_dtype": "float32"},
    ),
    "4 bits of a checkpoint's own dtype": ({"load_in_4bit": True}, None, {"load_in_4bit": True}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_heads_stay_as_they_are_and_4_bits_compute_in_the_cells_dtype(name):
    options, dtype, wanted = CASES[name]
    assert config_arguments(options, dtype) == {"llm_int8_skip_modules": HEADS, **wanted}


def test_a_suite_may_name_other_modules_to_skip():
    options = {"load_in_8bit": True, "llm_int8_skip_modules": ["lm_head"]}
    assert config_arguments(options, None) == options
