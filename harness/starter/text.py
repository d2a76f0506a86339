"""The YAML of a first suite, each choice with its reason in a comment."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass

from harness.counting import counted
from harness.starter.choices import Lengths, lengths, tiny_rate, tiny_sides, training
from harness.starter.dataset_text import dataset_lines
from harness.starter.draft import Draft
from harness.starter.model import TINY, Chosen
from harness.starter.yaml_text import WIDTH, comment, scalar


def suite_text(draft: Draft) -> str:
    """The suite as YAML with comments."""
    lines = [
        f"name: {scalar(draft.suite)}",
        *_folded(_description(draft)),
        "",
        "matrix:",
        *_model(draft),
        *_quantization(draft),
        *_adapters(draft),
        *dataset_lines(draft),
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


def _description(draft: Draft) -> str:
    rows = len(draft.looked.examples)
    return (
        f"Does fine-tuning help on {draft.name}, and which adapter is worth shipping?"
        f" {counted(rows, 'row', separated=True)}, read as {draft.looked.form.replace('`', '')}."
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
    if draft.chosen.is_packed:
        yield from comment("A GGUF file is unpacked while it loads, and takes no other.", 2)
    if draft.chosen.is_encoder or draft.chosen.is_packed:
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
    rate = tiny_rate(draft.answers)
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
