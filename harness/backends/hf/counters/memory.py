"""Device memory: the peak of a phase, what the driver says, and what the tensors of a phase hold.

Memory on a CPU is the process's resident set (`VmHWM`, reset per phase): it holds the interpreter
and libraries too, so compare differences, not totals. On CUDA it is the allocator's peak, reset
per phase, and beside it what was reserved and what the driver says of the whole device.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from harness.backends.hf.counters.allocator import give_back

MIB = 1024**2


@dataclass
class Peak:
    """The memory peak of a phase, in MiB; filled when the phase ends."""

    values: dict[str, float] = field(default_factory=dict)


class Aside:
    """Optional memory (copies for speed), left out of peaks.

    A peak with it is not a peak without it plus its size, since the two need not fall together.
    Hence the allocator's peak is read, and begun anew, when the memory is taken and when it is
    released, and its size is subtracted in between alone.
    """

    def __init__(self, count: int, dtype: torch.dtype, device: torch.device) -> None:
        cuda = device.type == "cuda"
        if cuda:
            # cached memory is given back first: the size of what comes is then that of this piece
            torch.cuda.empty_cache()
            _fold()
        before = _held()
        self.room = torch.empty(count, dtype=dtype, device=device)
        """Its elements."""
        self._size = [now - then for now, then in zip(_held(), before, strict=True)]
        if cuda:
            _ASIDE.append(self)

    @property
    def size(self) -> list[int]:
        """Bytes that were allocated and reserved for it."""
        return self._size

    def release(self) -> None:
        """Give the memory back to the device, whoever still refers to it."""
        cuda = self.room.device.type == "cuda"
        if cuda:
            _fold()
            _ASIDE.remove(self)
        self.room.untyped_storage().resize_(0)
        if cuda:
            torch.cuda.empty_cache()
            _begin_anew()


_ASIDE: list[Aside] = []
_SO_FAR: list[list[int]] = []
"""Of each phase that is being measured: bytes allocated and reserved at its peak until `_fold`."""


def _held() -> list[int]:
    """Bytes allocated and reserved now."""
    if not torch.cuda.is_available():
        return [0, 0]
    return [_over_devices(torch.cuda.memory_allocated), _over_devices(torch.cuda.memory_reserved)]


def _fold() -> None:
    """Take the allocator's peaks over into the phases', without what was set aside; begin anew."""
    most = map(_over_devices, (torch.cuda.max_memory_allocated, torch.cuda.max_memory_reserved))
    own = [peak - sum(one.size[k] for one in _ASIDE) for k, peak in enumerate(most)]
    for peaks in _SO_FAR:
        peaks[:] = [max(then, now) for then, now in zip(peaks, own, strict=True)]
    _begin_anew()


def _over_devices(counter: Callable[[int], int]) -> int:
    return sum(map(counter, range(torch.cuda.device_count())))


def _begin_anew() -> None:
    for number in range(torch.cuda.device_count()):
        torch.cuda.reset_peak_memory_stats(number)


def synchronize() -> None:
    """Wait for the device, if there is one."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()


def free() -> None:
    """Give memory that nothing refers to back to the device."""
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
    else:
        give_back()


@contextmanager
def memory_peak(phase: str) -> Iterator[Peak]:
    """Measure the peak of the enclosed ``phase`` (`load`, `infer_peak`, `train_peak`)."""
    peak = Peak()
    if torch.cuda.is_available():
        # by its number a device cannot be asked before CUDA has begun
        torch.cuda.init()
        torch.cuda.empty_cache()
        _begin_anew()
        highest = [0, 0]
        _SO_FAR.append(highest)
        try:
            yield peak
            synchronize()
            _fold()
        finally:
            _SO_FAR.pop()
        peak.values[f"{phase}_vram_mib"] = highest[0] / MIB
        if phase != "load":
            key = f"{phase.removesuffix('_peak')}_reserved_vram_mib"
            peak.values[key] = highest[1] / MIB
        return
    was_reset = _reset_resident_peak()
    yield peak
    resident = _resident_peak_mib()
    # without the reset it would be the peak of the whole process so far: no value is better
    if was_reset and resident is not None:
        peak.values[f"{phase}_rss_mib"] = resident


def device_memory() -> dict[str, float]:
    """What the driver says is used on the device now: contexts and other processes included."""
    if not torch.cuda.is_available():
        return {}
    count = range(torch.cuda.device_count())
    used = [k for k in count if torch.cuda.memory_allocated(k)] or [torch.cuda.current_device()]
    pairs = [torch.cuda.mem_get_info(number) for number in used]
    return {"device_vram_mib": sum(total - free_bytes for free_bytes, total in pairs) / MIB}


def peaks_on(devices: Iterable[int]) -> list[float]:
    """The peak on each of ``devices`` since the phase began, in MiB."""
    return [round(torch.cuda.max_memory_allocated(number) / MIB, 1) for number in devices]


def held_by(tensors: Iterable[torch.Tensor]) -> float:
    """MiB that ``tensors`` hold."""
    return sum(int(tensor.numel()) * int(tensor.element_size()) for tensor in tensors) / MIB


def weights_mib(model: PreTrainedModel) -> float:
    """MiB of the frozen weights with what their quantization keeps beside them."""
    frozen = [p for p in model.parameters() if not p.requires_grad]
    return held_by([*frozen, *model.buffers(), *(t for p in frozen for t in _quantization_of(p))])


def training_parts(
    model: PreTrainedModel, optimizer: Any, peak_mib: float | None
) -> dict[str, float]:
    """What training holds, in MiB: gradients and optimizer state; on CUDA the rest of the peak too.

    The rest is activations, and what kernels and the loss need for a moment.
    """
    trained = [p for p in model.parameters() if p.requires_grad]
    states = [
        value
        for state in optimizer.state.values()
        for value in state.values()
        if isinstance(value, torch.Tensor)
    ]
    parts = {"gradients_mib": held_by(trained), "optimizer_mib": held_by(states)}
    if peak_mib is not None:
        known = weights_mib(model) + held_by(trained) + sum(parts.values())
        parts["activations_mib"] = max(0.0, peak_mib - known)
    return parts


def _quantization_of(weight: Any) -> Iterator[torch.Tensor]:
    """Scales of a bitsandbytes weight: per block, or per row in 8 bits."""
    state = getattr(weight, "quant_state", None)
    while state is not None:
        yield from (t for t in (state.absmax, state.code) if t is not None)
        state = getattr(state, "state2", None)
    scales = getattr(weight, "SCB", None)
    if isinstance(scales, torch.Tensor):
        yield scales


def _reset_resident_peak() -> bool:
    """Set VmHWM back to the current resident size; whether that worked.

    Linux does it when 5 is written to ``clear_refs``. A container with a read-only ``/proc``
    refuses, and another system has no such file.
    """
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        return False
    return True


def _resident_peak_mib() -> float | None:
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    for line in status.read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return None
