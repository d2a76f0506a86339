"""Tasks of lm-evaluation-harness on local files, one of each kind, written into a folder."""

import json

import yaml

ANIMALS = ("cat", "dog", "cow", "horse", "bird", "fish", "bee", "ant", "frog")


def write_tasks(folder):
    """`pick` (multiple choice), `sums` (generated, two filters), `texts` (rolling), `pair` (both)."""
    folder.mkdir(parents=True, exist_ok=True)
    choices = [[name, "stone", "a long grey river"] for name in ANIMALS]
    pick = [
        {
            "question": f"Which is alive, no. {i}?",
            "choices": c[i % 3 :] + c[: i % 3],
            "right": -i % 3,
        }
        for i, c in enumerate(choices)
    ]
    sums = [{"q": f"What is {i} + {i + 1}?", "a": str(2 * i + 1)} for i in range(7)]
    texts = [
        {"text": f"The {name} is in the house. " * (1 + i % 4)} for i, name in enumerate(ANIMALS)
    ]
    mean = {"aggregation": "mean", "higher_is_better": True}
    _write(folder, "pick", pick, {
        "output_type": "multiple_choice", "fewshot_split": "test",
        "doc_to_text": "Question: {{question}}\nAnswer:", "doc_to_target": "right",
        "doc_to_choice": "choices",
        "metric_list": [{"metric": "acc", **mean}, {"metric": "acc_norm", **mean}],
    })  # fmt: skip
    _write(folder, "more", pick[:4], {"include": "pick.yaml"})
    _write(folder, "sums", sums, {
        "output_type": "generate_until", "fewshot_split": "test",
        "doc_to_text": "Q: {{q}}\nA:", "doc_to_target": "{{a}}",
        "generation_kwargs": {"until": ["\n", "Q:"], "max_gen_toks": 10, "do_sample": False},
        "filter_list": [
            {"name": "number", "filter": [
                {"function": "regex", "regex_pattern": "([0-9]+)"}, {"function": "take_first"}]},
            {"name": "whole", "filter": [{"function": "take_first"}]},
        ],
        "metric_list": [{"metric": "exact_match", **mean}],
    })  # fmt: skip
    _write(folder, "texts", texts, {
        "output_type": "loglikelihood_rolling", "doc_to_text": "", "doc_to_target": "{{text}}",
        "metric_list": [
            {"metric": "word_perplexity", "aggregation": "weighted_perplexity",
             "higher_is_better": False},
            {"metric": "bits_per_byte", "aggregation": "bits_per_byte", "higher_is_better": False},
        ],
    })  # fmt: skip
    both = {"metric": "acc", "aggregation": "mean", "weight_by_size": True}
    group(folder, "pair", ["pick", "more"], [both])
    return folder


def _write(folder, name, rows, config):
    data = folder / f"{name}.jsonl"
    data.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    task = {
        "task": name, "dataset_path": "json", "dataset_kwargs": {"data_files": {"test": str(data)}},
        "test_split": "test", "metadata": {"version": 1.0}, **config,
    }  # fmt: skip
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(task))


def group(folder, name, tasks, metrics):
    """A group of ``tasks`` with its ``aggregate_metric_list``."""
    config = {"group": name, "task": tasks, "aggregate_metric_list": metrics}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump({**config, "metadata": {"version": 1.0}}))
