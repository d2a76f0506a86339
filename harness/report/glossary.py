"""What the words of a report mean, one line each: shown on hover, on tap, and at the page's end."""

from __future__ import annotations

from harness.metrics.meaning import meaning_of

TERMS = {
    "variant": "One model, quantization and adapter; its training seeds are averaged.",
    "baseline": "The untouched model: same model and quantization, no adapter.",
    "quantization": "How the frozen weights are stored: as they are, in 8 bits (int8) or in 4 "
    "(nf4, fp4).",
    "adapter": "The small set of weights that is trained on top of the frozen model; `base` has "
    "none.",
    "seed": "The number that training's randomness starts from; another seed, another result.",
    "seeds": "How many trainings the row averages.",
    "n": "How many test examples the value is over.",
    "Δ [95%]": "Fine-tuned minus baseline on the same examples, with the range that holds the true "
    "difference in 95 of 100 tests.",
    "p (Holm)": "How often chance alone would give a difference as large, corrected for how many "
    "comparisons the table makes. Up to 0.05 counts as significant.",
    "verdict": "better or worse: beyond chance, margin and noise floor. equivalent: within the "
    "margin. undecided: the test cannot tell.",
    "tie": "Rows that share a letter do not differ significantly.",
    "tied": "Examples with equal scores on both sides.",
    "front": "Marked rows: no other one is at least as good in quality, memory and latency, and "
    "better in one.",
    "noise floor": "How far a score moves when the same model answers the same examples again.",
    "margin": "The smallest difference that matters, as the suite says.",
    "won": "Examples that the fine-tuned variant answered better than its baseline.",
    "lost": "Examples that it answered worse.",
    "both right": "Examples that both sides answered right.",
    "both wrong": "Examples that both sides answered wrong.",
    "parsed": "Share of answers in which a number or label was found.",
    "truncated": "Share of answers cut at the limit of new tokens.",
    "empty": "Share of answers without text.",
    "ambiguous": "Share of answers with several numbers or labels to choose from.",
    "quality per GiB": "The primary metric divided by the memory in GiB.",
    "outside the bounds": "The limit of the suite that the row breaks.",
    "memory MiB": "The most memory in use while answering.",
    "latency ms": "Time for one answer, alone on the device; the median over prompts.",
    "status": "ok, failed, skipped (could not run here) or missing (no result yet).",
    "gold": "The right label.",
    "precision": "Of the answers that give the label, the share that is right.",
    "recall": "Of the examples that have the label, the share that is found.",
    "category": "A group of test examples, as the data set names it.",
    "before": "The baseline's value.",
    "after": "The fine-tuned variant's value.",
    "control set": "Everyday sentences that have nothing to do with the task: what fine-tuning "
    "must not make the model forget.",
}
"""Term, as a column's header writes it → its meaning."""


def meaning(term: str) -> str:
    """The meaning of a column's header or a term; empty for one that needs none."""
    if term in TERMS:
        return TERMS[term]
    plain = term.removeprefix("Δ ")
    known = meaning_of(plain)
    if known and plain != term:
        return f"Fine-tuned minus baseline, with its 95% interval. {known}"
    return known
