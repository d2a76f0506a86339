"""A run without the texts of its data: what may be published where the data may not.

Everything here is a list of what is kept. A field that a later version, a plug-in or another tool
adds is left out until somebody has looked at it: a text published once cannot be taken back.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from harness.datasets.example import digest
from harness.metrics.prediction import Prediction
from harness.results.records import Audit, ConfusionMatrix, Provenance

if TYPE_CHECKING:
    from harness.results.result import CellResult
    from harness.results.run import Run
    from harness.results.value import Value

LEFT_OUT = "left out, because an error may quote data; the run itself has it"
"""What stands in place of the reason why a cell failed."""
NUMBERS = (
    "nll", "nll_wrong", "answer_tokens", "correct_tokens", "entropy", "prompt_tokens", "new_tokens",
    "batch_ms", "batch_examples", "ambiguous", "reasoning_chars", "reasoning_closed", "bytes",
    "reference_words",
)  # fmt: skip
"""Numbers of an answer. A number that was read in a text, or its place there, is not among them."""
WORDS = ("answered_by", "finish_reason", "decoded_by", "repeat")
"""Texts of an answer that the harness writes itself."""
FACTS = (
    "trained", "loaded", "latency_ms", "exclusive", "decoding", "adapter_moves_logits_by",
)  # fmt: skip
"""Facts of a cell that hold no text of the data."""
PROMPTING = ("style", "template_hash", "template_kwargs", "template_date", "stop_tokens")
"""Of the fact `prompting`, which also holds the first prompt and its tokens."""
_QUOTED = re.compile(r"[\"“”„«»`]|(?<!\w)'")
"""How a sentence of the harness quotes something; a warning that does may quote data."""
_HASH = re.compile(r"[0-9a-f]{12}")
_LABELS = re.compile(r"labels:[^|]*")


@dataclass(frozen=True)
class Redaction:
    """What stands in place of names that come from the data, the same in all cells of a run."""

    categories: Mapping[str, str] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)
    """Labels that a suite declares are its own words, and stay."""

    def prediction(self, record: Prediction) -> Prediction:
        """``record`` with its scores and counts, and without what was asked and answered.

        Scores, groups and labels stay, so that every statistic can be computed again.
        """
        whole: Mapping[str, Any] = record
        kept: dict[str, Any] = {key: whole[key] for key in (*NUMBERS, *WORDS) if key in whole}
        # an id of another tool may be anything, a question included
        for key in ("id", "data_hash", "prompt_hash", "answer_hash", "group"):
            if whole.get(key) is not None:
                kept[key] = _hashed(str(whole[key]))
        kept["scores"] = dict(whole.get("scores", {}))
        if whole.get("category"):
            kept["category"] = self.category(whole["category"])
        if "extracted" in whole:  # whether a number was read counts; which one is the answer's text
            kept["extracted"] = None if whole["extracted"] is None else ""
        for key in ("label", "predicted_label"):
            if key in whole:
                kept[key] = None if whole[key] is None else self.label(whole[key])
        if "label_scores" in whole:
            kept["label_scores"] = {self.label(k): v for k, v in whole["label_scores"].items()}
        if "reference" in whole:
            kept.setdefault("reference_words", len(whole["reference"].split()))
        if "prediction" in whole:
            kept.setdefault("answer_hash", digest(whole["prediction"]))
        found: Prediction = kept  # type: ignore[assignment]  # keys of a TypedDict, by variables
        return found

    def cell(self, result: CellResult) -> CellResult:
        """``result`` with its numbers and settings, and without texts of the data."""
        ours = bool(result.provenance.cell)
        return replace(
            result,
            reason=LEFT_OUT if result.status == "failed" else result.reason,
            values=tuple(self._value(value) for value in result.values),
            audit=Audit(_unquoted(result.audit.warnings if ours else ()), result.audit.counts),
            data=_counts(result.data),
            facts=_facts(result.facts),
            trivial={k: v for k, v in result.trivial.items() if self._is_declared(v)},
            confusion=self._confusion(result.confusion),
            provenance=self._provenance(result.provenance),
            metric_signatures={k: self._signed(v) for k, v in result.metric_signatures.items()},
        )

    def as_stored(self, result: CellResult) -> CellResult:
        """``result`` with the labels that its files have: they are checked before they are read."""
        if result.confusion is None:
            return result
        stored = {shown: name for name, shown in self.labels.items()}
        labels = tuple(stored.get(shown, shown) for shown in result.confusion.labels)
        return replace(result, confusion=ConfusionMatrix(labels, result.confusion.matrix))

    def category(self, name: str) -> str:
        """What stands for the category ``name``."""
        return self.categories.get(name, "category ?")

    def label(self, name: str) -> str:
        """What stands for the label ``name``."""
        return self.labels.get(name, "class ?")

    def _is_declared(self, text: str) -> bool:
        return self.labels.get(text) == text

    def _value(self, value: Value) -> Value:
        always = re.fullmatch(r'always "(.*)"', value.note or "", re.DOTALL)
        note = value.note if always and self._is_declared(always[1]) else None
        category = self.category(value.category) if value.category else None
        signature = self._signed(value.signature) if value.signature else None
        return replace(value, note=note, category=category, signature=signature)

    def _signed(self, signature: str) -> str:
        if all(name == shown for name, shown in self.labels.items()):
            return signature
        return _LABELS.sub("labels:left out", signature)

    def _confusion(self, found: ConfusionMatrix | None) -> ConfusionMatrix | None:
        return found and ConfusionMatrix(tuple(map(self.label, found.labels)), found.matrix)

    def _provenance(self, found: Provenance) -> Provenance:
        if not found.task:
            return found
        task = {**found.task, "labels": [self.label(n) for n in found.task.get("labels") or ()]}
        return replace(found, task=task)


def without_texts(run: Run) -> Run:
    """``run`` without prompts, references, answers, and all else that quotes its data.

    Its answers are read without texts too, and categories become `category 1` and so on.
    """
    names = {v.category for cell in run.cells for v in cell.values if v.category}
    declared = {name: name for cell in run.cells for name in _declared(cell)}
    labels = dict.fromkeys(name for cell in run.cells for name in cell.labels)
    others = _numbered([name for name in labels if name not in declared], "class")
    redaction = Redaction(_numbered(sorted(names), "category"), {**others, **declared})
    cells = tuple(redaction.cell(cell) for cell in run.cells)
    return replace(run, cells=cells, redaction=redaction)


def _declared(cell: CellResult) -> list[str]:
    task = cell.provenance.cell.get("task") or {}
    return list(task.get("labels") or ())


def _numbered(names: Iterable[str], word: str) -> dict[str, str]:
    """Name → ``word`` and a number; names that are such already stay what they are."""
    listed = list(names)
    if all(re.fullmatch(rf"{word} \d+", name) for name in listed):
        return {name: name for name in listed}
    return {name: f"{word} {k}" for k, name in enumerate(listed, start=1)}


def _hashed(text: str) -> str:
    return text if _HASH.fullmatch(text) else digest(text)


def _unquoted(warnings: Iterable[str]) -> tuple[str, ...]:
    return tuple(text for text in warnings if not _QUOTED.search(text))


def _counts(data: Mapping[str, Any]) -> dict[str, Any]:
    """Counts and hashes of the data's rows."""
    kept: dict[str, Any] = {k: v for k, v in data.items() if isinstance(v, int | float)}
    overlap = data.get("overlap")
    if isinstance(overlap, Mapping):
        numbers = {k: v for k, v in overlap.items() if isinstance(v, int | float)}
        kept["overlap"] = {**numbers, "method": str(overlap.get("method", ""))}
    if isinstance(data.get("content"), Mapping):
        kept["content"] = dict(data["content"])
    return kept


def _facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {key: facts[key] for key in FACTS if key in facts}
    for key in ("trained", "loaded"):
        if isinstance(kept.get(key), Mapping) and "notes" in kept[key]:
            kept[key] = {**kept[key], "notes": list(_unquoted(kept[key]["notes"]))}
    prompting = facts.get("prompting")
    if isinstance(prompting, Mapping):
        kept["prompting"] = {key: prompting[key] for key in PROMPTING if key in prompting}
    return kept
