"""Each kernel gives what the operations that it replaces give; on CUDA, or in Triton's interpreter.

TRITON_INTERPRET=1 pytest tests/backends/hf/training/test_kernels.py    # without a GPU
"""

import os

import pytest
import torch

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


@pytest.mark.parametrize("kind", ["nf4", "fp4"])
@pytest.mark.parametrize("shape", [(64, 64), (96, 200), (300, 704)])
def test_unpacking_4_bits(kernels, kind, shape):
    functional = pytest.importorskip("bitsandbytes.functional")
    weight = random(*shape)
    packed, state = functional.quantize_4bit(weight, quant_type=kind, compress_statistics=True)
    wanted = functional.dequantize_4bit(packed, state)
    found = kernels.unpack(packed, state, wanted.dtype)
    torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-6)
