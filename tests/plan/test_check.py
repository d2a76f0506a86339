"""Every problem of a suite in one go, each with its line; the data is read."""

import json

import pytest
from click.testing import CliRunner

from harness.cli import main
from harness.errors import SuiteError
from harness.plan.check import Depth, check_suite
from harness.plan.plan import make_plan

GOOD = """\
name: x
matrix:
  model: [tiny-qwen2]
  quantization: [none]
  adapter: [{name: a, config: {r: 4, target_modules: [q_proj]}}]
  dataset: [{name: d, source: t.jsonl, train: 6, test: 2}]
training: {learning_rate: 2e-4}
evaluation: {batch_size: 4}
"""


@pytest.fixture
def suite(write_suite, tmp_path):
    rows = [
        {"instruction": f"q {k}", "output": f"a {k}", "gold": "many", "label": "yes"}
        for k in range(10)
    ]
    (tmp_path / "t.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))

    def write(*changes):
        text = GOOD
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        return write_suite(text)

    return write


def problems(path, **depth):
    return check_suite(path, Depth(**depth)).problems


D = "{name: d, source: t.jsonl, train: 6, test: 2}"
MISTAKES = {
    "a model": ("[tiny-qwen2]", "[tiny-qwen]", '3: matrix.model.0: unknown model "tiny-qwen"'),
    "a quantization": ("[none]", "[none, nf5]", '4: matrix.quantization.1: unknown quantization "nf5"'),
    "a bare adapter": ("[{name: a,", "[lora, {name: a,", '5: matrix.adapter.0: the adapter "lora" has no config'),
    "an adapter's folder": ("[{name: a,", "[{name: b, source: no}, {name: a,", 'adapter "b": no adapter_config'),
    "a built-in set": (D, "finance-q", '6: matrix.dataset.0: data set "finance-q": unknown source'),
    "a file": ("t.jsonl", "no.jsonl", '6: matrix.dataset.0: data set "d": no file'),
    "a test file": ("train: 6", "test_source: no.csv, train: 6", '6: matrix.dataset.0: data set "d": no file'),
    "a column": ("train: 6", "columns: {gold: god}, train: 6", 'no column "god" for gold'),
    "gold": ("train: 6", "columns: {gold: gold}, train: 6", 't.jsonl:1: column "gold" (gold) holds "many"'),
    "no gold": ("train: 6", "primary_metric: numeric_accuracy, train: 6", "numeric_accuracy needs gold numbers"),
    "one class": ("train: 6", "labels: [yes, no], columns: {prompt: instruction, reference: label}, train: 6", 'every row has the label "yes"'),
    "undeclared labels": ("train: 6", "labels: [ja, no], columns: {prompt: instruction, reference: label}, train: 6", 'label "yes" is not among'),
    "labels alike": ("train: 6", "labels: [No, no], train: 6", '6: matrix.dataset.0.labels: "No" and "no" are not distinct'),
    "no training rows": ("train: 6", "train: 0", "6: matrix.dataset.0.train: the set only tests, and a would be trained on it"),
    "too many rows": ("train: 6", "train: 60", "60 training and 2 test rows are asked for, 10 are there"),
    "a group": ("train: 6", "group_by: site, train: 6", 'no column "site" to group by'),
    "a loss": ("learning_rate: 2e-4", "loss_type: dpo", '7: training.loss_type: "dpo" is not one of its values'),
    "target modules": ("[q_proj]", "[qq_proj, c_attn]", "5: matrix.adapter.0.config.target_modules: ['qq_proj', 'c_attn'] match no layer of tiny-qwen2"),
    "a part of them": ("[q_proj]", "[q_proj, c_attn]", "['c_attn'] match no layer of tiny-qwen2, so less would be trained"),
    "a pattern": ("[q_proj]", '".*attention.*"', "match no layer of tiny-qwen2"),
    "a key": ("batch_size", "batch_siz", '8: evaluation.batch_siz: unknown key "batch_siz"'),
    "included": ("name: x", "name: x\ninclude: [{model: m}]", '2: include.0.model: "m" is not on the axis'),
    "not settings": ("name: x", "name: x\ninclude: [{model: tiny-qwen2, training: 5}]", "2: include.0.training: expected keys"),
    "the twin's model": ("name: x", "name: x\ntiny: {model: tinny}", '2: tiny: unknown model "tinny"'),
    "the twin's data": ("name: x", "name: x\ntiny: {dataset: {source: no.csv}}", "2: tiny.dataset: data set"),
    "the twin's keys": ("name: x", "name: x\ntiny: {dataset: {test: 0}}", "2: tiny.dataset.test: must be above 0"),
}  # fmt: skip


@pytest.mark.parametrize(("old", "new", "message"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_found_before_anything_runs(suite, old, new, message):
    found = problems(suite((old, new)))
    assert len(found) == 1
    assert message in found[0]
    assert found[0].count("\n") <= 4


TOGETHER = ("a model", "a quantization", "a bare adapter", "gold", "a loss", "a key")


def test_names_keys_shapes_and_data_are_reported_together(suite):
    path = suite(
        *(MISTAKES[name][:2] for name in TOGETHER),
        ("seed" if "seed" in GOOD else "name: x", "name: X"),
    )
    found = problems(path)
    for name in TOGETHER:
        assert any(MISTAKES[name][2] in problem for problem in found), name
    assert any("1: name: use small letters" in problem for problem in found)
    lines = [int(problem.partition(": ")[0].rpartition(":")[2]) for problem in found]
    assert lines == sorted(lines)


def test_a_plan_says_the_same_in_one_go(suite, tmp_path):
    path = suite(*(MISTAKES[name][:2] for name in TOGETHER))
    with pytest.raises(SuiteError) as caught:
        make_plan(path, tmp_path / "run")
    assert caught.value.problems == problems(path)


def test_a_plan_reads_the_data_of_cells_that_will_run(suite, tmp_path):
    with pytest.raises(SuiteError, match="is not one number"):
        make_plan(suite(MISTAKES["gold"][:2]), tmp_path / "run")
    (tmp_path / "t.jsonl").write_text('{"instruction": "q"}\n')
    with pytest.raises(SuiteError, match='no column "output"'):
        make_plan(suite(), tmp_path / "run")


def test_data_is_left_alone_where_that_is_asked(suite):
    assert problems(suite(MISTAKES["gold"][:2]), data=False) == ()


def test_an_excluded_pair_may_have_other_modules(suite):
    path = suite(
        ("[tiny-qwen2]", "[tiny-qwen2, tiny-llama]"),
        ("[q_proj]}}]", "[q_proj]}}, {name: b, config: {target_modules: [c_attn]}}]"),
        ("name: x", "name: x\nexclude: [{adapter: b, model: tiny-llama}]"),
    )
    assert [p.count("of tiny-qwen2") for p in problems(path)] == [1]


def test_what_a_file_decided_is_told(suite, tmp_path):
    (tmp_path / "t.csv").write_text(
        "instruction;output\n" + "".join(f"q {k};a {k}\n" for k in range(10))
    )
    found = check_suite(suite(("t.jsonl", "t.csv")), Depth())
    assert found.notes == ("d: 6 training rows, 2 test rows; separator: semicolon",)
    assert found.cells == 2


def test_test_prompts_that_training_repeats_are_told_before_anything_is_trained(suite, tmp_path):
    kinds = ("a red", "the blue", "one green", "my yellow", "her white")
    asked = [
        f"Why is {kind} lamp number {k} on the {k} side flashing?" for kind in kinds for k in (1, 2)
    ]
    (tmp_path / "t.csv").write_text(
        "\n".join(["instruction,output", *(f"{q},a {q}" for q in asked)])
    )
    found = check_suite(suite(("t.jsonl", "t.csv")), Depth())
    assert found.notes == (
        "d: 6 training rows, 2 test rows; 2 test prompts nearly repeat a training prompt:"
        " `group_by` keeps related rows together",
    )


def test_test_rows_of_few_groups_are_told_before_anything_is_trained(suite, tmp_path):
    words = ("bond", "river", "kettle", "forest", "ticket", "engine", "violin", "harbour")
    rows = [f"{word} {word[::-1] * k},a {k},{word}" for word in words for k in (1, 3, 7)]
    (tmp_path / "t.csv").write_text("\n".join(["instruction,output,topic", *rows]))
    path = suite(("t.jsonl", "t.csv"), ("train: 6, test: 2", "train: 12, test: 6, group_by: topic"))
    (note,) = check_suite(path, Depth()).notes
    assert "test rows; only 3 groups to test on" in note


def test_the_command_reads_data_unless_told_not_to(suite, tmp_path):
    path = str(suite(MISTAKES["gold"][:2]))
    read = CliRunner().invoke(main, ["validate", path])
    assert read.exit_code == 2
    assert 't.jsonl:1: column "gold"' in read.output
    assert CliRunner().invoke(main, ["validate", "--no-data", path]).exit_code == 0


@pytest.mark.parametrize("source", ["no_metric.py", "wrong.py"])
def test_an_extra_metric_that_cannot_be_loaded_is_found(suite, tmp_path, source):
    (tmp_path / "wrong.py").write_text("import nothing_of_that_name\n")
    entry = f"{{batch_size: 4, metrics: [{{source: {tmp_path / source}, higher_is_better: true}}]}}"
    found = CliRunner().invoke(main, ["validate", str(suite(("{batch_size: 4}", entry)))])
    assert found.exit_code == 2
    assert "suite.yaml:8: evaluation.metrics" in found.output
    assert "cannot be loaded" in found.output


BROKEN = {
    "anchors in anchors": "a: &a [x, x]\n" + "".join(f"{c}: &{c} [{', '.join([f'*{b}'] * 9)}]\n" for b, c in zip("abcdefgh", "bcdefghi", strict=True)),
    "an anchor in itself": "matrix: &a {model: *a}\n",
    "deep": "[" * 2000,
    "a list as key": "{[1, 2]: 3}\n",
    "a mapping as key": "{{a: b}: c}\n",
    "a date that is none": "a: 2021-13-40\n",
    "a long number": f"name: {'7' * 5000}\n",
    "a character that is none": 'a: "\\U00110000"\n',
    "a tag": "matrix: {model: !!timestamp x}\n",
    "a tag of a number": "matrix: {model: !!float x}\n",
    "nothing": "",
    "a text": "suite",
}  # fmt: skip


@pytest.mark.parametrize("text", BROKEN.values(), ids=BROKEN)
def test_a_broken_file_is_one_message(tmp_path, text):
    (tmp_path / "s.yaml").write_text(text)
    found = CliRunner().invoke(main, ["validate", str(tmp_path / "s.yaml")])
    assert found.exit_code == 2
    assert "s.yaml" in found.output
    assert "Traceback" not in found.output


def test_a_gguf_file_is_not_quantized_again(suite, tmp_path):
    (tmp_path / "m.gguf").write_text("GGUF")
    model = ("[tiny-qwen2]", "[tiny-qwen2, {name: packed, card: {source: ./m.gguf}}]")
    both = ("[none]", "[none, nf4]")
    problems = check_suite(suite(model, both), Depth(data=False)).problems
    assert len(problems) == 1
    assert ':4: matrix.quantization.1: model "packed" is a GGUF file' in problems[0]
    assert "{model: packed, quantization: nf4}" in problems[0]
    without = ("training:", "exclude: [{model: packed, quantization: nf4}]\ntraining:")
    assert check_suite(suite(model, both, without), Depth(data=False)).problems == ()


@pytest.mark.parametrize(("files", "what"), [(["suite.yaml"], "run's directory"), ([], "a folder")])
def test_a_folder_in_the_place_of_a_suite_is_named(files, what, tmp_path):
    for file in files:
        (tmp_path / file).write_text(GOOD)
    result = CliRunner().invoke(main, ["plan", str(tmp_path)])
    assert result.exit_code == 2
    assert what in result.output
