import os
import shutil
from pathlib import Path

import pytest
from plugin_site import found_in, write_plugin

pytest_plugins = ["pytester"]

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
# who runs the tests side by side sets it, and every command would break its lines there
os.environ.pop("COLUMNS", None)

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


def pytest_make_parametrize_id(config, val, argname):
    """Names bytes after their argument: two processes must collect the same names.

    Packed bytes may hold the time of packing, which differs between the processes of xdist.
    """
    return argname if isinstance(val, bytes) else None


LONG = {
    "test_notebook.py", "test_installed.py", "test_published.py", "test_end_to_end.py",
    "test_kills.py", "test_lost.py", "test_hub.py", "test_methods.py", "test_trainer.py",
    "test_docs_executed.py", "test_starter.py", "test_push.py", "test_committed.py",
}  # fmt: skip
"""Files that take longest. Whatever runs last of all leaves the other processes idle meanwhile."""


def pytest_collection_modifyitems(items):
    """Puts long files first where several processes share them, the rest in their order."""
    if "PYTEST_XDIST_WORKER" in os.environ:
        items.sort(key=lambda item: item.path.name not in LONG)


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


@pytest.fixture
def shipped_suites(tmp_path) -> Path:
    """The folder of the shipped suites, with stand-ins for the texts that are not ours to ship."""
    shutil.copytree(ROOT / "suites", tmp_path / "suites")
    (tmp_path / "models").symlink_to(ROOT / "models")
    data = tmp_path / "data"
    data.mkdir()
    asked = [f"Question {k // 2} about money?,,It depends on matter {k}." for k in range(500)]
    (data / "fiqa_answers.csv").write_text("\n".join(["instruction,input,output", *asked]))
    moods = ("negative", "neutral", "positive")
    said = [f"Sentence {k} on a company,{moods[k % 3]}" for k in range(1500)]
    (data / "financial_phrasebank.csv").write_text("\n".join(["text,label", *said]))
    return tmp_path / "suites"


@pytest.fixture
def install_plugin(tmp_path, monkeypatch):
    """Installs a module as a distribution with the entry point `harness.plugins`.

    It is found by this process, by the workers it starts, and by commands (`PYTHONPATH`).
    """
    site = tmp_path / "site"

    def install(name: str, text: str) -> Path:
        write_plugin(site, name, text)
        return site

    with found_in(site, monkeypatch):
        yield install
