"""A change repeats the stages that depend on it and no other; what was done is never lost."""

import json
from dataclasses import fields, replace

import pytest
from click.testing import CliRunner

from harness.backends.base import Alone
from harness.cli import main
from harness.datasets.example import Example
from harness.plan.expand import expand
from harness.plan.plan import make_plan
from harness.plan.stages import EVALUATION, Surroundings, stage_keys
from harness.results.paths import read_json, write_json
from harness.results.reading import read_predictions
from harness.results.records import Environment
from harness.results.result import load_result
from harness.run.worker import run_cell
from harness.suite.loading import load_suite
from harness.suite.schema import Evaluation

ALL = {"train", "predict", "measure", "score"}
ANSWERS = {"predict", "score"}
ROWS = "rows: 160, train: 48, test: 12"


class Watching(Alone):
    """Notes the stages that a cell passes."""

    def __init__(self):
        self.stages = []

    def stage(self, name):
        self.stages.append(name)


def run_all(suite, out, backend="testing"):
    """Runs what is to be done; for each decision the stages that really ran."""
    plan = make_plan(suite, out, backend=backend)
    passed = {}
    for decision in plan.of("run"):
        paths, device = plan.run.cell(decision.key), Watching()
        write_json(paths.cell, decision.job(Environment(packages={"harness": "1"})))
        run_cell(paths, device)
        passed[decision.cell.adapter] = {s for s in device.stages if s not in ("data", "load")}
        assert passed[decision.cell.adapter] == set(decision.stages)
    return plan, passed


def changed(suite, old, new):
    text = suite.read_text()
    assert old in text
    suite.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("old", "new", "tuned", "base"),
    [
        ("latency_prompts: 2", "latency_prompts: 3", {"measure", "score"}, {"measure", "score"}),
        ("latency_new_tokens: 4", "latency_new_tokens: 5", {"measure", "score"}, {"measure", "score"}),
        ("max_new_tokens: 16", "max_new_tokens: 17", ANSWERS, ANSWERS),
        ("latency_prompts: 2", "latency_prompts: 2, noise_examples: 4", ANSWERS, ANSWERS),
        ("latency_prompts: 2", "latency_prompts: 2, sampling_seed: 5", ANSWERS, ANSWERS),
        ("latency_prompts: 2", "latency_prompts: 2, control: everyday", ANSWERS, ANSWERS),
        ("latency_prompts: 2", "latency_prompts: 2, margin: 0.1", {"score"}, {"score"}),
        ("latency_prompts: 2", "latency_prompts: 2, rouge_stemmer: porter", {"score"}, {"score"}),
        ("latency_prompts: 2", "latency_prompts: 2, on_leakage: warn, on_cut: error", {"score"}, {"score"}),
        ("{batch_size: 8", "{batch_size: 4", ALL - {"train"}, ALL - {"train"}),
        ("max_length: 256", "max_length: 255", ALL, None),
        ("learning_rate: 5e-3", "learning_rate: 6e-3", ALL, None),
        ("r: 4", "r: 5", ALL, None),
        ("name: lora-r4", "name: renamed", {"score"}, None),
        ("test: 12}", "test: 12, primary_metric: chrf}", {"score"}, {"score"}),
        ("test: 12}", "test: 12, split_seed: 1}", ALL, ALL - {"train"}),
        ("quantization: [none]", "quantization: [nf4]", ALL, ALL - {"train"}),
    ],
)  # fmt: skip
def test_a_change_repeats_what_depends_on_it(write_suite, tmp_path, old, new, tuned, base):
    suite, out = write_suite(), tmp_path / "out"
    plan, passed = run_all(suite, out)
    assert passed == {"base": ALL - {"train"}, "lora-r4": ALL}
    adapter = plan.run.cell(plan.decisions[1].key).adapter / "adapter.json"
    before = adapter.read_bytes()
    changed(suite, old, new)
    again, passed = run_all(suite, out)
    now = again.decisions[1]
    assert passed.get(now.cell.adapter) == tuned
    assert passed.get("base") == base
    if "train" not in tuned:
        assert (again.run.cell(now.key).adapter / "adapter.json").read_bytes() == before
        assert load_result(again.run.cell(now.key).result).value("train_seconds").value == 1.0
    assert adapter.read_bytes() == before
    assert run_all(suite, out)[1] == {}


