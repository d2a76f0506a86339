"""Heads and likelihoods in flat batches against padded ones, on a CUDA device or a CPU.

    python tests/benchmarks/cuda_heads.py --model FOLDER -o OUT     # numbers, several calls add up
    python tests/benchmarks/cuda_heads.py --page OUT -o reports/benchmarks

Heads: the product with `engine: trl` (transformers' `Trainer`) and with `engine: auto`, from the
same weights, over the same rows. Likelihoods: padded batches and flat ones of one model.
"""

from __future__ import annotations

import argparse
import json
import math
import resource
import tempfile
import time
import traceback
from pathlib import Path

import torch
import transformers
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    set_seed,
)

from harness.backends.hf.counters.memory import MIB, free, synchronize
from harness.backends.hf.decoding import likelihood
from harness.backends.hf.decoding.agreement import checks_of
from harness.backends.hf.encoding import Encoded, TrainingRows
from harness.backends.hf.training import head_check
from harness.backends.hf.training.label_trainer import train_head
from harness.plan.machine import machine
from harness.report.markdown import markdown_table

ROOT = Path(__file__).parents[2]
DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
CUDA = DEVICE == "cuda"
LABELS = 3


def sizes(count, mean, longest):
    draw = torch.Generator().manual_seed(0)
    found = torch.exp(torch.randn(count, generator=draw) * 0.5 + math.log(mean))
    return found.clamp(8, longest).int().tolist()


def make_ids(count, draw):
    return torch.randint(10, 900, (count,), generator=draw).tolist()


def head_rows(count, mean, longest):
    draw = torch.Generator().manual_seed(1)
    rows = []
    for size in sizes(count, mean, longest):
        label = int(torch.randint(0, LABELS, (1,), generator=draw))
        # a word that gives the label away, so that there is something to learn
        rows.append({"input_ids": [1000 + label, *make_ids(size, draw)], "labels": label})
    return TrainingRows(rows, {"tokens": sum(len(row["input_ids"]) for row in rows)})


def minilm(layers, dropout):
    return BertConfig(
        vocab_size=30522, hidden_size=384, num_hidden_layers=layers, num_attention_heads=12,
        intermediate_size=1536, attention_probs_dropout_prob=dropout, hidden_dropout_prob=dropout,
        num_labels=LABELS, pad_token_id=0,
    )  # fmt: skip


def made(case, folder):
    set_seed(0)
    dtype = getattr(torch, case["dtype"])
    if case["body"] == "decoder":
        model = AutoModelForSequenceClassification.from_pretrained(
            folder, num_labels=LABELS, dtype=dtype, pad_token_id=0
        )
    else:
        config = minilm(case.get("layers", 6), case.get("dropout", 0.0))
        model = AutoModelForSequenceClassification.from_config(config, dtype=dtype)
    model.to(DEVICE)
    if case.get("full"):
        return model
    set_seed(1)
    config = LoraConfig(
        r=8, lora_alpha=16, target_modules="all-linear", task_type="SEQ_CLS",
        lora_dropout=case.get("dropout", 0.0),
    )  # fmt: skip
    return get_peft_model(model, config)


def trained(case, engine, folder, rows, steps):
    model = made(case, folder)
    tokenizer = AutoTokenizer.from_pretrained(ROOT / "models/tiny/tiny-qwen2")
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(0)
    with tempfile.TemporaryDirectory() as scratch:
        options = {
            "output_dir": scratch, "use_cpu": not CUDA, "seed": 0, "data_seed": 0,
            "report_to": "none", "disable_tqdm": True, "save_strategy": "no", "logging_steps": 1,
            "bf16": case["dtype"] == "bfloat16", "dataloader_pin_memory": CUDA, "max_steps": steps,
            "per_device_train_batch_size": case.get("batch", 16), "learning_rate": 1e-3,
            "lr_scheduler_type": "cosine", "warmup_steps": 4, **case.get("training", {}),
            "engine": engine,
        }  # fmt: skip
        if CUDA:
            torch.cuda.reset_peak_memory_stats()
        began, used = time.perf_counter(), processor()
        done = train_head(model, tokenizer, options, rows)
        synchronize()
    found = {
        "seconds": round(done.seconds, 3), "step_ms": round(1000 * done.step, 2),
        "whole": round(time.perf_counter() - began, 3), "processor": round(processor() - used, 3),
        "losses": [record["loss"] for record in done.log],
        "norms": [record["grad_norm"] for record in done.log], "how": done.how,
        "peak_mib": round(torch.cuda.max_memory_allocated() / MIB) if CUDA else None,
    }  # fmt: skip
    del model
    free()
    return found


def processor():
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


