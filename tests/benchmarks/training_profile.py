"""Where the device's time of a training step goes, by kind of kernel, in either engine."""

import re
import time

import torch
from torch.profiler import ProfilerActivity, profile

FIRST, LAST = 8, 16
"""The steps between which kernels are recorded; the engine looks at the device every 8."""
STEPS = LAST + 4
KINDS = {
    "attention": r"flash|fmha",  # first: its kernels are named after cutlass too
    "matrix products": r"nvjet|gemm|gemv|cutlass|splitK|cublas",
    "unpacking 4 bits": r"Dequantize|dequantize",
    "fused operations": r"^_(norm|turn|gate|loss|drop)",
    "optimizer and lists of weights": r"multi_tensor_apply|fused_adam",
    "copies to and from the host, fills": r"Memcpy|Memset|memcpy|memset|FillFunctor",
    "softmax": r"SoftMax|softmax",
    "sums and other reductions": r"reduce_kernel",
    "copies and casts": r"copy_kernel|CatArray|direct_copy",
    "other element-wise operations": r"elementwise|index|scatter|gather",
}
"""Kind → what its kernels are called; the first that matches counts."""


class Recorder:
    """Records the kernels of some steps; it is told of each as a tracker is."""

    def __init__(self):
        self.profile = profile(activities=[ProfilerActivity.CUDA])
        self.began = self.seconds = None

    def __call__(self, record):
        """Begin after step `FIRST`, end after step `LAST`."""
        if record["step"] == FIRST:
            torch.cuda.synchronize()
            self.profile.start()
            self.began = time.perf_counter()
        elif record["step"] == LAST:
            torch.cuda.synchronize()
            self.seconds = time.perf_counter() - self.began
            self.profile.stop()

    def summary(self):
        """Milliseconds and kernels a step, by kind."""
        steps = LAST - FIRST
        found = {kind: {"ms": 0.0, "kernels": 0.0} for kind in (*KINDS, "other")}
        for event in self.profile.key_averages():
            if not event.self_device_time_total:
                continue  # a call of the host, which the list holds too
            kind = next((k for k, names in KINDS.items() if re.search(names, event.key)), "other")
            found[kind]["ms"] += event.self_device_time_total / 1000 / steps
            found[kind]["kernels"] += event.count / steps
        found = {kind: numbers for kind, numbers in found.items() if numbers["kernels"]}
        busy = sum(numbers["ms"] for numbers in found.values())
        wall = 1000 * self.seconds / steps
        return {"kinds": found, "device_ms": busy, "step_ms": wall, "busy": busy / wall}


def profile_lines(before, after):
    """Rows of a table: kind, milliseconds and kernels of either engine."""
    kinds = sorted(
        {*before["kinds"], *after["kinds"]},
        key=lambda kind: -before["kinds"].get(kind, {"ms": 0})["ms"],
    )
    none = {"ms": 0.0, "kernels": 0.0}
    rows = []
    for kind in kinds:
        one, two = before["kinds"].get(kind, none), after["kinds"].get(kind, none)
        rows.append(
            (
                kind, f"{one['ms']:.2f}", f"{one['kernels']:,.0f}", f"{two['ms']:.2f}",
                f"{two['kernels']:,.0f}",
            )
        )  # fmt: skip
    total = [sum(k["kernels"] for k in side["kinds"].values()) for side in (before, after)]
    rows.append(
        (
            "all kernels", f"{before['device_ms']:.2f}", f"{total[0]:,.0f}",
            f"{after['device_ms']:.2f}", f"{total[1]:,.0f}",
        )
    )  # fmt: skip
    rows.append(
        (
            "the step, and the share of it that the device works", f"{before['step_ms']:.2f}",
            f"{before['busy']:.0%}", f"{after['step_ms']:.2f}", f"{after['busy']:.0%}",
        )
    )  # fmt: skip
    return rows
