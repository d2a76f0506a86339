"""A head trained by the engine against `Trainer`: the same losses and weights, option by option.

A few cases run always, all of them by ``tox -e training``.
"""

from dataclasses import dataclass, field
from pathlib import Path

import pytest
import torch
from peft import IA3Config, LoraConfig, get_peft_model
from same_training import assert_same_training, few_steps
from transformers import (
    AlbertConfig,
    AutoModelForSequenceClassification,
    AutoTokenizer,
    BertConfig,
    BitsAndBytesConfig,
    CamembertConfig,
    DistilBertConfig,
    ElectraConfig,
    Gemma3TextConfig,
    GPT2Config,
    LlamaConfig,
    MistralConfig,
    Qwen2Config,
    RobertaConfig,
    XLMRobertaConfig,
    set_seed,
)

from harness.backends.hf.encoding import TrainingRows
from harness.backends.hf.training import head_check
from harness.backends.hf.training.captured import CapturedSteps
from harness.backends.hf.training.checkpoints import Checkpoints
from harness.backends.hf.training.eager import EagerSteps
from harness.backends.hf.training.flat_attention import flat_attention, reading
from harness.backends.hf.training.flat_batch import flat_batch
from harness.backends.hf.training.fused import Fused
from harness.backends.hf.training.fused_lora import Copies
from harness.backends.hf.training.head import LABELS as LABEL
from harness.backends.hf.training.head import head_rows, learn_labels
from harness.backends.hf.training.label_trainer import train_head

TINY = Path(__file__).parents[4] / "models" / "tiny" / "tiny-qwen2"
WORDS, LABELS, ROWS = 96, 3, 22
COMMON = {"vocab_size": WORDS, "num_labels": LABELS, "pad_token_id": 0}
SIZES = {
    "hidden_size": 32, "intermediate_size": 48, "num_hidden_layers": 2, "num_attention_heads": 4,
    "max_position_embeddings": 64,
}  # fmt: skip
CALM = {"attention_probs_dropout_prob": 0.0, "hidden_dropout_prob": 0.0}
"""No dropout: its masks fall on other tokens where rows differ in length."""
MODELS = {
    "bert": BertConfig(**COMMON, **SIZES, **CALM),
    "roberta": RobertaConfig(**{**COMMON, "pad_token_id": 1}, **SIZES, **CALM),
    "xlm-roberta": XLMRobertaConfig(**{**COMMON, "pad_token_id": 1}, **SIZES, **CALM),
    "camembert": CamembertConfig(**{**COMMON, "pad_token_id": 1}, **SIZES, **CALM),
    "electra": ElectraConfig(**COMMON, **SIZES, **CALM, embedding_size=24),
    "distilbert": DistilBertConfig(
        **COMMON, dim=32, hidden_dim=48, n_layers=2, n_heads=4, max_position_embeddings=64,
        attention_dropout=0.0, dropout=0.0, seq_classif_dropout=0.0,
    ),
    "qwen2": Qwen2Config(**COMMON, **SIZES, num_key_value_heads=2),
    "llama": LlamaConfig(**COMMON, **SIZES),
    "mistral": MistralConfig(**COMMON, **SIZES, num_key_value_heads=2, sliding_window=32),
    "gemma3": Gemma3TextConfig(**COMMON, **SIZES, num_key_value_heads=2, head_dim=8),
    "gpt2": GPT2Config(
        **COMMON, n_embd=32, n_layer=2, n_head=4, n_positions=64, attn_pdrop=0.0, resid_pdrop=0.0,
        embd_pdrop=0.0,
    ),
    "dropout": BertConfig(**COMMON, **SIZES),
    "albert": AlbertConfig(**COMMON, **SIZES, embedding_size=24),
}  # fmt: skip


@dataclass
class Case:
    """One option of the allow-list, and what it needs."""

    training: dict = field(default_factory=dict)
    adapter: dict | None = field(default_factory=dict)
    """None for full fine-tuning."""
    model: str = "bert"
    ends: int | None = None
    """The token that all rows end in."""
    weights: float = 1e-3
    """How far trained weights may be apart, over their length."""


