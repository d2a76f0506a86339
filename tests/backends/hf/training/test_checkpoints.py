"""A training that was interrupted ends as one that was not, or begins anew and says so.

``tests/run/test_resumed.py`` kills both engines always; all cases run by ``tox -e training``.
"""

import json
import shutil

import pytest
import torch
from peft import (
    AdaLoraConfig,
    IA3Config,
    LoHaConfig,
    LoKrConfig,
    LoraConfig,
    OFTConfig,
    PrefixTuningConfig,
    PromptEncoderConfig,
    PromptTuningConfig,
    get_peft_model,
)
from transformers import AutoTokenizer, Qwen2Config, set_seed
from transformers.models.auto.modeling_auto import AutoModelForCausalLM

from harness.backends.hf.training.checkpoints import SEAL, Checkpoints, unresumable_reason
from harness.backends.hf.training.engine_state import load_state, save_state
from harness.backends.hf.training.trainer import train_rows, usable

SIZES = {
    "vocab_size": 96, "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64,
}  # fmt: skip
ALL = {"target_modules": "all-linear", "task_type": "CAUSAL_LM"}
LORA = LoraConfig(r=4, lora_dropout=0.2, **ALL)
VIRTUAL = {"num_virtual_tokens": 4, "task_type": "CAUSAL_LM"}
EVERY = {"save_strategy": "steps", "save_steps": 2}
CASES = {
    "flat: dropout": ("auto", LORA, EVERY),
    "flat: full": ("auto", None, EVERY),
    "flat: accumulation, cosine": (
        "auto", LORA,
        {**EVERY, "gradient_accumulation_steps": 2, "lr_scheduler_type": "cosine", "warmup_steps": 3},
    ),
    "flat: log and checkpoint apart": ("auto", LORA, {**EVERY, "logging_steps": 3}),
    "flat: epochs": ("auto", LORA, {"save_strategy": "epoch", "max_steps": 20}),
    "flat: a share of the steps": ("auto", LORA, {"save_strategy": "steps", "save_steps": 0.2}),
    "flat: 8 bit": ("auto", LORA, {**EVERY, "optim": "adamw_8bit"}),
    "flat: paged": ("auto", LORA, {**EVERY, "optim": "paged_adamw_32bit"}),
    "flat: LoRA+": ("auto", LORA, {**EVERY, "loraplus_lr_ratio": 8.0}),
    "flat: checkpointing": ("auto", LORA, {**EVERY, "gradient_checkpointing": True}),
    "trl: dropout": ("trl", LORA, EVERY),
    "trl: full": ("trl", None, EVERY),
    "trl: accumulation, cosine": (
        "trl", LORA,
        {**EVERY, "gradient_accumulation_steps": 2, "lr_scheduler_type": "cosine", "warmup_steps": 3},
    ),
    "trl: log and checkpoint apart": ("trl", LORA, {**EVERY, "logging_steps": 3}),
    "trl: epochs": ("trl", LORA, {"save_strategy": "epoch", "max_steps": 20}),
    "trl: a share of the steps": ("trl", LORA, {"save_strategy": "steps", "save_steps": 0.2}),
    "trl: 8 bit": ("trl", LORA, {**EVERY, "optim": "adamw_8bit"}),
    "trl: LoRA+": ("trl", LORA, {**EVERY, "loraplus_lr_ratio": 8.0}),
    "trl: packing": ("trl", LORA, {**EVERY, "packing": True, "max_length": 64}),
    "trl: ia3": ("trl", IA3Config(task_type="CAUSAL_LM"), EVERY),
    "trl: loha": ("trl", LoHaConfig(r=4, **ALL), EVERY),
    "trl: lokr": ("trl", LoKrConfig(r=4, **ALL), EVERY),
    "trl: oft": ("trl", OFTConfig(oft_block_size=8, **ALL), EVERY),
    "trl: prompt tuning": ("trl", PromptTuningConfig(**VIRTUAL), EVERY),
}  # fmt: skip
BREAKS = {"epochs": (12, 18), "a share of the steps": (6, 9)}
"""The steps after which a checkpoint could not be written."""


