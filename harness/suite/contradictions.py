"""Options that cannot hold beside others, or that mean nothing here: each with the reason."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from harness.suite.options import Options
from harness.trackers.names import TRACKERS, has_unknown


def contradictions(kind: str, options: Options) -> Iterator[tuple[str, str]]:
    """Each key of ``options`` that cannot hold beside the others, with the reason."""
    for key, (holds, reason) in CONTRADICTIONS.get(kind, {}).items():
        if key in options and holds(options):
            yield key, reason


def _sampling_without_sampling(options: Options) -> bool:
    return not options.get("do_sample", False)


def _not_positive(key: str) -> Callable[[Options], bool]:
    """Whether ``key`` is a number, but not above zero. Another type is refused elsewhere."""
    return lambda o: isinstance(o[key], int | float) and o[key] <= 0


def _is_set(key: str) -> Callable[[Options], bool]:
    """Whether ``key`` is there and neither null, false nor empty."""
    return lambda o: bool(o[key])


def _no_steps(options: Options) -> bool:
    """Without an epoch and without `max_steps` the trainer ends at once, and says nothing."""
    steps = options.get("max_steps", 0)
    return _not_positive("num_train_epochs")(options) and not (isinstance(steps, int) and steps > 0)


_UNUSED = "has no effect without `do_sample: true`"
_NO_EVALUATION = "the harness scores the trained adapter itself; delete this key"
_OWN_ROWS = "the harness makes the rows itself, and this would change nothing; delete this key"
_OWN_MODEL = "the harness loads model and tokenizer by their card, and not by this; delete this key"
_NOT_ENOUGH = "an interrupted training could not go on as it was; delete this key"
CONTRADICTIONS: dict[str, dict[str, tuple[Callable[[Options], bool], str]]] = {
    "training": {
        "fp16": (lambda o: bool(o["fp16"] and o.get("bf16")), "bf16 and fp16 exclude each other"),
        "warmup_ratio": (
            lambda o: bool(o["warmup_ratio"] and o.get("warmup_steps")),
            "warmup_ratio and warmup_steps exclude each other",
        ),
        "eval_strategy": (lambda o: o["eval_strategy"] not in ("no", False), _NO_EVALUATION),
        "load_best_model_at_end": (lambda o: bool(o["load_best_model_at_end"]), _NO_EVALUATION),
        "truncation_mode": (lambda o: o["truncation_mode"] != "keep_start", _OWN_ROWS),
        "dataset_kwargs": (lambda o: bool(o["dataset_kwargs"]), _OWN_ROWS),
        **{
            key: (_is_set(key), _OWN_MODEL)
            for key in (
                "chat_template_path",
                "eos_token",
                "model_init_kwargs",
                "pad_token",
                "trust_remote_code",
            )
        },
        "loss_on": (
            lambda o: o["loss_on"] not in ("answer", "all", "prompt"),
            "must be `answer`, `all` or `prompt`",
        ),
        **{
            key: (_not_positive(key), "must be above 0")
            for key in (
                "learning_rate",
                "per_device_train_batch_size",
                "gradient_accumulation_steps",
                "max_length",
                "devices",
            )
        },
        "max_steps": (
            # the trainer makes one step or all of them, by its version
            lambda o: o["max_steps"] == 0 and not isinstance(o["max_steps"], bool),
            "must be above 0; leave it out to count epochs",
        ),
        "num_train_epochs": (_no_steps, "must be above 0, or nothing is trained"),
        "report_to": (
            lambda o: has_unknown(o["report_to"]),
            f"a list holds names of trackers alone: {', '.join(TRACKERS)}",
        ),
        "save_strategy": (lambda o: o["save_strategy"] == "best", _NO_EVALUATION),
        "save_steps": (
            lambda o: o.get("save_strategy") != "steps" or _not_positive("save_steps")(o),
            "must be above 0, and has no effect without `save_strategy: steps`",
        ),
        "save_total_limit": (_not_positive("save_total_limit"), "must be above 0"),
        "save_only_model": (lambda o: bool(o["save_only_model"]), _NOT_ENOUGH),
        "ignore_data_skip": (lambda o: bool(o["ignore_data_skip"]), _NOT_ENOUGH),
    },
    "generation": {
        **dict.fromkeys(
            ("temperature", "top_p", "top_k", "min_p", "typical_p"),
            (_sampling_without_sampling, _UNUSED),
        ),
        "max_new_tokens": (_not_positive("max_new_tokens"), "must be above 0"),
        "num_return_sequences": (
            lambda o: o["num_return_sequences"] not in (None, 1),
            "an example has one prediction",
        ),
        "max_length": (lambda o: o["max_length"] is not None, "use max_new_tokens"),
    },
    "quantization": {
        "load_in_8bit": (
            lambda o: bool(o["load_in_8bit"] and o.get("load_in_4bit")),
            "load_in_8bit and load_in_4bit exclude each other",
        ),
        **{
            key: (
                lambda o: not o.get("load_in_4bit"),
                "has no effect without `load_in_4bit: true`",
            )
            for key in (
                "bnb_4bit_quant_type",
                "bnb_4bit_use_double_quant",
                "bnb_4bit_compute_dtype",
            )
        },
        "llm_int8_threshold": (
            lambda o: not o.get("load_in_8bit"),
            "has no effect without `load_in_8bit: true`",
        ),
    },
    "adapter": {"r": (_not_positive("r"), "must be above 0")},
}
"""Kind of options → key → when it is wrong, and why."""
