"""The gate on real runs: the command, the files it writes, injected regressions."""

import json
import os
import shutil
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner

from harness import assert_no_regression
from harness.cli import main
from harness.plan.plan import make_plan
from harness.results.run import load_run
from harness.run.runner import run_here

TWO = """\
name: two
matrix:
  model: [tiny-qwen2]
  adapter: [{name: a, config: {r: 4}}]
  dataset: [{name: ru-calculations, train: 60, test: 40}, {name: finance-labels, train: 60, test: 30}]
"""


def harness(*arguments, **env):
    return CliRunner().invoke(main, [str(a) for a in arguments], env=env)


@pytest.fixture
def gated(write_suite, tmp_path):
    """A run of the testing backend and its baseline beside the suite."""
    suite = write_suite(TWO)
    run_here(make_plan(suite, tmp_path / "r", backend="testing"))
    result = harness("baseline", "update", tmp_path / "r", "--reason", "first")
    assert result.exit_code == 0, result.output
    return tmp_path / "r"


def worsen(run, dataset="ru-calculations"):
    """Every answer of the fine-tuned cell is lost."""
    cell = next(c for c in load_run(run).cells if c.dataset == dataset and not c.is_baseline)
    path = run / "cells" / cell.key / "predictions.jsonl"
    records = [json.loads(line) for line in path.read_text().splitlines()]
    for record in records:
        record["prediction"] = "<b>nothing</b>"
    path.write_text("".join(f"{json.dumps(r)}\n" for r in records))
    # a result of an older harness records no hash of its answers
    result = path.with_name("result.json")
    result.write_text(json.dumps(json.loads(result.read_text()) | {"companions": {}, "schema": 2}))
    harness("score", run)


def test_without_a_baseline_the_exit_code_is_3(write_suite, tmp_path):
    suite = write_suite(TWO)
    run_here(make_plan(suite, tmp_path / "r", backend="testing"))
    result = harness("check", tmp_path / "r")
    assert result.exit_code == 3
    assert "no baseline" in result.output
    assert "harness baseline update" in result.output


def test_an_unchanged_run_passes(gated):
    result = harness("check", gated)
    assert result.exit_code == 0, result.output
    assert "every paired score is unchanged" in result.output


def test_a_regression_is_written_for_people_and_machines(gated, tmp_path):
    worsen(gated)
    junit, summary = tmp_path / "j.xml", tmp_path / "s.md"
    result = harness(
        "check", gated, "--junit", junit,
        GITHUB_STEP_SUMMARY=str(summary), GITHUB_ACTIONS="true",
    )  # fmt: skip
    assert result.exit_code == 1, result.output
    assert "::error title=regression%3A" in result.output
    suite = ElementTree.parse(junit).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("4", "1")
    assert "<b>nothing</b>" in suite.find(".//failure").text
    text = summary.read_text()
    assert "examples that lost numeric_accuracy" in text
    assert "&lt;b&gt;nothing" in text


def test_json_and_a_rules_file(gated, tmp_path):
    rules = tmp_path / "rules.yaml"
    rules.write_text(
        "rules:\n  - {metric: accuracy, cells: '*labels', test: static, limit: 0.99}\n"
    )
    result = harness("check", gated, "--rules", rules, "--json")
    assert result.exit_code == 1
    assert {c["outcome"] for c in json.loads(result.output)["checks"]} == {"regression"}


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            "rules:\n  - {metric: x, tset: paired}\n",
            'rules.yaml:2: rules.0.tset: unknown key "tset"',
        ),
        ("rules: []\n", "rules.yaml:1: rules"),
        ("rules:\n  - {metric: x, test: static}\n", "`limit` belongs to"),
        ("rules:\n  - {metric: x, cells: nothing}\n", "no row matches"),
        (
            "rules:\n  - {metric: latency_p5_ms, test: percentage, tolerance: 5}\n",
            'there is no metric "latency_p5_ms"\n  Did you mean "latency_p',
        ),
    ],
)
def test_wrong_rules_are_wrong_usage(gated, tmp_path, text, said):
    rules = tmp_path / "rules.yaml"
    rules.write_text(text)
    result = harness("check", gated, "--rules", rules)
    assert result.exit_code == 2, result.output
    assert said in result.output


def test_another_run_and_a_git_reference_are_baselines_too(gated, tmp_path):
    assert harness("check", gated, "--against", gated).exit_code == 0
    git = f"git -C {tmp_path} -c user.name=n -c user.email=e@x"
    assert os.system(f"git init -q {tmp_path} && {git} add suite.baseline.json") == 0
    assert os.system(f"{git} commit -q -m x && rm {tmp_path}/suite.baseline.json") == 0
    result = harness("check", gated, "--against", "git:HEAD")
    assert result.exit_code == 0, result.output
    assert harness("check", gated, "--against", "git:nowhere").exit_code == 2


