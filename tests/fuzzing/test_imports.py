"""Broken results of other tools, and broken tables of answers, under `harness import`."""

import json
import random
import shutil

import pytest
from mutations import SEED, broken_bytes, broken_text, broken_values, json_of, places

TIME = "2026-01-02T03-04-05.678901"


def lm_eval_line(i):
    return {
        "doc_id": i, "doc": {"text": f"d{i}"}, "target": f"a{i}",
        "arguments": {"gen_args_0": {"arg_0": f"Question {i}", "arg_1": f"a{i}"}},
        "resps": [[f"t{i}"]], "filtered_resps": [f"t{i}"], "filter": "none", "metrics": ["acc", "perplexity"],
        "doc_hash": f"d{i:063}", "prompt_hash": f"p{i:063}", "target_hash": "t", "acc": float(i % 2),
        "perplexity": -1.5, "word_perplexity": [-3.0, 4],
    }  # fmt: skip


RESULTS = {
    "results": {"tiny": {"alias": "tiny", "acc,none": 0.5, "perplexity,none": 4.48}},
    "configs": {"tiny": {"task": "tiny", "metric_list": [
        {"metric": "acc", "aggregation": "mean", "higher_is_better": True},
        {"metric": "perplexity", "aggregation": "perplexity", "higher_is_better": False}]}},
    "versions": {"tiny": 1.0}, "higher_is_better": {"tiny": {"acc": True}},
    "config": {"model": "hf", "model_args": "pretrained=o/m,peft=x/lora/checkpoint-3,load_in_4bit=True", "model_dtype": "float16"},
    "model_name": "o/m", "lm_eval_version": "0.4.9",
}  # fmt: skip
PEFT = {
    "run_info": {"experiment_name": "lora/x", "created_at": "2025", "error_msg": "",
                 "train_config": {"model_id": "o/Llama-3B", "seed": 0, "query_template": "Q", "max_seq_length": 9}},
    "train_info": {"status": "success", "train_time": 9.5, "num_trainable_params": 12, "file_size": 4096,
                   "accelerator_memory_max": 2**30, "accelerator_memory_reserved_avg": 2**29,
                   "metrics": [{"step": 1, "test accuracy": 0.5, "train loss": 0.1, "forgetting": 0.01}]},
    "meta_info": {"package_info": {"transformers-version": "5.0"}, "system_info": {"gpu": "x", "processor": "y"}},
}  # fmt: skip
ANSWERS = [
    {"id": str(i), "model": model, "prompt": f"p{i}", "reference": f"r {i}", "prediction": f"r {i % 3}",
     "gold": str(i), "category": "c", "group": str(i // 2), "adapter": "lora", "seed": "1", "dataset": "d"}
    for model in "ab" for i in range(4)
]  # fmt: skip
FILES = {
    f"samples_tiny_{TIME}.jsonl": [lm_eval_line(i) for i in range(6)],
    f"results_{TIME}.json": RESULTS,
    "peft.json": PEFT,
    "answers.json": ANSWERS,
    "answers.jsonl": ANSWERS,
}
WAYS = [(), (), (), ("--labels", "r 0,r 1,r 2"), ("--columns", "label=reference", "--labels", "r 0,r 1"),
        ("--columns", "prompt=prompt,group=id"), ("--metric", "rougeL"), ("--baseline", "b"), ("--language", "ru")]  # fmt: skip


def content(name, value):
    if name.endswith(".jsonl") and isinstance(value, list):
        return "".join(json.dumps(row) + "\n" for row in value)
    return json_of(value)


def broken(name, draw):
    value, new = FILES[name], draw.randrange(2**32)
    chance = draw.random()
    if chance < 0.15:
        return list(broken_bytes(content(name, value).encode(), 17, new))[draw.randrange(17)]
    if chance < 0.25:
        return next(broken_text(content(name, value), 1, new)).encode("utf-8", "surrogatepass")
    every = len(list(places(value))) + 40
    odd = list(broken_values(value, every, new))[draw.randrange(every)]
    return content(name, odd).encode("utf-8", "surrogatepass")


def every(attempts, count, seed):
    draw = random.Random(seed)
    log, folder = f"samples_tiny_{TIME}.jsonl", attempts.folder / "in"
    for number in range(count):
        name = list(FILES)[number % len(FILES)]
        shutil.rmtree(folder, ignore_errors=True)
        shutil.rmtree(attempts.folder / "out", ignore_errors=True)
        folder.mkdir()
        if name.startswith("results_"):
            (folder / log).write_text(content(log, FILES[log]))
        if name == log and draw.random() < 0.5:
            (folder / f"results_{TIME}.json").write_text(json.dumps(RESULTS))
        (folder / name).write_bytes(broken(name, draw))
        source = folder / name if name.startswith("answers") else folder
        way = draw.choice(WAYS) if name.startswith("answers") else ()
        if name.endswith("answers.json") and not way:
            way = ("--columns", "prompt=prompt")
        attempts.run("import", source, "-o", "out", *way)
    attempts.check()


def test_a_broken_file_of_another_tool_is_refused_in_words(attempts):
    every(attempts, 40, seed=1)


@pytest.mark.reliability
def test_thousands_of_broken_files_of_other_tools_are_refused_in_words(attempts):
    every(attempts, 2500, seed=SEED)
