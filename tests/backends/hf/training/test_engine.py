"""The training engine against `SFTTrainer`: the same losses and weights, for each option it takes.

A dozen cases run always, all of them by ``tox -e training``.
"""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from same_training import assert_same_training, few_steps
from training_cases import CASES, MODELS, Case
from transformers import (
    AutoTokenizer,
    BitsAndBytesConfig,
    set_seed,
)
from transformers.integrations import rewrite_logs
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from harness.backends.hf.training.step_log import steps_ahead
from harness.backends.hf.training.trainer import train_rows
from harness.trackers.scalars import step_numbers

ROWS = 22
FOUR_BITS = {
    "nf4": {"bnb_4bit_quant_type": "nf4"},
    "fp4": {"bnb_4bit_quant_type": "fp4"},
    "nf4 twice": {"bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True},
}

DOZEN = (
    "everything at once", "dora", "full", "dropout, equal rows", "accumulation over an epoch's end",
    "checkpointing", "padding free", "cut rows", "8 bit", "no clipping, said by a number below 0",
    "polynomial to a rate above 0, lora+", "nf4", "mistral", "gemma3", "gpt2",
)  # fmt: skip
"""Those that stand for the kinds."""


def rows_of(equal):
    """Rows of 6 to 30 ids; of each a part is learned, of one nothing and of one everything."""
    draw = torch.Generator().manual_seed(3)
    rows = []
    for k in range(ROWS):
        length = equal or int(torch.randint(6, 31, (1,), generator=draw))
        ids = torch.randint(3, 96, (length,), generator=draw).tolist()
        start = {0: length, 1: 0}.get(k, length // 3)
        rows.append({"input_ids": ids, "labels": [-100] * start + ids[start:]})
    return rows


def model_of(case, folder):
    set_seed(0)
    if case.model in FOUR_BITS:
        options = BitsAndBytesConfig(load_in_4bit=True, **FOUR_BITS[case.model])
        model = AutoModelForCausalLM.from_pretrained(
            folder, quantization_config=options, dtype=torch.float32
        )
    else:
        dtype = torch.bfloat16 if case.model == "bfloat16" else torch.float32
        config = MODELS["llama" if case.model == "bfloat16" else case.model]
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.data.normal_(0, 0.1)
    model.config.pad_token_id = 0
    if case.adapter is None:
        return model.eval()
    config = {"r": 4, "lora_alpha": 8, "lora_dropout": 0.0, "target_modules": "all-linear"}
    set_seed(1)
    return get_peft_model(
        model, LoraConfig(**{**config, **case.adapter}, task_type="CAUSAL_LM")
    ).eval()


@pytest.fixture(scope="module")
def tokenizer(root):
    return AutoTokenizer.from_pretrained(root / "models" / "tiny" / "tiny-qwen2")


def trained(case, engine, tokenizer, folder, tell=None):
    model, rows = model_of(case, tokenizer.name_or_path), rows_of(case.equal)
    options = {**few_steps(folder), "max_length": 64, **case.training, "engine": engine}
    tokens = sum(len(r["input_ids"]) for r in rows)
    done = train_rows(model, tokenizer, options, rows, tokens, tell=tell)
    assert done.how["engine"] == {"auto": "flat"}.get(engine, engine), done.how
    weights = torch.cat([p.detach().flatten() for p in model.parameters() if p.requires_grad])
    return done, weights


@pytest.mark.parametrize(
    "name",
    [name if name in DOZEN else pytest.param(name, marks=pytest.mark.training) for name in CASES],
)
def test_the_engine_gives_the_losses_and_weights_of_trl(name, tokenizer, tmp_path):
    case = CASES[name]
    wanted, right = trained(case, "trl", tokenizer, tmp_path / "a")
    found, weights = trained(case, "auto", tokenizer, tmp_path / "b")
    assert_same_training(found, wanted, case.log)
    assert float((weights - right).norm() / right.norm()) < case.weights


def test_dropout_leaves_the_losses_within_its_own_noise(tokenizer, tmp_path):
    """Masks differ where rows do; over many steps that is no more than another seed does."""
    training = {"max_steps": 30, "learning_rate": 1e-2}
    case = Case(training, {"lora_dropout": 0.2})
    wanted, _ = trained(case, "trl", tokenizer, tmp_path / "a")
    found, _ = trained(case, "auto", tokenizer, tmp_path / "b")
    again, _ = trained(case, "auto", tokenizer, tmp_path / "c")
    assert found.log == again.log
    tails = [sum(r["loss"] for r in done.log[-10:]) / 10 for done in (found, wanted)]
    assert tails[0] == pytest.approx(tails[1], abs=0.02)
    assert found.log[0]["loss"] - tails[0] > 0.1  # it learns


def test_unpacked_weights_give_the_numbers_of_packed_ones(tokenizer, tmp_path):
    case = {unpack: Case({"unpack_4bit": unpack}, model="nf4") for unpack in (False, True)}
    packed, _ = trained(case[False], "auto", tokenizer, tmp_path / "a")
    unpacked, _ = trained(case[True], "auto", tokenizer, tmp_path / "b")
    losses = [[record["loss"] for record in done.log] for done in (packed, unpacked)]
    assert losses[0] == pytest.approx(losses[1], abs=1e-3)


@pytest.mark.parametrize(
    ("ends", "expected"),
    [
        ([(0, 10.0)], 1),  # nothing is known yet
        ([(0, 10.0), (1, 10.02)], 8),
        ([(0, 10.0), (1, 10.0)], 8),
        ([(0, 10.0), (1, 15.0), (3, 15.2)], 5),  # the last steps count
        ([(0, 10.0), (2, 12.0)], 1),  # never less than one
    ],
)
def test_few_slow_steps_are_launched_ahead_and_no_more_than_eight_fast_ones(ends, expected):
    assert steps_ahead(ends) == expected


@pytest.mark.parametrize("engine", ["trl", "auto"])
def test_each_record_of_the_log_is_told_when_it_is_there(engine, tokenizer, tmp_path):
    """Both engines tell what their log holds, under the names of transformers' own callbacks."""
    told = []
    case = Case({"logging_steps": 2})
    done, weights = trained(case, engine, tokenizer, tmp_path / "a", tell=told.append)
    assert told == done.log
    assert [record["step"] for record in told] == [2, 4]
    silent, same = trained(case, engine, tokenizer, tmp_path / "b")
    assert silent.log == done.log
    assert torch.equal(weights, same)
    assert step_numbers(told[0]) == rewrite_logs(told[0])
