"""A run of ours against a plain transformers and TRL script: `reports/benchmarks/plain_trl.md`.

    harness run tests/benchmarks/plain_trl.yaml --workers 6
    python tests/benchmarks/plain_trl.py runs/plain-trl -o reports/benchmarks

Each cell of the run is done again as one would by hand: `SFTTrainer` on conversational rows with
the cell's settings and seed, `model.generate` in left-padded batches. Rows and scores are the
harness's, so that only what lies between them is compared: templates, tokens, labels, training,
loading, decoding. Two trainings with one seed are not equal bit by bit on the two sides, so means
over seeds are compared, by their standard errors. Answers of the untouched model must be equal, in
float32; in bfloat16 two right ways of decoding part at near-ties.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import tempfile
from pathlib import Path
from typing import NamedTuple

import torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, set_seed
from trl import SFTConfig, SFTTrainer

from harness.datasets.splits import load_splits
from harness.plan.cell import cell_of_record
from harness.plan.machine import machine
from harness.report.markdown import markdown_table
from harness.results.run import load_run
from harness.scoring.scoring import attach_examples, score_records
from harness.suite.options import HARNESS_TRAINING_KEYS

BATCH = 32
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"


class Pair(NamedTuple):
    """One cell: the mean score on each side, and how many answers are equal."""

    model: str
    adapter: str
    dataset: str
    metric: str
    ours: float
    plain: float
    equal: int
    examples: int


def chat(example):
    user = f"{example.prompt}\n\n{example.context}" if example.context else example.prompt
    system = [{"role": "system", "content": example.system}] if example.system else []
    turns = [{"role": turn.role, "content": turn.content} for turn in example.history]
    return [*system, *turns, {"role": "user", "content": user}]


def trained(cell, model, tokenizer, examples, folder):
    """``model`` with the cell's adapter, trained by TRL."""
    rows = [
        {"prompt": chat(e), "completion": [{"role": "assistant", "content": e.reference}]}
        for e in examples
    ]
    assert cell.training["loss_on"] == "answer"  # `completion_only_loss` below
    assert "loraplus_lr_ratio" not in cell.training
    settings = {k: v for k, v in cell.training.items() if k not in HARNESS_TRAINING_KEYS}
    arguments = SFTConfig(
        folder, completion_only_loss=True, seed=cell.seed, data_seed=cell.seed,
        bf16=model.dtype == torch.bfloat16, use_cpu=DEVICE == "cpu", report_to="none",
        save_strategy="no", gradient_checkpointing=False, disable_tqdm=True, **settings,
    )  # fmt: skip
    adapter = {k: v for k, v in cell.adapter_config.items() if k != "peft_type"}
    set_seed(cell.seed)
    trainer = SFTTrainer(
        model=model, args=arguments, train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer, peft_config=LoraConfig(task_type="CAUSAL_LM", **adapter),
    )  # fmt: skip
    trainer.train()
    return trainer.model


@torch.inference_mode()
def answers(model, tokenizer, examples, generation):
    """The greedy answers by `generate`, in batches."""
    model.eval()
    tokenizer.padding_side = "left"
    found = []
    for first in range(0, len(examples), BATCH):
        inputs = tokenizer.apply_chat_template(
            [chat(e) for e in examples[first : first + BATCH]], add_generation_prompt=True,
            return_tensors="pt", return_dict=True, padding=True,
        ).to(DEVICE)  # fmt: skip
        output = model.generate(**inputs, **generation, pad_token_id=tokenizer.pad_token_id)
        new = output[:, inputs["input_ids"].shape[1] :]
        found += [text.strip() for text in tokenizer.batch_decode(new, skip_special_tokens=True)]
    return found


def pair(run, result):
    """The cell of ``result`` done again."""
    cell = cell_of_record(result.provenance.cell)
    splits = load_splits(cell.dataset, Path(cell.base_folder))
    tokenizer = AutoTokenizer.from_pretrained(cell.model.source)
    dtype = getattr(torch, cell.model.dtype)
    model = AutoModelForCausalLM.from_pretrained(cell.model.source, dtype=dtype).to(DEVICE)
    if not cell.is_baseline:
        with tempfile.TemporaryDirectory() as folder:
            model = trained(cell, model, tokenizer, splits.train, folder)
    texts = answers(model, tokenizer, splits.test, cell.generation)
    records = [{"prompt": "", "prediction": text} for text in texts]
    attach_examples(records, splits.test, cell.task)
    score_records(records, cell.task)
    ours, metric = run.predictions(result), result.primary_metric
    assert [r["id"] for r in ours] == [r["id"] for r in records]
    means = [statistics.fmean(r["scores"][metric] for r in side) for side in (ours, records)]
    equal = sum(a["prediction"].strip() == text for a, text in zip(ours, texts, strict=True))
    return Pair(
        result.model, result.adapter, result.dataset, metric, *means, equal=equal,
        examples=len(texts),
    )  # fmt: skip


def compared(pairs):
    """One line for the seeds of a variant: both means with standard errors, and their distance."""
    first, n = pairs[0], len(pairs)
    sides = [[p.ours for p in pairs], [p.plain for p in pairs]]
    means = [statistics.fmean(side) for side in sides]
    errors = [statistics.stdev(side) / math.sqrt(n) if n > 1 else 0.0 for side in sides]
    error, gap = math.hypot(*errors), means[0] - means[1]
    alone = f"{gap:+.4f}" if n == 1 else f"{gap:+.4f}, {abs(gap) / error if error else 0:.1f} SE"
    texts = [
        f"{m:.4f} ± {e:.4f}" if n > 1 else f"{m:.4f}" for m, e in zip(means, errors, strict=True)
    ]
    equal = f"{sum(p.equal for p in pairs)} of {sum(p.examples for p in pairs)}"
    return (first.model, first.adapter, first.dataset, first.metric, str(n), *texts, alone, equal)


def page(lines):
    columns = (
        "model", "adapter", "data set", "metric", "seeds", "harness", "plain script",
        "difference", "equal answers",
    )  # fmt: skip
    versions = {name: __import__(name).__version__ for name in ("torch", "transformers", "trl")}
    about = [
        f"- device: {machine().gpu or machine().cpu}",
        *(f"- {name}: {version}" for name, version in versions.items()),
        "- commands: harness run tests/benchmarks/plain_trl.yaml --workers 6; python"
        " tests/benchmarks/plain_trl.py runs/plain-trl -o reports/benchmarks",
        "- ± and SE: standard error of the mean over seeds",
    ]
    return "\n".join(
        ["# Against a plain TRL script", "", *about, "", *markdown_table(columns, lines), ""]
    )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("run", type=Path)
    parser.add_argument("-o", "--output", type=Path, required=True)
    options = parser.parse_args()
    run = load_run(options.run)
    groups = {}
    for result in run.cells:
        assert result.status == "ok", f"{result.key}: {result.status} ({result.reason})"
        found = pair(run, result)
        print(json.dumps({"cell": result.key, **found._asdict()}), flush=True)
        groups.setdefault((result.model, result.adapter, result.dataset), []).append(found)
    options.output.mkdir(parents=True, exist_ok=True)
    text = page([compared(group) for group in groups.values()])
    (options.output / "plain_trl.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
