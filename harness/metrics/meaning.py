"""What the metrics mean in one line each, and their names in a sentence."""

from __future__ import annotations

from harness.metrics.registry import TRIVIAL_ANSWERS, find

TITLES = {
    "rouge1": "ROUGE-1", "rouge2": "ROUGE-2", "rougeL": "ROUGE-L", "rougeLsum": "ROUGE-Lsum",
    "chrf": "chrF", "numeric_accuracy": "numeric accuracy", "exact_match": "exact match",
    "f1_macro": "macro-F1", "f1_weighted": "weighted F1", "accuracy": "accuracy",
    "eval_loss": "test loss", "token_accuracy": "token accuracy",
    "control_accuracy": "control accuracy", "control_bits_per_byte": "control bits per byte",
}  # fmt: skip
"""Metric → its name in a sentence, where that differs from the name in tables."""
MEANINGS = {
    "rouge1": "Words that the answer shares with the reference, as an F-score from 0 to 1.",
    "rouge2": "Pairs of adjacent words that answer and reference share, from 0 to 1.",
    "rougeL": "Longest sequence of words that answer and reference share, in order; from 0 to 1.",
    "rougeLsum": "ROUGE-L taken line by line, from 0 to 1.",
    "chrf": "Sequences of characters that answer and reference share, from 0 to 1.",
    "numeric_accuracy": "Share of answers whose number equals the reference's number.",
    "exact_match": "Share of answers equal to the reference, case and spaces aside.",
    "accuracy": "Share of examples with the right label.",
    "f1_macro": "F1 of each label, averaged: rare labels count as much as frequent ones.",
    "f1_weighted": "F1 of each label, averaged by how many examples have the label.",
    "eval_loss": "How surprised the model is by the reference, in nats a token; lower is better.",
    "perplexity": "e to the power of the test loss; lower is better.",
    "bits_per_byte": "Test loss in bits for each byte of text; lower is better.",
    "token_accuracy": "Share of the reference's tokens that the model would have chosen first.",
    "entropy": "How undecided the model is about the next token, in nats. Neither way is better.",
    "control_accuracy": "Share of everyday sentences that the model continues sensibly: what it "
    "has not forgotten.",
    "control_bits_per_byte": "How surprised the model is by everyday text; lower is better.",
    "truncated_share": "Share of answers that were cut at the limit of new tokens.",
    "empty_share": "Share of answers without any text.",
    "unparsed_share": "Share of answers in which no number or label was found.",
    "ambiguous_share": "Share of answers with several numbers or labels to choose from.",
    "latency_p50_ms": "Time for one answer, alone on the device: half of the prompts take less.",
    "latency_p95_ms": "Time for one answer: 95 of 100 prompts take less.",
    "latency_p99_ms": "Time for one answer: 99 of 100 prompts take less.",
    "latency_cv": "How much the latency still varied in the last rounds; 0.03 or less is settled.",
    "ttft_p50_ms": "Time to the first token of an answer.",
    "batch_tokens_per_s": "Tokens written each second when many prompts are answered together.",
    "infer_peak_vram_mib": "The most GPU memory in use while answering.",
    "infer_peak_rss_mib": "The most memory of the process while answering, libraries included.",
    "train_peak_vram_mib": "The most GPU memory in use while training.",
    "train_peak_rss_mib": "The most memory of the process while training.",
    "train_reserved_vram_mib": "GPU memory reserved while training.",
    "train_seconds": "Seconds of training.",
    "train_tokens_per_s": "Tokens trained on each second.",
    "trainable_params": "How many numbers the adapter trains.",
    "trainable_percent": "The trained numbers as a share of all, in percent.",
    "adapter_mib": "Size of the adapter's file.",
    "energy_j_per_1k_tokens": "Energy for a thousand tokens.",
}
"""Metric → what it is, in one line."""


def title_of(metric: str) -> str:
    """The metric's name in a sentence."""
    return TITLES.get(metric, metric.replace("_", " ") if find(metric) else metric)


def meaning_of(metric: str) -> str:
    """What ``metric`` is in one line; empty for one that the harness does not know."""
    if metric in MEANINGS:
        return MEANINGS[metric]
    record = find(metric)
    if record is not None and record.of:
        answer = metric.removeprefix(f"{record.of}_")
        words = TRIVIAL_ANSWERS.get(answer, "those answers alone in which something was found")
        return f"{title_of(record.of)} of {words}."
    return ""
