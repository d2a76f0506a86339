"""What may run on which machine: the estimate decides where the card names no memory."""

from dataclasses import replace

import pytest

from harness.plan.available import has_accelerator, needed_gib, unavailable_reason
from harness.plan.expand import expand
from harness.plan.machine import Machine, Site
from harness.plan.memory import estimate
from harness.plan.preflight import preflight
from harness.results.paths import RunPaths
from harness.results.records import Environment
from harness.suite.loading import load_suite
from harness.suite.model_card import Requirement

CARD_OF_12 = Site((Machine("cpu", 8, 64.0, "", "a card", 12.0),))
SUITE = """\
name: fits
matrix:
  model: [MODEL]
  quantization: [none, nf4]
  adapter:
    - {name: attached, config: {r: 16, target_modules: all-linear}}
    - {name: requantized, serve: requantized, config: {r: 16, target_modules: all-linear}}
  dataset: [{name: finance-qa, train: 20, test: 10}]
training: {per_device_train_batch_size: 1, max_length: 512, gradient_checkpointing: true}
evaluation: {batch_size: 4}
"""


@pytest.fixture
def cells(write_suite, monkeypatch):
    monkeypatch.setattr("harness.plan.available.is_cached", lambda _: True)  # nothing to download

    def made(model):
        path = write_suite(SUITE.replace("MODEL", model))
        return {(c.quantization, c.adapter): c for c in expand(load_suite(path), path)}

    return made


def test_four_bits_of_a_large_model_fit_a_small_card_and_sixteen_do_not(cells):
    made = cells("mistral-7b-v0.1")
    assert unavailable_reason(made["nf4", "attached"], CARD_OF_12) is None
    reason = unavailable_reason(made["none", "attached"], CARD_OF_12)
    assert reason is not None
    assert "needs" in reason
    assert "12.0 GiB" in reason


def test_an_adapter_that_is_merged_first_needs_the_unquantized_weights(cells):
    made = cells("mistral-7b-v0.1")
    packed, merged = (estimate(made["nf4", name]) for name in ("attached", "requantized"))
    assert merged.load > 3 * packed.load
    assert merged.training == packed.training
    assert unavailable_reason(made["nf4", "requantized"], CARD_OF_12) is not None


@pytest.mark.parametrize(
    ("card", "limit", "quantization", "adapter", "copies"),
    [
        (80.0, None, "nf4", "attached", True),
        (80.0, None, "nf4", "base", True),
        (24.0, None, "nf4", "attached", True),
        (12.0, None, "nf4", "attached", False),  # its weights in 16 bits take 13.5 GiB
        (80.0, 12.0, "nf4", "attached", False),
        (80.0, None, "none", "attached", False),
        (0.0, None, "nf4", "attached", False),
    ],
)
def test_copies_of_weights_are_decided_by_the_card_and_not_by_what_is_free(
    cells, tmp_path, card, limit, quantization, adapter, copies
):
    machines = (Machine("cpu", 8, 64.0, "", "a card" if card else None, card),)
    if card:  # a node without a GPU says nothing of those that have one
        machines += (Machine("cpu", 8, 64.0, "", None, 0.0),)
    cell = cells("mistral-7b-v0.1")[quantization, adapter]
    (found,) = preflight([cell], Site(machines), RunPaths(tmp_path), max_vram_gib=limit)
    job = found.job(Environment())
    assert (job["copies"], job["takes_gib"]) == (copies, found.takes_gib)
    if copies:
        assert 19 < found.takes_gib < 0.9 * card
    else:
        assert found.takes_gib == found.needs_gib


@pytest.mark.parametrize("card", [10.0, 16.0, 20.0, 21.0, 21.5, 22.0, 22.5, 23.0, 24.0, 40.0, 80.0])
def test_a_baseline_answers_as_its_adapters_do(cells, tmp_path, card):
    made = [c for (quantization, _), c in cells("mistral-7b-v0.1").items() if quantization == "nf4"]
    where = Site((Machine("cpu", 8, 64.0, "", "a card", card),))
    assert len({d.copies for d in preflight(made, where, RunPaths(tmp_path))}) == 1


