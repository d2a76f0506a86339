"""No key, value or field is on the engine's allow-list that no case compares with TRL."""

import dataclasses

from same_training import few_steps
from training_cases import CASES
from trl import SFTConfig

from harness.backends.hf.training.evidence import LORA_FIELDS
from harness.suite.engine_keys import KEYS, NO_EFFECT, OFF, VALUES, trl_keys

ELSEWHERE = {
    "save_steps": "test_checkpoints.py",
    "save_total_limit": "test_checkpoints.py", "auto_find_batch_size": "tests/run/test_batch_size.py",
    "tf32": "of CUDA alone", "warmup_ratio": "of older versions of transformers",
}  # fmt: skip
"""Keys of the allow-list that no case here sets, and where they are tried or why they cannot be."""


def test_every_key_and_value_of_the_allow_list_is_compared(tmp_path):
    tried = {key for case in CASES.values() for key in case.training}
    assert KEYS - tried - few_steps(tmp_path).keys() == ELSEWHERE.keys()
    assert set(CASES["keys without effect"].training) - {"max_steps"} == NO_EFFECT
    for key, values in VALUES.items():
        found = {case.training.get(key) for case in CASES.values()} - {None}
        # what is left out is what the others compare: the defaults
        usual = {"optim": "adamw_torch_fused", "lr_scheduler_type": "linear"}
        if key != "save_strategy":  # that is for test_checkpoints.py
            assert found | {usual.get(key, "random")} == values


def test_every_field_of_lora_is_compared():
    tried = {key for case in CASES.values() for key in case.adapter or ()}
    usual = {"r", "lora_alpha"}  # of every case, in `model_of`
    assert LORA_FIELDS - tried - usual == {
        "peft_type", "task_type", "auto_mapping", "peft_version", "base_model_name_or_path",
        "revision", "inference_mode", "runtime_config",
    }  # fmt: skip


def test_every_field_of_trl_is_followed_refused_or_means_trl():
    """No field is in two of the lists, and no list names a field that TRL has removed."""
    fields = {field.name for field in dataclasses.fields(SFTConfig) if field.init}
    assert fields | {"warmup_ratio"} >= KEYS | NO_EFFECT | OFF
    assert not KEYS & NO_EFFECT
    assert not (KEYS | NO_EFFECT) & OFF
    for name in fields - KEYS - NO_EFFECT:
        assert trl_keys({name: 1}) == f"training keys {name}"
