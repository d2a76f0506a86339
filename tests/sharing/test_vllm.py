"""What vLLM serves beside a base, what has to be merged, and the command."""

from pathlib import Path

import pytest

from harness.sharing.vllm import generation_config, merging_reason, serve_command

LORA = {"peft_type": "LORA", "r": 12, "bias": "none", "use_dora": False, "modules_to_save": None}


@pytest.mark.parametrize(
    ("change", "quantization", "reason"),
    [
        ({}, "none", None),
        ({}, "nf4", "trained on nf4 weights"),
        ({"peft_type": "IA3"}, "none", "LoRA alone, and this is IA3"),
        ({"use_dora": True}, "none", "no LoRA with `use_dora`"),
        ({"modules_to_save": ["lm_head"]}, "none", "no LoRA with `modules_to_save`"),
        ({"bias": "all"}, "none", "no LoRA with `bias`"),
        ({"rank_pattern": {"q_proj": 2}}, "none", "no LoRA with `rank_pattern`"),
        ({"r": 1024}, "none", "up to rank 512"),
    ],
)
def test_what_cannot_be_served_beside_its_base_has_a_reason(change, quantization, reason):
    found = merging_reason({**LORA, **change}, quantization)
    assert (found is None) if reason is None else reason in found


def test_the_command_names_base_revision_and_a_rank_that_vllm_takes():
    command = serve_command(
        Path("/out/my lora"), "mine", base="o/base", revision="abc", config=LORA
    )
    assert command == (
        "vllm serve o/base --revision abc --enable-lora --lora-modules 'mine=/out/my lora/adapter'"
        " --max-lora-rank 16 --generation-config '/out/my lora/serving'"
    )
    merged = serve_command(Path("/out/m"), "m", base=None, revision="abc", config={})
    assert merged == "vllm serve /out/m --served-model-name m --generation-config /out/m/serving"


@pytest.mark.parametrize(
    ("generation", "wanted"),
    [
        ({"do_sample": False, "top_k": 5}, {"eos_token_id": [3], "temperature": 0.0}),
        (
            {"do_sample": True, "temperature": 0.5, "top_p": 0.9, "max_new_tokens": 8},
            {"eos_token_id": [3], "temperature": 0.5, "top_p": 0.9},
        ),
    ],
)
def test_sampling_is_that_of_the_cell(generation, wanted):
    assert generation_config(generation, [3]) == wanted
