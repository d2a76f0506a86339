"""A data set as a suite names it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from harness.suite.parts import Entry, Seed

ColumnField = Literal[
    "prompt", "context", "reference", "category", "gold", "messages", "system", "history"
]


def _rows_or_share(value: object) -> object:
    """A number of rows, or a share of them; anything else, 0 included, is refused."""
    if isinstance(value, bool):  # YAML's `no`, which pydantic would take for 0
        raise ValueError("is neither a share up to 1.0 nor a whole number of rows")
    if not isinstance(value, int | float):
        return value
    if value <= 0:
        raise ValueError("must be above 0: a number of rows, or a share such as 0.2")
    if isinstance(value, float) and value > 1:
        if not value.is_integer():
            raise ValueError("is neither a share up to 1.0 nor a whole number of rows")
        return int(value)
    return value


LM_EVAL = "lm_eval:"
"""What a `source` begins with that is a task of lm-evaluation-harness."""
LM_EVAL_KEYS = frozenset(
    {"train_on", "num_fewshot", "limit", "include_path", "apply_chat_template",
     "fewshot_as_multiturn", "system_instruction"}
)  # fmt: skip
"""Keys that such a source alone understands."""
LM_EVAL_TAKES = LM_EVAL_KEYS | {"name", "source", "primary_metric", "evaluation"}
"""All keys that it understands: what else there is says how to read, split or answer a table."""


def _documents_or_share(value: object) -> object:
    """A whole number of documents, or a share below 1: what the tool would cut or take for 1."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("is neither a whole number of documents nor a share below 1")
    if value <= 0:
        raise ValueError("must be above 0: a number of documents, or a share such as 0.2")
    if isinstance(value, float) and value >= 1:
        raise ValueError("is no share below 1; write a whole number, or leave it out for all")
    return value


Limit = Annotated[int | float, BeforeValidator(_documents_or_share)]
RowsOrShare = Annotated[int | float, BeforeValidator(_rows_or_share)]


def _rows_share_or_none(value: object) -> object:
    """As `_rows_or_share`, and 0: no rows at all."""
    is_zero = isinstance(value, int | float) and not isinstance(value, bool) and value == 0
    return 0 if is_zero else _rows_or_share(value)


TrainRows = Annotated[int | float, BeforeValidator(_rows_share_or_none)]


def same_label(label: str) -> str:
    """``label`` casefolded, blanks joined, 1.0 as 1: equal for two that only look different."""
    text = " ".join(label.casefold().split())
    whole = text.removesuffix(".0")
    return whole if whole.lstrip("-").isdecimal() else text