def test_a_baseline_keeps_its_reasons_and_refuses_half_a_run(gated, tmp_path):
    harness("baseline", "update", gated, "--reason", "second")
    shown = harness("baseline", "show", tmp_path / "suite.baseline.json").output
    assert shown.index("first") < shown.index("second")
    shutil.rmtree(next((gated / "cells").iterdir()))
    result = harness("baseline", "update", gated, "--reason", "third")
    assert result.exit_code == 2
    assert "without a result" in result.output
    assert harness("check", gated).exit_code == 3


REAL = """\
name: real
matrix:
  model: [{name: tiny-qwen2, training: {learning_rate: RATE}}]
  adapter: [{name: tuned, ADAPTER}]
  dataset:
    - {name: ru-calculations, rows: 260, train: 120, test: 40, group_by: numbers}
    - {name: finance-labels, train: 160, test: 60, training: {num_train_epochs: 2, learning_rate: 3e-3}}
training: {per_device_train_batch_size: 4, max_length: 256, lr_scheduler_type: cosine, warmup_steps: 4}
evaluation: {latency_prompts: 0, noise_examples: 0}
generation: {max_new_tokens: 32}
gate:
  rules:
    - {metric: primary, margin: 0.02}
    - {metric: rougeL, cells: "*-ru-calculations", margin: 0.02}
    - {metric: predictions, test: exact}
"""
LORA = "config: {r: 8, lora_alpha: 16, target_modules: all-linear}"


def real(write_suite, rate="5e-3", adapter=LORA, drop=""):
    text = REAL.replace("RATE", rate).replace("ADAPTER", adapter)
    lines = [line for line in text.splitlines() if not drop or drop not in line]
    return write_suite("\n".join(lines) + "\n")


@pytest.fixture(scope="module")
def trained(tmp_path_factory, root):
    """A real run of two cells and their baselines, with the suite's baseline recorded."""
    folder = tmp_path_factory.mktemp("real")
    (folder / "models").symlink_to(root / "models")
    suite = folder / "suite.yaml"
    suite.write_text(REAL.replace("RATE", "5e-3").replace("ADAPTER", LORA))
    assert_no_regression(suite, output=folder / "r", update="first")
    return folder


def check_against(trained, suite, out):
    run_here(make_plan(suite, out))
    return harness("check", out, "--against", trained / "suite.baseline.json")


def test_a_mere_re_run_passes_to_the_letter(trained, tmp_path):
    verdict = assert_no_regression(
        trained / "suite.yaml", output=tmp_path / "again",
        baseline=str(trained / "suite.baseline.json"),
    )  # fmt: skip
    assert {check.outcome for check in verdict.checks} == {"pass"}
    assert "unchanged" in verdict.summary


def test_a_learning_rate_times_100_is_caught(trained, write_suite, tmp_path):
    suite = real(write_suite, rate="0.5", drop="finance-labels")
    result = check_against(trained, suite, tmp_path / "bad")
    assert result.exit_code in (1, 4), result.output
    assert "regression: tiny-qwen2--none--tuned--ru-calculations: rougeL (paired)" in result.output


def damage(trained, dataset, tmp_path, change):
    """A copy of the trained adapter of ``dataset`` with its tensors changed."""
    from safetensors.torch import load_file, save_file

    run = load_run(trained / "r")
    cell = next(c for c in run.cells if c.dataset == dataset and not c.is_baseline)
    folder = tmp_path / "damaged"
    shutil.copytree(trained / "r" / "cells" / cell.key / "adapter", folder)
    path = folder / "adapter_model.safetensors"
    tensors = load_file(path)
    change(tensors)
    save_file(tensors, path)
    return f"source: {folder}"


def test_damaged_adapter_weights_are_caught(trained, write_suite, tmp_path):
    import torch

    def noise(tensors):
        torch.manual_seed(0)
        for tensor in tensors.values():
            tensor += torch.randn_like(tensor) * tensor.std() * 10

    adapter = damage(trained, "ru-calculations", tmp_path, noise)
    suite = real(write_suite, adapter=adapter, drop="finance-labels")
    result = check_against(trained, suite, tmp_path / "bad")
    assert result.exit_code == 1, result.output
    assert "regression: tiny-qwen2--none--tuned--ru-calculations: rougeL (paired)" in result.output


def test_two_swapped_labels_are_caught(trained, write_suite, tmp_path):
    def swap(tensors):
        heads = [k for k, t in tensors.items() if t.dim() == 2 and t.shape[0] == 3]
        assert heads, list(tensors)
        for key in heads:
            tensors[key] = tensors[key][[1, 0, 2]].contiguous()

    adapter = damage(trained, "finance-labels", tmp_path, swap)
    suite = real(write_suite, adapter=adapter, drop="ru-calculations")
    result = check_against(trained, suite, tmp_path / "bad")
    assert result.exit_code == 1, result.output
    assert "regression: tiny-qwen2--none--tuned--finance-labels: f1_macro (paired)" in result.output


def test_the_fixture_updates_and_then_gates(trained, pytester):
    suite = trained / "suite.yaml"
    pytester.makepyfile(
        f"def test_it(assert_no_regression):\n    assert_no_regression({str(suite)!r})\n"
    )
    pytester.runpytest_subprocess("-q", "-p", "no:cacheprovider").assert_outcomes(passed=1)
