"""The suite as frozen pydantic models, from which its JSON Schema and reference are made."""

from __future__ import annotations

from collections import Counter
from datetime import date
from typing import Any, Literal, TypedDict

from pydantic import (
    Field,
    field_validator,
    model_validator,
)

from harness.errors import HarnessError
from harness.registry import did_you_mean
from harness.suite import options as passthrough
from harness.suite.dataset_entry import DatasetEntry as DatasetEntry
from harness.suite.endpoint import ONE_ENGINE, SERVED, Endpoint
from harness.suite.gate_rules import Gate
from harness.suite.judge_entry import Judge
from harness.suite.metric_entry import MetricEntry
from harness.suite.parts import Entry as Entry
from harness.suite.parts import Options as Options
from harness.suite.parts import Part, Seed
from harness.suite.published import Claim, PublishedSource
from harness.suite.template_settings import DEFAULT_TEMPLATE_DATE, TemplateKwargs

AXES = ("model", "quantization", "adapter", "dataset", "seed")


class CellAxes(TypedDict):
    """A cell's name on each of the `AXES`, in their order."""

    model: str
    quantization: str
    adapter: str
    dataset: str
    seed: int | None
    """None: a baseline, which is not trained."""


BASE = "base"
QUANTIZATIONS: dict[str, Options] = {
    "none": {},
    "int8": {"load_in_8bit": True},
    "nf4": {"load_in_4bit": True, "bnb_4bit_quant_type": "nf4", "bnb_4bit_use_double_quant": True},
    "fp4": {"load_in_4bit": True, "bnb_4bit_quant_type": "fp4", "bnb_4bit_use_double_quant": True},
}
"""The built-in quantizations as `BitsAndBytesConfig` keys; the compute dtype is the model's."""


class Evaluation(Part):
    """How both models are scored and measured."""

    batch_size: int = Field(32, ge=1)
    """Examples decoded or scored together."""
    metrics: tuple[MetricEntry, ...] = ()
    """Extra metrics: Hugging Face `evaluate` modules or metrics of a plug-in, as entries such as
    `{source: wer, higher_is_better: false}`; a bare name where its direction is known."""
    numeric_rel_tol: float | None = Field(None, ge=0)
    """Relative tolerance of `numeric_accuracy`: 0.01 credits 595 for 600. Default: none; the
    answer, rounded to the decimals of the gold number, must equal it, a whole number exactly."""
    rouge_tokenizer: Literal["unicode", "rouge_score"] = "unicode"
    """`rouge_score` drops every letter outside a–z; use it only to reproduce published scores."""
    on_lost_words: Literal["warn", "error"] = "error"
    """What happens if `rouge_score`'s tokenizer drops most words of the references."""
    rouge_stemmer: Literal["none", "porter", "snowball-russian"] = "none"
    """The stemmer applied to ROUGE tokens."""
    sampling_seed: Seed = 0
    """The seed for sampled answers (`do_sample`); greedy answers do not use it."""
    noise_examples: int = Field(32, ge=0)
    """Examples that a baseline answers again in batches of three quarters and of half the size, a
    tuned cell in half: the changes are the noise floor of differences. 0 measures none."""
    prompt_tokens: int = Field(128, ge=1)
    """Tokens of the synthetic prompts of a model with random weights."""
    control: str | None = None
    """A control set outside the domain, scored before and after: `everyday`, or a JSONL file of
    `prompt`, `reference` and `wrong`."""
    latency_prompts: int = Field(8, ge=0)
    """Prompts timed one at a time; 0 measures no latency."""
    latency_new_tokens: int = Field(16, ge=2)
    """Tokens generated for each timed prompt, end of text ignored."""
    latency_per: Literal["variant", "cell"] = "variant"
    """Where latency and throughput are measured: once for each `variant` (model × quantization ×
    adapter), on the first data set and seed that run here; or in every `cell`. Rows that show what
    was measured on another data set are marked."""
    margin: float = Field(0.0, ge=0)
    """The smallest difference of the primary metric that matters to you; verdicts use it."""
    on_leakage: Literal["warn", "error"] = "warn"
    """What happens if test rows also occur in training."""
    on_unlearnable: Literal["warn", "error"] = "error"
    """What happens if training rows have no token to learn."""
    on_cut: Literal["warn", "error"] = "warn"
    """What happens if training rows are cut at `max_length`."""
    on_missing_eos: Literal["warn", "error"] = "warn"
    """What happens if training rows lost the token that ends the answer."""
    on_boundary_merge: Literal["warn", "error"] = "warn"
    """What happens if tokens merge across the end of the prompt."""

    @model_validator(mode="before")
    @classmethod
    def _one_engine(cls, keys: Any) -> Any:
        if isinstance(keys, dict) and "engine" in keys:
            raise ValueError(ONE_ENGINE.format(keys["engine"]))
        return keys

    @field_validator("metrics")
    @classmethod
    def _distinct_names(cls, metrics: tuple[MetricEntry, ...]) -> tuple[MetricEntry, ...]:
        names = [name for entry in metrics for name in entry.names()]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"two extra metrics are called {', '.join(twice)}; give one a `name`")
        return metrics

    @property
    def named_metrics(self) -> frozenset[str]:
        """The sources that `metrics` names."""
        return frozenset(entry.source for entry in self.metrics)