CASES = {
    **{
        f"{name}, lora": Case(model=name)
        for name in MODELS
        if name not in ("dropout", "distilbert", "albert")
    },
    # "all-linear" would take half of its head too, which PEFT does not allow
    "distilbert, lora": Case(adapter={"target_modules": ["q_lin", "v_lin"]}, model="distilbert"),
    **{f"{name}, full": Case(model=name, adapter=None) for name in ("bert", "roberta", "qwen2")},
    "rows end in padding": Case(model="llama", ends=0),
    "dora": Case(adapter={"use_dora": True}),
    "rslora": Case(adapter={"use_rslora": True}, model="qwen2"),
    "accumulation": Case({"gradient_accumulation_steps": 3}),
    "accumulation over an epoch's end": Case(
        {"gradient_accumulation_steps": 4, "max_steps": -1, "num_train_epochs": 2}, model="qwen2"
    ),
    "several epochs": Case({"max_steps": 9}),
    "sequential": Case({"train_sampling_strategy": "sequential"}),
    "no clipping": Case({"max_grad_norm": 0.0}),
    "tight clipping": Case({"max_grad_norm": 0.01}),
    "decay": Case({"weight_decay": 0.3}, adapter=None),
    "betas": Case({"adam_beta1": 0.7, "adam_beta2": 0.9, "adam_epsilon": 1e-4}),
    "lora+": Case({"loraplus_lr_ratio": 8.0}),
    "8 bit": Case({"optim": "adamw_8bit"}),
    "paged": Case({"optim": "paged_adamw_32bit"}, model="qwen2"),
    # Adam moves a weight by a whole step where its gradient is rounding alone
    "nf4": Case({"learning_rate": 5e-4}, model="nf4", weights=1e-2),
    "nf4 unpacked": Case({"learning_rate": 5e-4, "unpack_4bit": True}, model="nf4", weights=1e-2),
    "unfused": Case({"optim": "adamw_torch"}),
    "cosine": Case({"lr_scheduler_type": "cosine", "warmup_steps": 2}),
    "inverse root": Case({"lr_scheduler_type": "inverse_sqrt", "warmup_steps": 1}),
    "checkpointing": Case({"gradient_checkpointing": True}),
    "rarer logging": Case({"logging_steps": 2}),
    "one row": Case({"per_device_train_batch_size": 1}, model="qwen2"),
}
SOME = (
    "bert, lora", "roberta, full", "qwen2, lora", "rows end in padding", "distilbert, lora",
    "accumulation over an epoch's end", "checkpointing", "nf4", "lora+",
)  # fmt: skip
"""Those that stand for the kinds."""


def rows_of(ends):
    draw = torch.Generator().manual_seed(3)
    rows = []
    for _ in range(ROWS):
        size = int(torch.randint(5, 30, (1,), generator=draw))
        ids = torch.randint(3, WORDS, (size,), generator=draw).tolist()
        label = int(torch.randint(0, LABELS, (1,), generator=draw))
        rows.append({"input_ids": ids + ([] if ends is None else [ends]), "labels": label})
    return TrainingRows(rows, {"tokens": sum(len(row["input_ids"]) for row in rows)})


def model_of(kind, adapter):
    set_seed(0)
    if kind == "nf4":
        model = AutoModelForSequenceClassification.from_pretrained(
            TINY, num_labels=LABELS, dtype=torch.float32,
            quantization_config=BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4"),
        )  # fmt: skip
    else:
        model = AutoModelForSequenceClassification.from_config(MODELS[kind], dtype=torch.float32)
        for parameter in model.parameters():
            if parameter.dim() > 1:
                parameter.data.normal_(0, 0.1)
    set_seed(1)
    if adapter is None:
        return model
    options = {"r": 4, "lora_alpha": 8, "target_modules": "all-linear", **adapter}
    return get_peft_model(model, LoraConfig(**options, task_type="SEQ_CLS"))


@pytest.fixture(scope="module")
def tokenizer(root):
    return AutoTokenizer.from_pretrained(root / "models" / "tiny" / "tiny-qwen2")


def trained(case, engine, tokenizer, folder, model=None, tell=None, checkpoints=None):
    model = model or model_of(case.model, case.adapter)
    pad = model.config.get_text_config().pad_token_id
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(pad)
    options = {**few_steps(folder), **case.training, "engine": engine}
    done = train_head(model, tokenizer, options, rows_of(case.ends), checkpoints, tell=tell)
    weights = torch.cat([p.detach().flatten() for p in model.parameters() if p.requires_grad])
    return done, weights


@pytest.mark.parametrize(
    "name",
    [name if name in SOME else pytest.param(name, marks=pytest.mark.training) for name in CASES],
)
def test_the_engine_gives_the_losses_and_weights_of_trainer(name, tokenizer, tmp_path):
    case = CASES[name]
    wanted, right = trained(case, "trl", tokenizer, tmp_path / "a")
    told = []
    found, weights = trained(case, "auto", tokenizer, tmp_path / "b", tell=told.append)
    assert (wanted.how["engine"], found.how) == ("trl", {"engine": "flat"})
    assert_same_training(found, wanted)
    assert float((weights - right).norm() / right.norm()) < case.weights
    assert told == found.log


