"""The training engine against `SFTTrainer`: the same losses and weights, for each option it takes.

A dozen cases run always, all of them by ``tox -e training``.
"""

import dataclasses
from dataclasses import dataclass, field

import pytest
import torch
from peft import LoraConfig, get_peft_model
from same_training import LOSS, assert_same_training, few_steps
from tiny_geometries import NO_DROPOUT, tiny
from transformers import (
    AutoTokenizer,
    BitsAndBytesConfig,
    set_seed,
)
from transformers.integrations import rewrite_logs
from transformers.models.auto.modeling_auto import AutoModelForCausalLM
from trl import SFTConfig

from harness.backends.hf.training.step_log import steps_ahead
from harness.backends.hf.training.trainer import train_rows
from harness.suite.engine_keys import KEYS, NO_EFFECT, OFF, VALUES, trl_keys
from harness.trackers.scalars import step_numbers

MODELS = {
    "qwen2": tiny("qwen2"),
    "llama": tiny("llama"),
    "mistral": tiny("mistral", sliding_window=32),
    "qwen3": tiny("qwen3"),
    "gemma3": tiny("gemma3", sliding_window=32),
    "gpt2": tiny("gpt2", **NO_DROPOUT),
}
ROWS = 22
WEIGHTS = 1e-3


@dataclass
class Case:
    """One option of the allow-list, and what it needs."""

    training: dict = field(default_factory=dict)
    adapter: dict | None = field(default_factory=dict)
    """None for full fine-tuning."""
    model: str = "qwen2"
    equal: int | None = None
    """The length of all rows; None for rows of different lengths."""
    weights: float = WEIGHTS
    log: float = LOSS
    """How far numbers of the log may be apart."""