HEADS = {
    "minilm fp32 full": {"body": "encoder", "dtype": "float32", "full": True},
    "minilm fp32 lora": {"body": "encoder", "dtype": "float32"},
    "minilm fp32 full, dropout": {
        "body": "encoder", "dtype": "float32", "full": True, "dropout": 0.1,
    },
    "minilm bf16 lora": {"body": "encoder", "dtype": "bfloat16"},
    "minilm bf16 lora, dropout": {"body": "encoder", "dtype": "bfloat16", "dropout": 0.1},
    "minilm fp32 weights, bf16": {
        "body": "encoder", "dtype": "float32", "training": {"bf16": True},
    },
    "minilm bf16 checkpointed": {
        "body": "encoder", "dtype": "bfloat16", "training": {"gradient_checkpointing": True},
    },
    "minilm fp32 accumulation": {
        "body": "encoder", "dtype": "float32", "training": {"gradient_accumulation_steps": 3},
    },
    "decoder bf16 lora": {"body": "decoder", "dtype": "bfloat16", "batch": 8},
    "decoder fp32 lora": {"body": "decoder", "dtype": "float32", "batch": 8},
}  # fmt: skip


def heads(folder, arguments):
    rows = head_rows(arguments.rows, arguments.mean, 256)
    for name, case in HEADS.items():
        if arguments.only and not any(part in name for part in arguments.only.split(";")):
            continue
        try:
            plain = trained(case, "trl", folder, rows, arguments.steps)
            flat = trained(case, "auto", folder, rows, arguments.steps)
        except Exception:
            print(f"!! {name}\n{traceback.format_exc()}", flush=True)
            continue
        pairs = list(zip(plain["losses"], flat["losses"], strict=True))
        print(
            f"{name}: {plain['seconds'] / flat['seconds']:.2f} times;"
            f" {plain['seconds']} s -> {flat['seconds']} s; step {plain['step_ms']} ->"
            f" {flat['step_ms']} ms; processor {plain['processor']} -> {flat['processor']} s;"
            f" losses apart at most {max(abs(a - b) for a, b in pairs):.4f}, first"
            f" {abs(pairs[0][0] - pairs[0][1]):.1e}; last ten mean"
            f" {sum(plain['losses'][-10:]) / 10:.4f} / {sum(flat['losses'][-10:]) / 10:.4f};"
            f" peak {plain['peak_mib']} -> {flat['peak_mib']} MiB; {flat['how']}",
            flush=True,
        )
        _note(
            arguments.o,
            {"kind": "head", "name": name, "steps": arguments.steps, "mean": arguments.mean,
             "batch": case.get("batch", 16), "plain": plain, "flat": flat},
        )  # fmt: skip


def scored_rows(kind, count):
    draw = torch.Generator().manual_seed(2)
    rows = []
    for size in sizes(count, 150, 400):
        prompt = make_ids(size, draw)
        answers = [int(torch.randint(20, 120, (1,), generator=draw))]
        if kind == "labels":
            answers = [2, 3, 2, 4]
        rows += [Encoded(prompt, make_ids(n, draw), False) for n in answers]
    return rows


def likelihoods(folder, arguments):
    for kind, dtype in (("references", "bfloat16"), ("labels", "bfloat16")):
        try:
            rows = scored_rows(kind, arguments.scored)
            exact = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
            with torch.inference_mode():
                truth = likelihood._padded(exact.to(DEVICE).eval(), rows, 0, 64)
            del exact
            free()
            model = AutoModelForCausalLM.from_pretrained(folder, dtype=getattr(torch, dtype))
            model = model.to(DEVICE).eval()
            found = {}
            for way in ("padded", "flat", "padded", "flat"):
                synchronize()
                began, used = time.perf_counter(), processor()
                with torch.inference_mode():
                    if way == "padded":
                        scores = likelihood._padded(model, rows, 0, 64)
                    else:
                        scores = likelihood.score_answers(model, rows, pad=0, batch_size=64)
                synchronize()
                found[way] = (time.perf_counter() - began, processor() - used, scores)
            a, b = found["padded"], found["flat"]
            apart = [abs(x.nll - y.nll) / x.tokens for x, y in zip(a[2], b[2], strict=True)]
            off = [
                math.sqrt(
                    sum((t.nll - s.nll) ** 2 for t, s in zip(truth, x[2], strict=True)) / len(rows)
                )
                for x in (a, b)
            ]
            totals = [sum(s.nll for s in x[2]) / sum(s.tokens for s in x[2]) for x in (a, b)]
            _note(
                arguments.o,
                {"kind": "likelihood", "name": f"{kind}, {dtype}", "rows": len(rows),
                 "seconds": [a[0], b[0]], "off": off, "totals": totals},
            )  # fmt: skip
            print(
                f"{kind} {dtype}, {len(rows)} rows: {a[0] / b[0]:.2f} times; {a[0]:.3f} s ->"
                f" {b[0]:.3f} s; processor {a[1]:.3f} -> {b[1]:.3f} s; a row apart at most"
                f" {max(apart):.2g} nats a token, mean loss {totals[0]:.6f} / {totals[1]:.6f};"
                f" from float32, root mean square of a row: {off[0]:.4f} / {off[1]:.4f} nats;"
                f" {checks_of(model).scored} {checks_of(model).verdicts}",
                flush=True,
            )
        except Exception:
            print(f"!! likelihoods {kind} {dtype}\n{traceback.format_exc()}", flush=True)
        free()