MODELS["narrow"] = MistralConfig(**COMMON, **SIZES, num_key_value_heads=2, sliding_window=20)
REFUSED = {
    "another architecture": (lambda: model_of("albert", None), {}, "albert, which is not among those compared"),
    "another adapter": (
        lambda: get_peft_model(model_of("bert", None), IA3Config(task_type="SEQ_CLS")), {}, "ia3",
    ),
    "another key": (lambda: model_of("bert", {}), {"label_smoothing_factor": 0.1}, "label_smooth"),
    "a window that only later rows exceed": (
        lambda: model_of("narrow", {}), {"per_device_train_batch_size": 1}, "a window of",
    ),
}  # fmt: skip


def test_dropout_leaves_the_losses_within_its_own_noise(tokenizer, tmp_path):
    """Masks fall on other tokens, those of attention too; the engine's repeat exactly."""
    case = Case({"max_steps": 40, "learning_rate": 2e-3}, model="dropout", adapter=None)
    wanted, _ = trained(case, "trl", tokenizer, tmp_path / "a")
    found, _ = trained(case, "auto", tokenizer, tmp_path / "b")
    again, _ = trained(case, "auto", tokenizer, tmp_path / "c")
    assert found.how == {"engine": "flat"}
    assert found.log == again.log
    tails = [sum(r["loss"] for r in done.log[-10:]) / 10 for done in (found, wanted)]
    assert tails[0] == pytest.approx(tails[1], abs=0.15)
    assert found.log[0]["loss"] != pytest.approx(wanted.log[0]["loss"], abs=1e-5)


@pytest.mark.parametrize("kind", ["bert", "qwen2"])
def test_a_padded_pass_has_the_loss_and_gradients_of_the_rows(kind):
    """What a captured step computes, here on a CPU: padding changes neither."""
    model = model_of(kind, {})
    weights = [p for p in model.parameters() if p.requires_grad]
    plain, update = Fused(Copies(torch.float32)), torch.optim.AdamW(weights)
    steps = EagerSteps(model, weights, update, False, 1.0, plain, objective=LABEL)
    rows = head_rows(rows_of(None).rows, model)
    captured = CapturedSteps(
        steps, rows=8, longest=30, captures_update=True, dropout=False, _stream=None
    )
    graph = captured._buffers(192, [rows[:4], rows[4:10]])
    captured._fill(graph, rows[4:10], 1)  # what a batch before it left there
    captured._fill(graph, rows[:4], 2)
    found = []
    for run in (lambda: steps.learn(rows[:4], 2), lambda: captured._pass(graph)):
        for weight in weights:
            weight.grad = None
        with flat_attention(model):
            loss = float(run()[0])
        found.append((loss, torch.cat([w.grad.flatten() for w in weights])))
    (wanted, right), (padded, gradients) = found
    assert padded == pytest.approx(wanted, abs=1e-5)
    assert float((gradients - right).norm()) <= 1e-5 * float(right.norm())


@pytest.mark.parametrize("name", REFUSED)
def test_what_was_not_compared_is_trained_by_trainer(name, tokenizer, tmp_path):
    make, training, reason = REFUSED[name]
    case = Case({"max_steps": 1, **training})
    done, _ = trained(case, "auto", tokenizer, tmp_path, make())
    assert done.how["engine"] == "trl"
    assert reason in done.how["reason"]


def test_rows_that_would_read_each_other_are_found_by_the_check(tokenizer, tmp_path, monkeypatch):
    monkeypatch.setattr(head_check, "_flat", lambda *given: _mixed(*given))
    done, _ = trained(Case({"max_steps": 1}), "auto", tokenizer, tmp_path)
    assert done.how["engine"] == "trl"
    assert "off" in done.how["reason"]


def _mixed(model, rows, half):
    batch = flat_batch(head_rows(rows, model), model.device)
    batch.segments.bounds = (0, batch.segments.bounds[-1])
    with flat_attention(model), reading(batch.segments):
        return head_check.passed(model, learn_labels(model, batch, share=1.0, half=half).loss)


@pytest.mark.parametrize("engine", ["auto", pytest.param("trl", marks=pytest.mark.training)])
def test_an_interrupted_training_ends_as_a_whole_one(engine, tokenizer, tmp_path):
    case = Case({"save_strategy": "steps", "save_steps": 2, "max_steps": 7}, model="dropout")

    def sit(folder):
        checkpoints = Checkpoints(folder, "these")
        case.training["output_dir"] = str(folder)
        return trained(case, engine, tokenizer, folder, checkpoints=checkpoints), checkpoints

    (whole, right), _ = sit(tmp_path / "whole")
    parts = tmp_path / "parts"
    (parts).mkdir()
    (parts / "checkpoint-4").write_text("in the way")
    with pytest.raises(OSError, match="checkpoint-4"):
        sit(parts)
    (parts / "checkpoint-4").unlink()
    (done, weights), checkpoints = sit(parts)
    assert checkpoints.resumed_at()
    assert torch.equal(weights, right)
    assert done.log == whole.log
