"""Decoding against transformers' `generate` on a CUDA device: `reports/benchmarks/`.

    python tests/benchmarks/cuda_decoding.py -o reports/benchmarks

Random weights of Qwen2-0.5B's geometry, 128-token prompts, 128 new tokens, greedy, LoRA of rank 8 on
all linear layers. Both sides decode the same prompts in the same run; captures are counted.
`--real FOLDER` adds a pretrained model's answers (`real_model.py`). `--packed` measures int8 with its
outlier threshold and a 7B model in NF4 instead, and adds them to the page that is there.
"""

from __future__ import annotations

import argparse
import json
import time
from dataclasses import replace
from pathlib import Path

import torch
from peft import LoraConfig, get_peft_model
from real_model import VARIANTS as VARIANTS_OF_REAL
from real_model import checked, int8_followed
from transformers import set_seed

from harness.backends.hf.counters.memory import memory_peak, synchronize
from harness.backends.hf.decoding.copies import FROM_ROWS, Copies
from harness.backends.hf.decoding.engine import Engine
from harness.backends.hf.models.random import random_model
from harness.plan.expand import expand
from harness.plan.machine import machine
from harness.report.markdown import markdown_table
from harness.suite.loading import load_suite
from harness.suite.model_card import find_model_card
from harness.suite.schema import QUANTIZATIONS

ROOT = Path(__file__).parents[2]
TOKENS = 128
VARIANTS = {
    "bf16": {}, "nf4": QUANTIZATIONS["nf4"],
    "int8, threshold 0": {"load_in_8bit": True, "llm_int8_threshold": 0.0},
}  # fmt: skip
PACKED = {
    "Qwen2-0.5B, int8, threshold 6, r8": (
        "qwen2-0.5b-instruct", QUANTIZATIONS["int8"], 8, {1: 1, 16: 16, 64: 64},
    ),
    "Mistral-7B, NF4, r64": ("mistral-7b-v0.1", QUANTIZATIONS["nf4"], 64, {16: 16, 64: 128}),
}  # fmt: skip
"""Name → model card, quantization, rank, batch size → prompts."""
CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")


def model_of(options, *, merged=False, card="qwen2-0.5b-instruct", rank=8):
    set_seed(0)
    path = ROOT / "suites" / "finance.yaml"
    cell = expand(load_suite(path), path)[0]
    card = find_model_card(card, [ROOT / "models"])
    card = card.model_copy(update={"weights": "random"})
    if card.architecture is None:  # the tiny model of a dry run
        config = json.loads((ROOT / "models/tiny/tiny-qwen2/config.json").read_text())
        card = card.model_copy(update={"architecture": config})
    model = random_model(replace(cell, model=card, quantization_config=options), DEVICE)
    config = LoraConfig(
        r=rank, target_modules="all-linear", init_lora_weights=False, task_type="CAUSAL_LM"
    )
    model = get_peft_model(model, config).eval()
    return model.merge_and_unload() if merged else model


def prompts(count):
    generator = torch.Generator().manual_seed(0)
    return torch.randint(10, 4000, (count, TOKENS), generator=generator).tolist()


@torch.inference_mode()
def by_generate(model, rows, size, new=TOKENS):
    found = []
    for first in range(0, len(rows), size):
        ids = torch.tensor(rows[first : first + size], device=DEVICE)
        out = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False, pad_token_id=0,
            eos_token_id=1, max_new_tokens=new, min_new_tokens=new,
        )  # fmt: skip
        found += out[:, ids.shape[1] :].tolist()
    return found


def by_engine(model, rows, size, new=TOKENS):
    """As the product decodes; copies of 4-bit weights are made anew and count."""
    engine = Engine(model, pad=0, ends=[1], capture=CUDA)
    copies = Copies(engine)
    if CUDA and size >= FROM_ROWS and getattr(model, "is_loaded_in_4bit", False):
        copies.make(torch.bfloat16)
        assert "copies_mib" in copies.describe(), copies.describe()
    found = []
    for first in range(0, len(rows), size):
        found += engine.decode(rows[first : first + size], new, new)
    assert engine.capture == CUDA, engine.reason
    copies.release()
    return found


def speed(decode, model, rows, size):
    """Tokens a second over ``rows``, and the tokens."""
    synchronize()
    started = time.perf_counter()
    found = decode(model, rows, size)
    synchronize()
    return sum(map(len, found)) / (time.perf_counter() - started), found


def agreement(a, b):
    """The share of tokens before a row's first difference."""
    before = 0
    for x, y in zip(a, b, strict=False):
        before += next((k for k, (p, q) in enumerate(zip(x, y, strict=True)) if p != q), len(x))
    return before / sum(map(len, a[: len(b)]))


