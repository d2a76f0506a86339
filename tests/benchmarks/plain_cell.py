"""What a person writes for one cell on a GPU: train, answer, evaluation loss, latency, memory.

    python tests/benchmarks/plain_cell.py SETTINGS.json

The opponent of `cuda_grid.py`, with transformers, PEFT and TRL alone, and not slowed on purpose:
one process, one load of the base, batches for everything that can be batched. It prints one line
of JSON, with the seconds of each part.
"""

import json
import sys
import time
from pathlib import Path

BEGAN = time.monotonic()

import torch  # noqa: E402
from transformers import (  # noqa: E402
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    set_seed,
)

CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"


def wait():
    if CUDA:
        torch.cuda.synchronize()


class Parts:
    """Seconds of the parts of the script."""

    def __init__(self):
        self.last, self.seconds, self.peaks = BEGAN, {}, {}

    def ends(self, name):
        wait()
        now = time.monotonic()
        self.seconds[name], self.last = round(now - self.last, 3), now
        if CUDA:
            self.peaks[name] = torch.cuda.max_memory_allocated() / 2**20
            torch.cuda.reset_peak_memory_stats()


def load(settings):
    more = {}
    if settings["quantization"]:
        more["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
            bnb_4bit_compute_dtype=torch.bfloat16,
        )  # fmt: skip
    return AutoModelForCausalLM.from_pretrained(
        settings["model"], dtype=torch.bfloat16, device_map={"": DEVICE}, **more
    )


def trained(model, tokenizer, settings):
    from datasets import Dataset
    from peft import LoraConfig
    from trl import SFTConfig, SFTTrainer

    arguments = SFTConfig(
        completion_only_loss=True, bf16=True, use_cpu=not CUDA, report_to="none",
        save_strategy="no", gradient_checkpointing=False, disable_tqdm=True, logging_steps=1,
        output_dir=settings["scratch"], **settings["training"],
    )  # fmt: skip
    set_seed(0)
    trainer = SFTTrainer(
        model=model, args=arguments, train_dataset=Dataset.from_list(settings["train"]),
        processing_class=tokenizer,
        peft_config=LoraConfig(task_type="CAUSAL_LM", **settings["adapter"]),
    )  # fmt: skip
    trainer.train()
    losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
    return trainer.model, [float(loss) for loss in losses]


def prompts(tokenizer, rows):
    tokenizer.padding_side = "left"
    return tokenizer.apply_chat_template(
        [row["prompt"] for row in rows], add_generation_prompt=True,
        return_tensors="pt", return_dict=True, padding=True,
    ).to(DEVICE)  # fmt: skip


@torch.inference_mode()
def answers(model, tokenizer, settings):
    found = []
    for first in range(0, len(settings["test"]), settings["batch"]):
        inputs = prompts(tokenizer, settings["test"][first : first + settings["batch"]])
        output = model.generate(
            **inputs, max_new_tokens=settings["max_new_tokens"], do_sample=False,
            pad_token_id=tokenizer.pad_token_id,
        )  # fmt: skip
        new = output[:, inputs["input_ids"].shape[1] :]
        found += [text.strip() for text in tokenizer.batch_decode(new, skip_special_tokens=True)]
    return found


@torch.inference_mode()
def evaluation_loss(model, tokenizer, settings):
    """Nats a token of the references, over all of them."""
    total, count = 0.0, 0
    tokenizer.padding_side = "right"
    for first in range(0, len(settings["test"]), settings["batch"]):
        rows = settings["test"][first : first + settings["batch"]]
        led = [
            tokenizer.apply_chat_template(r["prompt"], add_generation_prompt=True, tokenize=False)
            for r in rows
        ]
        texts = [start + r["reference"] + "<|im_end|>" for start, r in zip(led, rows, strict=True)]
        inputs = tokenizer(texts, return_tensors="pt", padding=True, add_special_tokens=False)
        inputs = inputs.to(DEVICE)
        labels = inputs["input_ids"].masked_fill(inputs["attention_mask"] == 0, -100)
        for k, start in enumerate(led):
            labels[k, : len(tokenizer(start, add_special_tokens=False)["input_ids"])] = -100
        logits = model(**inputs).logits[:, :-1].float()
        total += float(
            torch.nn.functional.cross_entropy(
                logits.flatten(0, 1), labels[:, 1:].flatten(), ignore_index=-100, reduction="sum"
            )
        )
        count += int((labels[:, 1:] != -100).sum())
    return total / max(1, count)


@torch.inference_mode()
def latency(model, tokenizer, settings):
    """Milliseconds of some new tokens at batch 1, the median of three rounds."""
    times = []
    for _ in range(4):
        for row in settings["test"][: settings["latency_prompts"]]:
            inputs = prompts(tokenizer, [row])
            wait()
            began = time.perf_counter()
            model.generate(
                **inputs, max_new_tokens=settings["latency_new_tokens"], do_sample=False,
                min_new_tokens=settings["latency_new_tokens"], pad_token_id=tokenizer.pad_token_id,
            )  # fmt: skip
            wait()
            times.append(1000 * (time.perf_counter() - began))
    kept = sorted(times[settings["latency_prompts"] :])  # the first round warms up
    return kept[len(kept) // 2]


def rouge(texts, settings):
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"])
    rows = [
        scorer.score(row["reference"], text)
        for row, text in zip(settings["test"], texts, strict=True)
    ]
    return {name: sum(row[name].fmeasure for row in rows) / len(rows) for name in rows[0]}


def main(settings):
    parts, losses = Parts(), []
    parts.ends("imports")
    tokenizer = AutoTokenizer.from_pretrained(settings["model"])
    model = load(settings)
    parts.ends("load")
    if settings["adapter"]:
        model, losses = trained(model, tokenizer, settings)
        parts.ends("train")
    model.eval()
    model.config.use_cache = True
    said = answers(model, tokenizer, settings)
    parts.ends("answers")
    loss = evaluation_loss(model, tokenizer, settings)
    parts.ends("evaluation loss")
    found = latency(model, tokenizer, settings)
    parts.ends("latency")
    scores = rouge(said, settings)
    parts.ends("scores")
    print(
        json.dumps(
            {
                "parts": parts.seconds, "peaks_mib": parts.peaks, "losses": losses,
                "eval_loss": loss, "latency_ms": found, **scores, "answers": said,
            }
        )
    )  # fmt: skip


if __name__ == "__main__":
    main(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
