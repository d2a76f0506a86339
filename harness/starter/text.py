"""The YAML of a first suite, each choice with its reason in a comment."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from harness.starter.answers import Answers
from harness.starter.choices import Lengths, Sizes, lengths, tiny_sides, training
from harness.starter.data import Looked
from harness.starter.model import TINY, Chosen
from harness.starter.sample import Sample

WIDTH = 88
_PLAIN = re.compile(r"(?:\.{1,2}/)*[A-Za-z_][\w./-]*")
_WORDS = {"true", "false", "null", "yes", "no", "on", "off", "y", "n"}
"""Words that a YAML reader may take for something else than text."""


@dataclass(frozen=True)
class Draft:
    """All that a suite is written from."""

    name: str
    source: str
    """The data, relative to the suite."""
    test_source: str | None
    looked: Looked
    answers: Answers
    chosen: Chosen
    sizes: Sizes
    split_seed: int = 42
    sample: Sample | None = None
    """The rows that a tiny model can hold, where not all are."""
    has_twin: bool = True
    """Whether `--tiny` is offered."""

    @property
    def is_tiny(self) -> bool:
        """Whether the suite's own model is the tiny one."""
        return self.chosen.is_tiny


def scalar(value: str) -> str:
    """``value`` as YAML reads it back as the same text."""
    if _PLAIN.fullmatch(value) and value.casefold() not in _WORDS and value.isascii():
        return value
    text = json.dumps(value, ensure_ascii=False)
    # YAML folds NEL, LS and PS like line breaks, and refuses other unprintable characters
    return "".join(c if c.isprintable() else _escaped(c) for c in text)


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def suite_text(draft: Draft) -> str:
    """The suite as YAML with comments."""
    lines = [
        f"name: {draft.name}",
        *_folded(_description(draft)),
        "",
        "matrix:",
        *_model(draft),
        *_quantization(draft),
        *_adapters(draft),
        *_dataset(draft),
        *_seeds(),
        "",
        *_training(draft),
        "",
        *_evaluation(draft),
        "",
        *_generation(draft),
        *_tiny(draft),
    ]
    return "\n".join(lines).rstrip("\n") + "\n"


def _folded(text: str) -> list[str]:
    return ["description: >-", *textwrap.wrap(text, WIDTH, initial_indent="  ",
                                              subsequent_indent="  ")]  # fmt: skip


def comment(text: str, indent: int) -> list[str]:
    """``text`` as comment lines."""
    lead = f"{' ' * indent}# "
    one_line = " ".join(scalar(word)[1:-1] if not word.isprintable() else word
                        for word in text.split())  # fmt: skip
    return textwrap.wrap(one_line, WIDTH, initial_indent=lead, subsequent_indent=lead)


def _description(draft: Draft) -> str:
    rows = len(draft.looked.examples)
    return (
        f"Does fine-tuning help on {draft.name}, and which adapter is worth shipping?"
        f" {rows:,} rows, read as {draft.looked.form.replace('`', '')}."
    )


def _model(draft: Draft) -> Iterator[str]:
    chosen = draft.chosen
    if chosen.is_tiny:
        yield from comment(
            "A model of 2 M parameters that ships with the harness: it shows that everything works,"
            " not what a real model can do. Add yours: a hub id such as"
            " HuggingFaceTB/SmolLM2-135M-Instruct, a folder, or a card (`harness models list`).", 2,
        )  # fmt: skip
    style = prompt_style(draft)
    yield from comment(style.why, 2)
    parts = [f"source: {scalar(chosen.source)}"] if chosen.source else []
    if style.name:
        parts += [] if chosen.source or _is_card(chosen) else [f"source: {scalar(chosen.name)}"]
        parts.append(f"prompt: {style.name}")
    if not parts:
        yield f"  model: [{scalar(chosen.name)}]"
        return
    name = scalar(chosen.name.rpartition("/")[2].lower())
    like = f"like: {scalar(chosen.name)}, " if _is_card(chosen) and not chosen.source else ""
    yield "  model:"
    yield f"    - {{name: {name}, {like}card: {{{', '.join(parts)}}}}}"


