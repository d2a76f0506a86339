"""Names and keys of tasks of lm-evaluation-harness: what is found, and what is refused in words."""

import pytest
from lm_eval_tasks import group, write_tasks

from harness.datasets.lm_eval_task import describe_task, task_examples
from harness.datasets.lm_eval_yaml import metrics_of
from harness.errors import HarnessError
from harness.suite.dataset_entry import DatasetEntry

pytest.importorskip("lm_eval", reason="the extra lm-eval is not installed")


def entry(task, **keys):
    return DatasetEntry(name="set", source=f"lm_eval:{task}", include_path="tasks", **keys)


@pytest.fixture
def folder(tmp_path):
    write_tasks(tmp_path / "tasks")
    return tmp_path


@pytest.mark.parametrize(
    ("task", "primary", "metrics"),
    [
        ("pick", "acc_norm", ("acc", "acc_norm")),
        ("sums", "exact_match,number", ("exact_match,number", "exact_match,whole")),
        ("texts", "nll", ("word_perplexity", "bits_per_byte", "nll")),
        ("pair", "acc_norm", ("acc", "acc_norm")),
    ],
)
def test_a_task_s_metrics_are_those_of_its_yaml(folder, task, primary, metrics):
    found = describe_task(entry(task), folder)
    assert (found.primary_metric, found.metrics) == (primary, metrics)


def test_a_shipped_task_is_found_without_parsing_all_of_them():
    shipped = DatasetEntry(name="arc", source="lm_eval:arc_easy")
    found = describe_task(shipped, None)
    assert found.hub == ("allenai/ai2_arc",)
    assert found.metrics == ("acc", "acc_norm")


@pytest.mark.parametrize(
    ("config", "metrics"),
    [
        ({"output_type": "multiple_choice"}, ("acc", "acc_norm")),
        ({"output_type": "loglikelihood"}, ("perplexity", "acc", "nll")),
        ({}, ("exact_match",)),
        ({"metric_list": [{"metric": "/home/me/tasks/utils.my_score"}]}, ("my_score",)),
        (
            {
                "metric_list": [{"metric": "f1"}],
                "filter_list": [{"name": "first"}, {"name": "none"}],
            },
            ("f1,first", "f1"),
        ),
    ],
)
def test_metrics_of_a_yaml_are_named_as_results_name_them(config, metrics):
    assert metrics_of(config) == metrics


@pytest.mark.parametrize(
    ("change", "task", "message"),
    [
        (None, "piick", "no task \"piick\"\n  Did you mean pick"),
        ({"unsafe_code": True}, "pick", "runs code that the model writes"),
        ({"doc_to_image": ["image"]}, "pick", "asks about images or sound"),
        ({"class": "mine"}, "pick", "is written in Python"),
        ({"metric_list": []}, "pick", "names no metric"),
        ({"test_split": "nowhere"}, "pick", "cannot be loaded: KeyError"),
        ({"doc_to_target": "{{nothing.at.all}}"}, "pick", "cannot be loaded"),
        ({"dataset_kwargs": {"data_files": {"test": "gone.jsonl"}}}, "pick", "cannot be loaded"),
        (
            {"metric_list": [{"metric": "acu", "aggregation": "mean", "higher_is_better": True}]},
            "pick", 'has no metric "acu"',
        ),
        ({"fewshot_split": None, "num_fewshot": 1}, "pick", "the question itself among them"),
        ({"tag": "mine"}, "mine", "is a tag, which has no score of its own\n  Name each"),
    ],
)  # fmt: skip
def test_what_cannot_be_run_is_refused_in_one_message(folder, change, task, message):
    import yaml

    if change:
        path = folder / "tasks" / "pick.yaml"
        path.write_text(yaml.safe_dump({**yaml.safe_load(path.read_text()), **change}))
    with pytest.raises(HarnessError) as error:
        task_examples(entry(task), folder)
    assert message in str(error.value)
    assert 'data set "set"' in str(error.value)


@pytest.mark.parametrize(
    ("tasks", "weight", "message"),
    [
        (
            ["pick", "texts"],
            True,
            "its tasks share no metric\n  Name them one by one: pick, texts.",
        ),
        (["pick", "more"], False, "averages the scores of its tasks whatever their sizes"),
        (["pick", "no_such_one"], True, "lists a task 'no_such_one' that does not exist"),
    ],
)
def test_a_group_without_a_score_of_its_documents_is_refused(folder, tasks, weight, message):
    metric = {"metric": "acc", "aggregation": "mean", "weight_by_size": weight}
    group(folder / "tasks", "ours", tasks, [metric])
    with pytest.raises(HarnessError) as error:
        describe_task(entry("ours"), folder)
    assert message in str(error.value)