@pytest.mark.parametrize(
    "change",
    [
        "evaluation: {batch_size: 3}",
        "generation: {do_sample: true}",
        "evaluation: {batch_size: 4}\nmatrix_task: labels",
    ],
)
def test_nothing_is_counted_for_cells_that_make_no_copies(write_suite, tmp_path, change):
    text = SUITE.replace("MODEL", "mistral-7b-v0.1").replace("evaluation: {batch_size: 4}\n", "")
    if "matrix_task" in change:
        text, change = text.replace("finance-qa", "finance-labels"), change.partition("\n")[0]
    path = write_suite(text + change + "\n")
    for cell in expand(load_suite(path), path):
        found = estimate(cell)
        assert found is not None
        assert found.copied_gib is None or cell.task.answered_by == "generation"
        if "labels" not in text:
            assert found.copied_gib is None


def test_what_the_card_asks_for_comes_before_the_estimate(cells):
    cell = cells("mistral-7b-v0.1")["nf4", "attached"]
    needs = cell.model.requires.model_copy(update={"memory_gib": 24.0})
    cell = replace(cell, model=cell.model.model_copy(update={"requires": needs}))
    assert "needs 24 GiB" in (unavailable_reason(cell, CARD_OF_12) or "")


def test_an_encoder_has_no_baseline_and_writes_no_text(write_suite, monkeypatch):
    monkeypatch.setattr("harness.plan.available.is_cached", lambda _: True)
    text = SUITE.replace("MODEL", "minilm-l6").replace("[none, nf4]", "[none]")
    heads = text.replace(
        "[{name: finance-qa, train: 20, test: 10}]",
        "[{name: finance-labels, train: 20, test: 10, classify_by: head}]",
    )
    path = write_suite(heads)
    base, *tuned = expand(load_suite(path), path)
    assert "is an encoder" in (unavailable_reason(base, CARD_OF_12) or "")
    assert [unavailable_reason(cell, CARD_OF_12) for cell in tuned] == [None, None]
    path = write_suite(text)
    reasons = [unavailable_reason(cell, CARD_OF_12) for cell in expand(load_suite(path), path)]
    assert all("is an encoder" in (reason or "") for reason in reasons)


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        ("smollm2-135m-instruct", 134_515_008),
        ("smollm2-360m-instruct", 361_821_120),
        ("smollm2-1.7b-instruct", 1_711_376_384),
        ("qwen2.5-0.5b-instruct", 494_032_768),
        ("qwen2.5-1.5b-instruct", 1_543_714_304),
        ("qwen3-0.6b", 596_049_920),
        ("qwen3-1.7b", 1_720_574_976),
        ("llama-3.2-1b-instruct", 1_235_814_400),
        ("llama-3.2-3b-instruct", 3_212_749_824),
        ("gemma-3-1b-it", 999_885_952),
        ("phi-3.5-mini-instruct", 3_821_079_552),
        ("mistral-7b-instruct-v0.3", 7_248_023_552),
        ("minilm-l6", 22_713_216),
        ("roberta-base", 124_645_632),
        ("rubert-tiny", 11_784_168),
    ],
)
def test_cards_have_the_parameters_of_the_published_checkpoints(root, model, parameters):
    import torch
    from transformers import AutoConfig, AutoModel, AutoModelForCausalLM

    from harness.plan.architecture import architecture_of, shape_of
    from harness.suite.model_card import load_model_card

    architecture = architecture_of(load_model_card(root / "models" / f"{model}.yaml"))
    shape = shape_of(architecture)
    kind = AutoModel if shape.is_encoder else AutoModelForCausalLM
    with torch.device("meta"):
        built = kind.from_config(AutoConfig.for_model(**architecture))
    assert shape.parameters == sum(p.numel() for p in built.parameters()) == parameters


