"""Training against TRL's `SFTTrainer` on a CUDA device: `reports/benchmarks/cuda_training.md`.

    python tests/benchmarks/cuda_training.py -o reports/benchmarks

Random weights of published geometries, LoRA on all linear layers, rows of 64 to 512 tokens (mean
about 214) of which the last two thirds are learned, batch 8. Both sides are the product, with
`engine: trl` and `engine: auto`: the same rows, order, seed, schedule and dropout, from the same
weights. Captures count. `--checks FOLDER` compares the two on a pretrained model, option by option.
"""

from __future__ import annotations

import argparse
import json
import math
import tempfile
import time
import traceback
from dataclasses import replace
from pathlib import Path

import torch
import transformers
import trl
from peft import LoraConfig, get_peft_model
from training_profile import STEPS, Recorder, profile_lines
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, set_seed

from harness.backends.hf.counters.ceilings import multiplied_params, training_share
from harness.backends.hf.counters.memory import MIB, free, synchronize
from harness.backends.hf.models.loading import census
from harness.backends.hf.models.random import random_model
from harness.backends.hf.training.trainer import train_rows
from harness.plan.expand import expand
from harness.plan.machine import machine
from harness.report.markdown import markdown_table
from harness.suite.loading import load_suite
from harness.suite.model_card import find_model_card
from harness.suite.schema import QUANTIZATIONS

ROOT = Path(__file__).parents[2]
DEVICE = torch.device("cuda" if torch.cuda.is_available() else "cpu")
CUDA = DEVICE.type == "cuda"
ROWS = 8
CHECKPOINTED = {"gradient_checkpointing": True}
QLORA = {"learning_rate": 2e-4}
"""The rate of Dettmers et al. 2023. At 1e-3 random weights are unstable: a gradient norm of 46 in
one engine are 29 in the other, and a loss is then 0.02 off."""
RANDOM_7B = {"learning_rate": 2e-5}
"""At 2e-4 a model of this size with random weights is unstable from step 54 on, under either
engine: the losses of two runs of `SFTTrainer` are up to 0.84 apart."""
GEOMETRIES = {
    "qwen2": ("Qwen2-0.5B, bf16, r8", "qwen2-0.5b-instruct", "none", 8, {}),
    "tinyllama": ("TinyLlama-1.1B, NF4, r16", "tinyllama-1.1b-chat", "nf4", 16, QLORA),
    "mistral": ("Mistral-7B, NF4, r64", "mistral-7b-v0.1", "nf4", 64, RANDOM_7B),
    "mistral-checkpointed": (
        "Mistral-7B, NF4, r64, checkpointing", "mistral-7b-v0.1", "nf4", 64,
        {**RANDOM_7B, **CHECKPOINTED},
    ),
    "tiny": ("dry run", "tiny-qwen2", "none", 4, {}),
}  # fmt: skip
"""Name → title, model card, quantization, rank, training keys."""
CHECKS = {
    "bf16": {}, "dropout": {"dropout": 0.1}, "nf4": {"quantization": "nf4"},
    "accumulation": {"training": {"gradient_accumulation_steps": 2}},
    "checkpointing": {"training": CHECKPOINTED},
    "checkpointing, dropout": {"training": CHECKPOINTED, "dropout": 0.1},
    "dora": {"adapter": {"use_dora": True}}, "full": {"adapter": None},
    "lora+": {"training": {"loraplus_lr_ratio": 8.0}},
    "8 bit": {"training": {"optim": "adamw_8bit"}}, "fp32": {"dtype": torch.float32},
    "nf4, checkpointing": {"quantization": "nf4", "training": CHECKPOINTED},
}  # fmt: skip
"""What is changed of LoRA r8 on a bfloat16 model."""


def make_rows(count, vocabulary, longest=512):
    draw = torch.Generator().manual_seed(0)
    sizes = torch.exp(torch.randn(count, generator=draw) * 0.5 + math.log(195))
    rows = []
    for size in sizes.clamp(64, longest).int().tolist():
        ids = torch.randint(10, min(vocabulary, 4000), (size,), generator=draw).tolist()
        start = int(size * 0.35)
        rows.append({"input_ids": ids, "labels": [-100] * start + ids[start:]})
    return rows


