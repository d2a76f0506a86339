"""Every causal architecture of transformers: our answers are those of `generate` one at a time.

A tiny model of each is built from its configuration with random weights, in float32. A dozen that
stand for the kinds run always, all of them by ``tox -e architectures`` and on a GPU.
"""

import warnings
from collections import Counter

import pytest
import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import CONFIG_MAPPING, PreTrainedTokenizerFast, set_seed
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
    AutoModelForCausalLM,
)

from harness.backends.hf.decoding.decode import decode
from harness.backends.hf.decoding.evidence import ENGINE_TYPES, PADDED_TYPES
from harness.backends.hf.decoding.likelihood import score_answers
from harness.backends.hf.encoding import Encoded
from harness.errors import HarnessError

SIZES = {
    "vocab_size": 256, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 4,
    "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 256,
    "pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2,
}  # fmt: skip
WHERE_NAMED = {
    "attention_chunk_size": 8, "attn_layer_indices": [1, 3], "attn_layer_offset": 1,
    "attn_layer_period": 2, "decoder_attention_heads": 4, "decoder_ffn_dim": 64,
    "decoder_layers": 2, "embedding_size": 64, "encoder_attention_heads": 4,
    "encoder_ffn_dim": 64, "encoder_layers": 2, "expert_ffn_hidden_size": 32,
    "ffn_hidden_size": 64, "full_attn_idxs": [1, 3], "head_dim": 16,
    "hidden_size_per_layer_input": 16, "index_head_dim": 32, "index_n_heads": 4,
    "index_topk": 256, "intermediate_size_mlp": 64, "is_decoder": True, "kv_lora_rank": 16,
    "linear_key_head_dim": 16, "linear_num_key_heads": 2, "linear_num_value_heads": 4,
    "linear_value_head_dim": 16, "mamba_chunk_size": 16, "mamba_d_head": 16,
    "mamba_head_dim": 16, "mamba_n_heads": 8, "mamba_num_heads": 4, "moe_intermediate_size": 32,
    "moe_shared_expert_intermediate_size": 32, "moe_topk": 2, "n_group": 1,
    "n_routed_experts": 4, "num_experts": 4, "num_experts_per_tok": 2, "num_local_experts": 4,
    "q_lora_rank": 16, "qk_nope_head_dim": 16, "qk_rope_head_dim": 16, "rotary_dim": 16,
    "shared_expert_intermediate_size": 32, "sliding_window": 8, "topk_group": 1,
    "v_head_dim": 16, "vocab_size_per_layer_input": 256,
}  # fmt: skip
"""Sizes of the kinds of layers that only some architectures have."""
NEEDED = {
    "gpt_neo": {"attention_types": [[["global", "local"], 2]], "window_size": 8},
    "granitemoehybrid": {"layer_types": ["mamba", "attention"] * 2},
    "mamba2": {"num_heads": 8, "head_dim": 16},
    "nemotron_h": {"hybrid_override_pattern": "M*M*"},
    "plbart": {"decoder_attention_heads": 4}, "whisper": {"decoder_attention_heads": 4},
    "ministral": {"head_dim": 16}, "hunyuan_v1_dense": {"head_dim": 16},
    "hunyuan_v1_moe": {"head_dim": 16},
    "prophetnet": {"num_hidden_layers": None, "num_decoder_layers": 2, "num_encoder_layers": 2},
    "xlnet": {"max_position_embeddings": None},
    "xmod": {"default_language": "en_XX"},
    "xlm": {"causal": True, "is_encoder": False},
}  # fmt: skip
"""What an architecture's configuration needs besides; None leaves a size out."""
LARGEST = 30_000_000
"""Parameters above which a configuration has parts that these sizes do not reach."""
DOZEN = (
    "llama", "mistral", "qwen2", "gemma2", "gpt_oss", "gpt2", "gptj", "opt", "bloom", "mpt",
    "mamba", "rwkv", "recurrent_gemma", "bart", "bert", "mixtral",
)  # fmt: skip
"""Rotary, windowed, eager, softcapped, learned and alibi positions, recurrent, encoder-decoder."""
LEAST = 120
WAYS = ("engine", "padded", "one length", "one prompt")
NEW = 12
END = 255
DEVICES = ["cpu", pytest.param("cuda", marks=pytest.mark.gpu)]


def built(kind, device):
    """The tiny model of ``kind``; None where no tried configuration builds one that generates."""
    for options in attempts(kind):
        try:
            config = CONFIG_MAPPING[kind](**options())
            with torch.device("meta"):
                if AutoModelForCausalLM.from_config(config).num_parameters() > LARGEST:
                    continue
            set_seed(0)
            model = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
            for parameter in model.parameters():
                if parameter.dim() > 1:  # wide enough that another mask gives another token
                    parameter.data.normal_(0, 0.2)
            model = model.to(device).eval()
            alone(model, [[5, 6, 7]], 2)
        except Exception:  # of any kind: a configuration that these sizes do not fit
            continue
        return model
    return None


