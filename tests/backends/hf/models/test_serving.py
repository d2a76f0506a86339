"""What is served: attached, merged, requantized; answers to new prompts; the adapter's card."""

import json

import pytest
import yaml
from click.testing import CliRunner

from harness.cli import main
from harness.plan.plan import make_plan
from harness.results.run import load_run
from harness.run.runner import run_here

SUITE = """\
name: serve
matrix:
  model: [{name: tiny-qwen2, training: {learning_rate: 5e-3}}]
  quantization: [nf4]
  adapter:
    - {name: attached, config: &lora {r: 4, lora_alpha: 8, target_modules: all-linear}}
    - {name: merged, serve: merged, config: *lora}
    - {name: requantized, serve: requantized, config: *lora}
  dataset:
    - {name: ru-calculations, rows: 160, train: 48, test: 12}
training: {per_device_train_batch_size: 8, max_length: 256}
evaluation: {batch_size: 8, latency_prompts: 0, noise_examples: 0}
generation: {max_new_tokens: 12}
"""


@pytest.fixture(scope="module")
def run(tmp_path_factory, root):
    folder = tmp_path_factory.mktemp("serve")
    (folder / "models").symlink_to(root / "models")
    (folder / "suite.yaml").write_text(SUITE)
    labels = SUITE.replace("serve\n", "labels\n", 1).replace(
        "ru-calculations, rows: 160,", "finance-labels,"
    )
    labels = "\n".join(x for x in labels.splitlines() if "serve:" not in x) + "\n"
    (folder / "labels.yaml").write_text(labels)
    for name in ("suite", "labels"):
        run_here(make_plan(folder / f"{name}.yaml", folder / name))
    return folder


def test_merging_makes_another_cell_of_the_same_adapter(run):
    base, attached, merged, requantized = load_run(run / "suite").cells
    assert {c.status for c in (base, attached, merged, requantized)} == {"ok"}
    kinds = [c.facts["loaded"]["linear_modules"] for c in (attached, merged, requantized)]
    assert "Linear4bit" in kinds[0]
    assert "Linear4bit" not in kinds[1]
    assert "Linear4bit" in kinds[2]
    losses = [c.value("eval_loss").value for c in (attached, merged, requantized)]
    assert len(set(losses)) == 3
    assert max(losses) < base.value("eval_loss").value


def test_new_prompts_are_answered_by_a_cell(run):
    records = load_run(run / "suite").predictions(load_run(run / "suite").cells[1])
    asked = records[0]["example_prompt"]
    arguments = ["predict", str(run / "suite"), "tiny-qwen2--nf4--attached", "--prompt", asked]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == records[0]["prediction"].replace("\n", " ")


def test_a_trained_head_answers_with_a_label(run, tmp_path):
    (tmp_path / "p.txt").write_text("Quarterly profit rose.\n\nThe bank may default.\n")
    key = load_run(run / "labels").cells[1].key
    arguments = ["predict", str(run / "labels"), key, "--file", str(tmp_path / "p.txt"), "--json"]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    known = {"risk analysis", "earnings report", "market sentiment"}
    found = json.loads(result.stdout)
    assert [each["prompt"] for each in found] == ["Quarterly profit rose.", "The bank may default."]
    assert {each["answer"] for each in found} <= known


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(["nothing", "--prompt", "x"], "no cell"), (["tiny", "--prompt", "x"], "matches 4 cells")],
)
def test_a_cell_must_be_named_by_itself(run, arguments, said):
    result = CliRunner().invoke(main, ["predict", str(run / "suite"), *arguments])
    assert result.exit_code == 2
    assert said in result.output


def test_the_adapter_s_card_holds_the_measured_results(run):
    cell = load_run(run / "suite").cells[1]
    folder = run / "suite" / "cells" / cell.key / "adapter"
    _, head, body = (folder / "README.md").read_text().split("---\n", 2)
    metadata = yaml.safe_load(head)
    assert metadata["library_name"] == "peft"
    metrics = {m["type"]: m["value"] for m in metadata["model-index"][0]["results"][0]["metrics"]}
    assert metrics["numeric_accuracy"] == pytest.approx(
        cell.value("numeric_accuracy").value, abs=1e-5
    )
    # the hub takes an id of its own there, and a folder has none
    assert "base_model" not in metadata
    assert "tiny-qwen2" in body
    assert json.dumps("all-linear") in body
    assert (folder / "tokenizer.json").is_file()