def _is_card(chosen: Chosen) -> bool:
    return chosen.source is None and "/" not in chosen.name


@dataclass(frozen=True)
class _Style:
    name: str | None
    """None: the default."""
    why: str


def prompt_style(draft: Draft) -> _Style:
    """How a row becomes a prompt, where it is not the tokenizer's own chat template."""
    chosen, columns = draft.chosen, draft.looked.form
    if draft.answers.kind == "labels" and chosen.is_encoder:
        return _Style(None, "An encoder reads the bare text; a trained head gives the label.")
    if chosen.prompt:
        return _Style(None, f"Prompts: `{chosen.prompt}`, as the model's card says.")
    if chosen.has_template:
        return _Style(None, "Prompts: the tokenizer's own chat template.")
    if chosen.has_template is None:
        why = (
            "Prompts: the tokenizer's chat template where it has one, else the bare text. For a"
            " base model set `prompt: question-answer` or `alpaca` (docs/prompts.md)."
        )
        return _Style(None, why)
    if columns.startswith("`instruction`"):
        return _Style("alpaca", "Prompts: the tokenizer has no chat template, and these are"
                                " instructions: the format published with Alpaca.")  # fmt: skip
    asked = sum(e.prompt.rstrip().endswith("?") for e in draft.looked.examples)
    if 2 * asked > len(draft.looked.examples):
        return _Style("question-answer", "Prompts: the tokenizer has no chat template, and most"
                                         " prompts are questions.")  # fmt: skip
    return _Style("plain", "Prompts: the tokenizer has no chat template: the bare text.")


def _quantization(draft: Draft) -> Iterator[str]:
    if draft.chosen.is_encoder:
        yield "  quantization: [none]"
    elif draft.is_tiny:
        yield "  quantization: [none]          # nf4 and int8 work here, too"
    else:
        yield from comment("nf4 is QLoRA: a quarter of the memory; the report says what it costs "
                           "in quality.", 2)  # fmt: skip
        yield "  quantization: [none, nf4]"


def _adapters(draft: Draft) -> Iterator[str]:
    yield from comment("The untouched model, `base`, is always evaluated beside these.", 2)
    yield "  adapter:"
    for r in (8, 32):
        config = f"{{r: {r}, lora_alpha: {2 * r}, target_modules: all-linear}}"
        yield f"    - {{name: lora-r{r}, config: {config}}}"


def _dataset(draft: Draft) -> Iterator[str]:
    looked, answers = draft.looked, draft.answers
    yield "  dataset:"
    if looked.is_built_in:
        yield f"    - name: {scalar(draft.source)}"
        yield from _sides(draft)
        return
    yield f"    - name: {draft.name}"
    yield from _source(draft)
    yield from _language(draft)
    yield from _kind(draft)
    yield from comment(f"{answers.metric}: {answers.metric_why}.", 6)
    yield f"      primary_metric: {answers.metric}"
    yield from _groups(draft)
    yield from _sides(draft)


def _source(draft: Draft) -> Iterator[str]:
    sample = draft.sample
    if draft.is_tiny and sample:
        text = (
            f"{len(sample.examples)} rows of {draft.source} that are short enough for the tiny"
            " model. With a model of yours, write `harness init` again with --model: it reads all."
        )
        yield from comment(text, 6)
        yield f"      source: {scalar(sample.name)}"
        if sample.has_gold:
            yield "      columns: {gold: gold}"
        return
    yield f"      source: {scalar(draft.source)}"
    if draft.test_source:
        yield f"      test_source: {scalar(draft.test_source)}"
    if draft.looked.entry.encoding:
        yield f"      encoding: {scalar(draft.looked.entry.encoding)}"
    yield from _columns(draft)