def measured(name, model, sizes, total, exact=()):
    """Both sides at each batch size.

    ``exact`` holds the first rows' tokens by the same weights in float32: how soon each side leaves
    them says whether the faster one rounds worse.
    """
    rows = prompts(total)
    by_generate(model, rows[:2], 2)
    by_engine(model, rows[:2], 2)
    for size in sizes:
        # fewer rows where `generate` would take minutes; the same rows for both sides
        some = rows[: max(size, min(total, 4 * size))] if size < 64 else rows
        slow, a = speed(by_generate, model, some, size)
        fast, b = speed(by_engine, model, some, size)
        yield {
            "variant": name, "batch": size, "prompts": len(some), "generate_tokens_per_s": slow,
            "engine_tokens_per_s": fast, "ratio": fast / slow,
            "prefix_of_each_other": agreement(a, b),
            "generate_prefix_of_float32": agreement(a, exact) if exact else None,
            "engine_prefix_of_float32": agreement(b, exact) if exact else None,
        }  # fmt: skip
        print(
            json.dumps({"variant": name, "batch": size, "ratio": round(fast / slow, 2)}), flush=True
        )


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("-o", "--output", type=Path, default=ROOT / "reports" / "benchmarks")
    parser.add_argument("--sizes", type=int, nargs="+", default=[1, 16, 64, 256])
    parser.add_argument("--prompts", type=int, default=256)
    parser.add_argument("--real", type=Path, help="folder of a pretrained model")
    parser.add_argument("--only-real", action="store_true", help="leave the random weights out")
    parser.add_argument("--tokens", type=int, default=64, help="of each real answer")
    parser.add_argument("--packed", action="store_true", help="packed weights alone")
    options = parser.parse_args()
    if options.packed:
        add_packed(options.output, options.real, options.tokens)
        return
    real = []
    if options.real:
        device = "cuda" if torch.cuda.is_available() else "cpu"
        for variant in VARIANTS_OF_REAL:
            count = min(options.prompts, 192)
            real.append(
                checked(options.real, variant, count=count, tokens=options.tokens, device=device)
            )
            print(json.dumps(real[-1]), flush=True)
    records = [] if options.only_real else list(with_random_weights(options))
    about = {
        "device": machine().gpu, "torch": torch.__version__,
        "transformers": __import__("transformers").__version__,
        "command": "python tests/benchmarks/cuda_decoding.py -o reports/benchmarks --real FOLDER",
        "geometry": "Qwen2-0.5B, random weights, LoRA r8 on all linear layers, unmerged unless said",
        "prompt_tokens": TOKENS, "new_tokens": TOKENS,
    }  # fmt: skip
    if options.real:
        about["real_model"] = options.real.name
    options.output.mkdir(parents=True, exist_ok=True)
    record = {"about": about, "decoding": records, "real": real}
    (options.output / "cuda_decoding.json").write_text(json.dumps(record, indent=1) + "\n")
    (options.output / "cuda_decoding.md").write_text(page(about, records, real))


def add_packed(output, real, tokens):
    """Measure `PACKED`, write it into the record in ``output`` and its part of the page beside."""
    path = output / "cuda_decoding.json"
    record = json.loads(path.read_text()) if path.exists() else {"about": {}, "decoding": []}
    record["about_packed"] = {
        "device": machine().gpu or "CPU", "torch": torch.__version__,
        "transformers": __import__("transformers").__version__,
        "bitsandbytes": __import__("bitsandbytes").__version__,
        "command": "python tests/benchmarks/cuda_decoding.py -o reports/benchmarks --packed",
    }  # fmt: skip
    record["packed"] = []
    record["packed_real"] = []
    for name, (card, quantization, rank, sizes) in PACKED.items():
        model = model_of(quantization, card=card if CUDA else "tiny-qwen2", rank=rank)
        for size, count in sizes.items():
            record["packed"].append(packed(name, model, size, count))
            print(json.dumps(record["packed"][-1]), flush=True)
            # written at once: a later size that fails does not take the earlier ones with it
            write_packed(output, record)
        del model
        if CUDA:
            torch.cuda.empty_cache()
    for variant in ("int8", "adapted int8") if real else ():
        for dtype in (torch.float32, torch.bfloat16):
            found = int8_followed(real, variant, dtype, count=64, tokens=tokens, device=DEVICE.type)
            record["packed_real"].append(found)
            print(json.dumps(found), flush=True)
    write_packed(output, record)


def write_packed(output, record):
    output.mkdir(parents=True, exist_ok=True)
    (output / "cuda_decoding.json").write_text(json.dumps(record, indent=1) + "\n")
    section = packed_section(record["about_packed"], record["packed"], record["packed_real"])
    (output / "cuda_decoding_packed.md").write_text("\n".join(section) + "\n")


def packed(name, model, size, count):
    """Both sides on ``count`` prompts, and the peak that the product reports of the engine's."""
    new = TOKENS if CUDA else 4
    rows = prompts(count)
    by_generate(model, rows[:2], 2, 4)
    by_engine(model, rows[:size], size, 4)  # kernels are compiled once a process, for its rows
    with memory_peak("generate") as slow_peak:
        slow, a = speed(lambda *some: by_generate(*some, new), model, rows, size)
    with memory_peak("engine") as fast_peak:
        fast, b = speed(lambda *some: by_engine(*some, new), model, rows, size)
    return {
        "variant": name, "batch": size, "prompts": count, "new_tokens": new,
        "generate_tokens_per_s": slow, "engine_tokens_per_s": fast, "ratio": fast / slow,
        "prefix_of_each_other": agreement(a, b),
        "generate_peak_mib": slow_peak.values.get("generate_vram_mib"),
        "engine_peak_mib": fast_peak.values.get("engine_vram_mib"),
    }  # fmt: skip


