"""What a model split over two GPUs gives (`device_map`) against the same on one: an experiment.

    python tests/benchmarks/cuda_split.py FOLDER ROWS.jsonl

Losses of a short LoRA training by the harness's `train_rows` and by `SFTTrainer`, greedy answers by
`generate`, in bf16 and NF4.
"""

import json
import sys
import tempfile
import time
import traceback
from pathlib import Path

import torch
from datasets import Dataset
from peft import LoraConfig, get_peft_model, prepare_model_for_kbit_training
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, set_seed
from trl import SFTConfig, SFTTrainer


def halves(layers):
    first = {f"model.layers.{k}": int(k >= layers // 2) for k in range(layers)}
    # tied weights must lie on one device: the head goes where the embedding is
    return {"model.embed_tokens": 0, "model.rotary_emb": 0, "model.norm": 1, "lm_head": 0, **first}


def load(folder, nf4, place):
    more = {}
    if nf4:
        more["quantization_config"] = BitsAndBytesConfig(
            load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=torch.bfloat16
        )
    return AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.bfloat16, device_map=place, **more
    )


def trained(model, tokenizer, rows, nf4):
    if nf4:
        model = prepare_model_for_kbit_training(model, use_gradient_checkpointing=False)
    set_seed(0)
    model = get_peft_model(
        model, LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
    )
    with tempfile.TemporaryDirectory() as scratch:
        arguments = SFTConfig(
            scratch, per_device_train_batch_size=8, max_steps=12, learning_rate=5e-4, bf16=True,
            logging_steps=1, gradient_checkpointing=False, report_to="none", save_strategy="no",
            disable_tqdm=True, seed=0, completion_only_loss=True, max_length=512,
        )  # fmt: skip
        places = set((getattr(model, "hf_device_map", None) or {}).values())
        print("n_gpu", arguments.n_gpu, "lies on", places)
        if arguments.n_gpu > 1:
            arguments._n_gpu = 1
        trainer = SFTTrainer(
            model=model, args=arguments, train_dataset=Dataset.from_list(rows),
            processing_class=tokenizer,
        )  # fmt: skip
        trainer.train()
    return model, [float(line["loss"]) for line in trainer.state.log_history if "loss" in line]


@torch.inference_mode()
def answers(model, tokenizer, rows):
    model.eval()
    tokenizer.padding_side = "left"
    inputs = tokenizer.apply_chat_template(
        [row["prompt"] for row in rows[:4]], add_generation_prompt=True, return_tensors="pt",
        return_dict=True, padding=True,
    ).to("cuda:0")  # fmt: skip
    output = model.generate(**inputs, max_new_tokens=24, do_sample=False)
    return tokenizer.batch_decode(output[:, inputs["input_ids"].shape[1] :])


def main(folder, place):
    rows = [json.loads(line) for line in Path(place).read_text(encoding="utf-8").splitlines()]
    layers = json.loads(Path(folder, "config.json").read_text())["num_hidden_layers"]
    tokenizer = AutoTokenizer.from_pretrained(folder)
    places = {"one": {"": 0}, "halves": halves(layers), "balanced": "balanced"}
    for nf4 in (False, True):
        found = {}
        for name, device_map in places.items():
            began = time.monotonic()
            try:
                model = load(folder, nf4, device_map)
                before = answers(model, tokenizer, rows)
                model, losses = trained(model, tokenizer, rows, nf4)
                found[name] = (losses, before, answers(model, tokenizer, rows))
                peaks = [
                    torch.cuda.max_memory_allocated(k) >> 20
                    for k in range(torch.cuda.device_count())
                ]
                gaps = [abs(a - b) for a, b in zip(losses, found["one"][0], strict=True)]
                print(
                    "nf4" if nf4 else "bf16", name, f"{time.monotonic() - began:.1f} s", "peaks", peaks,
                    "losses apart", max(gaps), losses[-2:], "answers before equal",
                    before == found["one"][1], "after", found[name][2] == found["one"][2], flush=True,
                )  # fmt: skip
            except Exception:
                print("!!", "nf4" if nf4 else "bf16", name)
                traceback.print_exc(limit=-8)
            model = None
            torch.cuda.empty_cache()
            for k in range(torch.cuda.device_count()):
                torch.cuda.reset_peak_memory_stats(k)


if __name__ == "__main__":
    main(*sys.argv[1:])
