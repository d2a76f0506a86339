"""The whole tiny grid against the same cells as separate plain scripts: what a notebook does.

Each script imports the libraries, trains with SFTTrainer and generates one prompt at a time, for the
untouched and for the fine-tuned model; it scores nothing and measures nothing, which the grid does.
"""

import subprocess
import sys
import time
from pathlib import Path

from harness.datasets.splits import load_splits
from harness.runner import make_plan, run_here

SUITE = """\
name: grid
matrix:
  model: [{name: tiny-qwen2, training: {learning_rate: 5e-3}}, {name: tiny-llama, training: {learning_rate: 5e-3}}]
  quantization: [none, nf4]
  adapter:
    - {name: lora-r8, config: {r: 8, lora_alpha: 16, target_modules: all-linear}}
    - {name: lora-r16, config: {r: 16, lora_alpha: 32, target_modules: all-linear}}
  dataset: [{name: ru-calculations, rows: 200, train: 64, test: 48}]
training: {per_device_train_batch_size: 4, max_length: 256, max_steps: 16}
generation: {max_new_tokens: 40}
"""

SCRIPT = """\
import json, sys, torch
from datasets import Dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig
from trl import SFTConfig, SFTTrainer
folder, quantization, rank, data, scratch = sys.argv[1:]
rows = json.load(open(data))
tokenizer = AutoTokenizer.from_pretrained(folder)
extra = {}
if quantization == "nf4":
    extra["quantization_config"] = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")
model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, **extra)
def answer(model):
    model.eval()
    for prompt, _ in rows["test"]:
        text = tokenizer.apply_chat_template([{"role": "user", "content": prompt}], tokenize=False, add_generation_prompt=True)
        ids = tokenizer(text, return_tensors="pt", add_special_tokens=False)
        model.generate(**ids, max_new_tokens=40, do_sample=False)
answer(model)
if rank != "0":
    chats = [{"messages": [{"role": "user", "content": p}, {"role": "assistant", "content": r}]} for p, r in rows["train"]]
    arguments = SFTConfig(output_dir=scratch, per_device_train_batch_size=4, max_steps=16, learning_rate=5e-3, max_length=256, save_strategy="no", report_to="none", use_cpu=True, bf16=False)
    lora = LoraConfig(r=int(rank), lora_alpha=2 * int(rank), target_modules="all-linear", task_type="CAUSAL_LM")
    trainer = SFTTrainer(model=model, args=arguments, train_dataset=Dataset.from_list(chats), peft_config=lora, processing_class=tokenizer)
    trainer.train()
    answer(trainer.model)
"""


def test_the_grid_takes_at_most_a_third_of_the_scripts(root, tmp_path, benchmark):
    import json

    (tmp_path / "models").symlink_to(root / "models")
    suite = tmp_path / "grid.yaml"
    suite.write_text(SUITE)
    plan = make_plan(suite, tmp_path / "out")
    entry = plan.decisions[0].cell.dataset
    splits = load_splits(entry, Path(tmp_path))
    sides = {
        name: [(e.prompt, e.reference) for e in getattr(splits, name)] for name in ("train", "test")
    }
    (tmp_path / "data.json").write_text(json.dumps(sides))
    (tmp_path / "plain.py").write_text(SCRIPT)
    started = time.perf_counter()
    counts = benchmark.pedantic(lambda: run_here(plan), rounds=1)
    grid = time.perf_counter() - started
    assert counts["ok"] == 12
    started = time.perf_counter()
    for decision in plan.decisions:
        cell = decision.cell
        rank = str(cell.adapter_config.get("r", 0))
        arguments = [
            cell.model.source,
            cell.quantization,
            rank,
            tmp_path / "data.json",
            tmp_path / "s",
        ]
        subprocess.run(
            [sys.executable, tmp_path / "plain.py", *map(str, arguments)],
            check=True,
            capture_output=True,
        )
    scripts = time.perf_counter() - started
    benchmark.extra_info["times as fast as the scripts"] = scripts / grid
    assert scripts / grid >= 3
