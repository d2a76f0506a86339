r"""QLoRA over several GPUs that share one model's weights (FSDP): for models larger than a card.

    accelerate launch --config_file docs/fsdp_qlora/accelerate.yaml --num_processes 8 \
        docs/fsdp_qlora/train.py meta-llama/Llama-2-70b-hf rows.jsonl -o adapters/llama-70b-r16

Each line of the rows is `{"prompt": [messages], "completion": [messages]}`, or two texts. The
adapter is then evaluated by the harness, on one GPU that holds the 4-bit model:
`adapter: [{name: r16, source: adapters/llama-70b-r16}]`. Without `accelerate launch` it trains on
one GPU: try a small model both ways first, and compare the losses that it prints.
"""

import argparse
import json

import torch
from datasets import load_dataset
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer, BitsAndBytesConfig, set_seed
from trl import SFTConfig, SFTTrainer


def options() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", help="a folder or hub id")
    parser.add_argument("rows", help="a JSONL file")
    parser.add_argument("-o", "--output", required=True, help="the adapter's folder")
    parser.add_argument("--r", type=int, default=16)
    parser.add_argument("--batch", type=int, default=1, help="rows of each GPU")
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    parser.add_argument("--max-length", type=int, default=1024)
    parser.add_argument("--max-steps", type=int, default=-1)
    return parser.parse_args()


def main(given: argparse.Namespace) -> None:
    """Train the adapter and write it."""
    set_seed(0)
    quantization = BitsAndBytesConfig(
        load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
        # FSDP shards parameters of one floating type: packed bytes are stored as the others are
        bnb_4bit_quant_storage=torch.bfloat16,
    )  # fmt: skip
    model = AutoModelForCausalLM.from_pretrained(
        given.model, dtype=torch.bfloat16, quantization_config=quantization
    )
    arguments = SFTConfig(
        output_dir=given.output, per_device_train_batch_size=given.batch, bf16=True,
        learning_rate=given.learning_rate, lr_scheduler_type="cosine", max_length=given.max_length,
        max_steps=given.max_steps, completion_only_loss=True, logging_steps=1, report_to="none",
        save_strategy="no", disable_tqdm=True, seed=0, data_seed=0,
        # non-reentrant: the other kind cannot recompute what FSDP has gathered
        gradient_checkpointing=True, gradient_checkpointing_kwargs={"use_reentrant": False},
    )  # fmt: skip
    trainer = SFTTrainer(
        model=model, args=arguments, processing_class=AutoTokenizer.from_pretrained(given.model),
        train_dataset=load_dataset("json", data_files=given.rows, split="train"),
        peft_config=LoraConfig(
            r=given.r, lora_alpha=2 * given.r, lora_dropout=0.0, target_modules="all-linear",
            task_type="CAUSAL_LM",
        ),
    )  # fmt: skip
    trainer.train()
    if trainer.is_fsdp_enabled:  # the shards are gathered before they are written
        trainer.accelerator.state.fsdp_plugin.set_state_dict_type("FULL_STATE_DICT")
    trainer.save_model(given.output)
    if trainer.is_world_process_zero():
        losses = [line["loss"] for line in trainer.state.log_history if "loss" in line]
        peak = torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else None
        print(json.dumps({"losses": losses, "peak_mib": peak}), flush=True)


if __name__ == "__main__":
    main(options())
