"""Every PEFT method that a suite can name trains on a tiny model and is scored from disk."""

import pytest

from harness.plan.plan import make_plan
from harness.results.run import load_run
from harness.run.runner import run_here

ALL = "target_modules: all-linear"
METHODS = {
    "lora": f"config: {{r: 4, {ALL}}}",
    "dora": f"config: {{r: 4, use_dora: true, {ALL}}}",
    "rslora": f"config: {{r: 4, use_rslora: true, {ALL}}}",
    "pissa": f"config: {{r: 4, init_lora_weights: pissa, {ALL}}}",
    "loraplus": f"config: {{r: 4, {ALL}}}, training: {{loraplus_lr_ratio: 8}}",
    "ia3": "peft_type: ia3",
    "prefix": "peft_type: prefix_tuning, config: {num_virtual_tokens: 4}",
    "prompt": "peft_type: prompt_tuning, config: {num_virtual_tokens: 4}",
    "p-tuning": "peft_type: p_tuning, config: {num_virtual_tokens: 4, encoder_hidden_size: 32}",
    "adalora": f"peft_type: adalora, config: {{init_r: 6, target_r: 3, total_step: 4, tinit: 1, tfinal: 1, deltaT: 1, {ALL}}}",
    "loha": f"peft_type: loha, config: {{r: 4, {ALL}}}",
    "lokr": f"peft_type: lokr, config: {{r: 4, {ALL}}}",
    "oft": f"peft_type: oft, config: {{oft_block_size: 8, {ALL}}}",
    "full": "peft_type: full",
}
SUITE = """\
name: methods
matrix:
  model: [tiny-qwen2]
  adapter:
ADAPTERS
  dataset: [{name: ru-calculations, rows: 60, train: 24, test: 4}]
training: {per_device_train_batch_size: 4, max_steps: 4, learning_rate: 3e-3, max_length: 128}
evaluation: {latency_prompts: 0, noise_examples: 0}
generation: {max_new_tokens: 4}
"""


@pytest.fixture(scope="module")
def cells(tmp_path_factory, root):
    folder = tmp_path_factory.mktemp("methods")
    (folder / "models").symlink_to(root / "models")
    lines = [f"    - {{name: {name}, {text}}}" for name, text in METHODS.items()]
    (folder / "suite.yaml").write_text(SUITE.replace("ADAPTERS", "\n".join(lines)))
    run_here(make_plan(folder / "suite.yaml", folder / "out"))
    return {cell.adapter: cell for cell in load_run(folder / "out").cells}


@pytest.mark.parametrize("method", METHODS)
def test_a_method_trains_and_changes_the_model(cells, method):
    cell, base = cells[method], cells["base"]
    assert cell.status == "ok", cell.reason
    assert cell.value("trainable_params").value > 0
    assert cell.value("eval_loss").value != base.value("eval_loss").value


def test_full_fine_tuning_trains_every_weight(cells):
    assert cells["full"].value("trainable_percent").value == 100
