"""Exported files read by llama.cpp itself: the same tokens, the same greedy answers.

CI does not install xllamacpp, a wheel of llama.cpp with its server: `tox -e llamacpp` does.
"""

import json
from urllib.request import Request, urlopen

import pytest
import torch

from harness.backends.hf.export.gguf_file import write_gguf
from harness.backends.hf.export.merged import merge

llama = pytest.importorskip("xllamacpp")
TEXTS = [
    "Сколько будет 12 + 3?",
    "Why save money in 2024? It's 3.5%\n\n  ok",
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
]
TOKENS = 12


@pytest.fixture
def ask():
    """Starts llama.cpp's server in this process; asks it."""

    def start(path):
        settings = llama.CommonParams()
        settings.model.path = str(path)
        settings.n_ctx, settings.n_parallel, settings.warmup = 512, 1, False
        server = llama.Server(settings)

        def post(place, **body):
            head = {"Content-Type": "application/json"}
            address = f"{server.listening_address}/{place}"
            return json.load(urlopen(Request(address, json.dumps(body).encode(), head)))

        return post

    return start


@pytest.mark.parametrize("model", ["tiny-qwen2", "tiny-llama"])
def test_llama_cpp_reads_the_same_tokens_and_answers_the_same(
    cell_of, adapter_of, tmp_path, ask, model
):
    cell = cell_of(model)
    merged = merge(cell, adapter_of(cell))
    write_gguf(merged, tmp_path / "m.gguf", stored="f32", name="x")
    post = ask(tmp_path / "m.gguf")
    for text in TEXTS:
        ids = merged.tokenizer(text)["input_ids"]
        read = post("tokenize", content=text, add_special=True, parse_special=True)["tokens"]
        assert read == ids
        settings = {"n_predict": TOKENS, "temperature": 0, "return_tokens": True}
        theirs = post("completion", prompt=text, cache_prompt=False, **settings)["tokens"]
        whole = merged.model.generate(
            torch.tensor([ids]), max_new_tokens=TOKENS, do_sample=False, eos_token_id=None
        )
        ours = whole[0, len(ids) :].tolist()
        assert len(theirs) in (TOKENS, *(ours.index(t) + 1 for t in set(ours)))  # it may have ended
        assert ours[: len(theirs)] == theirs
