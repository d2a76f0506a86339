"""One finished run for everything that shares a cell of it."""

import pytest

from harness.api.running import run as run_suite

SUITE = """\
name: shared
matrix:
  model: [{name: tiny-qwen2, training: {learning_rate: 5e-3}}]
  adapter: [{name: lora-r4, config: {r: 4, target_modules: all-linear}}, {name: whole, peft_type: full}]
  dataset: [{name: ru-calculations, rows: 60, train: 24, test: 12}]
training: {max_steps: 2, per_device_train_batch_size: 4}
evaluation: {latency_prompts: 0, noise_examples: 0}
generation: {max_new_tokens: 8}
"""


@pytest.fixture(scope="session")
def run(root, tmp_path_factory):
    """A finished run of three cells."""
    folder = tmp_path_factory.mktemp("sharing")
    (folder / "models").symlink_to(root / "models")
    (folder / "suite.yaml").write_text(SUITE)
    return run_suite(folder / "suite.yaml", output=folder / "run", executor="in_process").directory