def test_a_yaml_that_cannot_be_parsed_is_named_with_its_line(folder):
    path = folder / "tasks" / "torn.yaml"
    path.write_text("task: torn\nmetric_list: [broken\n")
    with pytest.raises(HarnessError, match=r"torn\.yaml:3: .*cannot be read"):
        describe_task(entry("torn"), folder)


def test_a_group_s_examples_have_their_task_as_category(folder):
    examples = task_examples(entry("pair", limit=2), folder)
    assert [example.category for example in examples] == ["pick", "pick", "more", "more"]
    assert len({example.id for example in examples}) == 4
    assert examples[0].prompt == "Question: Which is alive, no. 0?\nAnswer:"
    assert examples[0].reference == "cat"


def test_a_number_of_shots_that_the_task_fixes_is_refused(folder):
    path = folder / "tasks" / "pick.yaml"
    path.write_text(path.read_text() + "num_fewshot: 0\n")
    with pytest.raises(HarnessError, match="num_fewshot has no effect: pick fixes it at 0"):
        describe_task(entry("pick", num_fewshot=5), folder)


@pytest.mark.parametrize("suffix", [".yaml", ".jsonl", ".py"])
def test_an_edit_of_any_of_its_files_is_another_content(folder, suffix):
    helper = folder / "tasks" / "utils.py"
    helper.write_text("A = 1\n")
    before = describe_task(entry("more"), folder).content
    name = {".yaml": "pick.yaml", ".jsonl": "more.jsonl", ".py": "utils.py"}[suffix]
    with (folder / "tasks" / name).open("a") as file:
        file.write("\n")
    assert describe_task(entry("more"), folder).content != before


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"source": "data.csv", "num_fewshot": 1}, "`num_fewshot` is for tasks of lm-eval"),
        ({"source": "lm_eval:pick", "rows": 10}, "`rows`: has no effect on a task"),
        ({"source": "lm_eval:pick", "labels": ["a", "b"]}, "`labels`: has no effect"),
        ({"source": "lm_eval:pick", "limit": 0}, "must be above 0"),
        ({"source": "lm_eval:pick", "limit": True}, "neither a whole number"),
        ({"source": "lm_eval:pick", "limit": 3.5}, "is no share below 1"),
        ({"source": "lm_eval:pick", "fewshot_as_multiturn": False}, "no effect without `apply_ch"),
    ],
)
def test_keys_that_would_do_nothing_are_refused(keys, message):
    with pytest.raises(ValueError, match=message):
        DatasetEntry(name="set", **keys)


SUITE = """\
name: small
matrix:
  model: [tiny-qwen2]
  adapter: [lora-r2]
  dataset:
    - {name: ru-calculations, rows: 60, train: 20, test: 5}
    - {name: finance, source: finance.csv, labels: [up, down], columns: {prompt: t, reference: l}}
    - {name: pick, source: "lm_eval:pick", include_path: tasks, KEYS}
"""


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ("limit: 3", "no rows to train adapters on\n  Set `train_on` to one of ru-calculations, f"),
        ("train_on: ru-calculation", 'Did you mean "ru-calculations"?'),
        ("train_on: pick", 'train_on: no data set "pick" with training rows'),
        ("train_on: finance", "finance trains a label head, which writes no text"),
        ("train_on: ru-calculations, primary_metric: f1", "It has: acc, acc_norm."),
        ("train_on: ru-calculations, include_path: tusks", "include_path: no folder"),
    ],
)
def test_a_suite_names_what_trains_the_adapters_of_a_task(folder, write_suite, keys, message):
    from harness.plan.expand import expand
    from harness.suite.loading import load_suite

    rows = "".join(f"text {k},{('up', 'down')[k % 2]}\n" for k in range(20))
    (folder / "finance.csv").write_text(f"t,l\n{rows}")
    text = SUITE.replace("KEYS", keys)
    if "include_path" in keys:
        text = text.replace("include_path: tasks, ", "")
    path = write_suite(text.replace("[lora-r2]", "[{name: lora-r2, config: {r: 2}}]"))
    with pytest.raises(HarnessError) as error:
        expand(load_suite(path), path)
    assert message in str(error.value)
