"""Result files of PEFT's method comparison: MetaMathQA trained, GSM8K tested, and nothing else.

A file is one experiment: `run_info` (its settings), `train_info` (status, memory, time, metrics by
step), `meta_info` (packages, hardware). It keeps no score per example, so differences are unpaired
and the number of examples is GSM8K's. `train_time` holds tokenization and two evaluations too. Its
front is accuracy against the memory that the allocator reserved; older files call the device
`cuda` and `gpu` where newer ones say `accelerator`. The comparison has other tasks (`image-gen`,
text generation); their measures are others, so their files are refused.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.importers.foreign import mapping, number, parsed_json, rows, text_in, word
from harness.importers.imported import Imported, plain
from harness.results.result import Value, value_of
from harness.statistics import wilson

GSM8K_TEST = 1319
"""Examples of GSM8K's test split (Cobbe et al. 2021)."""
MIB = 1024**2
DEVICES = ("accelerator", "cuda")
"""What a memory field begins with, by the file's age."""
MEMORY = {
    "memory_max": "train_reserved_vram_mib",
    "memory_reserved_avg": "train_reserved_mean_vram_mib",
    "memory_reserved_99th": "train_reserved_p99_vram_mib",
}
"""A memory field without its beginning → our metric. `max` is of `max_memory_reserved`, too."""
NOT_A_RESULT = "not a result of PEFT's method comparison"
SETTINGS = ("query_template", "max_seq_length")
"""Settings that only the MetaMathQA task has: they tell its failed experiments from others'."""


def recognises(path: Path) -> bool:
    """Whether ``path`` is a JSON file with the comparison's three blocks."""
    if path.suffix != ".json" or path.name.startswith("results_"):
        return False
    try:
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return False
    if not isinstance(record, dict):
        return False
    blocks = set(record)
    return {"run_info", "meta_info"} <= blocks and bool({"train_info", "generation_info"} & blocks)


def read(paths: Sequence[Path]) -> list[Imported]:
    """One cell per file."""
    return [_cell(path, parsed_json(text_in(path), str(path))) for path in sorted(paths)]


def _cell(path: Path, record: Mapping[str, Any]) -> Imported:
    _check_task(path, record)
    run, train, meta = (mapping(record[key]) for key in ("run_info", "train_info", "meta_info"))
    settings = mapping(run.get("train_config"))
    model, status, seed = (
        word(settings.get("model_id")),
        train.get("status"),
        settings.get("seed", 0),
    )
    if not model or not word(status) or type(seed) is not int or not 0 <= seed < 2**63:
        what = "`train_config.model_id`, `train_config.seed` or `train_info.status` is missing"
        raise HarnessError(f"{NOT_A_RESULT}: {what}", where=str(path))
    failed = status != "success"
    created = word(run.get("created_at"))
    return Imported(
        model=plain(model),
        quantization="none",
        adapter=plain(path.stem),
        dataset="gsm8k",
        seed=seed,
        primary_metric="accuracy",
        source=path,
        values=() if failed else tuple(_values(train, path)),
        failed=(word(run.get("error_msg")) or str(status)).splitlines()[0] if failed else None,
        facts={"experiment": word(run.get("experiment_name")), "created_at": created},
        machine=_machine(mapping(meta.get("system_info"))),
        packages=_packages(mapping(meta.get("package_info"))),
    )


def _check_task(path: Path, record: Mapping[str, Any]) -> None:
    """Refuse a file of another task than MetaMathQA.

    Raises:
        HarnessError: the file measures something else than accuracy on GSM8K.
    """
    run, train = (record.get(key) for key in ("run_info", "train_info"))
    settings = run.get("train_config") if isinstance(run, dict) else None
    metrics = train.get("metrics") if isinstance(train, dict) else None
    last = metrics[-1] if isinstance(metrics, list) and metrics else None
    measured = sorted(last) if isinstance(last, dict) else []
    known = isinstance(settings, dict) and any(name in settings for name in SETTINGS)
    if (isinstance(train, dict) and not settings) or "test accuracy" in measured or known:
        return
    names = [name for name in measured if name.startswith("test ")] or sorted(record)
    hint = "Only MetaMathQA can be imported: its results are accuracies on GSM8K."
    text = f"a result of another task of PEFT's method comparison ({', '.join(names)})"
    raise HarnessError(text, where=str(path), hint=hint)


def _values(train: Mapping[str, Any], path: Path) -> list[Value]:
    last = mapping((rows(train.get("metrics")) or [None])[-1])
    share = number(last.get("test accuracy"))
    if share is None or not 0 <= share <= 1:
        what = f"{NOT_A_RESULT}: the last `metrics` have no `test accuracy` from 0 to 1"
        raise HarnessError(what, where=str(path))
    right = share * GSM8K_TEST
    whole = abs(right - round(right)) < 1e-6  # else it is a share of other examples
    n = GSM8K_TEST if whole else None
    low, high = wilson(round(right), GSM8K_TEST) if whole else (None, None)
    numbers = {
        "train_loss": number(last.get("train loss")),
        "forgetting": number(last.get("forgetting")),
        "train_seconds": number(train.get("train_time")),
        **_memory(train),
        "trainable_params": number(train.get("num_trainable_params")),
        "adapter_mib": _mib(train.get("file_size")),
    }
    note = {"train_seconds": "tokenization and two evaluations included"}
    return [
        replace(
            value_of("accuracy", share, n=n), ci_low=low, ci_high=high,
            signature="accuracy|gsm8k|peft_comparison",
            note=None if whole else f"no share of GSM8K's {GSM8K_TEST} test examples",
        ),
        *(
            value_of(name, value, note=note.get(name))
            for name, value in numbers.items()
            if value is not None
        ),
    ]  # fmt: skip


def _memory(train: Mapping[str, Any]) -> dict[str, float | None]:
    """Reserved memory in MiB: its maximum, mean and 99th percentile."""
    found: dict[str, float | None] = {}
    for name, metric in MEMORY.items():
        sizes = (train.get(f"{device}_{name}") for device in DEVICES)
        found[metric] = _mib(next((size for size in sizes if size is not None), None))
    return found


def _mib(size: object) -> float | None:
    found = number(size)
    return None if found is None else found / MIB


def _machine(system: Mapping[str, Any]) -> dict[str, str | int | float | None]:
    gpu = word(system.get("accelerator")) or word(system.get("gpu"))
    found = {"cpu": word(system.get("processor")), "gpu": gpu}
    return {name: value for name, value in found.items() if value}


def _packages(found: Mapping[str, Any]) -> dict[str, str]:
    suffix = "-version"
    return {k.removesuffix(suffix): v for k, v in found.items() if k.endswith(suffix) and word(v)}
