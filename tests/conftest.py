import os
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

ROOT = Path(__file__).parent.parent

SUITE = """\
name: small
matrix:
  model: [{name: tiny-qwen2, training: {learning_rate: 5e-3}}]
  quantization: [QUANTIZATION]
  adapter:
    - name: lora-r4
      config: {r: 4, lora_alpha: 8, target_modules: all-linear}
  dataset:
    - {name: DATASET, rows: 160, train: 48, test: 12}
training: {per_device_train_batch_size: 8, max_length: 256}
evaluation: {batch_size: 8, latency_prompts: 2, latency_new_tokens: 4}
generation: {max_new_tokens: 16}
"""


@pytest.fixture(scope="session")
def root() -> Path:
    return ROOT


@pytest.fixture
def write_suite(tmp_path):
    """Writes a small suite beside the shipped model cards; returns its path."""

    def write(text: str = SUITE, *, quantization: str = "none", dataset: str = "ru-calculations"):
        (tmp_path / "models").exists() or (tmp_path / "models").symlink_to(ROOT / "models")
        path = tmp_path / "suite.yaml"
        path.write_text(text.replace("QUANTIZATION", quantization).replace("DATASET", dataset))
        return path

    return write
