"""Every metric's name, unit and direction, known in one place."""

from __future__ import annotations

from typing import NamedTuple


class Fact(NamedTuple):
    """What is known of a metric before any number."""

    unit: str
    higher_is_better: bool | None


STABLE_CV = 0.03
"""Coefficient of variation of rounds below which a latency counts as stable."""
_UP, _DOWN, _NEITHER = True, False, None

FACTS: dict[str, Fact] = {
    "rouge1": Fact("F1", _UP),
    "rouge2": Fact("F1", _UP),
    "rougeL": Fact("F1", _UP),
    "rougeLsum": Fact("F1", _UP),
    "chrf": Fact("F2", _UP),
    "numeric_accuracy": Fact("share", _UP),
    "exact_match": Fact("share", _UP),
    "accuracy": Fact("share", _UP),
    "f1_macro": Fact("F1", _UP),
    "f1_weighted": Fact("F1", _UP),
    "precision_macro": Fact("share", _UP),
    "recall_macro": Fact("share", _UP),
    "accuracy_majority": Fact("share", _NEITHER),
    "f1_macro_majority": Fact("F1", _NEITHER),
    "rougeL_copied_prompt": Fact("F1", _NEITHER),
    "rougeL_constant": Fact("F1", _NEITHER),
    "numeric_accuracy_constant": Fact("share", _NEITHER),
    "numeric_accuracy_parsed": Fact("share", _UP),
    "accuracy_parsed": Fact("share", _UP),
    "empty_share": Fact("share", _DOWN),
    "control_accuracy": Fact("share", _UP),
    "control_bits_per_byte": Fact("bit/byte", _DOWN),
    "train_loss": Fact("nats/token", _DOWN),
    "forgetting": Fact("", _DOWN),
    "word_perplexity": Fact("", _DOWN),
    "byte_perplexity": Fact("", _DOWN),
    "brier_score": Fact("", _DOWN),
    "eval_loss": Fact("nats/token", _DOWN),
    "perplexity": Fact("", _DOWN),
    "bits_per_byte": Fact("bit/byte", _DOWN),
    "token_accuracy": Fact("share", _UP),
    "entropy": Fact("nats/token", _NEITHER),
    "truncated_share": Fact("share", _DOWN),
    "unparsed_share": Fact("share", _DOWN),
    "ambiguous_share": Fact("share", _DOWN),
    "latency_p50_ms": Fact("ms", _DOWN),
    "latency_p95_ms": Fact("ms", _DOWN),
    "latency_p99_ms": Fact("ms", _DOWN),
    "latency_cv": Fact("share", _DOWN),
    "latency_ratio": Fact("× reference", _DOWN),
    "latency_ratio_least": Fact("× reference", _DOWN),
    "reference_ms": Fact("ms", _NEITHER),
    "ttft_p50_ms": Fact("ms", _DOWN),
    "decode_tokens_per_s": Fact("token/s", _UP),
    "batch_tokens_per_s": Fact("token/s", _UP),
    "batch_examples_per_s": Fact("example/s", _UP),
    "load_rss_mib": Fact("MiB", _DOWN),
    "infer_peak_rss_mib": Fact("MiB", _DOWN),
    "train_peak_rss_mib": Fact("MiB", _DOWN),
    "load_vram_mib": Fact("MiB", _DOWN),
    "infer_peak_vram_mib": Fact("MiB", _DOWN),
    "train_peak_vram_mib": Fact("MiB", _DOWN),
    "weights_mib": Fact("MiB", _DOWN),
    "gradients_mib": Fact("MiB", _DOWN),
    "optimizer_mib": Fact("MiB", _DOWN),
    "activations_mib": Fact("MiB", _DOWN),
    "kv_cache_mib": Fact("MiB", _DOWN),
    "train_reserved_vram_mib": Fact("MiB", _DOWN),
    "infer_reserved_vram_mib": Fact("MiB", _DOWN),
    "device_vram_mib": Fact("MiB", _DOWN),
    "train_energy_j": Fact("J", _DOWN),
    "energy_j_per_1k_tokens": Fact("J", _DOWN),
    "train_flops_share": Fact("share", _UP),
    "decode_bandwidth_share": Fact("share", _UP),
    "train_seconds": Fact("s", _DOWN),
    "train_tokens_per_s": Fact("token/s", _UP),
    "trainable_params": Fact("", _NEITHER),
    "trainable_percent": Fact("%", _NEITHER),
    "adapter_mib": Fact("MiB", _DOWN),
}


def fact(metric: str) -> Fact:
    """The unit and direction of ``metric``; an extra metric counts as higher is better."""
    return FACTS.get(metric) or Fact("", _UP)


def is_higher_better(metric: str) -> bool:
    """Whether a gain is a rise of ``metric``; so it is where neither direction is good."""
    return fact(metric).higher_is_better is not False


BESIDE = (
    "latency_p50_ms", "latency_p95_ms", "latency_p99_ms", "latency_ratio", "ttft_p50_ms",
    "decode_tokens_per_s", "batch_tokens_per_s", "batch_examples_per_s",
)  # fmt: skip
"""Speeds that the reference work is timed beside."""


SPEEDS = (*BESIDE, "train_seconds", "train_tokens_per_s")
"""Measurements that say something only beside others of the same hardware."""