def attempts(kind):
    def everything():
        default = CONFIG_MAPPING[kind]()
        named = {k: v for k, v in WHERE_NAMED.items() if getattr(default, k, None) is not None}
        if hasattr(default, "kv_lora_rank"):  # latent attention has as many key heads
            named = {**named, "num_key_value_heads": 4}
            named.pop("head_dim", None)
        return without_none({**SIZES, **named, **NEEDED.get(kind, {})})

    def sizes_alone():
        return without_none({**SIZES, **NEEDED.get(kind, {})})

    def as_it_is():
        return {"vocab_size": 256, **NEEDED.get(kind, {})}

    return everything, sizes_alone, as_it_is


def without_none(options):
    return {key: value for key, value in options.items() if value is not None}


def alone(model, prompts, new):
    """The tokens of each prompt by `generate`, one at a time, its end included."""
    found = []
    for prompt in prompts:
        ids = torch.tensor([prompt], device=model.device)
        out = model.generate(
            input_ids=ids, attention_mask=torch.ones_like(ids), do_sample=False,
            max_new_tokens=new, pad_token_id=0, eos_token_id=END,
        )  # fmt: skip
        row = out[0, len(prompt) :].tolist()
        found.append(row[: row.index(END) + 1] if END in row else row)
    return found


def nll_alone(model, row):
    ids = torch.tensor([row.prompt_ids + row.answer_ids], device=model.device)
    with torch.inference_mode():
        logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), use_cache=False).logits
    first = len(row.prompt_ids) - 1
    kept = logits[0, first : first + len(row.answer_ids)].float().log_softmax(-1)
    return -sum(float(kept[k, token]) for k, token in enumerate(row.answer_ids))


@pytest.fixture(scope="module")
def tokenizer():
    words = {str(k): k for k in range(256)}
    plain = Tokenizer(WordLevel(words, unk_token="0"))
    plain.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(
        tokenizer_object=plain, pad_token="0", eos_token=str(END), unk_token="0"
    )


def prompts():
    generator = torch.Generator().manual_seed(0)
    return [
        torch.randint(3, 250, (n,), generator=generator).tolist() for n in (5, 13, 21, 9, 17, 5, 2)
    ]


def difference(model, tokenizer):
    """How our answers or likelihoods differ from those of one prompt at a time, and how decoded."""
    rows = prompts()
    wanted = [tokenizer.decode(row, skip_special_tokens=True) for row in alone(model, rows, NEW)]
    options = {"max_new_tokens": NEW, "do_sample": False}
    found = decode(model, tokenizer, rows, options=options, batch_size=4)
    differing = [k for k, a in enumerate(found.answers) if a.text != wanted[k]]
    scored = [Encoded(row[:-3], row[-3:], False) for row in rows if len(row) > 4]
    for row, score in zip(scored, score_answers(model, scored, pad=0, batch_size=4), strict=True):
        if score.nll != pytest.approx(nll_alone(model, row), rel=1e-4, abs=1e-3):
            differing.append(f"likelihood {score.nll}")
    return differing, found.how


@pytest.mark.parametrize("kind", DOZEN)
def test_a_kind_of_architecture_answers_as_one_prompt_at_a_time(kind, tokenizer):
    model = built(kind, "cpu")
    differing, how = difference(model, tokenizer)
    assert not differing, how
    assert (how["engine"] == "eager") == (kind in ENGINE_TYPES), how
    if kind in PADDED_TYPES:
        assert how["batches"] == "padded", how


@pytest.mark.architectures
@pytest.mark.timeout(3000)
@pytest.mark.parametrize("device", DEVICES)
def test_every_architecture_answers_as_one_prompt_at_a_time(device, tokenizer, capsys):
    warnings.simplefilter("ignore")
    ways, differing, slower = Counter(), {}, {}
    for kind in sorted(MODEL_FOR_CAUSAL_LM_MAPPING_NAMES):
        model = built(kind, device)
        if model is None:
            ways["not built"] += 1
            continue
        try:
            wrong, how = difference(model, tokenizer)
        except HarnessError as error:  # a model that reads later tokens
            ways[str(error).split(" (")[0]] += 1
            continue
        way = how.get("batches", "engine")
        ways[way] += 1
        if wrong:
            differing[kind] = (wrong, how)
        name = model.config.model_type
        if (name in ENGINE_TYPES and way != "engine") or (name in PADDED_TYPES and way != "padded"):
            slower[kind] = how
    with capsys.disabled():
        print(dict(ways))
    assert differing == {}
    assert slower == {}, "on the list, and not decoded as it says"
    assert sum(ways[way] for way in WAYS) >= LEAST


def test_an_encoder_cannot_continue_a_text(tokenizer):
    set_seed(0)
    config = CONFIG_MAPPING["bert"](**SIZES)
    model = AutoModelForCausalLM.from_config(config).eval()
    for parameter in model.parameters():
        if parameter.dim() > 1:
            parameter.data.normal_(0, 0.2)
    with pytest.raises(HarnessError, match="bert reads later tokens"):
        difference(model, tokenizer)
