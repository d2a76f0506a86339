"""The record that declares a metric, and the protocols of the functions that compute it."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, runtime_checkable

from harness.metrics.prediction import Prediction

if TYPE_CHECKING:  # a declaration must not load numpy
    from harness.statistics import CorpusDifference

REMEMBERED = 2**16
"""Texts whose scores are kept while a run is scored: cells of one data set share their references,
and often their answers, so most of them are scored once."""
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
"""The kinds of metrics that measure the quality of answers."""
Place = Literal["leaderboard", "costs", "card"]
"""Where a metric is shown by default: columns of a leaderboard, table of costs, an adapter's model
card."""
COSTS: tuple[Place, ...] = ("costs",)
EVERYWHERE: tuple[Place, ...] = ("leaderboard", "costs", "card")


class Options(Protocol):
    """The settings of a suite's `evaluation` that a metric may depend on."""

    @property
    def rouge_tokenizer(self) -> Literal["unicode", "rouge_score"]:
        """ROUGE's tokenizer."""

    @property
    def rouge_stemmer(self) -> Literal["none", "porter", "snowball-russian"]:
        """ROUGE's stemmer."""

    @property
    def on_lost_words(self) -> Literal["warn", "error"]:
        """What happens if the tokenizer drops most words."""

    @property
    def named_metrics(self) -> frozenset[str]:
        """The sources that `evaluation.metrics` names."""


class ScoredTask(Protocol):
    """The properties of a cell's task that a metric may depend on."""

    @property
    def task(self) -> str:
        """`generation` or `classification`."""

    @property
    def language(self) -> Literal["en", "ru"]:
        """The language of number formats."""

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


Pairs = Sequence[tuple[Sequence[Prediction], Sequence[Prediction]]]
"""For each pair of training seeds, the records of both sides, example by example."""
Clusters = Sequence[Hashable] | None
"""The group of each example; None if every example is its own group."""


class Corpus(Protocol):
    """A value of all examples together, not a mean of their scores: perplexity, macro-F1."""

    def value(self, records: Sequence[Prediction], labels: Sequence[str]) -> float | None:
        """The value over ``records``; None if they lack what it needs."""


@runtime_checkable
class PairedCorpus(Corpus, Protocol):
    """A corpus value with intervals and tests, which resample the whole value."""

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
        """The two-sided p-value of the difference."""


@runtime_checkable
class LinearCorpus(PairedCorpus, Protocol):
    """A corpus value whose difference can be averaged over several variants."""

    def pseudo_values(self, pairs: Pairs, labels: Sequence[str]) -> Sequence[Sequence[float]]:
        """For each pair a value per example; their mean is the pair's difference."""


Scorer = Callable[[Sequence[Prediction], ScoredTask], Sequence[Scores]]
"""Records → for each of them, metric → score."""


@dataclass(frozen=True, kw_only=True)
class Metric:
    """Everything that the harness knows about a metric."""

    name: str
    unit: str = ""
    higher_is_better: bool | None
    """None if neither direction is better or if it is unknown: it is shown, never ranked."""
    version: int = 1
    """Raise it when the value of the same answers changes: stored results are then scored again."""
    reads: Reads = "text"
    always: bool = True
    """Whether every cell that it applies to is scored by it. If False, a suite must name it under
    `evaluation.metrics`: for metrics that are slow or need another package."""
    scorer: Scorer | None = None
    """Computes scores per example; several metrics may share one."""
    corpus: Corpus | None = None
    """Computes the value of all examples, if that is not the mean of their scores."""
    per_example: str = ""
    """For a corpus metric: the metric whose scores decide which examples were won and lost."""
    of: str = ""
    """The metric of which this is a variant: for trivial answers, or for parsed ones only."""
    family: str = ""
    """The first word of the signature; default `name`."""
    settings: Callable[[ScoredTask], str] | str = ""
    """What the value depends on besides the version, for the signature."""
    shown: tuple[Place, ...] = ()
    trivial: tuple[str, ...] = ()
    """The `TRIVIAL_ANSWERS` that it is computed for too."""
    primary_of: str = ""
    """The task whose data sets have it as their primary metric unless they name another."""
    same_hardware: bool = False
    """Whether its values can be compared only on the same hardware."""
    beside_reference: bool = False
    """Whether the gate compares it as a multiple of the reference work timed along with it."""
    per_variant: bool = False
    """Whether it is measured once for all cells of a variant (`evaluation.latency_per`)."""

    @property
    def is_scored(self) -> bool:
        """Whether it is computed from predictions, and so can be computed again."""
        return self.reads in ("number", "text", "label", "likelihood", "answer")

    def applies(self, task: ScoredTask) -> bool:
        """Whether cells of ``task`` are scored by it."""
        if task.task == "lm_eval":
            return False  # the tool computes that task's metrics itself
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
