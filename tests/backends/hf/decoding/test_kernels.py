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


@pytest.fixture(scope="module")
def adapter_kernels():
    from harness.backends.hf.decoding import adapter_kernels

    return adapter_kernels


@pytest.fixture(scope="module")
def int8_kernels():
    from harness.backends.hf.decoding import int8_kernels

    return int8_kernels


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
@pytest.mark.parametrize(
    ("rows", "inputs", "outputs", "rank"), [(3, 64, 48, 4), (33, 896, 130, 8), (600, 64, 48, 8)]
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_adapters_that_share_an_input(adapter_kernels, dtype, rows, inputs, outputs, rank, rounded):
    x, down = random(rows, 1, inputs, dtype=dtype), random(3, rank, inputs) / 8
    sizes = (outputs, 2 * outputs + 1, 5)
    ups = [adapter_kernels.Up(random(size, rank) / 8, 1.0 + k) for k, size in enumerate(sizes)]
    whole = random(rows, 1, sum(sizes), dtype=dtype)
    for count in (1, 2, 3):
        inner = adapter_kernels.adapter_down(x, down[:count].contiguous())
        found = whole.clone().split(sizes, -1)[:count]  # parts of one tensor
        if count == 1:
            found = [found[0].contiguous()]
        frozen = [part.clone() for part in found]
        adapter_kernels.adapter_up(found, inner, ups[:count], rounded=rounded)
        for k in range(count):
            delta = x.float() @ down[k].T @ ups[k].weight.T * ups[k].scaling
            wanted = (frozen[k] + (delta.to(dtype) if rounded else delta)).to(dtype)
            near = 8 * NEAR[dtype]
            torch.testing.assert_close(found[k], wanted, rtol=near, atol=near)


@pytest.mark.parametrize("outliers", [0, 3])
@pytest.mark.parametrize("bias", [False, True], ids=["no bias", "bias"])
@pytest.mark.parametrize(
    ("rows", "inputs", "outputs"), [(1, 200, 48), (5, 896, 130), (70, 200, 64)]
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_int8_with_outliers(int8_kernels, dtype, rows, inputs, outputs, bias, outliers):
    from bitsandbytes.nn import Int8Params, Linear8bitLt

    layer = Linear8bitLt(inputs, outputs, bias=bias, has_fp16_weights=False, threshold=6.0)
    weight = (random(outputs, inputs) / 8).half().cpu()
    layer.weight = Int8Params(weight, requires_grad=False, has_fp16_weights=False).to(DEVICE)
    if bias:
        layer.bias = torch.nn.Parameter(random(outputs, dtype=dtype), requires_grad=False)
    x = random(rows, 1, inputs)
    for k in range(outliers):
        x[k % rows, 0, 7 * k] = 9.5 * (-1) ** k
    x = x.to(dtype)
    with torch.inference_mode():
        wanted = layer.eval()(x.clone()).float()
    for tiles in (int8_kernels.TILES, int8_kernels.Tiles(split=2)):
        state, split = layer.state, int8_kernels.int8_rows(x, 6.0)
        found = int8_kernels.int8_linear(split, state.CB, state.SCB, layer.bias, tiles)
        away = (found.view_as(wanted).float() - wanted).abs()
        # an input that lies between two whole numbers may take the other one: one step of the row
        assert away.max() <= 0.02 * wanted.std() + 2 * NEAR[dtype] * wanted.abs().max()
        assert away.mean() <= 1e-3 * wanted.std() + NEAR[dtype] * wanted.abs().mean()


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
