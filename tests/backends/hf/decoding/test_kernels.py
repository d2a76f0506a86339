"""Each kernel gives what the operations that it replaces give; on CUDA, or in Triton's interpreter.

TRITON_INTERPRET=1 pytest tests/hf/test_kernels.py    # without a GPU, where Triton is installed
"""

import os
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip("triton")
INTERPRETED = os.environ.get("TRITON_INTERPRET") == "1"
if not INTERPRETED and not torch.cuda.is_available():
    pytest.skip("no CUDA device and no interpreter", allow_module_level=True)
DEVICE = "cpu" if INTERPRETED else "cuda"
NEAR = {torch.float32: 2e-5, torch.float16: 2e-3, torch.bfloat16: 1e-2}
DTYPES = [torch.float32, torch.float16] if INTERPRETED else list(NEAR)
"""The interpreter has no products of bfloat16."""
if not INTERPRETED:
    pytestmark = pytest.mark.gpu


@pytest.fixture(scope="module")
def kernels():
    from harness.backends.hf.decoding import kernels

    return kernels


def random(*shape, dtype=torch.float32):
    generator = torch.Generator().manual_seed(sum(shape))
    return torch.randn(*shape, generator=generator).to(DEVICE, dtype)


@pytest.mark.parametrize("columns", [64, 896])
@pytest.mark.parametrize("wide", [False, True], ids=["one dtype", "float32 gain"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_norm(kernels, dtype, wide, columns):
    from transformers.models.qwen2.modeling_qwen2 import Qwen2RMSNorm

    norm = Qwen2RMSNorm(columns)
    norm.weight.data = random(columns, dtype=torch.float32 if wide else dtype)
    x = random(3, 1, columns, dtype=dtype)
    found = kernels.rms_norm(x, norm.weight.data, norm.variance_epsilon)
    wanted = norm(x)
    assert found.dtype == wanted.dtype
    torch.testing.assert_close(found, wanted, rtol=NEAR[dtype], atol=NEAR[dtype])


@pytest.mark.parametrize("size", [16, 80])
@pytest.mark.parametrize("dtype", DTYPES)
def test_the_rotary_embedding(kernels, dtype, size):
    from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

    query = random(3, 1, 4, size, dtype=dtype).transpose(1, 2)
    key = random(3, 1, 2, size, dtype=dtype).transpose(1, 2)
    half = random(3, 1, size // 2)
    cos, sin = (torch.cat((t, t), -1).to(dtype) for t in (half.cos(), half.sin()))
    found = kernels.rotate(query, key, cos, sin)
    wanted = apply_rotary_pos_emb(query, key, cos, sin)
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=NEAR[dtype], atol=NEAR[dtype])


@pytest.mark.parametrize("rounded", [False, True])
@pytest.mark.parametrize(("rows", "inputs", "outputs", "rank"), [(3, 64, 48, 4), (33, 896, 130, 8)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_an_adapter(kernels, dtype, rows, inputs, outputs, rank, rounded):
    x, down = random(rows, 1, inputs, dtype=dtype), random(3, rank, inputs) / 8
    up, frozen = random(outputs, rank) / 8, random(rows, 1, outputs, dtype=dtype)
    inner = kernels.adapter_down(x, down)
    for member in range(3):
        delta = x.float() @ down[member].T @ up.T * 1.7
        wanted = (frozen + (delta.to(dtype) if rounded else delta)).to(dtype)
        found = kernels.adapter_up(frozen.clone(), inner, member, up, scaling=1.7, rounded=rounded)
        torch.testing.assert_close(found, wanted, rtol=4 * NEAR[dtype], atol=4 * NEAR[dtype])


@pytest.mark.parametrize("window", [None, 5])
@pytest.mark.parametrize(("queries", "heads", "size"), [(4, 2, 16), (14, 2, 64), (4, 4, 80)])
@pytest.mark.parametrize("dtype", DTYPES)
def test_attention_over_the_cache(kernels, dtype, queries, heads, size, window):
    rows, length, column = 3, 128, 90
    start = torch.tensor([0, 3, 89], device=DEVICE)
    keys, values = (random(rows, heads, length, size, dtype=dtype) for _ in range(2))
    query = random(rows, 1, queries, size, dtype=dtype).transpose(1, 2)
    new_key, new_value = (random(rows, heads, 1, size, dtype=dtype) for _ in range(2))
    cache = SimpleNamespace(
        keys=[keys.clone()], values=[values.clone()], start=start,
        position=torch.tensor([column], device=DEVICE),
    )  # fmt: skip
    found = kernels.attend(query, new_key, new_value, cache, 0, scale=0.2, window=window)
    keys[:, :, column], values[:, :, column] = new_key[:, :, 0], new_value[:, :, 0]
    torch.testing.assert_close(cache.keys[0], keys)
    torch.testing.assert_close(cache.values[0], values)
    at = torch.arange(length, device=DEVICE)
    mask = (at <= column) & (at >= start[:, None])
    if window:
        mask &= at > column - window
    wanted = torch.nn.functional.scaled_dot_product_attention(
        query.float(), keys.float().repeat_interleave(queries // heads, 1),
        values.float().repeat_interleave(queries // heads, 1), attn_mask=mask[:, None, None],
        scale=0.2,
    ).transpose(1, 2)  # fmt: skip
    torch.testing.assert_close(found.float(), wanted, rtol=NEAR[dtype], atol=NEAR[dtype])
