"""The recipe of the tiny models: their tokenizer and weights from the project's own text.

``harness models build tiny-qwen2`` runs it; so does, with only torch, transformers and
tokenizers installed, ``python -m harness.tiny_models.pretraining tiny-qwen2 --out DIR``.
"""

from __future__ import annotations

import argparse
import json
import math
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2Config,
    Qwen2ForCausalLM,
)

from harness.counting import counted
from harness.tiny_models.corpus import chats, documents

SPECIAL = ["<|pad|>", "<|endoftext|>", "<|im_start|>", "<|im_end|>"]
CHAT_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}"
    "<|im_end|>\n{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
"""ChatML."""

SHARDS = 32
"""Parts that the text is made in, each from its own seed; how many processes make them is free."""
SHAPE: dict[str, int] = {
    "hidden_size": 192,
    "num_hidden_layers": 4,
    "num_attention_heads": 6,
    "max_position_embeddings": 1024,
}


@dataclass(frozen=True)
class Recipe:
    """What is asked of a build; the same recipe sees the same text in the same order."""

    name: str
    seed: int = 0
    steps: int = 36_000
    batch: int = 128
    """Sequences per step."""
    length: int = 512
    """Tokens per sequence."""
    tokens: int = 96_000_000
    """Tokens of generated text to sample sequences from."""
    learning_rate: float = 3e-3
    warmup: int = 200
    vocabulary: int = 4096
    tokenizer_texts: int = 40_000
    """Texts that the tokenizer learns its vocabulary from."""


