"""Which cells may train on several devices; `devices` in the plan and the fingerprint."""

from contextlib import nullcontext

import pytest

from harness.errors import HarnessError, SuiteError
from harness.plan.cell import fingerprint
from harness.plan.devices import cards_of, devices_of
from harness.plan.expand import expand
from harness.plan.plan import make_plan
from harness.report.plan_table import plan_lines
from harness.suite.loading import load_suite

SUITE = """\
name: several
matrix:
  model: [{model}]
  quantization: [{quantization}]
  adapter: [{{name: a, {adapter}}}]
  dataset: [{{name: {dataset}, train: 8, test: 4}}]
training: {{max_length: 64, {training}}}
"""
USUAL = {
    "model": "tiny-qwen2", "dataset": "ru-calculations", "quantization": "none", "adapter": "config: {r: 4}", "training": "devices: 2"
}  # fmt: skip


def cells(write_suite, **parts):
    path = write_suite(SUITE.format(**{**USUAL, **parts}))
    backend = parts.get("backend", "hf")
    return {cell.adapter: cell for cell in expand(load_suite(path), path, backend=backend)}


def key(cell):
    return fingerprint(cell, content={})


def test_devices_may_be_set_wherever_training_keys_may(write_suite):
    entry = "{name: tiny-qwen2, training: {devices: 3}}"
    found = cells(write_suite, model=entry, training="warmup_steps: 0")
    assert devices_of(found["a"]) == 3
    assert devices_of(found["base"]) == 1  # nothing is trained


def test_one_device_is_what_a_suite_without_the_key_means(write_suite):
    without, one, two = (
        cells(write_suite, training=text)["a"] for text in ("", "devices: 1", "devices: 2")
    )
    assert key(one) == key(without) != key(two)


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({"training": "devices: 2, save_strategy: epoch"}, "no checkpoints yet"),
        ({"training": "devices: 2, packing: true"}, "packing: not compared"),
        ({"training": "devices: 2, padding_free: true"}, "padding_free: not compared"),
        ({"training": "devices: 2, average_tokens_across_devices: false"}, "average_tokens"),
        ({"training": "devices: 2, optim: adamw_8bit"}, "optim adamw_8bit"),
        ({"training": "devices: 2, train_sampling_strategy: group_by_length"}, "group_by_length"),
        ({"training": "devices: 2, unpack_4bit: true"}, "unpack_4bit"),
        ({"training": "devices: 2, fsdp: full_shard"}, "fsdp: not compared"),
        ({"adapter": "peft_type: ia3, config: {}"}, "peft_type ia3"),
        ({"adapter": "config: {r: 4, use_dora: true}"}, "use_dora of the adapter"),
        ({"adapter": "config: {r: 4, init_lora_weights: pissa}"}, "init_lora_weights pissa"),
        ({"quantization": "int8"}, "quantization int8"),
        ({"backend": "testing"}, 'backend "testing" trains on one device'),
    ],
)
def test_what_was_not_compared_is_refused(write_suite, parts, reason):
    with pytest.raises(HarnessError, match=r"training\.devices: 2: .*") as error:
        cells(write_suite, **parts)
    assert reason in str(error.value)


def test_the_plan_says_from_how_many_rows_a_step_learns(write_suite, tmp_path):
    training = "devices: 2, per_device_train_batch_size: 4, gradient_accumulation_steps: 3"
    path = write_suite(SUITE.format(**{**USUAL, "training": training}))
    lines = plan_lines(make_plan(path, tmp_path / "run"))
    assert "1 of the cells trains on 2 devices each: a step learns from 24 rows" in lines
    assert not any("not the faster engine" in line for line in lines)


@pytest.mark.parametrize(
    ("parts", "reason"),
    [
        ({}, None),
        ({"quantization": "nf4"}, None),
        ({"training": "gradient_checkpointing: true"}, None),
        ({"training": "devices: 2"}, "a copy of the model on each device"),
        ({"training": "packing: true"}, "packing: not compared"),
        ({"quantization": "int8"}, "quantization int8"),
        ({"adapter": "peft_type: full"}, "only LoRA adapters that stay attached"),
        ({"adapter": "config: {r: 4}, serve: merged"}, "only LoRA adapters that stay attached"),
        ({"adapter": "config: {r: 4, use_dora: true}"}, "use_dora of the adapter"),
        ({"dataset": "finance-labels, classify_by: head"}, "a classification head"),
        ({"backend": "testing"}, 'the backend "testing" knows one device'),
    ],
)
def test_a_model_lies_on_several_gpus_where_that_was_compared(write_suite, parts, reason):
    entry = "{name: tiny-qwen2, card: {requires: {gpus: 2}}, like: tiny-qwen2}"
    with pytest.raises(HarnessError) if reason else nullcontext() as error:
        found = cells(write_suite, **{"model": entry, "training": "warmup_steps: 0", **parts})
    if reason:
        assert "requires.gpus: 2: " in str(error.value)
        assert reason in str(error.value)
    else:
        assert [cards_of(cell) for cell in found.values()] == [2, 2]


def test_the_plan_says_whose_model_lies_on_several_gpus(write_suite, tmp_path):
    entry = "{name: tiny-qwen2, card: {requires: {gpus: 2}}, like: tiny-qwen2}"
    path = write_suite(SUITE.format(**{**USUAL, "model": entry, "training": "warmup_steps: 0"}))
    lines = plan_lines(make_plan(path, tmp_path / "run"))
    said = "2 of the cells ask for 2 GPUs for their model (requires.gpus): TRL trains"
    assert any(line.startswith(said) for line in lines)


@pytest.mark.parametrize("value", ["0", "-1", "1.5", "two", "true"])
def test_a_number_of_devices_is_a_whole_one_above_nought(write_suite, value):
    with pytest.raises(SuiteError, match="devices"):
        cells(write_suite, training=f"devices: {value}")


@pytest.mark.parametrize(
    "training", ["save_strategy: 'no'", "optim: adamw_torch_fused", "bf16: null"]
)
def test_what_changes_nothing_is_let_through(write_suite, training):
    assert devices_of(cells(write_suite, training=f"devices: 2, {training}")["a"]) == 2