class Objectives(Part):
    """What you want of a variant. The report orders and marks rows by it."""

    order_by: Literal["quality", "quality_per_gib"] = "quality"
    """Order by the mean of the primary metric, or by that mean per GiB of peak inference memory."""
    max_latency_ms: float | None = Field(None, gt=0)
    """Rows with a higher median latency are marked as out of bounds."""
    max_memory_mib: float | None = Field(None, gt=0)
    """Rows with a higher peak memory in inference are marked as out of bounds."""


class ModelEntry(Entry):
    """A model under an override: a card's name, a card written in place, or a served model."""

    like: str | None = None
    """A card in `models/` whose fields those of `card` override."""
    card: Options | None = None
    """A model card written here; without it, `name` is looked up in `models/`."""
    endpoint: Endpoint | None = None
    """A model behind an OpenAI-compatible server, by its address: it is asked, never trained."""


class QuantizationEntry(Entry):
    """A quantization: a built-in name, or the keys of a quantization config under `config`."""

    config: Options | None = None
    """`BitsAndBytesConfig` keys, or `quant_method: gptq` (`awq`, `fp8`, `torchao`, `bitnet`, …)
    with the keys of that method's config; a checkpoint stored so needs the method alone.
    Without `config`, `name` is a built-in."""


class AdapterEntry(Entry):
    """An adapter: a PEFT config under a name, or one that is already trained."""

    source: str | None = None
    """A trained adapter in PEFT's format, which is only evaluated: a folder, relative to the suite,
    or a hub id (`owner/name`)."""
    revision: str | None = None
    """The hub revision of `source`."""
    serve: Literal["attached", "merged", "requantized"] = "attached"
    """What is scored: the adapter on the quantized base that it was trained on, merged into the
    16-bit base, or merged and quantized again. Merging changes answers: these are other cells."""

    peft_type: str = "lora"
    """PEFT's method: `lora`, `ia3`, `prefix_tuning`, …"""
    config: Options = Field(default_factory=dict)
    """Keys of that method's PEFT config, named as in PEFT."""

    @model_validator(mode="after")
    def _known_method(self) -> AdapterEntry:
        if self.name == BASE:
            raise ValueError(f'"{BASE}" is the baseline and takes no config')
        if self.name == SERVED:
            raise ValueError(f'"{SERVED}" is the name for what a served model has; choose another')
        if self.peft_type not in passthrough.peft_types():
            hint = did_you_mean(self.peft_type, passthrough.peft_types())
            raise ValueError(f'unknown peft_type "{self.peft_type}". {hint}')
        return self


class TrainingEntry(Part):
    """One point of a hyper-parameter sweep."""

    name: str
    """The suffix of the adapter's name."""
    options: Options
    """Training keys that override the suite's, the adapter's and the data set's."""


class Tiny(Part):
    """The tiny twin: changes that let the same suite run on a CPU in minutes."""

    model: str = "tiny-qwen2"
    """The one model of the `model` axis."""
    dataset: Options = Field(default_factory=dict)
    """Fields that replace those of every data set."""
    training: Options = Field(default_factory=dict)
    """Training keys that override all others."""
    evaluation: Options = Field(default_factory=dict)
    """Evaluation keys that override all others."""
    generation: Options = Field(default_factory=dict)
    """Generation keys that override all others."""


