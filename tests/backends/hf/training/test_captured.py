"""Captured steps: the padding that fills a bucket changes nothing, and so does capturing."""

import pytest
import torch
from peft import LoraConfig, get_peft_model
from transformers import LlamaConfig, MistralConfig, set_seed
from transformers.models.auto.modeling_auto import AutoModelForCausalLM
from trl import SFTConfig

from harness.backends.hf.training.buckets import ROUND_TO, size_for, sizes_of
from harness.backends.hf.training.captured import CannotFuse, CapturedSteps, from_triton
from harness.backends.hf.training.checkpoints import Checkpoints
from harness.backends.hf.training.eager import EagerSteps
from harness.backends.hf.training.engine import FlatTraining, in_float32
from harness.backends.hf.training.flat_attention import UnknownAttention, flat_attention
from harness.backends.hf.training.flat_batch import rows_of
from harness.backends.hf.training.fused import Fused
from harness.backends.hf.training.fused_lora import Copies
from harness.backends.hf.training.token_loss import AT_A_TIME, token_loss

CONFIG = LlamaConfig(
    vocab_size=64, hidden_size=32, intermediate_size=32, num_hidden_layers=2,
    num_attention_heads=2, num_key_value_heads=1,
)  # fmt: skip


def eager(config=CONFIG):
    set_seed(0)
    model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    lora = LoraConfig(r=4, target_modules="all-linear", init_lora_weights=False)
    model = get_peft_model(model, lora).train()
    trained = [p for p in model.parameters() if p.requires_grad]
    plain = Fused(Copies(torch.float32))
    return EagerSteps(model, trained, torch.optim.AdamW(trained), False, 1.0, plain)


def rows(lengths, learned=True):
    draw = torch.Generator().manual_seed(1)
    made = []
    for length in lengths:
        ids = torch.randint(3, 60, (length,), generator=draw).tolist()
        start = length // 2 if learned else length
        made.append({"input_ids": ids, "labels": [-100] * start + ids[start:]})
    return rows_of(made)


def gradients(steps, learn):
    for parameter in steps.trained:
        parameter.grad = None
    with flat_attention(steps.model):
        numbers = learn()
    return numbers.detach(), torch.cat([p.grad.flatten() for p in steps.trained])


@pytest.mark.parametrize("lengths", [[7, 12, 5], [9], [3, 3, 3, 3], [30, 20]])
@pytest.mark.parametrize("learned", [True, False])
def test_a_padded_pass_has_the_loss_and_gradients_of_the_rows(lengths, learned):
    steps, batch = eager(), rows(lengths, learned)
    count = max(1, sum(row.learned for row in batch))
    captured = CapturedSteps(
        steps, rows=4, longest=30, captures_update=True, dropout=False, _stream=None
    )
    graph = captured._buffers(64, [batch, rows([20, 20])])
    captured._fill(graph, rows([30, 31]), 5)  # what a batch before it left there
    captured._fill(graph, batch, count)
    wanted, right = gradients(steps, lambda: steps.learn(batch, count))
    found, padded = gradients(steps, lambda: captured._pass(graph))
    assert found.tolist() == pytest.approx(wanted.tolist(), abs=1e-5)
    assert float((padded - right).norm()) <= 1e-5 * float(right.norm()) + 1e-7


def test_padding_longer_than_a_window_is_no_row_that_exceeds_it():
    """Mistral's first release has a window of 4,096; padding to the next size may be longer."""
    window = MistralConfig(**{**CONFIG.to_dict(), "model_type": "mistral"}, sliding_window=32)
    steps, batch = eager(window), rows([12, 5])
    count = sum(row.learned for row in batch)
    captured = CapturedSteps(
        steps, rows=4, longest=30, captures_update=True, dropout=False, _stream=None
    )
    graph = captured._buffers(64, [batch])
    captured._fill(graph, batch, count)
    wanted, right = gradients(steps, lambda: steps.learn(batch, count))
    found, padded = gradients(steps, lambda: captured._pass(graph))
    assert found.tolist() == pytest.approx(wanted.tolist(), abs=1e-5)
    assert float((padded - right).norm()) <= 1e-5 * float(right.norm()) + 1e-7
    captured.longest = 33  # a row that does exceed it
    with (
        pytest.raises(UnknownAttention, match="a window of 32 tokens, and rows are up to 33"),
        flat_attention(steps.model),
    ):
        captured._pass(captured._buffers(64, [batch]))


def test_sizes_hold_every_batch_and_are_few():
    draw = torch.Generator().manual_seed(0)
    tokens = torch.randint(1000, 2600, (300,), generator=draw).tolist()
    sizes = sizes_of(tokens)
    assert 2 <= len(sizes) <= 6
    assert all(size % ROUND_TO == 0 for size in sizes)
    padded = sum(size_for(sizes, n) for n in tokens)
    assert padded / sum(tokens) < 1.15


@pytest.mark.parametrize(
    ("tokens", "capture", "wanted"),
    [
        ([100], 9, [128]),
        ([64, 64, 640], 0, [64, 640]),
        ([64, 64, 640], 10**6, [640]),
        ([64] * 5 + [128] + [640] * 100, 1000, [128, 640]),
    ],
)
def test_a_size_is_added_where_it_saves_more_than_it_costs(tokens, capture, wanted):
    assert sizes_of(tokens, capture) == wanted


