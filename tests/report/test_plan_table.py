"""A plan as a table: variants grouped by model, each reason to skip once."""

import json
import re

import pytest

from harness.plan.plan import make_plan
from harness.report.plan_table import duration, plan_lines

SUITE = """\
name: grouped
matrix:
  model: [tiny-qwen2, qwen2-0.5b-instruct]
  quantization: [none, nf4]
  adapter: [{name: a, config: {r: 4}}]
  dataset: [{name: ru-calculations, train: 40, test: 12}, {name: finance-labels, train: 40, test: 12}]
  seed: [0, 1, 2]
"""


@pytest.fixture
def plan(write_suite, tmp_path, monkeypatch):
    from harness.plan.machine import machine

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    machine.cache_clear()
    yield make_plan(write_suite(SUITE), tmp_path / "run", backend="testing")
    machine.cache_clear()


def test_variants_are_grouped_by_model_and_a_reason_is_given_once(plan):
    lines = plan_lines(plan)
    assert [line for line in lines if not line.startswith(" ")] == [
        "tiny-qwen2", "qwen2-0.5b-instruct",
    ]  # fmt: skip
    assert sum("needs a CUDA GPU" in line for line in lines) == 1
    assert "  skip 16 cells: qwen2-0.5b-instruct needs a CUDA GPU" in "\n".join(lines)
    assert max(map(len, lines)) <= 80
    (trained,) = (line for line in lines[: lines.index("qwen2-0.5b-instruct")] if " nf4 " in line
                  and " a " in line)  # fmt: skip
    assert re.match(r"  nf4 +a +all 2 × 3 seeds +train +\d+\.\d +\d+\.\d +8 GiB$", trained)


def test_expected_times_are_those_of_the_variants_cells(plan):
    times = {decision.key: 100.0 for decision in plan.of("run")}
    lines = plan_lines(plan, times)
    assert lines[0].endswith("time")
    (line,) = (text for text in lines if re.match(r"  none +a .* train ", text))
    assert line.endswith(f"  {duration(600)}")  # 2 data sets × 3 seeds


@pytest.mark.parametrize(
    ("seconds", "text"), [(5, "5 s"), (89.6, "90 s"), (600, "10 min"), (7200, "2.0 h")]
)
def test_durations_are_in_the_unit_that_one_waits_in(seconds, text):
    assert duration(seconds) == text


def test_keys_that_rule_out_the_faster_engine_are_named(write_suite, tmp_path):
    def lines(training):
        text = SUITE.replace(", qwen2-0.5b-instruct", "") + f"training: {training}\n"
        return plan_lines(make_plan(write_suite(text), tmp_path / "run", backend="testing"))

    assert not any("TRL" in line for line in lines("{packing: false, learning_rate: 1e-3}"))
    assert not any("TRL" in line for line in lines("{engine: trl, packing: true}"))
    assert not any("TRL" in line for line in lines("{dataloader_num_workers: 2, do_train: true}"))
    assert lines("{packing: true}")[-1] == (
        "6 of the cells train by TRL, not the faster engine: training keys packing"
    )
    assert lines("{train_sampling_strategy: group_by_length}")[-1].endswith(
        ": train_sampling_strategy group_by_length"
    )


def test_keys_of_text_that_a_head_cannot_follow_are_named(write_suite, tmp_path):
    suite = write_suite(dataset="finance-labels")
    text = suite.read_text().replace("test: 12}", "test: 12, classify_by: head}")
    suite.write_text(text.replace("training: {", "training: {packing: true, loss_type: dft, "))
    last = plan_lines(make_plan(suite, tmp_path / "run", backend="testing"))[-1]
    assert last.endswith("a head, on which these keys have no effect: loss_type, packing")


GGUF_MODEL = """\
name: unknown
matrix:
  model: [{name: packed, card: {source: files, gguf_file: a.gguf}}]
  adapter: [base]
  dataset: [{name: ru-calculations, train: 20, test: 8}]
"""


@pytest.mark.parametrize("beside", [False, True], ids=["alone", "beside another's config.json"])
def test_the_memory_of_a_gguf_file_is_unknown_and_said_to_be(write_suite, tmp_path, beside):
    path = write_suite(GGUF_MODEL)
    (path.parent / "files").mkdir()
    (path.parent / "files/a.gguf").write_bytes(b"GGUF")
    if beside:  # what a small model is must not be said of whatever lies in the file
        sizes = {"hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2,
                 "num_attention_heads": 4, "vocab_size": 500}  # fmt: skip
        config = json.dumps({"model_type": "llama", **sizes})
        (path.parent / "files/config.json").write_text(config)
    made = make_plan(path, tmp_path / "out", backend="testing")
    assert {each.memory for each in made.decisions} == {None}
    line = "packed: memory unknown, as of every GGUF file; --max-vram does not skip it"
    assert line in plan_lines(made)
