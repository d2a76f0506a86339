"""What only two CUDA devices show: a training over both, and a model whose layers lie on both.

In float32 both must give what one device gives, but for rounding.
"""

import json

import pytest
import torch
from finished import finished

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(torch.cuda.device_count() < 2, reason="needs two CUDA devices"),
]

LORA = "config: {r: 4, target_modules: all-linear}"
SUITE = f"""\
name: two-gpus
matrix:
  model:
    - tiny-qwen2
    - {{name: split, like: tiny-qwen2, card: {{requires: {{gpus: 2}}}}}}
  adapter:
    - {{name: one, {LORA}, training: {{per_device_train_batch_size: 8, engine: trl}}}}
    - {{name: two, {LORA}, training: {{per_device_train_batch_size: 4, devices: 2}}}}
  dataset:
    - {{name: ru-calculations, train: 32, test: 8}}
    - {{name: finance-labels, train: 24, test: 9, classify_by: head}}
exclude:
  - {{model: split, adapter: two}}
  - {{model: split, dataset: finance-labels}}
training: {{learning_rate: 1e-3}}
evaluation: {{latency_prompts: 2, latency_new_tokens: 4}}
generation: {{max_new_tokens: 8}}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory, root):
    return finished(SUITE, tmp_path_factory.mktemp("two-gpus"), root)


def losses(run, cell):
    path = run.directory / "cells" / cell.key / "train_log.jsonl"
    return [line["loss"] for line in map(json.loads, path.read_text().splitlines())]


@pytest.mark.parametrize("dataset", ["ru-calculations", "finance-labels"])
def test_two_devices_train_as_one_with_batches_of_twice_the_size(run, dataset):
    cells = {c.adapter: c for c in run.cells if (c.model, c.dataset) == ("tiny-qwen2", dataset)}
    assert losses(run, cells["two"]) == pytest.approx(losses(run, cells["one"]), rel=1e-3)
    said = cells["two"].facts["trained"]["training"]
    assert (said["devices"], said["on"], len(said["peaks_mib"])) == (2, "cuda", 2)
    assert all(peak > 0 for peak in said["peaks_mib"])


def test_a_model_that_lies_on_two_devices_is_trained_and_answers_as_on_one(run):
    cells = {(c.model, c.adapter): c for c in run.cells if c.dataset == "ru-calculations"}
    one, split = cells["tiny-qwen2", "one"], cells["split", "one"]
    assert losses(run, split) == pytest.approx(losses(run, one), rel=1e-3)
    for adapter in ("base", "one"):
        values = [cells[m, adapter].value("eval_loss").value for m in ("tiny-qwen2", "split")]
        assert values[0] == pytest.approx(values[1], rel=1e-3)
    training, loaded = split.facts["trained"]["training"], split.facts["loaded"]
    if "split_over" in training:
        whole = split.value("train_peak_vram_mib").value
        assert sum(training["peaks_mib"]) == pytest.approx(whole, abs=1)
    if "split_over" in loaded:  # transformers may lay so small a model on one of them
        assert (loaded["split_over"], len(loaded["peaks_mib"])) == (2, 2)
        assert split.facts["decoding"]["engine"] == "generate"
