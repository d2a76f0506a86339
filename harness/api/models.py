"""Model cards: list them, look up what a model needs, and build the tiny models."""

from __future__ import annotations

from pathlib import Path

from harness.api.arguments import StrPath
from harness.errors import HarnessError
from harness.extras import need
from harness.registry import did_you_mean
from harness.suite.model_card import ModelCard, find_model_card, load_model_card, model_folders
from harness.suite.options import adapter_keys, key_problems, peft_types
from harness.suite.yaml_file import parse_value

MODELS = ("torch", "transformers", "peft", "bitsandbytes")
"""What making a model imports."""


def list_models(folder: StrPath = ".") -> list[ModelCard]:
    """Every model card that a suite in ``folder`` can name.

    Looked for in ``models/`` of that folder and of those above it, then among those that ship; the
    first of a name counts.
    """
    found: dict[str, Path] = {}
    for place in model_folders(Path(folder)):
        for path in sorted(place.glob("*.yaml")):
            found.setdefault(path.stem, path)
    return [load_model_card(path) for path in found.values()]


def parse_setting(text: str, *, where: str) -> object:
    """The value of ``text``, the right side of `r=16`, as a suite would read it.

    Raises:
        HarnessError: it is not YAML; the message begins with ``where``.
    """
    return parse_value(text, where)


def describe_model(
    name: str, *, peft_type: str = "lora", folder: StrPath = ".", **adapter: object
) -> dict[str, int | float]:
    """Look up a model's parameters, its size under each quantization, and an adapter's share.

    Nothing is downloaded: the architecture is built on the meta device from the card's numbers.
    This imports torch.

    Args:
        name: A model card's.
        peft_type: The adapter's PEFT method.
        folder: Where cards are looked for; see `list_models`.
        adapter: Keys of the adapter's config: ``r=8, target_modules="all-linear"``.

    Raises:
        HarnessError: no such card, it has no architecture, or the adapter does not fit it.
    """
    need("describing a model", MODELS)
    from harness.backends.hf.models.random import described

    card = find_model_card(name, model_folders(Path(folder)))
    if peft_type not in peft_types():
        hint = did_you_mean(peft_type, peft_types())
        raise HarnessError(f'"{peft_type}" is not a PEFT method', hint=hint)
    for _, problem in key_problems(adapter, adapter_keys(peft_type)):
        raise HarnessError(f"{peft_type}: {problem}")
    return described(card, {"peft_type": peft_type, **adapter})


def build_model(
    name: str, output: StrPath | None = None, *, processes: int = 1, **recipe: int
) -> dict[str, object]:
    """Pretrain the tiny model ``name`` from the project's own text, and return its statistics.

    This imports torch.

    Args:
        name: `tiny-qwen2` or `tiny-llama`.
        output: The model's folder; default ``runs/models/<name>``.
        processes: Processes that make the text.
        recipe: `steps`, `tokens` and `batch` in place of the recipe's.
    """
    need("building a model", MODELS)
    from harness.tiny_models.pretraining import Recipe, build

    place = Path(output) if output else Path("runs/models") / name
    return {**build(Recipe(name, **recipe), place, processes=processes), "folder": str(place)}