def adapted(model, rank, dropout=0.0, **more):
    set_seed(1)
    config = LoraConfig(
        r=rank, lora_alpha=2 * rank, lora_dropout=dropout, target_modules="all-linear",
        task_type="CAUSAL_LM", **more,
    )  # fmt: skip
    return get_peft_model(model, config)


def geometry(name, dropout):
    _, card, quantization, rank, _ = GEOMETRIES[name]
    path = ROOT / "suites" / "finance.yaml"
    cell = expand(load_suite(path), path)[0]
    found = find_model_card(card, [ROOT / "models"]).model_copy(update={"weights": "random"})
    if found.architecture is None:  # of the tiny model of a dry run
        config = json.loads((ROOT / "models/tiny/tiny-qwen2/config.json").read_text())
        found = found.model_copy(update={"architecture": config})
    cell = replace(cell, model=found, quantization_config=QUANTIZATIONS[quantization])
    return adapted(random_model(cell, DEVICE), rank, dropout)


def pretrained(folder, change):
    kwargs = {"dtype": change.get("dtype", torch.bfloat16), "device_map": {"": str(DEVICE)}}
    if "quantization" in change:
        options = {**QUANTIZATIONS["nf4"], "bnb_4bit_compute_dtype": torch.bfloat16}
        kwargs["quantization_config"] = BitsAndBytesConfig(**options)
    model = AutoModelForCausalLM.from_pretrained(folder, **kwargs)
    adapter = change.get("adapter", {})
    if adapter is None:
        return model.requires_grad_(True)
    return adapted(model, 8, change.get("dropout", 0.0), **adapter)


def trained(model, rows, steps, engine, tell=None, **training):
    """One training by the product; its losses, seconds and how it went."""
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "models/tiny/tiny-qwen2")
    half = training.pop("half", CUDA)
    with tempfile.TemporaryDirectory() as folder:
        options = {
            "output_dir": folder, "use_cpu": not CUDA, "seed": 0, "data_seed": 0,
            "report_to": "none", "disable_tqdm": True, "save_strategy": "no", "logging_steps": 1,
            "bf16": half, "gradient_checkpointing": False, "dataloader_pin_memory": CUDA,
            "max_steps": steps, "per_device_train_batch_size": ROWS, "learning_rate": 1e-3,
            "lr_scheduler_type": "cosine", "warmup_steps": 4, "max_length": 512,
            **training, "engine": engine,
        }  # fmt: skip
        if CUDA:
            torch.cuda.reset_peak_memory_stats()
        began = time.perf_counter()
        tokens = sum(len(row["input_ids"]) for row in rows)
        done = train_rows(model, tokenizer, options, rows, tokens, tell=tell)
        synchronize()
    whole = time.perf_counter() - began
    facts = census(model)
    share = training_share(
        multiplied_params(model), facts["trainable_params"], done.tokens, done.seconds
    )
    return {
        "losses": [record["loss"] for record in done.log],
        "norms": [record["grad_norm"] for record in done.log],
        "tokens_per_s": done.tokens / done.seconds, "seconds": done.seconds, "whole": whole,
        "step_ms": 1000 * done.step, "flops_share": share, "how": done.how,
        "peak_mib": torch.cuda.max_memory_allocated() / MIB if CUDA else None,
        "reserved_mib": torch.cuda.max_memory_reserved() / MIB if CUDA else None,
    }  # fmt: skip


