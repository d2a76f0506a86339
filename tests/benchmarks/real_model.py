"""The engine on a pretrained model, against `generate`: in float32 equal, in bfloat16 as close.

    HARNESS_REAL_MODEL=FOLDER pytest -m gpu tests/backends/hf/decoding/test_real_model.py
    python tests/benchmarks/cuda_decoding.py -o reports/benchmarks --real FOLDER
    python tests/benchmarks/cuda_decoding.py -o /tmp/out --real FOLDER --only-real --prompts 4 --tokens 6

In bfloat16 two right ways of decoding part at the first near-tie. What can be asked is that the
engine follows the float32 answers as far as `generate` does, question by question.
"""

import json
import math
import statistics
from importlib.resources import files

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, set_seed

from harness.backends.hf.decoding.engine import Engine

BATCH = 64
VARIANTS = ("base", "adapted", "nf4", "adapted nf4")


def questions(tokenizer, count):
    """Prompts of the shipped finance questions, by the model's own chat template."""
    text = files("harness.datasets").joinpath("data/finance_qa.jsonl").read_text(encoding="utf-8")
    found = [q for line in text.splitlines() for q in json.loads(line)["questions"]]
    chats = [[{"role": "user", "content": question}] for question in found[:count]]
    return [
        tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_dict=False)
        for chat in chats
    ]


def model_of(folder, variant, dtype, device):
    """The model of ``variant`` with weights rounded to bfloat16 first, computed in ``dtype``."""
    options = {}
    if variant.endswith("int8"):
        options["quantization_config"] = BitsAndBytesConfig(load_in_8bit=True)
    if variant.endswith("nf4"):
        options["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=dtype,
        )  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.bfloat16, device_map={"": device}, **options
    )
    if variant.startswith("adapted"):
        set_seed(0)
        # B is not zero, and a tenth of its size: a change that leaves a language model
        config = LoraConfig(
            r=8, lora_alpha=0.8, target_modules="all-linear", init_lora_weights=False,
            task_type="CAUSAL_LM",
        )  # fmt: skip
        model = get_peft_model(model, config)
    if dtype == torch.float32:
        for parameter in model.parameters():  # packed ones stay as they are
            if parameter.dtype == torch.bfloat16:
                parameter.data = parameter.data.float()
    return model.eval()


@torch.inference_mode()
def by_generate(model, rows, tokens, pad, ends):
    found = []
    for first in range(0, len(rows), BATCH):
        some = rows[first : first + BATCH]
        width = max(map(len, some))
        ids = torch.tensor([[pad] * (width - len(r)) + r for r in some], device=model.device)
        mask = torch.tensor(
            [[0] * (width - len(r)) + [1] * len(r) for r in some], device=model.device
        )
        out = model.generate(
            input_ids=ids, attention_mask=mask, do_sample=False, max_new_tokens=tokens,
            pad_token_id=pad, eos_token_id=ends,
        )  # fmt: skip
        found += [_ended(row, ends) for row in out[:, width:].tolist()]
    return found


def _ended(row, ends):
    stop = next((k for k, token in enumerate(row) if token in ends), None)
    return row if stop is None else row[: stop + 1]


def by_engine(model, rows, tokens, pad, ends, *, kernels):
    engine = Engine(model, pad=pad, ends=ends, capture=model.device.type == "cuda")
    if not kernels:
        engine.fusing = None
    found = []
    for first in range(0, len(rows), BATCH):
        found += engine.decode(rows[first : first + BATCH], tokens)
    return found


def prefix_shares(answers, exact):
    """For each question the share of the exact answer's tokens before the first difference."""
    shares = []
    for answer, right in zip(answers, exact, strict=True):
        pairs = list(zip(answer, right, strict=False))
        same = next((k for k, (a, b) in enumerate(pairs) if a != b), len(pairs))
        shares.append(same / max(len(answer), len(right)))
    return shares


def int8_followed(folder, variant, dtype, *, count, tokens, device):
    """How far the captured int8 steps follow `generate`'s, which are bitsandbytes'; same batch."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    rows = questions(tokenizer, count)
    model = model_of(folder, variant, dtype, device)
    pad, never = tokenizer.eos_token_id, [-1]
    wanted = by_generate(model, rows, tokens, pad, never)
    found = by_engine(model, rows, tokens, pad, never, kernels=True)
    other = by_generate(model, rows[: count // 2], tokens, pad, never)
    return {
        "variant": variant, "dtype": str(dtype).removeprefix("torch."), "questions": count,
        "tokens": tokens, "engine_follows": statistics.fmean(prefix_shares(found, wanted)),
        "half_batch_follows": statistics.fmean(prefix_shares(other, wanted[: count // 2])),
    }  # fmt: skip


def checked(folder, variant, *, count, tokens, device):
    """What one variant gives: equal answers in float32, and how far bfloat16 follows them."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    ends = [tokenizer.eos_token_id]
    pad = tokenizer.eos_token_id if tokenizer.pad_token_id is None else tokenizer.pad_token_id
    rows = questions(tokenizer, count)
    wide = model_of(folder, variant, torch.float32, device)
    exact = by_generate(wide, rows, tokens, pad, ends)
    equal = {
        name: sum(a == b for a, b in zip(by, exact, strict=True))
        for name, by in (
            ("kernels", by_engine(wide, rows, tokens, pad, ends, kernels=True)),
            ("plain", by_engine(wide, rows, tokens, pad, ends, kernels=False)),
        )
    }
    del wide
    half = model_of(folder, variant, torch.bfloat16, device)
    slow = by_generate(half, rows, tokens, pad, ends)
    fast = by_engine(half, rows, tokens, pad, ends, kernels=True)
    # without kernels the sums are those of `generate`, as long as both decode the same batch: the
    # engine drops rows that have ended and `generate` pads them, so here no token ends an answer
    never = [-1]
    same_batch = prefix_shares(
        by_engine(half, rows, tokens, pad, never, kernels=False),
        by_generate(half, rows, tokens, pad, never),
    )
    by_slow, by_fast = prefix_shares(slow, exact), prefix_shares(fast, exact)
    differences = [b - a for a, b in zip(by_slow, by_fast, strict=True)]
    spread = statistics.stdev(differences) if len(differences) > 1 else 0.0
    return {
        "variant": variant, "questions": len(rows), "tokens": tokens,
        "float32_equal_with_kernels": equal["kernels"], "float32_equal_plain": equal["plain"],
        "bfloat16_generate_follows": statistics.fmean(by_slow),
        "bfloat16_engine_follows": statistics.fmean(by_fast),
        "difference": statistics.fmean(differences),
        "half_width": 1.96 * spread / math.sqrt(len(differences)),
        "bfloat16_plain_is_generate": statistics.fmean(same_batch),
    }  # fmt: skip