def rows():
    draw = torch.Generator().manual_seed(3)
    found = []
    for _ in range(22):
        length = int(torch.randint(6, 31, (1,), generator=draw))
        ids = torch.randint(3, 96, (length,), generator=draw).tolist()
        found.append({"input_ids": ids, "labels": [-100] * (length // 3) + ids[length // 3 :]})
    return found


def model_of(adapter):
    set_seed(0)
    model = AutoModelForCausalLM.from_config(Qwen2Config(**SIZES), dtype=torch.float32)
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(0, 0.1)
    model.config.pad_token_id = 0
    set_seed(1)
    return (model if adapter is None else get_peft_model(model, adapter)).eval()


@pytest.fixture(scope="module")
def tokenizer(root):
    return AutoTokenizer.from_pretrained(root / "models" / "tiny" / "tiny-qwen2")


class Training:
    """One training, in as many sittings as it takes."""

    def __init__(self, case, tokenizer, folder):
        self.engine, self.adapter, self.keys = case
        self.tokenizer, self.folder = tokenizer, folder

    def sit(self, inputs="these"):
        """Train on; what it left, its weights and its checkpoints."""
        checkpoints = Checkpoints(self.folder, inputs)
        model = model_of(self.adapter)
        assert usable(checkpoints, model, self.keys) is checkpoints
        options = {
            "output_dir": str(self.folder), "use_cpu": True, "seed": 7, "data_seed": 7,
            "report_to": "none", "disable_tqdm": True, "logging_steps": 1, "bf16": False,
            "gradient_checkpointing": False, "dataloader_pin_memory": False, "max_steps": 11,
            "per_device_train_batch_size": 4, "learning_rate": 5e-3, "max_length": 64,
            "save_total_limit": None, **self.keys, "engine": self.engine,
        }  # fmt: skip
        done = train_rows(model, self.tokenizer, options, rows(), 1, checkpoints)
        assert done.how["engine"] == {"auto": "flat"}.get(self.engine, self.engine), done.how
        weights = {k: p.detach() for k, p in model.named_parameters() if p.requires_grad}
        return done, weights, checkpoints

    def interrupt(self, step):
        """Train until a checkpoint cannot be written after ``step``."""
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / f"checkpoint-{step}").write_text("in the way")
        with pytest.raises(OSError, match="checkpoint-"):
            self.sit()
        (self.folder / f"checkpoint-{step}").unlink()

    def steps(self):
        return sorted(int(p.name.split("-")[1]) for p in self.folder.glob("checkpoint-*"))


def equal(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[k], other[k]) for k in one)


@pytest.mark.training
@pytest.mark.parametrize("name", CASES)
def test_an_interrupted_training_ends_as_a_whole_one(name, tokenizer, tmp_path):
    whole, right, _ = Training(CASES[name], tokenizer, tmp_path / "whole").sit()
    training = Training(CASES[name], tokenizer, tmp_path / "parts")
    for step in BREAKS.get(name.split(": ")[1], (6, 10)):
        training.interrupt(step)
    done, weights, checkpoints = training.sit()
    assert checkpoints.resumed_at()
    assert equal(weights, right)
    assert done.log == whole.log
    assert (done.steps, done.tokens) == (whole.steps, whole.tokens)
    assert done.seconds > checkpoints.seconds > 0


def cut(place):
    path = next(iter(place.glob("*.safetensors")))
    path.write_bytes(path.read_bytes()[:-40])


def flip(name):
    def damage(place):
        path = place / name
        data = bytearray(path.read_bytes())
        data[len(data) // 2] ^= 1
        path.write_bytes(bytes(data))

    return damage


def reseal(**changes):
    def damage(place):
        seal = json.loads((place / SEAL).read_text())
        (place / SEAL).write_text(json.dumps({**seal, **changes}))

    return damage


DAMAGES = {
    "weights cut": (cut, "safetensors is damaged"),
    "optimizer flipped": (flip("state.pt"), "state.pt is damaged"),
    "a file gone": (lambda place: (place / "state.pt").unlink(), "state.pt is damaged or gone"),
    "seal cut": (lambda place: (place / SEAL).write_text("{"), f"{SEAL} is damaged"),
    "seal of another kind": (lambda place: (place / SEAL).write_text("[]"), f"{SEAL} is damaged"),
    "seal without a field": (reseal(step=None), f"{SEAL} is damaged"),
    "another version": (reseal(versions={"torch": "1.0"}), "it was written by torch 1.0"),
    "another library": (reseal(versions={}), "it was written by other libraries"),
}


def test_a_checkpoint_that_does_not_hold_is_left_aside(tokenizer, tmp_path):
    case = CASES["flat: dropout"]
    _, right, _ = Training(case, tokenizer, tmp_path / "whole").sit()
    training = Training(case, tokenizer, tmp_path / "parts")
    training.interrupt(6)
    for name, (damage, problem) in DAMAGES.items():
        folder = tmp_path / name
        shutil.copytree(training.folder, folder)
        damage(folder / "checkpoint-4")
        checkpoints = Checkpoints(folder, "these")
        assert checkpoints.look() is None, name
        assert problem in checkpoints.notes[0], name
        assert checkpoints.notes[1:] == ["training began anew"]
        assert [p.name for p in folder.iterdir()] == ["checkpoint-4.aside"]
    other = Checkpoints(shutil.copytree(training.folder, tmp_path / "other"), "other inputs")
    assert other.look() is None
    assert "other settings, data or weights" in other.notes[0]
    cut(training.folder / "checkpoint-4")
    done, weights, checkpoints = training.sit()  # and trains all of it, over what lies there
    assert equal(weights, right)
    assert (done.steps, checkpoints.resumed_at()) == (11, ())
    assert "left aside" in checkpoints.notes[0]


def test_a_checkpoint_without_a_seal_was_never_finished(tmp_path):
    (tmp_path / "checkpoint-4").mkdir()
    checkpoints = Checkpoints(tmp_path, "these")
    assert checkpoints.look() is None
    assert checkpoints.notes == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("keep", "left"), [(1, [6]), (2, [4, 6]), (5, [2, 4, 6])])
def test_older_checkpoints_go_once_a_newer_one_is_sealed(tmp_path, keep, left):
    checkpoints = Checkpoints(tmp_path, "these", keep=keep)
    for step in (2, 4, 6):
        checkpoints.write(step, lambda place: (place / "a").write_text("b"), seconds=1.0)
    assert sorted(int(path.name[11:]) for path in tmp_path.iterdir()) == left
    assert Checkpoints(tmp_path, "these").look().step == 6


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (LORA, None),
        (AdaLoraConfig(init_r=6, target_r=3, total_step=4, tinit=1, tfinal=1, **ALL), "adalora"),
        (PrefixTuningConfig(**VIRTUAL), "prefix_tuning"),
        (PromptEncoderConfig(**VIRTUAL, encoder_hidden_size=32), "p_tuning"),
        (LoraConfig(init_lora_weights="pissa", **ALL), "init_lora_weights pissa"),
    ],
    ids=["lora", "adalora", "prefix", "p-tuning", "pissa"],
)
def test_what_keeps_a_state_elsewhere_is_not_resumed(config, reason):
    found = unresumable_reason(model_of(config), {})
    assert found is None if reason is None else reason in found


