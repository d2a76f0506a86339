"""Measurements taken while a cell runs: time, memory, energy, sizes. They cannot be recomputed."""

from __future__ import annotations

from typing import Literal

from harness.metrics.record import COSTS, EVERYWHERE, Metric, Place
from harness.metrics.registry import register

STABLE_CV = 0.03
"""A latency is stable if its rounds vary by no more than this coefficient of variation.

Quiet machines stay below it (docs/measuring.md); a busy one does not.
"""
_BESIDE_SCORES: tuple[Place, ...] = ("leaderboard", "costs")
Hardware = Literal["any", "same", "beside reference"]
"""Where a measurement can be compared: on any machine; on one machine; or on one machine, as a
multiple of the reference work that is timed along with it."""
_UP, _DOWN, _NEITHER = True, False, None
_ROUNDS = frozenset({"latency_cv", "latency_ratio_least", "reference_ms"})
"""What is known of the rounds that a latency is of; it goes with the latency."""


def _add(
    name: str,
    unit: str,
    direction: bool | None,
    shown: tuple[Place, ...] = (),
    *,
    on: Hardware = "any",
) -> None:
    register(
        Metric(
            name=name,
            unit=unit,
            higher_is_better=direction,
            reads="measurement",
            shown=shown,
            same_hardware=on != "any",
            beside_reference=on == "beside reference",
            # the reference work is timed in the stage `measure` alone: one cell of a variant has it
            per_variant=on == "beside reference" or name in _ROUNDS,
        )
    )


# The order is that of the columns.
_add("latency_p50_ms", "ms", _DOWN, EVERYWHERE, on="beside reference")
_add("latency_p95_ms", "ms", _DOWN, on="beside reference")
_add("latency_p99_ms", "ms", _DOWN, on="beside reference")
_add("latency_cv", "share", _DOWN, COSTS)
_add("latency_ratio", "× reference", _DOWN, on="beside reference")
_add("latency_ratio_least", "× reference", _DOWN)
_add("reference_ms", "ms", _NEITHER)
_add("ttft_p50_ms", "ms", _DOWN, COSTS, on="beside reference")
_add("decode_tokens_per_s", "token/s", _UP, on="beside reference")
_add("batch_tokens_per_s", "token/s", _UP, _BESIDE_SCORES, on="beside reference")
_add("batch_examples_per_s", "example/s", _UP, on="beside reference")
_add("infer_peak_vram_mib", "MiB", _DOWN, EVERYWHERE)
_add("infer_peak_rss_mib", "MiB", _DOWN, EVERYWHERE)
_add("infer_reserved_vram_mib", "MiB", _DOWN)
_add("train_peak_vram_mib", "MiB", _DOWN, COSTS)
_add("train_peak_rss_mib", "MiB", _DOWN, COSTS)
_add("train_reserved_vram_mib", "MiB", _DOWN, COSTS)
_add("load_vram_mib", "MiB", _DOWN)
_add("load_rss_mib", "MiB", _DOWN)
_add("device_vram_mib", "MiB", _DOWN)
_add("weights_mib", "MiB", _DOWN)
_add("gradients_mib", "MiB", _DOWN)
_add("optimizer_mib", "MiB", _DOWN)
_add("activations_mib", "MiB", _DOWN)
_add("kv_cache_mib", "MiB", _DOWN)
_add("train_energy_j", "J", _DOWN)
_add("energy_j_per_1k_tokens", "J", _DOWN)
_add("train_flops_share", "share", _UP)
_add("decode_bandwidth_share", "share", _UP)
# Other cells may train at the same time, so training has no reference work of its own.
_add("train_seconds", "s", _DOWN, EVERYWHERE, on="same")
_add("train_tokens_per_s", "token/s", _UP, COSTS, on="same")
_add("trainable_params", "", _NEITHER, EVERYWHERE)
_add("trainable_percent", "%", _NEITHER, COSTS)
_add("adapter_mib", "MiB", _DOWN, _BESIDE_SCORES)
