"""The recipe of the tiny models runs, repeats, and its result loads like any checkpoint."""

import json

import numpy as np
import pytest
from click.testing import CliRunner

from harness.tiny_models.pretraining import Recipe, build_tokenizer, sample_texts, token_stream

SMALL = {
    "steps": 3, "batch": 2, "length": 32, "tokens": 4000, "vocabulary": 600,
    "tokenizer_texts": 300,
}  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer():
    return build_tokenizer(sample_texts(1, 300), 600)


def test_digits_are_tokens_of_their_own(tokenizer):
    assert tokenizer.encode("2024").tokens == ["2", "0", "2", "4"]


@pytest.mark.parametrize("text", ["Ставка 7,5%", "a £ € 1\u00a0000", "emoji 🙂\n\ttab"])
def test_any_text_survives_the_tokenizer(tokenizer, text):
    assert tokenizer.decode(tokenizer.encode(text).ids) == text


def test_the_text_does_not_depend_on_the_number_of_processes(tokenizer):
    recipe = Recipe("tiny-qwen2", **SMALL)
    one, two = (token_stream(tokenizer, recipe, processes) for processes in (1, 2))
    assert np.array_equal(one, two)


@pytest.mark.parametrize("name", ["tiny-qwen2", "tiny-llama"])
def test_a_build_repeats_and_loads(name, tmp_path):
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    from harness.tiny_models.pretraining import build

    recipe = Recipe(name, **SMALL)
    accounts = [build(recipe, tmp_path / str(i)) for i in (1, 2)]
    assert accounts[0]["final_loss"] == accounts[1]["final_loss"]
    assert accounts[0]["final_loss"] < accounts[0]["first_loss"] + 0.5
    weights = [
        AutoModelForCausalLM.from_pretrained(tmp_path / str(i), dtype=torch.float32).state_dict()
        for i in (1, 2)
    ]
    assert all(torch.equal(weights[0][key], weights[1][key]) for key in weights[0])
    loaded = AutoTokenizer.from_pretrained(tmp_path / "1")
    assert loaded.eos_token == "<|im_end|>"
    assert loaded.chat_template


def test_the_command_builds_a_model(tmp_path):
    from harness.cli import main

    args = ["models", "build", "tiny-qwen2", "-o", str(tmp_path / "m")]
    result = CliRunner().invoke(main, [*args, "--steps", "1", "--tokens", "70000", "--batch", "1"])
    assert result.exit_code == 0, result.output
    account = json.loads((tmp_path / "m" / "recipe.json").read_text())
    assert account["steps"] == 1
    assert (tmp_path / "m" / "model.safetensors").stat().st_size < 8 * 2**20


def test_shipped_weights_are_within_eight_mib_and_name_their_hardware(root):
    for name in ("tiny-qwen2", "tiny-llama"):
        folder = root / "models" / "tiny" / name
        assert sum(path.stat().st_size for path in folder.iterdir()) < 8 * 2**20
        account = json.loads((folder / "recipe.json").read_text())
        assert account["hardware"]
        assert min(account["seconds"], account["steps"]) > 0