def build_tokenizer(texts: Iterable[str], vocabulary: int) -> Tokenizer:
    """A byte-level BPE tokenizer with every digit a token of its own."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Digits(individual_digits=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=SPECIAL,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    return tokenizer


def as_pretrained(tokenizer: Tokenizer) -> PreTrainedTokenizerFast:
    """``tokenizer`` as transformers saves it: ChatML, end of text `<|im_end|>`, no start token."""
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<|im_end|>",
        pad_token="<|pad|>",
        additional_special_tokens=["<|im_start|>", "<|endoftext|>"],
        chat_template=CHAT_TEMPLATE,
        model_max_length=SHAPE["max_position_embeddings"],
        clean_up_tokenization_spaces=False,
    )


def new_model(name: str, vocabulary: int) -> Any:
    """The untrained architecture called ``name``: `tiny-qwen2` or `tiny-llama`."""
    shared = {
        **SHAPE,
        "vocab_size": vocabulary,
        "tie_word_embeddings": True,
        "pad_token_id": 0,
        "eos_token_id": 3,
        "bos_token_id": None,
    }
    if name == "tiny-qwen2":
        config = Qwen2Config(**shared, num_key_value_heads=2, intermediate_size=512)
        return Qwen2ForCausalLM(config)
    if name == "tiny-llama":
        return LlamaForCausalLM(LlamaConfig(**shared, num_key_value_heads=6, intermediate_size=448))
    raise ValueError(f"no recipe for {name!r}: tiny-qwen2 or tiny-llama")


def sample_texts(seed: int, count: int) -> list[str]:
    """Documents and ChatML chats, half and half."""
    texts = list(documents(seed, count // 2))
    for user, answer in chats(seed + 1, count // 2):
        texts.append(
            f"<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n{answer}<|im_end|>\n"
        )
    return texts


def _encoded(job: tuple[str, int, int]) -> np.ndarray[Any, Any]:
    """About ``size`` tokens of text made from ``seed``."""
    text, seed, size = job
    tokenizer = Tokenizer.from_str(text)
    ids: list[int] = []
    rounds = 0
    end = SPECIAL.index("<|endoftext|>")
    rng = np.random.default_rng(seed)
    while len(ids) < size:
        texts = sample_texts(seed * 1000 + 2 * rounds, min(3000, size // 50 + 10))
        rng.shuffle(texts)
        for encoding in tokenizer.encode_batch(texts):
            ids.extend(encoding.ids)
            ids.append(end)
        rounds += 1
    return np.asarray(ids[:size], dtype=np.uint16)


def token_stream(tokenizer: Tokenizer, recipe: Recipe, processes: int) -> np.ndarray[Any, Any]:
    """``recipe.tokens`` tokens of generated text, the same for any number of ``processes``."""
    share = math.ceil(recipe.tokens / SHARDS)
    jobs = [(tokenizer.to_str(), recipe.seed * 977 + i + 1, share) for i in range(SHARDS)]
    if processes == 1:
        return np.concatenate([_encoded(job) for job in jobs])
    with get_context("spawn").Pool(processes) as pool:
        return np.concatenate(pool.map(_encoded, jobs, chunksize=1))


def pretrain(
    recipe: Recipe, tokenizer: Tokenizer, stream: np.ndarray[Any, Any], out: Path
) -> dict[str, Any]:
    """Train ``recipe``'s model on ``stream`` and save everything to ``out``.

    Returns:
        The account written to ``recipe.json``: losses in nats per token, seconds, hardware.
    """
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.manual_seed(recipe.seed)
    model = new_model(recipe.name, recipe.vocabulary).to(device)
    data = torch.from_numpy(stream.astype(np.int32)).to(device)
    started = time.monotonic()
    losses = _steps(model, data, recipe)
    seconds = time.monotonic() - started
    _save(model, tokenizer, out)
    account = {
        **asdict(recipe),
        "tokens_seen": len(losses) * recipe.batch * recipe.length,
        "first_loss": round(losses[0], 4),
        "final_loss": round(float(np.mean(losses[-50:])), 4),
        "parameters": model.num_parameters(),
        "seconds": round(seconds, 1),
        "hardware": torch.cuda.get_device_name() if device.type == "cuda" else "CPU",
        "torch": torch.__version__,
        "transformers": transformers.__version__,
    }
    (out / "recipe.json").write_text(json.dumps(account, indent=1) + "\n", encoding="utf-8")
    return account


def _steps(model: Any, data: torch.Tensor, recipe: Recipe) -> list[float]:
    optimizer = torch.optim.AdamW(
        model.parameters(),
        lr=recipe.learning_rate,
        betas=(0.9, 0.95),
        weight_decay=0.1,
        fused=data.device.type == "cuda",
    )
    offsets = torch.arange(recipe.length, device=data.device)
    generator = torch.Generator().manual_seed(recipe.seed)
    kept: list[torch.Tensor] = []
    step_model = torch.compile(model) if data.device.type == "cuda" else model
    started = time.monotonic()
    for step in range(recipe.steps):
        for group in optimizer.param_groups:
            group["lr"] = recipe.learning_rate * _schedule(step, recipe)
        starts = torch.randint(0, len(data) - recipe.length, (recipe.batch, 1), generator=generator)
        ids = data[starts.to(data.device) + offsets].long()
        with torch.autocast(data.device.type, torch.bfloat16, enabled=data.device.type == "cuda"):
            loss = step_model(input_ids=ids, labels=ids, use_cache=False).loss
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
        kept.append(loss.detach())
        if step % 1000 == 0:
            seconds = time.monotonic() - started
            print(f"step {step} loss {loss.item():.4f} {seconds:.0f} s", flush=True)
    return [float(loss) for loss in kept]


def _schedule(step: int, recipe: Recipe) -> float:
    """Linear warm-up, then a cosine to a fiftieth."""
    if step < recipe.warmup:
        return (step + 1) / recipe.warmup
    return 0.02 + 0.49 * (1 + math.cos(math.pi * step / recipe.steps))


def _save(model: Any, tokenizer: Tokenizer, out: Path) -> None:
    """Weights as float32, or bfloat16 where float32 would pass 8 MB."""
    out.mkdir(parents=True, exist_ok=True)
    model.generation_config = GenerationConfig(pad_token_id=0, eos_token_id=3)
    if model.num_parameters() * 4 > 7_000_000:
        model = model.to(torch.bfloat16)
    model.save_pretrained(out)
    as_pretrained(tokenizer).save_pretrained(out)


def build(recipe: Recipe, out: Path, *, processes: int = 1) -> dict[str, object]:
    """Make text, tokenizer and weights of ``recipe`` in ``out``; the account of it."""
    tokenizer = build_tokenizer(sample_texts(12345, recipe.tokenizer_texts), recipe.vocabulary)
    started = time.monotonic()
    stream = token_stream(tokenizer, recipe, processes)
    print(f"{counted(len(stream), 'token')} in {time.monotonic() - started:.0f} s", flush=True)
    return pretrain(recipe, tokenizer, stream, out)


def main() -> None:
    """Build the model named on the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("name")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--processes", type=int, default=1)
    for key in ("steps", "batch", "tokens", "seed"):
        parser.add_argument(f"--{key}", type=int, default=getattr(Recipe(""), key))
    options = vars(parser.parse_args())
    out, processes = (options.pop(key) for key in ("out", "processes"))
    print(build(Recipe(**options), out, processes=processes), flush=True)


if __name__ == "__main__":
    main()
