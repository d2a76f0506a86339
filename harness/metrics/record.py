"""What a metric is: the record that declares it, and the shapes of what computes it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from harness.metrics.prediction import Prediction

Scores = Mapping[str, float]
"""Metric → score of one example."""
Reads = Literal["number", "text", "label", "likelihood", "answer", "control", "measurement", "none"]
"""What a metric is computed from:

`number`, `text`: the answer of a generation task; `label`: the label of a classification task;
`likelihood`: the reference's likelihood; `answer`: how a generated answer came out (cut, empty,
unparsed); `control`: the control set; `measurement`: time, memory and energy, read while the cell
ran and never computed again; `none`: what only other tools' result files hold.
"""
ORDER: tuple[Reads, ...] = (
    "number", "text", "label", "likelihood", "answer", "control", "measurement", "none",
)  # fmt: skip
"""The order of columns."""
SCORES: tuple[Reads, ...] = ("number", "text", "label", "likelihood")
"""What the quality of answers is read from."""
Place = Literal["leaderboard", "costs", "card"]
"""Where a metric is shown unasked: a leaderboard's columns, the table of costs, the model card of
a trained adapter."""
COSTS: tuple[Place, ...] = ("costs",)
EVERYWHERE: tuple[Place, ...] = ("leaderboard", "costs", "card")


class Options(Protocol):
    """What of a suite's `evaluation` a metric may depend on."""

    @property
    def rouge_tokenizer(self) -> Literal["unicode", "rouge_score"]:
        """ROUGE's tokenizer."""

    @property
    def rouge_stemmer(self) -> Literal["none", "porter", "snowball-russian"]:
        """ROUGE's stemmer."""

    @property
    def on_lost_words(self) -> Literal["warn", "error"]:
        """What a tokenizer that drops most words does."""

    @property
    def named_metrics(self) -> frozenset[str]:
        """The sources that `evaluation.metrics` names."""


class ScoredTask(Protocol):
    """What of a cell's task a metric may depend on."""

    @property
    def task(self) -> str:
        """`generation` or `classification`."""

    @property
    def language(self) -> Literal["en", "ru"]:
        """Of number formats."""

    @property
    def labels(self) -> tuple[str, ...]:
        """The declared labels."""

    @property
    def answered_by(self) -> str:
        """`generation`, `head` or `likelihood`."""

    @property
    def tolerance(self) -> float | None:
        """The relative tolerance of numbers; None: the gold number's own decimals decide."""

    @property
    def evaluation(self) -> Options:
        """The settings of `evaluation`."""


class Limits(NamedTuple):
    """The ends of an interval."""

    low: float
    high: float


class CorpusDifference(NamedTuple):
    """Second minus first in a corpus metric."""

    delta: float
    low: float
    high: float
    p_value: float
    test: str
    n: int
    per_seed: tuple[float, ...] = ()
    """The difference of each training seed, where there are several."""


Pairs = Sequence[tuple[Sequence[Prediction], Sequence[Prediction]]]
"""For each pair of training seeds, the records of both sides, example by example."""
Clusters = Sequence[Any] | None
"""The group of each example; None where no group repeats."""


class Corpus(Protocol):
    """A value of all examples together that is no mean of scores: perplexity, macro-F1."""

    def value(self, records: Sequence[Prediction], labels: Sequence[str]) -> float | None:
        """The value over ``records``; None where they do not hold what it needs."""


@runtime_checkable
class PairedCorpus(Corpus, Protocol):
    """A corpus value that two sides can be compared in: the whole value is resampled."""

    def interval(
        self, records: Sequence[Prediction], labels: Sequence[str], *, clusters: Clusters
    ) -> Limits:
        """The 95% interval of the value."""

    def difference(
        self, pairs: Pairs, labels: Sequence[str], *, clusters: Clusters, confidence: float
    ) -> CorpusDifference:
        """The difference over all pairs of training seeds."""

    def p_value(
        self, pairs: Pairs, labels: Sequence[str], *, clusters: Clusters, resamples: int
    ) -> float:
        """The two-sided p-value of no difference."""


Scorer = Callable[[Sequence[Prediction], ScoredTask], Sequence[Scores]]
"""Records → for each of them, metric → score."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """All that the harness knows of a metric."""

    name: str
    unit: str = ""
    higher_is_better: bool | None
    """None: neither good nor bad, or not known. It is shown and never ranked."""
    version: int = 1
    """Rises when the value of the same answers would change: stored results of an older version
    are scored again."""
    reads: Reads = "text"
    always: bool = True
    """Whether every cell that it applies to is scored by it; else those whose suite names it under
    `evaluation.metrics`. For what is slow or needs a package more."""
    scorer: Scorer | None = None
    """Gives scores per example; several metrics may share one."""
    corpus: Corpus | None = None
    """Gives the value of all examples, where that is no mean of scores."""
    per_example: str = ""
    """Of a corpus metric: whose per-example scores say which examples were won and lost."""
    of: str = ""
    """The metric that this one is a variant of: of trivial answers, or of parsed answers alone."""
    family: str = ""
    """The first word of the signature; default `name`."""
    settings: Callable[[ScoredTask], str] | str = ""
    """What the value depends on besides the version, for the signature."""
    shown: tuple[Place, ...] = ()
    trivial: tuple[str, ...] = ()
    """The `TRIVIAL_ANSWERS` that are scored beside it."""
    primary_of: str = ""
    """The task whose data sets have it as their primary metric unless they name another."""
    same_hardware: bool = False
    """Whether it says something only beside values of the same hardware."""
    beside_reference: bool = False
    """Whether the reference work is timed beside it, so that the gate compares multiples of it."""

    @property
    def is_scored(self) -> bool:
        """Whether it is computed from predictions, and so can be computed again."""
        return self.reads in ("number", "text", "label", "likelihood", "answer")

    def applies(self, task: ScoredTask) -> bool:
        """Whether cells of ``task`` are scored by it."""
        kinds = {"number": "generation", "text": "generation", "label": "classification"}
        if self.reads in kinds:
            return task.task == kinds[self.reads]
        return self.reads == "likelihood" or (
            self.reads == "answer" and task.answered_by == "generation"
        )

    def signature(self, task: ScoredTask) -> str:
        """How it is computed, in sacreBLEU's manner: family, settings, version."""
        settings = self.settings if isinstance(self.settings, str) else self.settings(task)
        parts = (self.family or self.name, settings, f"v:{self.version}")
        return "|".join(part for part in parts if part)