def test_more_test_rows_of_the_same_training_rows_keep_the_adapter(write_suite, tmp_path):
    suite, out = write_suite(), tmp_path / "out"
    changed(suite, ROWS, "split: in-order, train: 48, test: 12")
    run_all(suite, out)
    changed(suite, "test: 12", "test: 13")
    plan, passed = run_all(suite, out)
    # the prompts that are timed are the first ones, which are the same
    assert passed == {"base": ANSWERS, "lora-r4": ANSWERS}
    paths = plan.run.cell(plan.decisions[1].key)
    assert len(read_predictions(paths.predictions)) == 13


def test_what_is_kept_says_where_and_under_what_it_was_made(write_suite, tmp_path):
    suite, out = write_suite(), tmp_path / "out"
    first, _ = run_all(suite, out)
    changed(suite, "latency_prompts: 2", "latency_prompts: 3")
    plan = make_plan(suite, out, backend="testing")
    assert [d.word for d in plan.decisions] == ["measure", "measure"]
    assert plan.decisions[1].kept == ["adapter", "answers"]
    run_all(suite, out)
    result = load_result(plan.run.cell(plan.decisions[1].key).result)
    reused = result.provenance.reused
    assert reused.keys() == {"train", "predict"}
    assert reused["train"].cell == first.decisions[1].key
    assert reused["train"].environment == Environment(packages={"harness": "1"})
    before = load_result(first.run.cell(first.decisions[1].key).result)
    assert before.stages["train"] == result.stages["train"]
    assert before.stages["measure"] != result.stages["measure"]
    assert before.values != ()