def side_by_side(title, make, rows, steps, profiled=False, **training):
    """Both engines from the same weights; None where one of them fails."""
    found = {}
    for engine, count in (("trl", steps[0]), ("auto", steps[1])):
        model = make()
        try:
            found[engine] = trained(model, rows, count, engine, **training)
            if profiled:
                recorder = Recorder()
                trained(model, rows[: STEPS * ROWS], STEPS, engine, recorder, **training)
                found[engine]["profile"] = recorder.summary()
        except Exception:
            print(f"!! {title} {engine}", traceback.format_exc(), sep="\n", flush=True)
        del model
        free()
    if len(found) < 2:
        return None
    ours, theirs = found["auto"], found["trl"]
    pairs = list(zip(ours["losses"], theirs["losses"], strict=False))
    row = {
        "title": title, "trl": theirs, "engine": ours,
        "ratio": ours["tokens_per_s"] / theirs["tokens_per_s"],
        "apart": max(abs(a - b) for a, b in pairs),
        "mean_apart": sum(abs(a - b) for a, b in pairs) / len(pairs),
        "norm_apart": max(
            abs(a - b) / max(b, 1e-9)
            for a, b in zip(ours["norms"], theirs["norms"], strict=False)
        ),
    }  # fmt: skip
    print(
        f"{title}: {theirs['tokens_per_s']:.0f} -> {ours['tokens_per_s']:.0f} tokens/s,"
        f" {row['ratio']:.2f} times; step {theirs['step_ms']:.1f} -> {ours['step_ms']:.1f} ms;"
        f" losses {row['apart']:.5f} apart at most, {row['mean_apart']:.5f} mean; norms"
        f" {row['norm_apart']:.4f}; last {theirs['losses'][-1]:.4f} {ours['losses'][-1]:.4f};"
        f" peak {theirs['peak_mib']} -> {ours['peak_mib']} MiB, reserved {ours['reserved_mib']};"
        f" whole {theirs['whole']:.1f} -> {ours['whole']:.1f} s; FLOPs {theirs['flops_share']} ->"
        f" {ours['flops_share']}; {ours['how']}",
        flush=True,
    )
    return row


def checks(folder, only, steps):
    vocabulary = AutoModelForCausalLM.from_pretrained(folder).config.vocab_size
    for name, change in CHECKS.items():
        if only and name not in only:
            continue
        half = CUDA and "dtype" not in change
        if not CUDA:
            change = {"dtype": torch.float32, **change}
        training = {**change.get("training", {}), "half": half}
        rows = make_rows(steps * ROWS * training.get("gradient_accumulation_steps", 1), vocabulary)
        rate = 1e-5 if change.get("adapter", {}) is None else 1e-3
        side_by_side(
            name, lambda change=change: pretrained(folder, change), rows, (steps, steps),
            learning_rate=rate, **training,
        )  # fmt: skip


def main():
    arguments = argparse.ArgumentParser()
    arguments.add_argument("-o", "--output", type=Path)
    arguments.add_argument("--models", default="qwen2,tinyllama,mistral-checkpointed,mistral")
    arguments.add_argument("--steps", type=int, default=300)
    arguments.add_argument("--trl-steps", type=int, help="fewer steps of TRL, where time is short")
    arguments.add_argument("--dropout", type=float, default=0.0)
    arguments.add_argument("--learning-rate", type=float, help="instead of the model's own")
    arguments.add_argument("--checks", type=Path, help="a pretrained model's folder")
    arguments.add_argument("--only", default="", help="checks, separated by semicolons")
    arguments.add_argument("--check-steps", type=int, default=16)
    arguments.add_argument("--add", action="store_true", help="to the rows of an earlier run")
    arguments.add_argument("--profile", action="store_true", help="where a step goes, on CUDA")
    options = arguments.parse_args()
    print(machine(), flush=True)
    if options.checks:
        only = [name for name in options.only.split(";") if name]
        checks(options.checks, only, options.check_steps)
    table = []
    for name in filter(None, options.models.split(",")):
        title, _, _, _, training = GEOMETRIES[name]
        rows = make_rows(options.steps * ROWS, 400 if name == "tiny" else 4000)
        if options.trl_steps:  # a schedule that does not depend on the number of steps
            training = {**training, "lr_scheduler_type": "constant_with_warmup"}
        if options.learning_rate:
            training = {**training, "learning_rate": options.learning_rate}
        found = side_by_side(
            title, lambda name=name: geometry(name, options.dropout), rows,
            (options.trl_steps or options.steps, options.steps), options.profile, **training,
        )  # fmt: skip
        if found:
            found |= {"steps": [options.trl_steps or options.steps, options.steps]}
            table.append(found)
    if options.output and table:
        write(options.output, table, options)