def packed_section(about, records, real):
    columns = (
        "variant", "batch", "prompts", "generate, tokens/s", "engine, tokens/s", "ratio",
        "equal to each other", "generate, peak MiB", "engine, peak MiB without copies",
    )  # fmt: skip
    rows = [
        (
            r["variant"], str(r["batch"]), str(r["prompts"]), f"{r['generate_tokens_per_s']:,.0f}",
            f"{r['engine_tokens_per_s']:,.0f}", f"{r['ratio']:.1f}",
            f"{r['prefix_of_each_other']:.1%}",
            *(f"{r[key] or 0:,.0f}" for key in ("generate_peak_mib", "engine_peak_mib")),
        )
        for r in records
    ]  # fmt: skip
    said = (
        f"Random weights on one {about['device']}, torch {about['torch']}, transformers"
        f" {about['transformers']}, bitsandbytes {about['bitsandbytes']}: {TOKENS} prompt tokens,"
        " 128 new ones, LoRA on all linear layers, unmerged; captures and copies count"
        f" (`{about['command']}`)."
    )
    section = ["", "## Packed weights", "", said, "", *markdown_table(columns, rows)]
    if real:
        columns = (
            "variant", "computed in", "questions", "tokens", "engine follows generate",
            "generate follows itself in batches of half the size",
        )  # fmt: skip
        rows = [
            (
                r["variant"], r["dtype"], str(r["questions"]), str(r["tokens"]),
                f"{r['engine_follows']:.3f}", f"{r['half_batch_follows']:.3f}",
            )
            for r in real
        ]  # fmt: skip
        said = (
            "A pretrained model in int8, threshold 6, decoded in one batch in which no token ends"
            " an answer. LLM.int8's outlier columns are those of the whole batch, so answers depend"
            " on their neighbours with `generate` too."
        )
        section += ["", said, "", *markdown_table(columns, rows)]
    return section


def with_random_weights(options):
    for name, quantization in VARIANTS.items():
        model = model_of(quantization)
        exact = by_generate(model_of({}).float(), prompts(64), 64) if name == "bf16" else ()
        sizes = options.sizes if name != "int8, threshold 0" else [64, 256]
        yield from measured(name, model, sizes, options.prompts, exact)
        del model
        torch.cuda.empty_cache()
    exact = by_generate(model_of({}, merged=True).float(), prompts(64), 64)
    model = model_of({}, merged=True)
    yield from measured("bf16, merged", model, [64, 256], options.prompts, exact)


def page(about, records, real=()):
    columns = (
        "variant", "batch", "prompts", "generate, tokens/s", "engine, tokens/s", "ratio",
        "equal to each other", "generate equal to float32", "engine equal to float32",
    )  # fmt: skip
    rows = [
        (
            r["variant"], str(r["batch"]), str(r["prompts"]), f"{r['generate_tokens_per_s']:,.0f}",
            f"{r['engine_tokens_per_s']:,.0f}", f"{r['ratio']:.1f}",
            *(
                "" if r[key] is None else f"{r[key]:.1%}"
                for key in (
                    "prefix_of_each_other", "generate_prefix_of_float32", "engine_prefix_of_float32"
                )
            ),
        )
        for r in records
    ]  # fmt: skip
    best = {}
    for r in records:
        for side in ("generate", "engine"):
            key = (r["variant"], side)
            best[key] = max(best.get(key, 0), r[f"{side}_tokens_per_s"])
    ends = [
        f"- {name}: best batch of each side, {best[name, 'engine'] / best[name, 'generate']:.1f} times"
        for name in dict.fromkeys(r["variant"] for r in records)
    ]
    said = [f"- {key}: {value}" for key, value in about.items()]
    lines = ["# Decoding on CUDA", "", *said, "", *markdown_table(columns, rows), "", *ends]
    return "\n".join([*lines, *real_section(real)]) + "\n"


def real_section(real):
    if not real:
        return []
    columns = (
        "variant", "questions", "tokens", "float32: equal answers", "without kernels",
        "bfloat16: generate follows float32", "engine follows float32", "difference",
        "engine without kernels follows generate",
    )  # fmt: skip
    rows = [
        (
            r["variant"], str(r["questions"]), str(r["tokens"]),
            str(r["float32_equal_with_kernels"]), str(r["float32_equal_plain"]),
            f"{r['bfloat16_generate_follows']:.3f}", f"{r['bfloat16_engine_follows']:.3f}",
            f"{r['difference']:+.3f} ± {r['half_width']:.3f}",
            f"{r['bfloat16_plain_is_generate']:.3f}",
        )
        for r in real
    ]  # fmt: skip
    said = "To follow: the share of an answer's tokens before the first difference."
    return ["", "## A pretrained model", "", said, "", *markdown_table(columns, rows)]


if __name__ == "__main__":
    main()
