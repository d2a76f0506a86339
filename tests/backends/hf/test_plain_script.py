"""Prompts, answers and training rows are those of a plain transformers and TRL script."""

from pathlib import Path

import pytest
import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

from harness.backends.hf.decoding.decode import decode
from harness.backends.hf.encoding import Encoder, training_rows
from harness.backends.hf.models.loading import load_model, load_tokenizer
from harness.datasets.example import Example, Turn
from harness.plan.expand import expand
from harness.suite.loading import load_suite

MODEL = Path(__file__).parents[3] / "models" / "tiny" / "tiny-qwen2"
SYSTEM = "You answer in one sentence."
EXAMPLES = [
    Example("1", "What is a bond?", "A loan that can be traded."),
    Example("2", "Сколько будет 240 / 60?", "4", context="Ответь числом."),
    Example("3", "And 6 / 2?", "3", history=(Turn("user", "4 / 2?"), Turn("assistant", "2"))),
    Example("4", "Hello!", "Good day.", system=SYSTEM),
]
"""As the harness has them."""
CHATS = [
    [{"role": "user", "content": "What is a bond?"}],
    [{"role": "user", "content": "Сколько будет 240 / 60?\n\nОтветь числом."}],
    [
        {"role": "user", "content": "4 / 2?"},
        {"role": "assistant", "content": "2"},
        {"role": "user", "content": "And 6 / 2?"},
    ],
    [{"role": "system", "content": SYSTEM}, {"role": "user", "content": "Hello!"}],
]
"""The same as a script has them."""


@pytest.fixture(scope="module")
def script():
    model = AutoModelForCausalLM.from_pretrained(MODEL, dtype=torch.float32).eval()
    return model, AutoTokenizer.from_pretrained(MODEL)


@pytest.fixture
def ours(write_suite):
    path = write_suite()
    cell = expand(load_suite(path), path)[0]
    tokenizer = load_tokenizer(cell.model)
    return cell, tokenizer, Encoder(cell.model, tokenizer)


def test_training_rows_are_trl_s(script, ours, tmp_path):
    model, tokenizer = script
    rows = [
        {"prompt": chat, "completion": [{"role": "assistant", "content": example.reference}]}
        for chat, example in zip(CHATS, EXAMPLES, strict=True)
    ]
    options = SFTConfig(
        str(tmp_path), use_cpu=True, report_to="none", max_length=512, completion_only_loss=True
    )
    trainer = SFTTrainer(
        model, args=options, train_dataset=Dataset.from_list(rows), processing_class=tokenizer
    )
    batch = trainer.data_collator([trainer.train_dataset[k] for k in range(len(rows))])
    _, _, encoder = ours
    found = training_rows(
        encoder.rows(EXAMPLES), max_length=512, loss_on="answer", ends={encoder.end}
    )
    for k, row in enumerate(found.rows):
        length = len(row["input_ids"])
        assert batch["input_ids"][k][:length].tolist() == row["input_ids"]
        assert batch["labels"][k][:length].tolist() == row["labels"]
        assert set(batch["labels"][k][length:].tolist()) <= {-100}


@torch.inference_mode()
def test_prompts_and_answers_are_generate_s(script, ours):
    model, tokenizer = script
    cell, own_tokenizer, encoder = ours
    served = load_model(cell, own_tokenizer)
    prompts = encoder.prompts(EXAMPLES)
    options = {"max_new_tokens": 32, "do_sample": False}
    answers = decode(served, own_tokenizer, prompts, options=options, batch_size=3).answers
    for chat, prompt, answer in zip(CHATS, prompts, answers, strict=True):
        given = tokenizer.apply_chat_template(
            chat, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        assert given["input_ids"][0].tolist() == prompt
        made = model.generate(**given, **options)[0, len(prompt) :]
        assert answer.text == tokenizer.decode(made, skip_special_tokens=True).strip()
        assert answer.new_tokens == len(made)
        ended = int(made[-1]) == tokenizer.eos_token_id
        assert answer.finish_reason == ("stop" if ended else "length")
