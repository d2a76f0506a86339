"""Whether the training stack works here: ``python -m harness.backends.hf.probe`` prints JSON lines.

`harness doctor` runs it as a process of its own, so that a torch that does not import, or a kernel
that kills its process, is a line of the answer and not its end. Each step is announced before it is
tried: what was announced and never answered is what the process died of.
"""

from __future__ import annotations

import importlib
import json
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any

SIZE = 256
"""Rows and columns of the layer that kernels are tried on; bitsandbytes' blocks have 64."""
INT8_ERROR, NF4_ERROR = 0.05, 0.2
"""Largest relative error against the unquantized product. Measured on a CPU: 0.004 and 0.09."""
NEEDED = {"trl": ("SFTTrainer",), "transformers": ("AutoModelForCausalLM",)}
"""Package that imports lazily → names that pull in what training really needs."""
STATE = 8192
"""Parameters of the optimizer's tensor: below 4,096 its state is kept in 32 bits."""


def main() -> None:
    """Print one line for each step: ``{"step", "ok", …}``."""
    if not _try("torch", _torch):
        return  # the others would only say the same in other words
    for name in ("transformers", "peft", "trl", "bitsandbytes"):
        _try(name, partial(_imported, name))
    for device in _devices():
        for kernel, step in KERNELS.items():
            _try(f"{kernel} on {device}", partial(step, device))


def _try(name: str, step: Callable[[], dict[str, Any]]) -> bool:
    print(json.dumps({"step": name, "starts": True}), flush=True)
    began = time.perf_counter()
    try:
        found = {"ok": True, **step()}
    except (Exception, SystemExit) as error:  # whatever a broken installation raises
        words = " ".join(str(error).split())[:300]
        found = {"ok": False, "error": f"{type(error).__name__}: {words}".removesuffix(": ")}
    seconds = round(time.perf_counter() - began, 2)
    print(json.dumps({"step": name, "seconds": seconds, **found}), flush=True)
    return bool(found["ok"])


def _torch() -> dict[str, Any]:
    import torch

    found: dict[str, Any] = {
        "version": torch.__version__,
        "cuda": torch.version.cuda,
        "hip": getattr(torch.version, "hip", None),
        "threads": torch.get_num_threads(),
        "mps": bool(torch.backends.mps.is_available()),
        "devices": [],
    }
    # the sum is a check as well: a build without kernels for this processor dies here
    assert torch.ones(8).sum().item() == 8
    if torch.cuda.is_available():
        found["devices"] = [_device(index) for index in range(torch.cuda.device_count())]
    return found


def _device(index: int) -> dict[str, Any]:
    import torch

    free, total = torch.cuda.mem_get_info(index)
    major, minor = torch.cuda.get_device_capability(index)
    # a wheel without kernels for the card's generation imports well and fails on the first launch
    assert torch.ones(8, device=f"cuda:{index}").sum().item() == 8
    return {
        "name": torch.cuda.get_device_name(index),
        "capability": f"{major}.{minor}",
        "free_gib": round(free / 2**30, 1),
        "memory_gib": round(total / 2**30, 1),
        "bf16": torch.cuda.is_bf16_supported(including_emulation=False),
    }


def _imported(name: str) -> dict[str, Any]:
    module = importlib.import_module(name)
    for needed in NEEDED.get(name, ()):
        getattr(module, needed)
    return {"version": getattr(module, "__version__", None)}


def _devices() -> list[str]:
    import torch

    return ["cpu", *(["cuda"] if torch.cuda.is_available() else [])]


def _int8(device: str) -> dict[str, Any]:
    """An 8-bit layer against the same layer in full precision."""
    import bitsandbytes as bnb
    import torch

    layer = torch.nn.Linear(SIZE, SIZE, bias=False)
    quantized = bnb.nn.Linear8bitLt(SIZE, SIZE, bias=False, has_fp16_weights=False)
    return _compared(layer, quantized, device, INT8_ERROR)


def _nf4(device: str) -> dict[str, Any]:
    """A 4-bit layer against the same layer in full precision."""
    import bitsandbytes as bnb
    import torch

    layer = torch.nn.Linear(SIZE, SIZE, bias=False)
    kind = {"compute_dtype": torch.float32, "quant_type": "nf4"}
    return _compared(layer, bnb.nn.Linear4bit(SIZE, SIZE, bias=False, **kind), device, NF4_ERROR)


def _compared(layer: Any, quantized: Any, device: str, most: float) -> dict[str, Any]:
    import torch

    quantized.load_state_dict(layer.state_dict())
    rows = torch.randn(4, SIZE, generator=torch.Generator().manual_seed(0))
    dtype = torch.float16 if device == "cuda" else torch.float32
    with torch.no_grad():
        expected = layer(rows)
        answer = quantized.to(device)(rows.to(device, dtype)).float().cpu()
    error = float((answer - expected).norm() / expected.norm())
    if not error < most:  # a NaN is no success, either
        raise ValueError(f"wrong by {error:.2g} of the result, at most {most} is expected")
    return {"error_share": round(error, 4)}


def _adamw_8bit(device: str) -> dict[str, Any]:
    """One step of the 8-bit optimizer: downhill, with a state of 8 bits."""
    import bitsandbytes as bnb
    import torch

    weight = torch.nn.Parameter(torch.ones(STATE, device=device))
    optimizer = bnb.optim.AdamW8bit([weight], lr=0.1, weight_decay=0.0)
    weight.sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    moved = float((1 - weight.detach()).mean())
    if not 0.05 < moved < 0.2:
        raise ValueError(f"a step of 0.1 moved the weights by {moved:.2g}")
    state = next(iter(optimizer.state.values()))
    return {"state": str(state["state1"].dtype).removeprefix("torch.")}


KERNELS: dict[str, Callable[[str], dict[str, Any]]] = {
    "int8": _int8,
    "nf4": _nf4,
    "8-bit AdamW": _adamw_8bit,
}
"""What of bitsandbytes a suite uses: `int8`, `nf4` (and `fp4`, the same kernels), `adamw_8bit`."""


if __name__ == "__main__":
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    main()