CASES = {
    "lora": Case(),
    "dora": Case(adapter={"use_dora": True}),
    "rslora": Case(adapter={"use_rslora": True}),
    "pissa": Case(adapter={"init_lora_weights": "pissa"}),
    "lora+": Case({"loraplus_lr_ratio": 8.0}),
    "biases": Case(adapter={"bias": "lora_only", "lora_bias": True}),
    "patterns": Case(adapter={"rank_pattern": {"q_proj": 2}, "alpha_pattern": {"q_proj": 3}}),
    "full": Case(adapter=None),
    "dropout, equal rows": Case(adapter={"lora_dropout": 0.3}, equal=16),
    "accumulation": Case({"gradient_accumulation_steps": 3}),
    "accumulation over an epoch's end": Case(
        {"gradient_accumulation_steps": 4, "max_steps": -1, "num_train_epochs": 2}
    ),
    "part of an epoch": Case({"max_steps": -1, "num_train_epochs": 0.7}),
    "several epochs": Case({"max_steps": 9}),
    "sequential": Case({"train_sampling_strategy": "sequential"}),
    "no clipping": Case({"max_grad_norm": 0.0}),
    "no clipping, said by a number below 0": Case({"max_grad_norm": -1.0}),
    "tight clipping": Case({"max_grad_norm": 0.01}),
    "decay": Case({"weight_decay": 0.3}, adapter=None),
    "betas": Case({"adam_beta1": 0.7, "adam_beta2": 0.9, "adam_epsilon": 1e-4}),
    "unfused": Case({"optim": "adamw_torch"}),
    "8 bit": Case({"optim": "adamw_8bit"}),
    "8 bit of bitsandbytes": Case({"optim": "adamw_bnb_8bit"}),
    "8 bit, paged": Case({"optim": "paged_adamw_8bit"}),
    "paged": Case({"optim": "paged_adamw_32bit"}),
    "cosine": Case({"lr_scheduler_type": "cosine", "warmup_steps": 2}),
    "constant": Case({"lr_scheduler_type": "constant"}),
    "warm-up": Case({"lr_scheduler_type": "constant_with_warmup", "warmup_steps": 3}),
    "restarts": Case(
        {"lr_scheduler_type": "cosine_with_restarts", "lr_scheduler_kwargs": {"num_cycles": 2}}
    ),
    "polynomial": Case({"lr_scheduler_type": "polynomial"}),
    "polynomial to a rate above 0, lora+": Case(
        {
            "lr_scheduler_type": "polynomial",
            "lr_scheduler_kwargs": {"power": 2.0, "lr_end": 1e-3},
            "loraplus_lr_ratio": 8.0,
        }
    ),
    "warm-up as a share": Case({"warmup_steps": 0.4}),
    "inverse root": Case({"lr_scheduler_type": "inverse_sqrt", "warmup_steps": 1}),
    "checkpointing": Case({"gradient_checkpointing": True}),
    "checkpointing under its newer name": Case({"activation_checkpointing": True}),
    "padding free": Case({"padding_free": True}),
    "cut rows": Case({"max_length": 12}),
    "rows as they are": Case({"max_length": None, "max_steps": 12}),
    "more rows a batch than there are": Case({"per_device_train_batch_size": 64}),
    "more batches a step than there are": Case({"gradient_accumulation_steps": 50, "max_steps": 3}),
    "rarer logging": Case({"logging_steps": 2}),
    "everything at once": Case(
        {
            "loraplus_lr_ratio": 4.0,
            "gradient_accumulation_steps": 2,
            "weight_decay": 0.1,
            "lr_scheduler_type": "cosine",
            "warmup_steps": 2,
            "logging_steps": 2,
            "max_steps": 6,
        },
        {"use_rslora": True},
    ),
    # rounded elsewhere: the rows of a flat batch are products of another shape
    "bf16": Case({"bf16": True}, weights=3e-2, log=5e-3),
    "keys without effect": Case(
        {
            "dataset_num_proc": 1,
            "dataloader_num_workers": 2,
            "dataloader_prefetch_factor": 3,
            "eval_accumulation_steps": 2,
            "eval_delay": 3,
            "eval_steps": 5,
            "per_device_eval_batch_size": 3,
            "prediction_loss_only": True,
            "bf16_full_eval": True,
            "fp16_full_eval": False,
            "log_level": "error",
            "log_level_replica": "error",
            "log_on_each_node": False,
            "save_on_each_node": True,
            "average_tokens_across_devices": False,
            "do_train": True,
            "do_eval": True,
            "do_predict": True,
            "max_steps": 12,
        },
        {"lora_dropout": 0.3},
        equal=16,
    ),
    "one row": Case({"per_device_train_batch_size": 1}),
    **{name: Case(model=name) for name in MODELS},
    # Adam moves a weight by a whole step where its gradient is rounding alone; this model has such
    "nf4": Case({"learning_rate": 5e-4}, model="nf4", weights=1e-2),
    "nf4 unpacked": Case({"learning_rate": 5e-4, "unpack_4bit": True}, model="nf4", weights=1e-2),
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
    if case.model == "nf4":
        options = BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4")
        model = AutoModelForCausalLM.from_pretrained(
            folder, quantization_config=options, dtype=torch.float32
        )
    else:
        model = AutoModelForCausalLM.from_config(MODELS[case.model], dtype=torch.float32)
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


ELSEWHERE = {
    "save_steps": "test_checkpoints.py",
    "save_total_limit": "test_checkpoints.py", "auto_find_batch_size": "tests/run/test_batch_size.py",
    "tf32": "of CUDA alone", "warmup_ratio": "of older versions of transformers",
}  # fmt: skip
"""Keys of the allow-list that no case here sets, and where they are tried or why they cannot be."""


def test_every_key_and_value_of_the_allow_list_is_compared(tmp_path):
    tried = {key for case in CASES.values() for key in case.training}
    assert KEYS - tried - few_steps(tmp_path).keys() == ELSEWHERE.keys()
    assert set(CASES["keys without effect"].training) - {"max_steps"} == NO_EFFECT
    for key, values in VALUES.items():
        found = {case.training.get(key) for case in CASES.values()} - {None}
        # what is left out is what the others compare: the defaults
        usual = {"optim": "adamw_torch_fused", "lr_scheduler_type": "linear"}
        if key != "save_strategy":  # that is for test_checkpoints.py
            assert found | {usual.get(key, "random")} == values


def test_every_field_of_trl_is_followed_refused_or_means_trl():
    """None is in two of the lists, and no list names what is no field any more."""
    fields = {field.name for field in dataclasses.fields(SFTConfig) if field.init}
    assert fields | {"warmup_ratio"} >= KEYS | NO_EFFECT | OFF
    assert not KEYS & NO_EFFECT
    assert not (KEYS | NO_EFFECT) & OFF
    for name in fields - KEYS - NO_EFFECT:
        assert trl_keys({name: 1}) == f"training keys {name}"


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