@pytest.mark.training
def test_trl_does_not_read_what_the_engine_wrote(tokenizer, tmp_path):
    training = Training(CASES["flat: dropout"], tokenizer, tmp_path / "parts")
    training.interrupt(6)
    training.engine = "trl"
    done, _, checkpoints = training.sit()
    assert (done.steps, checkpoints.resumed_at()) == (11, ())
    assert checkpoints.notes == [
        "training began anew after step 4: TRL trains (the suite says `engine: trl`), "
        "which cannot read it"
    ]


def test_an_order_that_depends_on_more_than_the_seed_is_not_resumed():
    keys = {"train_sampling_strategy": "group_by_length"}
    assert "another order" in unresumable_reason(model_of(LORA), keys)


def test_the_optimizers_state_is_put_back_where_it_is(tmp_path):
    """Captured steps read it at fixed addresses."""
    saved, other = torch.nn.Linear(3, 3), torch.nn.Linear(3, 3)
    optimizers = [torch.optim.AdamW(model.parameters()) for model in (saved, other)]
    for model, optimizer in zip((saved, other), optimizers, strict=True):
        model(torch.ones(2, 3)).sum().backward()
        optimizer.step()
    save_state(tmp_path, saved, optimizers[0], torch.zeros(2, 4))
    states = [optimizers[1].state[p] for p in other.parameters()]
    places = [value.data_ptr() for state in states for value in state.values()]
    load_state(tmp_path, other, optimizers[1], torch.ones(2, 4))
    states = [optimizers[1].state[p] for p in other.parameters()]
    assert [value.data_ptr() for state in states for value in state.values()] == places
    for one, two in zip(saved.parameters(), other.parameters(), strict=True):
        assert torch.equal(one, two)
        for name, value in optimizers[0].state[one].items():
            assert torch.equal(value, optimizers[1].state[two][name])
