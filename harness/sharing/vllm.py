"""How vLLM serves what a cell has trained: the command, and decoding as it was scored."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from pathlib import Path

from harness.suite.parts import Options

RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""Values that vLLM's `--max-lora-rank` takes."""
GENERATION = "serving"
"""The folder of the generation config for `--generation-config`: apart from the model's own, which
transformers would refuse to save with these values."""
_PLAIN = {
    "modules_to_save": (None, []), "use_dora": (None, False), "bias": (None, "none"),
    "rank_pattern": (None, {}), "alpha_pattern": (None, {}), "trainable_token_indices": (None,),
    "target_parameters": (None, []), "lora_bias": (None, False),
}  # fmt: skip
"""Key of a LoRA config → the values under which it is plain LoRA, which vLLM serves."""


def merging_reason(config: Mapping[str, object], quantization: str) -> str | None:
    """Why vLLM cannot serve an adapter beside its base; None if it can.

    Args:
        config: The adapter's `adapter_config.json`.
        quantization: Of the cell that it was trained in.
    """
    if config.get("peft_type") != "LORA":
        return f"vLLM serves LoRA alone, and this is {config.get('peft_type')}"
    for key, plain in _PLAIN.items():
        if config.get(key) not in plain:
            return f"vLLM serves no LoRA with `{key}`"
    if int(str(config["r"])) > RANKS[-1]:
        return f"vLLM serves LoRA up to rank {RANKS[-1]}"
    if quantization != "none":
        return f"it was trained on {quantization} weights, and vLLM would serve it on others"
    return None


def serve_command(
    folder: Path, name: str, *, base: str | None, revision: str | None, config: Mapping[str, object]
) -> str:
    """The command that serves ``folder``: a merged model, or an adapter on ``base``."""
    settings = ["--generation-config", str(folder / GENERATION)]
    if base is None:
        words = ["vllm", "serve", str(folder), "--served-model-name", name, *settings]
        return shlex.join(words)
    rank = next(r for r in RANKS if r >= int(str(config["r"])))
    words = ["vllm", "serve", base, *(["--revision", revision] if revision else [])]
    words += ["--enable-lora", "--lora-modules", f"{name}={folder / 'adapter'}"]
    words += ["--max-lora-rank", str(rank), *settings]
    return shlex.join(words)


def generation_config(generation: Options, stops: list[int]) -> dict[str, object]:
    """What vLLM samples by unless a request says otherwise: as the cell was scored."""
    found: dict[str, object] = {"eos_token_id": stops}
    keys = ("temperature", "top_p", "top_k", "min_p", "repetition_penalty")
    if generation.get("do_sample"):
        found |= {key: generation[key] for key in keys if generation.get(key) is not None}
    else:
        found["temperature"] = 0.0
        if generation.get("repetition_penalty"):
            found["repetition_penalty"] = generation["repetition_penalty"]
    return found
