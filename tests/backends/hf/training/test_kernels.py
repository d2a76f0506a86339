"""Each kernel gives what the operations that it replaces give; on CUDA, or in Triton's interpreter.

TRITON_INTERPRET=1 pytest tests/backends/hf/training/test_kernels.py    # without a GPU
"""

import os
from dataclasses import replace

import pytest
import torch
from peft import LoraConfig

pytest.importorskip("triton")
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
if not INTERPRETED and not torch.cuda.is_available():
    pytest.skip("no CUDA device and no interpreter", allow_module_level=True)
DEVICE = "cpu" if INTERPRETED else "cuda"
if not INTERPRETED:
    pytestmark = pytest.mark.gpu
NEAR = {torch.float32: 2e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}
DTYPES = [torch.float32, torch.float16] if INTERPRETED else list(NEAR)
"""The interpreter has no bfloat16."""


@pytest.fixture(scope="module")
def kernels():
    from harness.backends.hf.training import kernels

    return kernels


def random(*shape, dtype=torch.float32):
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator).to(DEVICE, dtype)


def both_ways(function, inputs, gradients):
    """What ``function`` gives, and the gradients of its ``inputs``."""
    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    found = function(*leaves)
    found = found if isinstance(found, tuple) else (found,)
    back = torch.autograd.grad(found, leaves, gradients)
    return [*(x.detach() for x in found), *back]


def same(found, wanted, dtype):
    for a, b in zip(found, wanted, strict=True):
        assert a.dtype == b.dtype
        torch.testing.assert_close(a, b, rtol=NEAR[dtype], atol=NEAR[dtype])


@pytest.mark.parametrize("columns", [64, 896])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_norm(kernels, dtype, columns):
    from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm

    norm = Qwen2RMSNorm(columns).requires_grad_(False)
    norm.weight.data = random(columns, dtype=dtype)
    x, above = random(1, 5, columns, dtype=dtype), random(1, 5, columns, dtype=dtype)
    found = both_ways(lambda x: kernels.Norm.apply(x, norm.weight, 1e-6), [x], [above])
    same(found, both_ways(norm, [x], [above]), dtype)


@pytest.mark.parametrize("size", [16, 80])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_rotary_embedding(kernels, dtype, size):
    from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

    query = random(1, 7, 6, size, dtype=dtype).transpose(1, 2)
    key = random(1, 7, 2, size, dtype=dtype).transpose(1, 2)
    half = random(1, 7, size // 2)
    cos, sin = (torch.cat((t, t), -1).to(dtype) for t in (half.cos(), half.sin()))
    above = [random(1, 6, 7, size, dtype=dtype), random(1, 2, 7, size, dtype=dtype)]
    turn = [
        both_ways(lambda q, k, f=f: f(q, k, cos, sin), [query, key], above)
        for f in (kernels.rotate, apply_rotary_pos_emb)
    ]
    same(*turn, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_the_gated_activation(kernels, dtype):
    gate, up, above = (random(1, 9, k, dtype=dtype)[..., :300] for k in (301, 302, 303))
    wanted = both_ways(lambda g, u: torch.nn.functional.silu(g) * u, [gate, up], [above])
    same(both_ways(kernels.Gate.apply, [gate, up], [above]), wanted, dtype)


@pytest.mark.parametrize("vocabulary", [50, 9000])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_loss(kernels, dtype, vocabulary):
    from harness.backends.hf.training.token_loss import token_loss

    logits = 3 * random(6, vocabulary, dtype=dtype)
    logits[:, -1] = float("-inf")  # a padded vocabulary
    targets = torch.tensor([-100, 3, 7, vocabulary - 2, -100, 0], device=DEVICE)
    targets[2] = logits[2].argmax()
    share = torch.tensor(0.25, device=DEVICE)
    wanted = token_loss(logits.clone().requires_grad_(), targets, share)
    leaf = logits.clone().requires_grad_()
    (right,) = torch.autograd.grad(token_loss(leaf, targets, share).loss, leaf)
    numbers = kernels.loss_in_place(logits, targets, share)
    loss, entropy, first = (float(x) for x in numbers.sum(0))
    assert loss * 0.25 == pytest.approx(float(wanted.loss), rel=1e-4)
    assert entropy / 4 == pytest.approx(float(wanted.entropy), rel=1e-4)
    assert first / 4 == pytest.approx(float(wanted.accuracy))
    torch.testing.assert_close(logits, right, rtol=NEAR[dtype], atol=NEAR[dtype])


@pytest.mark.parametrize("rate", [0.05, 0.5])
def test_dropout_has_its_rate_and_the_same_mask_each_time(kernels, rate):
    x = torch.ones(40, 500, device=DEVICE)
    seed = torch.tensor([7], device=DEVICE)
    found = kernels.drop(x, seed, 3, rate)
    kept = found != 0
    assert float(kept.float().mean()) == pytest.approx(1 - rate, abs=0.02)
    torch.testing.assert_close(found[kept], torch.full_like(found[kept], 1 / (1 - rate)))
    assert torch.equal(kernels.drop(x, seed, 3, rate), found)
    added = kernels.drop(2 * x, seed, 3, rate, add_to=torch.ones_like(x))
    torch.testing.assert_close(added, 1 + 2 * found)
    for other in (kernels.drop(x, seed + 1, 3, rate), kernels.drop(x, seed, 4, rate)):
        both = ((other != 0) & kept).float().mean()
        assert float(both) == pytest.approx((1 - rate) ** 2, abs=0.02)  # independent


def test_adapters_that_share_an_input_drop_each_its_own():
    from peft.tuners.lora import Linear

    from harness.backends.hf.training.fused_lora import Copies, fused_group

    torch.manual_seed(0)
    config = LoraConfig(r=4, lora_alpha=12, lora_dropout=0.4, init_lora_weights=False)
    layers = [
        Linear(torch.nn.Linear(16, size), "default", config, r=4, lora_alpha=12).to(DEVICE)
        for size in (24, 8)
    ]
    for layer in layers:
        layer.get_base_layer().requires_grad_(False)
    copies = Copies(torch.float32, seed=torch.tensor([5], device=DEVICE))
    forwards = fused_group(layers, copies)
    x = random(1, 7, 16).requires_grad_()
    copies.begin()
    found = torch.cat([forward(x) for forward in forwards], -1)
    above = random(*found.shape)
    (of_x,) = torch.autograd.grad(found, x, above)
    copies.end()
    gradients = [owner.grad.clone() for owner in copies.owners]
    wanted = []
    for number, layer in enumerate(layers, 1):
        kept = copies.mask(layer.lora_dropout["default"])
        kept = replace(kept, number=number).drop(torch.ones_like(x))
        down, up = layer.lora_A["default"], layer.lora_B["default"]
        wanted.append(layer.get_base_layer()(x) + 3 * up(down(x * kept)))
    wanted = torch.cat(wanted, -1)
    torch.testing.assert_close(found, wanted)
    right = torch.autograd.grad(wanted, [x, *copies.owners], above)
    for one, two in zip([of_x, *gradients], right, strict=True):
        torch.testing.assert_close(one, two)


def test_dropout_of_more_numbers_than_it_counts_is_refused(kernels):
    huge = torch.empty(2**31, dtype=torch.float16, device="meta")
    seed = torch.zeros(1, dtype=torch.long, device="meta")
    with pytest.raises(RuntimeError, match="dropout of 2147483648 numbers at once"):
        kernels.drop(huge, seed, 1, 0.1)