def _columns(draft: Draft) -> Iterator[str]:
    columns = {str(field): column for field, column in draft.looked.entry.columns.items()}
    if draft.answers.gold:
        columns["gold"] = draft.answers.gold
    if not columns:
        yield from comment(f"Read as {draft.looked.form}; `columns` would name others.", 6)
        return
    if draft.answers.gold and len(columns) == 1:
        yield from comment(f"Read as {draft.looked.form}.", 6)
    inner = ", ".join(f"{field}: {scalar(column)}" for field, column in columns.items())
    yield f"      columns: {{{inner}}}"


def _language(draft: Draft) -> Iterator[str]:
    looked = draft.looked
    if looked.language != "en":
        yield f"      language: {looked.language}                # how numbers are written"
    elif looked.cyrillic > 0.1:
        share = f"{100 * looked.cyrillic:.0f}%"
        text = f"{share} of the letters are Cyrillic; `language: ru` reads 1,5 as one and a half."
        yield from comment(text, 6)


def _kind(draft: Draft) -> Iterator[str]:
    answers = draft.answers
    yield from comment(f"{answers.why[:1].upper()}{answers.why[1:]}.", 6)
    if answers.kind == "labels":
        yield from _flow("labels", answers.labels, "      ")
        if draft.chosen.is_encoder:
            yield "      classify_by: head"
        else:
            yield from comment("Both sides answer the same question, so that before and after can "
                               "be compared. `head` trains a classifier instead.", 6)  # fmt: skip
            yield "      classify_by: likelihood"
    if answers.maybe_labels:
        yield from comment("If they are classes and no quantities, use this instead of `gold` and "
                           "`primary_metric`:", 6)  # fmt: skip
        shown = ", ".join(map(scalar, answers.maybe_labels))
        yield f"      # labels: [{shown}]"


def _flow(key: str, items: tuple[str, ...], indent: str) -> list[str]:
    inner = ", ".join(map(scalar, items))
    if len(indent) + len(key) + len(inner) + 4 <= WIDTH:
        return [f"{indent}{key}: [{inner}]"]
    return [f"{indent}{key}:", *(f"{indent}  - {scalar(item)}" for item in items)]


def _groups(draft: Draft) -> Iterator[str]:
    looked = draft.looked
    repeated = looked.repeated
    if repeated:
        text = (
            f"{repeated:,} of {len(looked.examples):,} rows share their question with another row:"
            " they stay on one side, or the test would ask what was trained."
        )
        yield from comment(text, 6)
        yield "      group_by: prompt"
    if looked.other_columns and not (draft.is_tiny and draft.sample):
        listed = ", ".join(f"`{column}`" for column in looked.other_columns[:6])
        more = " …" if len(looked.other_columns) > 6 else ""
        text = (
            f"Not read: {listed}{more}. If rows of one value belong together (a customer, a"
            " document), split by it:"
        )
        yield from comment(text, 6)
        yield f"      # group_by: {scalar(looked.other_columns[0])}"


def _sides(draft: Draft) -> Iterator[str]:
    sizes = draft.sizes
    if sizes.train is not None:
        text = (
            f"Few of {sizes.total:,} rows, so that a first run takes a minute or two. Delete"
            " `train` and raise `test` for a decision."
        )
        yield from comment(text, 6)
        yield f"      train: {sizes.train}"
    if sizes.test is not None:
        text = (
            f"{sizes.test} test rows measure a share to about ±{sizes.interval:.0f} points;"
            " four times as many would halve that."
        )
        yield from comment(text, 6)
        yield f"      test: {sizes.test}"
    if draft.split_seed != 42:
        yield from comment("With the usual seed, 42, a rare label would be tested and never "
                           "trained on.", 6)  # fmt: skip
        yield f"      split_seed: {draft.split_seed}"


