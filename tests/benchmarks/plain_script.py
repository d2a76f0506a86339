"""What a notebook does for one variant: baseline, training, fine-tuned answers, scores.

    python tests/benchmarks/plain_script.py SETTINGS.json [baseline|tuned]

One cell, or without the second word a baseline and its fine-tuned cell in one go. The opponent of `test_bench_grid.py`, written as a person would who wants it done, and not slowed on
purpose: the model is loaded no oftener than it must be, nothing is measured or saved, and only the
libraries that it needs are imported. It prints one line of JSON.
"""

import json
import sys
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForCausalLM,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BitsAndBytesConfig,
    set_seed,
)


def load(settings, kind, **more):
    if settings["quantization"]:
        more["quantization_config"] = BitsAndBytesConfig(**settings["quantization"])
    return kind.from_pretrained(settings["model"], dtype=torch.float32, **more).eval()


def with_adapter(model, settings, task_type):
    set_seed(settings["training"]["seed"])
    return get_peft_model(model, LoraConfig(task_type=task_type, **settings["adapter"]))


def trained(trainer):
    for parameter in trainer.model.parameters():
        if parameter.requires_grad:  # TRL halves the adapter of a quantized model
            parameter.data = parameter.data.to(torch.float32)
    result = trainer.train()
    trainer.model.eval()
    return {"steps": result.global_step, "training_loss": result.training_loss}


# --- text: TRL trains, `generate` answers one prompt at a time, rouge_score scores ---


def answers(model, tokenizer, settings):
    found = []
    for row in settings["test"]:
        inputs = tokenizer(row["prompt"], add_special_tokens=False, return_tensors="pt")
        output = model.generate(
            **inputs, max_new_tokens=settings["max_new_tokens"], do_sample=False,
            pad_token_id=tokenizer.pad_token_id, eos_token_id=tokenizer.eos_token_id,
        )  # fmt: skip
        new = output[0, inputs.input_ids.shape[1] :]
        found.append(tokenizer.decode(new, skip_special_tokens=True).strip())
    return found


def rouge(texts, settings):
    from rouge_score.rouge_scorer import RougeScorer

    scorer = RougeScorer(["rouge1", "rouge2", "rougeL", "rougeLsum"])
    rows = [
        scorer.score(row["reference"], text)
        for row, text in zip(settings["test"], texts, strict=True)
    ]
    return {name: sum(row[name].fmeasure for row in rows) / len(rows) for name in rows[0]}


def text(settings, tokenizer, part):
    model, found, facts = load(settings, AutoModelForCausalLM), {}, {}
    if part != "tuned":
        found["before"] = answers(model, tokenizer, settings)
    if part != "baseline":
        if found and settings["quantization"]:  # bitsandbytes packs what has decoded on a CPU
            model = load(settings, AutoModelForCausalLM)
        facts, found["after"] = tuned_text(model, tokenizer, settings)
    return {**facts, "scores": {k: rouge(v, settings) for k, v in found.items()}, "answers": found}


def tuned_text(model, tokenizer, settings):
    from trl import SFTConfig, SFTTrainer

    model = with_adapter(model, settings, "CAUSAL_LM")
    trainer = SFTTrainer(
        model=model, args=SFTConfig(completion_only_loss=True, **settings["training"]),
        train_dataset=Dataset.from_list(settings["train"]), processing_class=tokenizer,
    )  # fmt: skip
    return trained(trainer), answers(model, tokenizer, settings)


# --- labels: the baseline ranks them by likelihood, a head is trained, sklearn scores ---


@torch.inference_mode()
def ranked(model, tokenizer, settings):
    found = []
    for row in settings["test"]:
        prompt = tokenizer(row["prompt"], add_special_tokens=False).input_ids
        scores = []
        for label in settings["labels"]:
            answer = tokenizer(label, add_special_tokens=False).input_ids
            answer = [*answer, tokenizer.eos_token_id]
            ids = torch.tensor([prompt + answer])
            logits = model(input_ids=ids).logits[0, len(prompt) - 1 : -1].log_softmax(-1)
            taken = logits.gather(1, torch.tensor(answer)[:, None]).sum()
            scores.append(float(taken) / len(label.encode()))
        found.append(settings["labels"][scores.index(max(scores))])
    return found


@torch.inference_mode()
def headed(model, tokenizer, settings):
    found = []
    for row in settings["test"]:
        logits = model(**tokenizer(row["text"], return_tensors="pt")).logits
        found.append(settings["labels"][int(logits.argmax())])
    return found


def labelled(predictions, settings):
    from sklearn.metrics import accuracy_score, f1_score

    gold = [row["reference"] for row in settings["test"]]
    return {
        "accuracy": accuracy_score(gold, predictions),
        "f1_macro": f1_score(gold, predictions, average="macro"),
    }


def labels(settings, tokenizer, part):
    found, facts = {}, {}
    if part != "tuned":
        found["before"] = ranked(load(settings, AutoModelForCausalLM), tokenizer, settings)
    if part != "baseline":
        facts, found["after"] = tuned_labels(tokenizer, settings)
    scores = {k: labelled(v, settings) for k, v in found.items()}
    return {**facts, "scores": scores, "answers": found}


def tuned_labels(tokenizer, settings):
    from transformers import DataCollatorWithPadding, Trainer, TrainingArguments

    set_seed(settings["training"]["seed"])
    kind, count = AutoModelForSequenceClassification, len(settings["labels"])
    model = load(settings, kind, num_labels=count)
    model.config.pad_token_id = tokenizer.pad_token_id
    model = with_adapter(model, settings, "SEQ_CLS")
    rows = [
        {**tokenizer(row["text"]), "labels": settings["labels"].index(row["reference"])}
        for row in settings["train"]
    ]
    trainer = Trainer(
        model=model, args=TrainingArguments(**settings["training"]),
        train_dataset=Dataset.from_list(rows), data_collator=DataCollatorWithPadding(tokenizer),
    )  # fmt: skip
    return trained(trainer), headed(model, tokenizer, settings)


if __name__ == "__main__":
    given = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    words = AutoTokenizer.from_pretrained(given["model"])
    run = labels if given["labels"] else text
    print(json.dumps(run(given, words, sys.argv[2] if len(sys.argv) > 2 else "both")))
