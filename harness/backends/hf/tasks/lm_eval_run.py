"""lm-evaluation-harness on the loaded model: its own `HFLM` around our model, nothing loaded twice.

Requests, tokenization, truncation, stop sequences and scores are the tool's by construction.
What the model is, quantized or under an adapter, is ours. So that the numbers are those of the
tool's own run, it gets the checkpoint's tokenizer and generation config as they are on disk:
`load_model` has replaced both by what the suite says.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, GenerationConfig, PreTrainedModel

from harness.backends.base import TaskRun
from harness.backends.hf.models.checkpoint import from_hub
from harness.datasets.lm_eval_task import describe_task, lm_eval_version, task_manager
from harness.errors import HarnessError
from harness.plan.cell import Cell
from harness.suite.model_card import ModelCard

LEFT_OUT = ("samples", "pretty_env_info", "git_hash", "upper_git_hash", "date", "config")
"""Of the tool's results: the samples, which are kept with the answers; the time and the machine,
which we record ourselves; settings, of which `SETTINGS` are kept."""
SETTINGS = (
    "model_num_parameters", "model_dtype", "batch_size", "limit", "gen_kwargs", "random_seed",
    "numpy_seed", "torch_seed", "fewshot_seed",
)  # fmt: skip
BOOTSTRAP = 100_000
"""The tool's default. Standard errors of means need no resampling, and are what it is for: of
perplexities and corpus scores it would take minutes, and our own intervals stand beside them."""


def run_task(model: PreTrainedModel, cell: Cell) -> TaskRun:
    """The task of ``cell``, asked and scored by the tool.

    Raises:
        HarnessError: the tool cannot run the task.
    """
    from lm_eval.evaluator import simple_evaluate
    from lm_eval.models.huggingface import HFLM

    entry, folder = cell.dataset, Path(cell.base_folder)
    task = describe_task(entry, folder)
    tokenizer = from_hub(AutoTokenizer.from_pretrained, cell.model)
    chat = entry.apply_chat_template or False
    if chat and not tokenizer.chat_template:
        hint = "Delete `apply_chat_template`."
        raise HarnessError(f'model "{cell.model.name}" has no chat template', hint=hint)
    with _checkpoint_generation(model, cell.model), _without_survey():
        lm = HFLM(
            pretrained=model, tokenizer=tokenizer, backend="causal",
            batch_size=cell.evaluation.batch_size,
            chat_template_args=dict(cell.model.template_kwargs),
        )  # fmt: skip
        given = simple_evaluate(
            model=lm,
            tasks=[task.name],
            task_manager=task_manager(entry, folder),
            num_fewshot=entry.num_fewshot,
            limit=entry.limit,
            batch_size=cell.evaluation.batch_size,
            apply_chat_template=chat,
            fewshot_as_multiturn=entry.fewshot_as_multiturn is not False,
            system_instruction=entry.system_instruction,
            bootstrap_iters=BOOTSTRAP if _has_means_alone(task.metrics) else 0,
        )
    assert given is not None  # it is of other ranks, and there is one process
    plain = _plain(given)
    results = {key: value for key, value in plain.items() if key not in LEFT_OUT}
    results["config"] = {key: plain["config"].get(key) for key in SETTINGS}
    return TaskRun(results=results, samples=plain["samples"])


def _has_means_alone(metrics: tuple[str, ...]) -> bool:
    return all(
        name.partition(",")[0] in ("acc", "acc_norm", "exact_match", "em") for name in metrics
    )


@contextmanager
def _without_survey() -> Iterator[None]:
    """Keep the tool from listing the machine's packages, compilers and drivers after each task.

    It takes seconds a cell, and is in the run's `environment.json` anyway.
    """
    from lm_eval import evaluator

    survey = getattr(evaluator, "add_env_info", None)
    if survey is None:
        yield
        return
    evaluator.add_env_info = lambda storage: storage.update(lm_eval_version=lm_eval_version())
    try:
        yield
    finally:
        evaluator.add_env_info = survey


@contextmanager
def _checkpoint_generation(model: PreTrainedModel, card: ModelCard) -> Iterator[None]:
    """The checkpoint's own generation config in place of ours: ends, penalties and all."""
    kept = model.generation_config
    try:
        own = GenerationConfig.from_pretrained(card.source, revision=card.revision)
    except OSError:  # older checkpoints have none; then it is made of the model's config
        own = GenerationConfig.from_model_config(model.config)
    inner = model.get_base_model() if hasattr(model, "get_base_model") else model
    before = inner.generation_config
    model.generation_config = inner.generation_config = own
    try:
        yield
    finally:
        model.generation_config, inner.generation_config = kept, before


def _plain(given: Mapping[str, Any]) -> dict[str, Any]:
    """``given`` as strict JSON has it: what is not a finite number is absent."""
    from lm_eval.utils import handle_non_serializable

    text = json.dumps(given, default=handle_non_serializable, ensure_ascii=False)
    found: dict[str, Any] = _finite(json.loads(text))
    return found


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