def _note(folder, record):
    if folder:
        facts = {
            "device": machine().gpu or machine().cpu, "torch": torch.__version__,
            "transformers": transformers.__version__,
        }  # fmt: skip
        with (folder / "heads.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps({"facts": facts, **record}) + "\n")


def page(noted, folder):
    """Write `cuda_heads.md` and its numbers from what calls have noted."""
    lines = (noted / "heads.jsonl").read_text(encoding="utf-8").splitlines()
    records = [json.loads(line) for line in lines]
    facts = [f"- {key}: {value}" for key, value in records[0]["facts"].items()]
    command = "- command: python tests/benchmarks/cuda_heads.py --model smollm2-135m-instruct"
    text = ["# Heads and likelihoods in flat batches, on CUDA", "", *facts, command, ""]
    text += ["## Heads, against `Trainer`", "", *_heads_table(records), ""]
    text += ["Steps are medians. Seconds hold captures, and what else the host did meanwhile.", ""]
    text += ["## Likelihoods, against padded batches", "", *_likelihoods_table(records), ""]
    (folder / "cuda_heads.md").write_text("\n".join(text), encoding="utf-8")
    data = ",\n".join(json.dumps(record) for record in records)
    (folder / "cuda_heads.json").write_text(f"[\n{data}\n]\n", encoding="utf-8")


def _heads_table(records):
    columns = (
        "model", "steps", "rows a batch", "tokens a row", "Trainer, s", "engine, s",
        "Trainer, ms a step", "engine, ms a step", "ratio of steps", "largest difference of a loss",
        "peak MiB, Trainer", "peak MiB, engine", "capture, s",
    )  # fmt: skip
    rows = []
    for r in records:
        if r["kind"] == "head":
            a, b = r["plain"], r["flat"]
            apart = max(abs(x - y) for x, y in zip(a["losses"], b["losses"], strict=True))
            rows.append(
                (r["name"], f"{r['steps']}", f"{r['batch']}", f"{r['mean']}", f"{a['seconds']:.2f}",
                 f"{b['seconds']:.2f}", f"{a['step_ms']:.1f}",
                 f"{b['step_ms']:.1f}", f"{a['step_ms'] / b['step_ms']:.1f}", f"{apart:.1e}",
                 f"{a['peak_mib'] or 0}",
                 f"{b['peak_mib'] or 0}", str(b["how"].get("capture_seconds", "")))
            )  # fmt: skip
    return markdown_table(columns, rows)


def _likelihoods_table(records):
    columns = (
        "what", "rows", "padded, s", "flat, s", "ratio", "padded, mean loss", "flat, mean loss",
    )  # fmt: skip
    rows = [
        (r["name"], f"{r['rows']}", f"{r['seconds'][0]:.3f}", f"{r['seconds'][1]:.3f}",
         f"{r['seconds'][0] / r['seconds'][1]:.1f}", f"{r['totals'][0]:.5f}",
         f"{r['totals'][1]:.5f}")
        for r in records
        if r["kind"] == "likelihood"
    ]  # fmt: skip
    return markdown_table(columns, rows)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--model", type=Path, help="a causal model")
    parser.add_argument("--page", type=Path, help="write the page from what is noted there")
    parser.add_argument("--rows", type=int, default=1600)
    parser.add_argument("--mean", type=int, default=40)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--scored", type=int, default=256)
    parser.add_argument("--only", default="", help="parts of names of heads, ';' between")
    parser.add_argument("--untried", action="store_true", help="the engine for heads of all kinds")
    parser.add_argument("--what", default="likelihoods,heads")
    parser.add_argument("-o", type=Path, default=None, help="a folder for the numbers")
    arguments = parser.parse_args()
    if arguments.o:
        arguments.o.mkdir(parents=True, exist_ok=True)
    if arguments.page:
        page(arguments.page, arguments.o)
        return
    if arguments.untried:
        head_check.UNTRIED_ON_CUDA = frozenset()
    if "likelihoods" in arguments.what:
        likelihoods(arguments.model, arguments)
    if "heads" in arguments.what:
        heads(arguments.model, arguments)


if __name__ == "__main__":
    main()
