"""A suite as settings of plain scripts: one for each fine-tuned cell, its baseline included.

The rows, prompts and training arguments are the harness's own, resolved here, before any clock
starts: neither side is asked to do what the other is not.
"""

import json
from pathlib import Path

from harness.backends.hf.encoding import prompt_text
from harness.backends.hf.models.loading import HEADS, load_tokenizer
from harness.backends.hf.tasks.label_answers import asked as ask
from harness.backends.hf.training.trainer import arguments_of
from harness.datasets.splits import load_splits
from harness.plan.expand import expand
from harness.suite.loading import load_suite
from harness.suite.options import trainer_keys


def write_settings(suite, folder):
    """Writes a settings file for each cell of ``suite`` with an adapter; gives their paths."""
    paths = []
    for cell in expand(load_suite(suite), suite):
        if not cell.is_baseline:
            name = f"{cell.model.name}-{cell.quantization}-{cell.dataset.name}"
            path = folder / f"{name}.json"
            path.write_text(json.dumps(settings_of(cell, folder / name)), encoding="utf-8")
            paths.append(path)
    return paths


def settings_of(cell, scratch):
    task, splits = cell.task, load_splits(cell.dataset, Path(cell.base_folder))
    tokenizer = load_tokenizer(cell.model)
    training = arguments_of(cell, None, scratch)
    if task.labels:
        training = {k: v for k, v in training.items() if k in trainer_keys()}
    quantization = dict(cell.quantization_config)
    if quantization:
        quantization["llm_int8_skip_modules"] = HEADS
        quantization["bnb_4bit_compute_dtype"] = "float32"

    def rows(examples):
        asked = ask(examples, task.labels) if task.labels else examples
        return [
            {
                "prompt": prompt_text(cell.model, tokenizer, question),
                "reference" if task.labels else "completion": example.reference,
                "text": "\n".join(filter(None, (example.prompt, example.context))),
                "reference": example.reference,
            }
            for example, question in zip(examples, asked, strict=True)
        ]

    train = rows(splits.train)
    if not task.labels:
        train = [{key: row[key] for key in ("prompt", "completion")} for row in train]
    return {
        "model": cell.model.source,
        "quantization": quantization,
        "adapter": {k: v for k, v in cell.adapter_config.items() if k != "peft_type"},
        "labels": list(task.labels),
        "training": training,
        "max_new_tokens": cell.generation["max_new_tokens"],
        "train": train,
        "test": rows(splits.test),
    }