def _seeds() -> Iterator[str]:
    yield from comment("One training can be lucky: three seeds show by how much.", 2)
    yield "  seed: [0, 1, 2]"


def _training(draft: Draft) -> Iterator[str]:
    sizes, length = draft.sizes, _lengths(draft)
    rows = sizes.train or sizes.total - (sizes.test or 0)
    found = training(rows, draft.chosen, draft.answers)
    yield "training:"
    yield from comment(f"{found.why_epochs}.", 2)
    yield f"  num_train_epochs: {found.epochs}"
    yield f"  per_device_train_batch_size: {4 if draft.is_tiny else 8}"
    yield from comment(f"{found.why_rate[:1].upper()}{found.why_rate[1:]}.", 2)
    yield f"  learning_rate: {found.learning_rate}"
    yield "  lr_scheduler_type: cosine"
    yield "  warmup_steps: 4" if draft.is_tiny else "  warmup_steps: 10"
    share = f"{100 * length.covered:.0f}%"
    yield from comment(f"Tokens; by their characters, about {share} of the rows fit. Rows that are "
                       "cut are counted in the report.", 2)  # fmt: skip
    yield f"  max_length: {length.row}"
    if not draft.is_tiny:
        yield "  # bf16: true                  # on a GPU of the Ampere generation or newer"


def _lengths(draft: Draft) -> Lengths:
    return lengths(draft.looked, tiny=draft.is_tiny, encoder=bool(draft.chosen.is_encoder))


def _evaluation(draft: Draft) -> Iterator[str]:
    yield "evaluation:"
    yield "  batch_size: 32"
    if not draft.chosen.is_encoder and draft.answers.kind != "labels":
        yield from comment("English sentences of every day, before and after: does the model "
                           "forget what it knew?", 2)  # fmt: skip
        yield "  control: everyday"
    if draft.is_tiny:
        yield "  noise_examples: 8"
        yield "  latency_prompts: 3"
        yield "  latency_new_tokens: 8"
    yield from comment("The smallest difference that matters to you; verdicts then use it.", 2)
    yield "  # margin: 0.02"


def _generation(draft: Draft) -> Iterator[str]:
    if draft.answers.kind == "labels":
        return
    yield from comment("Greedy answers, long enough for 19 references of 20." if not draft.is_tiny
                       else "Greedy answers, kept short for a quick run.", 0)  # fmt: skip
    yield f"generation: {{max_new_tokens: {_lengths(draft).answer}}}"


def _tiny(draft: Draft) -> Iterator[str]:
    if draft.is_tiny or not draft.has_twin:
        return
    found = tiny_sides(
        len(draft.sample.examples) if draft.sample else draft.sizes.total,
        labels=len(draft.answers.labels),
    )
    short = lengths(draft.looked, tiny=True, encoder=False)
    rate = "3e-3" if draft.answers.kind == "labels" else "5e-3"
    yield ""
    yield from comment("`harness run … --tiny` takes the same path with a tiny model, on any "
                       "machine, in a minute or two.", 0)  # fmt: skip
    yield "tiny:"
    yield f"  model: {TINY}"
    sides = f"train: {found.train}, test: {found.test}"
    if draft.sample:
        gold = ", columns: {gold: gold}" if draft.sample.has_gold else ""
        yield from comment("Rows of yours that are short enough for it.", 2)
        yield f"  dataset: {{source: {scalar(draft.sample.name)}{gold}, {sides}}}"
    else:
        yield f"  dataset: {{{sides}}}"
    yield (
        f"  training: {{learning_rate: {rate}, per_device_train_batch_size: 4, warmup_steps: 4,"
        f" max_length: {short.row}}}"
    )
    yield "  evaluation: {noise_examples: 8, latency_prompts: 3, latency_new_tokens: 8}"
    if draft.answers.kind != "labels":
        yield f"  generation: {{max_new_tokens: {short.answer}}}"
