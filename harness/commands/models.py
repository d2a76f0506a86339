"""`harness models`: the model cards there are, and building the tiny ones."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from harness.commands.as_json import AS_JSON, say_json
from harness.commands.screen import say_fitted
from harness.results.text import say


@click.group()
def models() -> None:
    """List model cards; build the tiny models."""


@models.command("list")
@AS_JSON
def list_models(as_json: bool) -> None:
    """Print every model card: name, source, requirements.

    Example: harness models list
    """
    from harness.api.models import list_models as cards

    found = cards()
    if as_json:
        say_json([card.model_dump(mode="json") for card in found])
        return
    for card in found:
        where = "in this repository" if card.is_local else card.source
        gpu = "; needs CUDA" if card.requires.accelerator == "cuda" else ""
        gated = "; gated" if card.gated else ""
        say_fitted(f"{card.name:<26} {where}{gpu}{gated}; {card.licence}", " " * 27)


@models.command()
@click.argument("name")
@click.option("--peft-type", default="lora", help="The adapter's PEFT method.")
@click.option("--set", "settings", multiple=True, help="A key of its config: --set r=16.")
@AS_JSON
def show(name: str, peft_type: str, settings: tuple[str, ...], as_json: bool) -> None:
    """Print a model's parameters and bytes, and an adapter's.

    Nothing is downloaded: the architecture is built on the meta device from the card's numbers.

    Example: harness models show qwen2-0.5b-instruct --set r=8 --set target_modules=all-linear
    """
    from harness.api.models import describe_model

    found = describe_model(name, peft_type=peft_type, **_settings(settings))
    if as_json:
        say_json(found)
        return
    for key, value in found.items():
        text = f"{value:,}" if isinstance(value, int) else f"{value:.4g}"
        say(f"{key:<28} {text}")


def _settings(pairs: tuple[str, ...]) -> dict[str, Any]:
    """`key=value` texts, each value read as YAML."""
    from harness.api.models import parse_setting

    found = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        if not equals:
            raise click.UsageError(f'--set "{pair}" is not key=value')
        found[key] = parse_setting(text, where=f"--set {key}")
    return found


@models.command()
@click.argument("name", type=click.Choice(["tiny-qwen2", "tiny-llama"]))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="Folder; default runs/models/NAME."
)
@click.option("--steps", type=click.IntRange(1), help="Optimizer steps; default: the recipe's.")
@click.option("--tokens", type=click.IntRange(1), help="Tokens of text; default: the recipe's.")
@click.option("--batch", type=click.IntRange(1), help="Sequences a step; default: the recipe's.")
@click.option(
    "--processes", type=click.IntRange(1), default=1, help="Processes that generate the text."
)
def build(
    name: str, output: Path | None, steps: int | None, tokens: int | None, batch: int | None,
    processes: int,
) -> None:  # fmt: skip
    """Pretrain a tiny model from the project's own text.

    The recipe's 36,000 steps are for a GPU (about eight minutes on an H200).

    Example: harness models build tiny-qwen2 --steps 200 --tokens 400000
    """
    from harness.api.models import build_model

    asked = {"steps": steps, "tokens": tokens, "batch": batch}
    recipe = {key: value for key, value in asked.items() if value}
    made = build_model(name, output, processes=processes, **recipe)
    say(f"{made['folder']}: {made['parameters']} parameters, loss {made['final_loss']}")