class Matrix(Part):
    """The axes whose product is the suite's cells."""

    model: tuple[str | ModelEntry, ...] = Field(min_length=1)
    """Names of `models/*.yaml`, or entries."""
    quantization: tuple[str | QuantizationEntry, ...] = ("none",)
    """`none`, `int8`, `nf4`, `fp4`, or entries."""
    adapter: tuple[str | AdapterEntry, ...] = Field(min_length=1)
    """Adapters. The untuned model, `base`, is always evaluated too."""
    dataset: tuple[str | DatasetEntry, ...] = Field(min_length=1)
    """Built-in data sets, or entries."""
    training: tuple[TrainingEntry, ...] = ()
    """A sweep: every adapter is trained under each entry's keys, as `<adapter>+<entry>`."""
    seed: tuple[Seed, ...] = (0,)
    """Training seeds: adapter initialisation and data order."""

    @field_validator("quantization", "seed")
    @classmethod
    def _not_empty(cls, axis: tuple[object, ...]) -> tuple[object, ...]:
        if not axis:
            raise ValueError("an empty axis makes an empty grid; delete the key or fill it")
        return axis

    @field_validator(*AXES)
    @classmethod
    def _distinct(cls, axis: tuple[object, ...]) -> tuple[object, ...]:
        # of each axis by itself, so that the message names the axis and its line
        twice = sorted(str(name) for name, n in Counter(axis_names(axis)).items() if n > 1)
        if twice:
            raise ValueError(f"listed more than once: {', '.join(twice)}")
        return axis


def axis_names(axis: tuple[Any, ...]) -> list[Any]:
    """The names on ``axis``, whether bare or in entries."""
    return [entry if isinstance(entry, str | int) else entry.name for entry in axis]


class Suite(Part):
    """A whole suite file."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    """The suite's name; its run directory is `runs/<name>`."""
    description: str = ""
    """What the suite compares."""
    matrix: Matrix
    """The axes."""
    include: tuple[Options, ...] = ()
    """As in GitHub Actions: settings added to the cells they match, or new cells."""
    exclude: tuple[Options, ...] = ()
    """As in GitHub Actions: cells that match every key of an entry are left out."""
    training: Options = Field(default_factory=dict)
    """`SFTConfig` / `TrainingArguments` keys, and `loss_on: answer | all`."""
    evaluation: Evaluation = Evaluation()
    """How cells are scored and measured."""
    generation: Options = Field(default_factory=dict)
    """`GenerationConfig` keys; greedy unless `do_sample: true`."""
    template_kwargs: TemplateKwargs = Field(default_factory=dict)
    """Variables of every model's chat template, such as `enable_thinking: false`."""
    template_date: date = DEFAULT_TEMPLATE_DATE
    """The date that chat templates see as today, so that prompts do not change from day to day."""
    source: PublishedSource | None = None
    """Where the pipeline was published, for a suite that audits one."""
    published: tuple[Claim, ...] = ()
    """Published claims, which the report compares with arithmetic and measurements."""
    tiny: Tiny | None = None
    """What `harness run SUITE --tiny` changes."""
    gate: Gate = Gate()
    """The rules by which `harness check` compares a run with its baseline."""
    objectives: Objectives = Objectives()
    """How rows are ordered, and which bounds they have to keep."""
    judge: Judge | None = None
    """A model that compares answers in pairs, when you call `harness judge`."""


def entry_of(axis: str, item: Any) -> Any:
    """The entry of an axis item: a bare name becomes an entry of that name.

    Raises:
        HarnessError: a bare quantization or adapter name is not known.
    """
    kinds: dict[str, type[Entry]] = {
        "model": ModelEntry,
        "quantization": QuantizationEntry,
        "adapter": AdapterEntry,
        "dataset": DatasetEntry,
    }
    if axis == "seed" or not isinstance(item, str):
        return item
    if axis == "adapter":
        hint = f"Write it as an entry with `name: {item}`, `peft_type` and `config`."
        raise HarnessError(f'the adapter "{item}" has no config', hint=hint)
    return kinds[axis](name=item)
