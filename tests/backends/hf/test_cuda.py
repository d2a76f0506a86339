"""What only a CUDA device shows: device placement, allocator peaks, bfloat16, the same answers."""

import pytest
from finished import finished

pytestmark = pytest.mark.gpu

SUITE = """\
name: cuda
matrix:
  model: [tiny-qwen2]
  quantization: [none, int8, nf4, fp4]
  adapter: [{name: lora-r4, config: {r: 4, target_modules: all-linear}}]
  dataset:
    - {name: ru-calculations, train: 16, test: 6}
    - {name: finance-labels, train: 24, test: 9}
training: {max_steps: 3, learning_rate: 1e-3, optim: paged_adamw_8bit}
evaluation: {latency_prompts: 2, latency_new_tokens: 4}
generation: {max_new_tokens: 8}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory, root):
    return finished(SUITE, tmp_path_factory.mktemp("cuda"), root)


def test_every_quantization_trains_and_is_scored_on_the_gpu(run):
    assert {cell.status for cell in run.cells} == {"ok"}
    assert run.environment.machine["gpu"]


def test_peaks_come_from_the_allocator_and_training_needs_more_than_loading(run):
    for cell in run.cells:
        load = cell.value("load_vram_mib").value
        assert 0 < load < 200
        assert cell.value("infer_peak_vram_mib").value >= load
        if not cell.is_baseline:
            peak = cell.value("train_peak_vram_mib").value
            assert load < peak <= cell.value("train_reserved_vram_mib").value


def test_four_bits_load_smaller_than_none(run):
    load = {
        cell.quantization: cell.value("load_vram_mib").value
        for cell in run.cells
        if cell.is_baseline and cell.dataset == "ru-calculations"
    }
    assert load["nf4"] < load["none"]
    assert load["int8"] < load["none"]


def test_the_linear_layers_are_of_the_quantization_s_class(run):
    wanted = {"none": "Linear", "int8": "Linear8bitLt", "nf4": "Linear4bit", "fp4": "Linear4bit"}
    for cell in run.cells:
        assert wanted[cell.quantization] in cell.facts["loaded"]["linear_modules"]


def test_greedy_answers_in_float32_are_those_of_the_cpu(root):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from harness.backends.hf.decoding.decode import decode

    folder = root / "models" / "tiny" / "tiny-qwen2"
    tokenizer = AutoTokenizer.from_pretrained(folder)
    prompts = [tokenizer(text).input_ids for text in ("150 / 600 × 100% =", "A bond is", "Рынок")]
    answers = []
    for device in ("cpu", "cuda"):
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).to(device).eval()
        found = decode(model, tokenizer, prompts, options={"max_new_tokens": 16}, batch_size=2)
        answers.append([answer.text for answer in found.answers])
    assert answers[0] == answers[1]


def test_training_sees_one_gpu_and_the_batch_that_the_suite_asks_for(run):
    """On a machine with two GPUs a batch spread over both would see every row twice."""
    for cell in run.cells:
        if not cell.is_baseline and cell.dataset == "finance-labels":
            tokens = cell.value("train_tokens_per_s").value * cell.value("train_seconds").value
            assert cell.facts["trained"]["steps"] == 3  # of 8 rows, which is once all 24
            assert tokens == pytest.approx(cell.audit.counts["tokens"], rel=0.01)
