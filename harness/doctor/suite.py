"""What of a suite can run here, why the rest cannot, and what is still to be fetched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from harness.counting import counted
from harness.datasets.sources import source_of
from harness.doctor.finding import Finding
from harness.doctor.surroundings import free_gib
from harness.extras import how, is_installed
from harness.plan.architecture import architecture_of, dtype_bytes, shape_of
from harness.plan.backends import packages_of
from harness.plan.cell import Cell
from harness.plan.decision import Decision
from harness.plan.hub import is_cached, is_data_cached
from harness.plan.machine import query_gpus
from harness.plan.plan import Plan
from harness.suite.model_card import ModelCard
from harness.user_path import typed

AREA = "suite"
PROBED = ("torch", "transformers", "peft", "trl")
"""Steps of the probe without which no cell of the backend `hf` runs."""
ANSWERS_MIB = 2.0
"""Stored answers, logs and results of one cell: some hundred rows of a few kilobytes."""


def findings(plan: Plan, steps: Mapping[str, Mapping[str, Any]], on_gpu: bool) -> Iterator[Finding]:
    """What of ``plan`` can run.

    Args:
        plan: The plan of the suite.
        steps: What the probe said of each step.
        on_gpu: Whether cells run on a CUDA device.
    """
    reasons = {d.key: _reason(d, steps, on_gpu) for d in plan.decisions}
    able = [d for d in plan.decisions if reasons[d.key] is None and d.action == "run"]
    done = [d for d in plan.decisions if d.action == "current"]
    total = len(plan.decisions)
    text = f"{len(able) + len(done)} of {counted(total, 'cell')} can run here"
    if done:
        text += f", {len(done)} of them are done"
    facts = {"cells": total, "can_run": len(able), "done": len(done)}
    state = "ok" if len(able) + len(done) == total else "warn" if able or done else "fail"
    yield Finding(AREA, plan.suite.name, state, text, facts=facts)  # type: ignore[arg-type]
    yield from _cannot(plan.decisions, reasons)
    yield from _room(able)
    sizes = _to_download(able)
    yield from _fetching(able, sizes)
    yield from _disk(able, sizes, plan.run.directory)
    if able:
        text = "not known before something has run"
        hint = f"`harness plan {typed(plan.path)} --calibrate` runs some cells cut short to tell."
        yield Finding(AREA, "time", "note", text, hint)


def _reason(decision: Decision, steps: Mapping[str, Mapping[str, Any]], on_gpu: bool) -> str | None:
    """Why the cell cannot run; None if nothing speaks against, or if it need not run."""
    if decision.action == "skip":
        return decision.reason or "skipped"
    if decision.action != "run":
        return None
    missing = [name for name in packages_of(decision.cell.backend) if not is_installed(name)]
    if missing:
        return f"{', '.join(missing)}: not installed; {how(missing[0])}"
    for step in _steps_of(decision.cell, "cuda" if on_gpu else "cpu"):
        found = steps.get(step)
        if found is not None and not found["ok"]:
            return f"{step} does not work here: {found['error']}"
    return None


def _steps_of(cell: Cell, device: str) -> list[str]:
    """The steps of the probe that ``cell`` depends on."""
    if cell.is_served:  # nothing is loaded here
        return []
    config = cell.quantization_config
    steps = list(PROBED)
    if config.get("load_in_8bit"):
        steps.append(f"int8 on {device}")
    if config.get("load_in_4bit"):
        steps.append(f"nf4 on {device}")
    if not cell.is_baseline and "8bit" in str(cell.training.get("optim", "")):
        steps.append(f"8-bit AdamW on {device}")
    return steps


def _cannot(decisions: Sequence[Decision], reasons: Mapping[str, str | None]) -> Iterator[Finding]:
    groups: dict[str, list[Decision]] = {}
    for decision in decisions:
        reason = reasons[decision.key]
        if reason is not None:
            groups.setdefault(reason, []).append(decision)
    for reason, members in groups.items():
        models = ", ".join(dict.fromkeys(d.cell.model.name for d in members))
        count = f"{counted(len(members), 'cell')} of {models}"
        facts = {"cells": [d.key for d in members], "reason": reason}
        yield Finding(AREA, "cannot run", "warn", f"{count}: {reason}", facts=facts)


def _room(able: Sequence[Decision]) -> Iterator[Finding]:
    """Cells that fit a card which another process fills right now."""
    free = [float(line) / 1024 for line in query_gpus("memory.free") if line.isdecimal()]
    needs = {d.key: d.needs_gib or 0.0 for d in able}
    if not free or not needs or max(needs.values()) <= max(free):
        return
    count = sum(need > max(free) for need in needs.values())
    text = (
        f"{counted(count, 'cell needs', 'cells need')} up to {max(needs.values()):.1f} GiB, and no"
        f" GPU has more than {max(free):.1f} GiB free now"
    )
    yield Finding(AREA, "GPU memory", "warn", text, "`nvidia-smi` names what holds the rest.")


def _to_download(able: Sequence[Decision]) -> dict[str, float | None]:
    """Hub id → GiB of each checkpoint that is still to be fetched; None: its size is not known."""
    cards = {d.cell.model.source: d.cell.model for d in able if d.cell.model.is_on_hub}
    return {source: _download_gib(card) for source, card in cards.items() if not is_cached(source)}


def _fetching(able: Sequence[Decision], sizes: Mapping[str, float | None]) -> Iterator[Finding]:
    for source, size in sizes.items():
        text = f"{source}: about {size:.1f} GiB" if size else f"{source}: size not known"
        facts = {"source": source, "gib": size}
        yield Finding(AREA, "to download", "note", text, facts=facts)
    for name in dict.fromkeys(_far_data(d.cell) for d in able):
        if name and not is_data_cached(name):
            yield Finding(AREA, "to download", "note", f"data set {name}", facts={"source": name})


def _far_data(cell: Cell) -> str | None:
    source = source_of(cell.dataset, Path(cell.base_folder))
    return source.name if source.needs_network else None


def _download_gib(card: ModelCard) -> float | None:
    """The size of a checkpoint in its dtype; None where the architecture is not known."""
    shape = shape_of(architecture_of(card))
    return None if shape is None else shape.parameters * dtype_bytes(card.dtype) / 2**30


def _disk(
    able: Sequence[Decision], sizes: Mapping[str, float | None], directory: Path
) -> Iterator[Finding]:
    if not able:
        return
    adapters = sum(d.memory.parts["adapter"] for d in able if d.memory) / 1024
    fetched = sum(size or 0.0 for size in sizes.values())
    needed, free = adapters + fetched + len(able) * ANSWERS_MIB / 1024, free_gib(directory)
    text = f"about {needed:.1f} GiB for adapters, answers and downloads; {free:.1f} GiB free"
    facts = {"needed_gib": round(needed, 2), "free_gib": round(free, 1)}
    state = "ok" if needed < free else "fail"
    hint = "" if needed < free else "Free some, or set -o and HF_HOME."
    yield Finding(AREA, "disk", state, text, hint, facts)  # type: ignore[arg-type]