def test_errors_of_triton_are_known_by_where_they_are_made():
    """It need not be installed where nothing raises them."""
    error = type("TritonError", (Exception,), {"__module__": "triton.errors"})
    derived = type("Own", (error,), {"__module__": "elsewhere"})
    assert from_triton(error())
    assert from_triton(derived())
    assert not from_triton(RuntimeError("Triton Error [CUDA]"))
    assert not from_triton(type("Other", (Exception,), {"__module__": "tritonclient.utils"})())


class Failing(FlatTraining):
    """Its capture finds that a kernel does not compile, the first time."""

    def _maker(self, steps):
        if self.unfused_reason is None:
            for parameter in self.model.parameters():
                parameter.grad = torch.ones_like(parameter)
            raise CannotFuse("CompilationError: why")
        return super()._maker(steps)


def test_a_kernel_that_does_not_compile_means_an_unfused_training():
    arguments = SFTConfig(
        output_dir="unused", use_cpu=True, bf16=False, save_strategy="no", max_steps=3,
        logging_steps=1, per_device_train_batch_size=2, gradient_checkpointing=False,
    )  # fmt: skip
    plain, failing = (
        kind(eager().model, rows([7, 12, 5, 9]), arguments).run(33)
        for kind in (FlatTraining, Failing)
    )
    assert failing.how == {"engine": "flat", "unfused_reason": "CompilationError: why"}
    assert failing.log == plain.log


@pytest.mark.parametrize("tokens", [1, 5, AT_A_TIME + 3])
def test_the_loss_in_parts_is_cross_entropy_with_its_gradient(tokens):
    set_seed(0)
    logits = torch.randn(tokens, 40, requires_grad=True)
    logits.data[:, -1] = float("-inf")  # a padded vocabulary
    targets = torch.randint(39, (tokens,))
    targets[: tokens // 2] = -100
    found = token_loss(logits, targets, torch.tensor(0.25))
    (gradient,) = torch.autograd.grad(found.loss * 3, logits)
    wanted = torch.nn.functional.cross_entropy(logits, targets, reduction="sum") * 0.25
    (right,) = torch.autograd.grad(wanted * 3, logits)
    assert float(found.loss) == pytest.approx(float(wanted), rel=1e-5)
    assert torch.allclose(gradient, right, atol=1e-6)
    there = targets != -100
    probs = logits.detach()[there].softmax(-1)
    entropy = torch.distributions.Categorical(probs).entropy().mean()
    assert float(found.entropy) == pytest.approx(float(entropy), rel=1e-4)
    right = (logits.argmax(-1) == targets)[there].float().mean()
    assert float(found.accuracy) == pytest.approx(float(right))


CHANGES = {
    "lora": {}, "dropout": {"dropout": 0.1}, "accumulation": {"gradient_accumulation_steps": 2},
    "checkpointing": {"gradient_checkpointing": True}, "unclipped": {"max_grad_norm": 0.0},
    "checkpointing, dropout": {"dropout": 0.1, "gradient_checkpointing": True},
    "lora+": {"ratio": 8.0, "learning_rate": 1e-3}, "decay": {"weight_decay": 0.3},
}  # fmt: skip


def run_on_cuda(capture, *, fuse=True, dropout=0.0, ratio=None, checkpoints=None, **options):
    set_seed(0)
    model = AutoModelForCausalLM.from_config(CONFIG, dtype=torch.bfloat16).to("cuda")
    lora = LoraConfig(r=4, target_modules="all-linear", lora_dropout=dropout)
    model = get_peft_model(model, lora)
    in_float32(model)
    arguments = SFTConfig(
        output_dir="unused", bf16=True, max_steps=30, logging_steps=1,
        per_device_train_batch_size=3,
        **{
            "save_strategy": "no", "gradient_checkpointing": False, "learning_rate": 1e-2,
            **options,
        },
    )  # fmt: skip
    made = rows([7 + k % 23 for k in range(60)])
    done = FlatTraining(
        model, made, arguments, ratio, capture=capture, fuse=fuse, checkpoints=checkpoints
    ).run(100)
    assert done.how["captured"] is capture, done.how
    assert ("fused" in done.how) is fuse, done.how
    return [record["loss"] for record in done.log]


@pytest.mark.gpu
@pytest.mark.parametrize("name", CHANGES)
def test_captured_and_fused_steps_give_the_losses_of_plain_ones(name):
    eager_losses = run_on_cuda(False, fuse=False, **CHANGES[name])
    captured = run_on_cuda(True, **CHANGES[name])
    assert captured == pytest.approx(eager_losses, abs=0.05 if "dropout" in name else 0.02)
    if name == "dropout":  # masks are drawn anew at each replay
        assert captured != run_on_cuda(True, dropout=0.0)


@pytest.mark.gpu
@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_captured_steps_go_on_from_a_checkpoint(tmp_path, dropout):
    def sit():
        checkpoints = Checkpoints(tmp_path, "these")
        found = checkpoints.look()
        losses = run_on_cuda(
            True, dropout=dropout, checkpoints=checkpoints, save_strategy="steps", save_steps=20
        )
        return found, losses

    (none, whole), (found, resumed) = sit(), sit()
    assert none is None
    assert found.step == 20
    assert resumed[:20] == whole[:20]  # as they were noted
    assert resumed[20:] == pytest.approx(whole[20:], abs=0.02)