WORDS = {
    ("none", None): True,
    ("none", "NVIDIA H100 80GB HBM3"): True,
    ("cuda", None): False,
    ("cuda", "NVIDIA H100 80GB HBM3"): True,
    ("a100", "NVIDIA A100-SXM4-80GB"): True,
    ("A100", "NVIDIA A100-SXM4-80GB"): True,
    ("a10", "NVIDIA A100-SXM4-80GB"): False,
    ("a100", "NVIDIA A10"): False,
    ("a100", None): False,
}


@pytest.mark.parametrize(("accelerator", "gpu"), WORDS)
def test_an_accelerator_is_a_whole_word_of_the_card_s_name(accelerator, gpu):
    found = has_accelerator(Requirement(accelerator=accelerator), gpu)
    assert found is WORDS[accelerator, gpu]


def test_a_cell_runs_where_any_machine_holds_it_and_else_every_reason_is_given(cells):
    cell = cells("tiny-qwen2")["none", "attached"]
    needs = Requirement(accelerator="a100")
    cell = replace(cell, model=cell.model.model_copy(update={"requires": needs}))
    small, right = (Machine("cpu", 8, 64.0, "", gpu, 40.0) for gpu in ("NVIDIA T4", "NVIDIA A100"))
    plain = Machine("cpu", 8, 64.0, "", None, 0.0)
    assert unavailable_reason(cell, Site((small, right), is_here=False)) is None
    assert unavailable_reason(cell, Site((small, plain), is_here=False)) == (
        "tiny-qwen2 needs the GPU a100; this machine has NVIDIA T4;"
        " tiny-qwen2 needs the GPU a100; this machine has none"
    )


def test_what_a_far_machine_has_in_its_cache_is_not_looked_up_here(cells, monkeypatch):
    cell = cells("tiny-qwen2")["none", "attached"]
    far = cell.model.model_copy(update={"source": "nobody/nothing-of-this-name"})
    cell = replace(cell, model=far)
    monkeypatch.undo()
    machines = (Machine("cpu", 8, 64.0, "", None, 0.0),)
    assert unavailable_reason(cell, Site(machines)) is not None
    assert unavailable_reason(cell, Site(machines, is_here=False)) is None


@pytest.mark.parametrize(
    ("layers_on", "gpus", "share", "reason"),
    [
        (1, 4, 0.7, "needs"),
        (2, 4, 0.7, None),  # an even part and a fifth of it
        (2, 4, 0.5, "needs"),
        (2, 1, 2.0, "its model lies on 2 GPUs (requires.gpus); a cell gets at most 1 GPU here"),
    ],
)
def test_a_model_that_lies_on_several_gpus_needs_a_part_of_each(
    cells, layers_on, gpus, share, reason
):
    cell = cells("tiny-qwen2")["none", "base"]
    requires = cell.model.requires.model_copy(update={"gpus": layers_on})
    cell = replace(cell, model=cell.model.model_copy(update={"requires": requires}))
    card = Machine("cpu", 8, 64.0, "", "a card", share * needed_gib(cell))
    found = unavailable_reason(cell, Site((card,), gpus=gpus))
    assert found is None if reason is None else reason in found


@pytest.mark.parametrize(
    ("gpus", "gpu", "reason"),
    [
        (4, "a card", None),
        (2, "a card", None),
        (1, "a card", "trains on 2 GPUs (training.devices); a cell gets at most 1 GPU here"),
        (0, None, None),  # without any GPU it trains in two processes
    ],
)
def test_a_cell_does_not_train_on_fewer_gpus_than_it_asks_for(cells, gpus, gpu, reason):
    cell = cells("tiny-qwen2")["none", "attached"]
    cell = replace(cell, training={**cell.training, "devices": 2})
    where = Site((Machine("cpu", 8, 64.0, "", gpu, 40.0),), gpus=gpus)
    assert unavailable_reason(cell, where) == reason