def write(folder, table, options):
    earlier = folder / "cuda_training.json"
    if options.add and earlier.exists():
        titles = {row["title"] for row in table}
        before = json.loads(earlier.read_text(encoding="utf-8"))["rows"]
        table = [*(row for row in before if row["title"] not in titles), *table]
    facts = {
        "device": machine().gpu or machine().cpu, "torch": torch.__version__,
        "transformers": transformers.__version__, "trl": trl.__version__,
        "command": "python tests/benchmarks/cuda_training.py --profile -o reports/benchmarks",
        "rows": f"{ROWS} a batch, 64 to 512 tokens, loss on the last two thirds of each",
        "dropout": options.dropout,
    }  # fmt: skip
    columns = (
        "model", "steps of either", "fused", "SFTTrainer, tokens/s", "engine, tokens/s", "ratio",
        "SFTTrainer, ms a step", "engine, ms a step", "SFTTrainer, FLOPs", "engine, FLOPs", "largest difference of a loss", "mean", "peak MiB, SFTTrainer",
        "peak MiB, engine", "capture, s",
    )  # fmt: skip
    rows = [
        (
            row["title"], "; ".join(map(str, row["steps"])),
            "yes" if row["engine"]["how"].get("fused") else "no", f"{row['trl']['tokens_per_s']:,.0f}",
            f"{row['engine']['tokens_per_s']:,.0f}", f"{row['ratio']:.2f}",
            f"{row['trl']['step_ms']:.0f}", f"{row['engine']['step_ms']:.1f}",
            _percent(row["trl"]["flops_share"]), _percent(row["engine"]["flops_share"]),
            f"{row['apart']:.4f}", f"{row['mean_apart']:.5f}", f"{row['trl']['peak_mib'] or 0:,.0f}",
            f"{row['engine']['peak_mib'] or 0:,.0f}",
            str(row["engine"]["how"].get("capture_seconds", "")),
        )
        for row in table
    ]  # fmt: skip
    lines = ["# Training on CUDA", "", *(f"- {key}: {value}" for key, value in facts.items()), ""]
    lines += [*markdown_table(columns, rows), ""]
    lines += _noise(table)
    for row in table:
        before, after = row["trl"].get("profile"), row["engine"].get("profile")
        if before and after:
            columns = (
                "kernels",
                "SFTTrainer, ms a step",
                "launches",
                "engine, ms a step",
                "launches ",
            )
            lines += [f"## Where a step goes: {row['title']}", ""]
            lines += [*markdown_table(columns, profile_lines(before, after)), ""]
    text = "\n".join(lines)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "cuda_training.md").write_text(text, encoding="utf-8")
    data = json.dumps({"facts": facts, "rows": table}, indent=1) + "\n"
    (folder / "cuda_training.json").write_text(data, encoding="utf-8")
    print(text)


def _noise(table):
    """How far apart each engine's two trainings of one model are, which differ by a key alone.

    Checkpointing computes the same numbers again: where two runs of `SFTTrainer` come apart, what
    the engine is apart from either says nothing.
    """
    by = {row["title"]: row for row in table}
    lines = []
    for title, row in by.items():
        other = by.get(f"{title}, checkpointing")
        if other:
            found = []
            for engine in ("trl", "engine"):
                pairs = zip(row[engine]["losses"], other[engine]["losses"], strict=False)
                gaps = [abs(a - b) for a, b in pairs]
                first = next((k for k, gap in enumerate(gaps) if gap > 0.02), len(gaps))
                found.append(f"{max(gaps):.4f} at most, by more than 0.02 from step {first} on")
            lines += [
                f"{title}, with and without checkpointing, which computes the same twice: the losses of two"
                f" runs of `SFTTrainer` are apart by {found[0]}; those of two of the engine by {found[1]}.", "",
            ]  # fmt: skip
    return lines


def _percent(share):
    return "" if share is None else f"{share:.1%}"


if __name__ == "__main__":
    main()