def torn_record(paths):
    text = paths.stage("train").read_text()
    paths.stage("train").write_text(text[: len(text) // 2])


def other_weights(paths):
    (paths.adapter / "adapter.json").write_text("{}")


def no_weights(paths):
    (paths.adapter / "adapter.json").unlink()


def torn_answers(paths):
    text = paths.predictions.read_text()
    paths.predictions.write_text(text[: len(text) // 2])


def fewer_answers(paths):
    lines = paths.predictions.read_text().splitlines(keepends=True)
    paths.predictions.write_text("".join(lines[1:]))


@pytest.mark.parametrize(
    ("damage", "repeated"),
    [
        (torn_record, "train"), (other_weights, "train"), (no_weights, "train"),
        (torn_answers, "predict"), (fewer_answers, "predict"),
    ],
)  # fmt: skip
def test_what_is_damaged_is_not_used_again(write_suite, tmp_path, damage, repeated):
    suite, out = write_suite(), tmp_path / "out"
    plan, _ = run_all(suite, out)
    damage(plan.run.cell(plan.decisions[1].key))
    changed(suite, "latency_prompts: 2", "latency_prompts: 3")
    plan = make_plan(suite, out, backend="testing")
    paths, device = plan.run.cell(plan.decisions[1].key), Watching()
    write_json(paths.cell, plan.decisions[1].job(Environment()))
    result = run_cell(paths, device)
    assert repeated in device.stages
    assert result.status == "ok"
    assert len(read_predictions(paths.predictions)) == 12


def test_a_cell_that_was_stopped_after_training_is_not_trained_again(write_suite, tmp_path):
    suite, out = write_suite(), tmp_path / "out"
    plan, _ = run_all(suite, out)
    paths = plan.run.cell(plan.decisions[1].key)
    paths.result.unlink()
    paths.stage("measure").unlink()
    paths.stage("predict").unlink()
    _, passed = run_all(suite, out)
    assert passed == {"lora-r4": ALL - {"train"}}


def test_the_plan_prints_where_a_cell_starts_and_what_is_kept(write_suite, tmp_path):
    suite, out = write_suite(), tmp_path / "out"
    args = ["plan", str(suite), "-o", str(out)]
    fresh = CliRunner().invoke(main, args).output
    assert "1 train, 1 predict, 0 current, 0 skip" in fresh
    assert "kept" not in fresh


@pytest.fixture
def cell(write_suite):
    path = write_suite()
    return expand(load_suite(path), path)[1]


EXAMPLES = [Example(id=str(k), prompt=f"p{k}", reference="r") for k in range(12)]


def keys(cell, hardware="a", train=EXAMPLES, test=EXAMPLES, **content):
    around = Surroundings({"model": "m", **content}, hardware)
    return stage_keys(cell, around, train, test)


@pytest.mark.parametrize(
    "change",
    [
        {"hardware": "b"}, {"model": "n"}, {"train": EXAMPLES[::-1]}, {"train": EXAMPLES[1:]},
        {"train": [replace(EXAMPLES[0], reference="x"), *EXAMPLES[1:]]}, {"adapter": "x"},
    ],
)  # fmt: skip
def test_every_key_holds_what_training_depends_on(cell, change):
    one, other = keys(cell), keys(cell, **change)
    assert {one.train, one.predict, one.measure}.isdisjoint(
        {other.train, other.predict, other.measure}
    )


@pytest.mark.parametrize(
    "field", [{"dtype": "bfloat16"}, {"system": "s"}, {"prompt": "plain"}, {"template": "t"}]
)
def test_prompts_and_precision_decide_training(cell, field):
    other = replace(cell, model=cell.model.model_copy(update=field))
    assert keys(other).train != keys(cell).train


def test_names_and_places_decide_nothing(cell):
    card = {"name": "x", "description": "y", "licence": "z", "source": "/elsewhere"}
    other = replace(
        cell, adapter="x", quantization="y", base_folder="/z",
        model=cell.model.model_copy(update=card),
        dataset=cell.dataset.model_copy(update={"name": "other"}),
    )  # fmt: skip
    assert keys(other) == keys(cell)


def test_the_way_of_serving_and_the_backend_that_answers_leave_the_adapter_alone(cell):
    merged = replace(cell, serve="merged")
    assert keys(merged).train == keys(cell).train
    assert keys(merged).predict != keys(cell).predict
    assert keys(replace(cell, backend="testing")).train != keys(cell).train


def test_every_evaluation_key_is_placed():
    """A key without a place counts for every stage, which is safe and slow: place it."""
    assert EVALUATION.keys() == Evaluation.model_fields.keys()


def test_results_of_the_first_schema_are_read(write_suite, tmp_path):
    plan, _ = run_all(write_suite(), tmp_path / "out")
    path = plan.run.cell(plan.decisions[0].key).result
    record = read_json(path)
    assert record["schema"] == 3
    newer = {"stages", "companions"}
    old = {k: v for k, v in record.items() if k not in newer} | {"schema": 1}
    path.write_text(json.dumps(old))
    read = load_result(path)
    assert read.status == "ok"
    assert read.stages == read.companions == {}
    assert {f.name for f in fields(read)} >= {"stages", "schema"}


def test_a_real_adapter_is_measured_again_without_training(write_suite, tmp_path):
    suite, out = write_suite(), tmp_path / "out"
    changed(suite, "training: {per", "training: {max_steps: 2, per")
    first, _ = run_all(suite, out, "hf")
    weights = first.run.cell(first.decisions[1].key).adapter / "adapter_model.safetensors"
    before = weights.read_bytes()
    answers = read_predictions(first.run.cell(first.decisions[1].key).predictions)
    changed(suite, "latency_prompts: 2", "latency_prompts: 1")
    again, passed = run_all(suite, out, "hf")
    assert passed == {"base": {"measure", "score"}, "lora-r4": {"measure", "score"}}
    paths = again.run.cell(again.decisions[1].key)
    assert (paths.adapter / weights.name).read_bytes() == before
    assert read_predictions(paths.predictions) == answers
    old, new = (load_result(p.result) for p in (first.run.cell(first.decisions[1].key), paths))
    assert new.value("train_seconds") == old.value("train_seconds")
    assert new.value("eval_loss") == old.value("eval_loss")
    assert len(new.facts["latency_ms"]) < len(old.facts["latency_ms"])
