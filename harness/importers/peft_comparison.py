"""Result files of PEFT's method comparison (MetaMathQA trained, GSM8K tested).

A file is one experiment: `run_info` (its settings), `train_info` (status, memory, time, metrics by
step), `meta_info` (packages, hardware). It keeps no score per example, so differences are unpaired
and the number of examples is GSM8K's. `train_time` holds tokenization and two evaluations too.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.importers.imported import Imported, plain
from harness.metrics.facts import fact
from harness.results.result import Value
from harness.statistics import wilson

GSM8K_TEST = 1319
"""Examples of GSM8K's test split (Cobbe et al. 2021)."""
MIB = 1024**2


def recognises(path: Path) -> bool:
    """Whether ``path`` is a JSON file with the comparison's three blocks."""
    if path.suffix != ".json" or path.name.startswith("results_"):
        return False
    try:
        record = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(record, dict) and {"run_info", "train_info", "meta_info"} <= set(record)


def read(paths: Sequence[Path]) -> list[Imported]:
    """One cell per file."""
    return [_cell(path, json.loads(path.read_text("utf-8"))) for path in sorted(paths)]


def _cell(path: Path, record: dict[str, Any]) -> Imported:
    try:
        run, train, meta = (record[key] for key in ("run_info", "train_info", "meta_info"))
        settings = run["train_config"]
        failed = train["status"] != "success"
        return Imported(
            model=plain(settings["model_id"]),
            quantization="none",
            adapter=plain(path.stem),
            dataset="gsm8k",
            seed=settings.get("seed", 0),
            primary_metric="accuracy",
            source=path,
            values=() if failed else tuple(_values(train)),
            failed=(run.get("error_msg") or train["status"]).splitlines()[0] if failed else None,
            facts={"experiment": run.get("experiment_name"), "created_at": run.get("created_at")},
            machine=_machine(meta.get("system_info", {})),
            packages=_packages(meta.get("package_info", {})),
        )
    except (KeyError, TypeError, IndexError) as error:
        text = f"no result of PEFT's comparison: {type(error).__name__} {error}"
        raise HarnessError(text, where=str(path)) from None


def _values(train: dict[str, Any]) -> list[Value]:
    last = train["metrics"][-1]
    share = last["test accuracy"]
    low, high = wilson(round(share * GSM8K_TEST), GSM8K_TEST)
    numbers = {
        "train_loss": last.get("train loss"),
        "forgetting": last.get("forgetting"),
        "train_seconds": train.get("train_time"),
        "train_reserved_vram_mib": _mib(train.get("accelerator_memory_max")),
        "trainable_params": train.get("num_trainable_params"),
        "adapter_mib": _mib(train.get("file_size")),
    }
    note = {"train_seconds": "tokenization and two evaluations included"}
    return [
        Value(
            "accuracy", share, *fact("accuracy"), GSM8K_TEST, low, high,
            signature="accuracy|gsm8k|peft_comparison",
        ),
        *(
            Value(name, value, *fact(name), note=note.get(name))
            for name, value in numbers.items()
            if value is not None
        ),
    ]  # fmt: skip


def _mib(size: float | None) -> float | None:
    return None if size is None else size / MIB


def _machine(system: dict[str, Any]) -> dict[str, Any]:
    gpu = system.get("accelerator")
    return {"cpu": system.get("processor"), "cores": None, "memory_gib": None, "gpu": gpu}


def _packages(found: dict[str, Any]) -> dict[str, str]:
    suffix = "-version"
    return {k.removesuffix(suffix): v for k, v in found.items() if k.endswith(suffix) and v}