class DatasetEntry(Entry):
    """A data set: a built-in name, or a table with its columns named."""

    source: str | None = None
    """A built-in name, a file (CSV, TSV, JSON, JSONL, Parquet; also packed as .gz, .bz2 or .xz), a
    hub id, or `lm_eval:TASK`, a task of lm-evaluation-harness; default `name`."""
    revision: str | None = None
    """The hub revision."""
    config: str | None = None
    """The hub configuration, such as `main` of `openai/gsm8k`."""
    train_split: str | None = None
    """The hub split that the rows come from; default `train`."""
    test_source: str | None = None
    """Test rows of their own: a file, a hub id or a built-in name. All rows of `source` may then
    train; those that the test set holds too are dropped from training and counted."""
    test_split: str | None = None
    """The hub split of the test rows, of `test_source` (default `test`) or else of `source`."""
    encoding: str | None = None
    """The encoding of a text file that is not UTF-8, such as `cp1251`; a byte order mark is
    understood without it."""
    separator: str | None = Field(None, min_length=1, max_length=1)
    """The separator of a CSV file; default: detected from its header."""
    task: Literal["generation", "classification"] | None = None
    """Default: the data set's own; `classification` when `labels` are given."""
    language: Literal["en", "ru"] | None = None
    """The language of number formats; default: the data set's own, else English."""
    columns: dict[ColumnField, str] = Field(default_factory=dict)
    """Our field → the table's column, or a path into it such as `answers.text`. Default: the
    columns of the one format that is there: Alpaca's `instruction`, `input`, `output`; a chat in
    `messages` or `conversations`; `prompt` and `completion`; for labels `text`, `label`."""
    labels: tuple[str, ...] = ()
    """The labels of a classification set, in the order of the confusion matrix."""
    classify_by: Literal["head", "likelihood", "generation"] = "head"
    """How labels are learned and read: a trained head on the bare text (its baseline ranks the
    labels by likelihood), or as answers to a question that both sides are asked, ranked by
    likelihood or generated and parsed."""
    group_by: str | None = "prompt"
    """What keeps rows on one side of the split where it is equal: `prompt` (all that the model is
    asked, with context and earlier turns), `reference`, a column, or null for nothing."""
    rows: int | None = Field(None, ge=2)
    """Rows sampled before the split; default all. The number generated, for a generator. With
    `test_source`, rows sampled for training."""
    take: Literal["sample", "first"] = "sample"
    """Which `rows` are taken: a random draw by `split_seed`, or the first rows of the file."""
    split: Literal["random", "in-order"] = "random"
    """`in-order`: the file's first rows are for training, the next for testing, without groups."""
    deduplicate: Literal["row", "prompt", "none"] = "row"
    """Which repeated rows are dropped and counted: those equal in everything, or in the prompt."""
    train: TrainRows | None = None
    """Number or share of training rows; default: all rows that are not for testing. 0: the set only
    tests, so only baselines and adapters with a `source` can be paired with it."""
    test: RowsOrShare | None = None
    """Number or share of test rows; default 0.2, or all rows of a test set of your own, and of a
    set that only tests."""
    validation: RowsOrShare | None = None
    """Number or share of the training rows that are held out and scored in place of the test rows,
    which stay unseen: for choosing settings before the comparison that counts."""
    split_seed: Seed = 42
    """The seed of sampling and split, apart from training seeds: all of them share a baseline."""
    min_answer_words: int = Field(0, ge=0)
    """Rows whose answer has fewer words are dropped and counted."""
    numeric_rel_tol: float | None = Field(None, ge=0)
    """Relative tolerance of this data set's numbers; default: that of `evaluation`."""
    primary_metric: str | None = None
    """The metric the leaderboard shows first; default by task."""
    train_on: str | None = None
    """Of a task of lm-evaluation-harness, which has no training rows: the data set on this axis
    whose rows train the adapters that are tested on it."""
    num_fewshot: int | None = Field(None, ge=0)
    """Of such a task: solved examples before each question; default: the task's own."""
    limit: Limit | None = None
    """Of such a task: the first so many documents of it, or of each task of a group; below 1 a
    share of them."""
    include_path: str | None = None
    """Of such a task: a folder with task YAMLs of your own."""
    apply_chat_template: bool | None = None
    """Of such a task: ask through the tokenizer's chat template."""
    fewshot_as_multiturn: bool | None = None
    """Of such a task, with `apply_chat_template`: solved examples as turns of the chat, lm-eval's
    default, or all in one turn."""
    system_instruction: str | None = None
    """Of such a task: a text before each question."""

    @property
    def only_tests(self) -> bool:
        """Whether it has no training rows, by `train: 0`."""
        return self.train == 0

    @field_validator("labels", mode="before")
    @classmethod
    def _labels_are_texts(cls, labels: object) -> object:
        """YAML reads `[0, 1]` as numbers and `[true, false]` as truth values: labels are texts."""
        if not isinstance(labels, list | tuple):
            return labels
        if None in labels:
            raise ValueError('null is not a label; if the text "null" is meant, quote it')
        return [_label(label) for label in labels]

    @field_validator("labels")
    @classmethod
    def _labels_differ(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        known: dict[str, str] = {}
        for label in labels:
            if not label.strip():
                raise ValueError("a label is empty")
            twin = known.setdefault(same_label(label), label)
            if twin is not label:
                raise ValueError(f'"{twin}" and "{label}" are not distinct: case and blanks aside')
        if len(labels) == 1:
            raise ValueError("one label alone: a classification set needs two or more")
        return labels

    @property
    def lm_eval_task(self) -> str | None:
        """The task of lm-evaluation-harness that `source` names; None of any other data set."""
        source = self.source or self.name
        return source.removeprefix(LM_EVAL) if source.startswith(LM_EVAL) else None

    @model_validator(mode="after")
    def _keys_fit_the_source(self) -> DatasetEntry:
        task = self.lm_eval_task
        foreign = LM_EVAL_KEYS if task is None else set(type(self).model_fields) - LM_EVAL_TAKES
        given = [key for key in sorted(foreign & self.model_fields_set) if self._is_set(key)]
        if given and task is None:
            keys, verb = ", ".join(f"`{key}`" for key in given), "is" if len(given) == 1 else "are"
            raise ValueError(
                f"{keys} {verb} for tasks of lm-evaluation-harness: `source: lm_eval:TASK`"
            )
        if given:
            keys = ", ".join(f"`{key}`" for key in given)
            raise ValueError(
                f"{keys}: has no effect on a task of lm-evaluation-harness, whose YAML settles its"
                " rows, prompts and metrics; delete it"
            )
        if self.fewshot_as_multiturn is not None and not self.apply_chat_template:
            raise ValueError("`fewshot_as_multiturn` has no effect without `apply_chat_template`")
        return self

    def _is_set(self, key: str) -> bool:
        # a copy of an entry names every key, most with its default
        default = type(self).model_fields[key].get_default(call_default_factory=True)
        return bool(getattr(self, key) != default)

    @model_validator(mode="after")
    def _columns_agree(self) -> DatasetEntry:
        both = {"prompt", "reference", "context", "history"} & set(self.columns)
        if "messages" in self.columns and both:
            raise ValueError(
                f"columns: `messages` holds the whole chat; delete {', '.join(sorted(both))}"
            )
        if self.task == "generation" and self.labels:
            raise ValueError("`labels` have no effect with `task: generation`; delete one of them")
        return self


def _label(label: object) -> object:
    if isinstance(label, bool):
        return "true" if label else "false"
    return str(label) if isinstance(label, int | float) else label
