"""A plan as one table, grouped by model: what is done, for which cells, with how much memory."""

from __future__ import annotations

import itertools
import sys
import textwrap
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from harness.counting import agreeing, counted
from harness.plan.decision import Decision
from harness.plan.devices import devices_of, gpus_of, rows_a_step
from harness.plan.plan import Plan
from harness.report.section import MISSING
from harness.suite.engine_keys import keys_without_head, trl_keys

COLUMNS = (
    "quant",
    "adapter",
    "data sets",
    "does",
    "train GiB",
    "answer GiB",
    "card",
    "time",
)
GAP = "  "
NARROWEST = 12
"""Columns that the names of data sets get on however narrow a terminal."""


@dataclass(frozen=True)
class _Line:
    """The cells of a variant that have the same thing done to them."""

    texts: tuple[str, ...]
    note: str
    """What is kept, or why they are done again."""


def duration(seconds: float) -> str:
    """``seconds`` in the unit that a reader waits in."""
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"


def plan_record(plan: Plan, times: Mapping[str, float] | None = None) -> dict[str, object]:
    """The plan cell by cell, for JSON.

    Args:
        plan: The plan.
        times: Cell key → the seconds that it is expected to take.
    """
    cells = []
    for each in plan.decisions:
        memory = each.memory
        cells.append(
            {
                **each.cell.axes,
                "key": each.key,
                "does": each.word,
                "stages": list(each.stages),
                "reason": each.reason,
                "kept": each.kept,
                "train_mib": memory.training if memory else None,
                "answer_mib": memory.inference if memory else None,
                "card_gib": memory.card_gib if memory else None,
                "seconds": (times or {}).get(each.key),
            }
        )
    counts = Counter(decision.word for decision in plan.decisions)
    directory = str(plan.run.directory)
    return {"suite": plan.suite.name, "directory": directory, "counts": counts, "cells": cells}


def plan_lines(
    plan: Plan, times: Mapping[str, float] | None = None, width: int | None = None
) -> list[str]:
    """The table: a heading for each model, a line for each variant, each reason to skip once.

    Args:
        plan: The plan.
        times: Cell key → the seconds that it is expected to take.
        width: Columns of the terminal, if the table should fit them.
    """
    groups: dict[str, list[Decision]] = {}
    for decision in plan.decisions:
        groups.setdefault(decision.cell.model.name, []).append(decision)
    every_set = _sets(plan.decisions)
    tables = {name: _variants(cells, _sets(cells), times or {}) for name, cells in groups.items()}
    rows = [line.texts for lines in tables.values() for line in lines]
    if not rows:
        return [text for cells in groups.values() for text in _skipped(cells)]
    used = [any(row[i] for row in rows) for i in range(len(COLUMNS))]
    heads = [name for name, keep in zip(COLUMNS, used, strict=True) if keep]
    kept = {name: [_only(line, used) for line in lines] for name, lines in tables.items()}
    every = [heads, *(line.texts for lines in kept.values() for line in lines)]
    widths = _widths(every, heads.index("data sets"), width)
    lines = _padded(heads, widths)
    for name, cells in groups.items():
        own = _sets(cells)  # `all 3` of a model with other data sets than the plan: which?
        lines.append(name if own == every_set else f"{name}: {', '.join(own)}")
        for line in kept[name]:
            lines += _padded(line.texts, widths)
            lines += [f"{GAP}{GAP}{line.note}"] if line.note else []
        lines += _skipped(cells)
    return lines + _unestimated(plan) + _latency(plan) + _training(plan)


def _unestimated(plan: Plan) -> list[str]:
    """Models whose memory is not known before they run, so that no limit leaves them out."""
    cards = {
        each.cell.model.name: each.cell.model
        for each in plan.decisions
        if each.action == "run" and each.memory is None and not each.cell.model.is_served
    }
    return [
        f"{name}: memory unknown{', as of every GGUF file' if card.gguf_file else ''};"
        " --max-vram does not skip it"
        for name, card in cards.items()
    ]


def _sets(cells: Iterable[Decision]) -> list[str]:
    return list(dict.fromkeys(each.cell.dataset.name for each in cells))


def _widths(rows: Sequence[Sequence[str]], long: int, width: int | None) -> list[int]:
    """The widths of the columns; the ``long`` one takes what the others leave of ``width``."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    over = sum(len(GAP) + each for each in widths) - (width or sys.maxsize)
    if over > 0:
        widths[long] = max(widths[long] - over, min(widths[long], NARROWEST))
    return widths


def _training(plan: Plan) -> list[str]:
    """Keys for which TRL trains cells, where without them the harness's faster engine might."""
    found = Counter(
        reason
        for each in plan.decisions
        if each.word == "train"
        and each.cell.task.answered_by != "head"
        and each.cell.training.get("engine") != "trl"
        and devices_of(each.cell) == 1
        and (reason := trl_keys(each.cell.training))
    )
    several = Counter(
        (devices_of(each.cell), rows_a_step(each.cell))
        for each in plan.decisions
        if each.word == "train" and devices_of(each.cell) > 1
    )
    lines = [
        f"{cells} of the cells {agreeing(cells, 'trains', 'train')} on {counted(count, 'device')}"
        f" each: a step learns from {counted(rows, 'row')}"
        for (count, rows), cells in several.items()
    ]
    split = Counter(
        gpus_of(each.cell)
        for each in plan.decisions
        if each.action == "run" and gpus_of(each.cell) > 1
    )
    lines += [
        f"{cells} of the cells {agreeing(cells, 'asks', 'ask')} for {count} GPUs for their model"
        " (requires.gpus): TRL trains, `generate` answers"
        for count, cells in split.items()
    ]
    return [*lines, *_heads(plan)] + [
        f"{count} of the cells {agreeing(count, 'trains', 'train')} by TRL, not the faster engine:"
        f" {reason}"
        for reason, count in found.items()
    ]


def _heads(plan: Plan) -> list[str]:
    """Keys that train text alone, where cells train a head."""
    heads = Counter(
        ", ".join(keys)
        for each in plan.decisions
        if each.word == "train"
        and each.cell.task.answered_by == "head"
        and (keys := keys_without_head(each.cell.training))
    )
    return [
        f"{count} of the cells {agreeing(count, 'trains', 'train')} a head, on which these keys"
        f" have no effect: {keys}"
        for keys, count in heads.items()
    ]


def _latency(plan: Plan) -> list[str]:
    """Where the latency of data sets is measured that do not measure it themselves."""
    selected = {d.cell.dataset.name for d in plan.decisions}
    found: dict[str, list[str]] = {}
    for each in plan.decisions:
        if each.measured_in and each.measured_in.dataset != each.cell.dataset.name:
            found.setdefault(each.cell.dataset.name, []).append(each.measured_in.dataset)
    lines = []
    for dataset, places in found.items():
        text = f"latency of {dataset}: as measured on {', '.join(dict.fromkeys(places))}"
        lost = "" if set(places) <= selected else ", which is not selected: none is shown"
        lines.append(f"{text}{lost}")
    return lines


def _only(line: _Line, used: Sequence[bool]) -> _Line:
    return _Line(tuple(t for t, keep in zip(line.texts, used, strict=True) if keep), line.note)


def _padded(texts: Sequence[str], widths: Sequence[int]) -> list[str]:
    """A row; a text that is wider than its column continues below."""
    cells = [
        textwrap.wrap(text, width, break_on_hyphens=False) if len(text) > width else [text]
        for text, width in zip(texts, widths, strict=True)
    ]
    lines = []
    for parts in itertools.zip_longest(*cells, fillvalue=""):
        padded = (part.ljust(width) for part, width in zip(parts, widths, strict=True))
        lines.append(f"{GAP}{GAP.join(padded)}".rstrip())
    return lines


def _variants(
    cells: Sequence[Decision], datasets: Sequence[str], times: Mapping[str, float]
) -> list[_Line]:
    """A line for each variant and what is done; its data sets and seeds together."""
    groups: dict[tuple[str, str, str, str], list[Decision]] = {}
    for each in cells:
        skipped = each.action == "skip"
        # a skipped cell is worth a line for the card that it would take; its reason comes below
        if not skipped or each.memory is not None:
            kept = f"kept: {', '.join(each.kept)}" if each.kept else ""
            why = "" if skipped else "; ".join(filter(None, (each.reason, kept)))
            axes = (str(each.cell.axes["quantization"]), str(each.cell.axes["adapter"]))
            groups.setdefault((*axes, each.word, why), []).append(each)
    return [
        _Line((q, a, _where(m, datasets), word, *_memory(m), _time(m, times)), why)
        for (q, a, word, why), m in groups.items()
    ]


def _where(members: Sequence[Decision], datasets: Sequence[str]) -> str:
    """`all 3`, or the data sets' names, and how many seeds."""
    names = list(dict.fromkeys(each.cell.dataset.name for each in members))
    seeds = len({each.cell.axes["seed"] for each in members})
    text = f"all {len(names)}" if len(names) == len(datasets) > 1 else ", ".join(names)
    return f"{text} × {counted(seeds, 'seed')}" if seeds > 1 else text


def _memory(members: Sequence[Decision]) -> tuple[str, str, str]:
    """GiB of training and answering, and the card that holds them: the largest of the members."""
    found = [each.memory for each in members if each.memory is not None]
    if not found:
        return ("", "", "")
    training = max((each.training or 0.0 for each in found), default=0.0)
    cards = [each.card_gib for each in found]
    card = f"{max(c for c in cards if c)} GiB" if None not in cards else "over 80 GiB"
    answering = max(each.inference for each in found)
    return (_gib(training) if training else MISSING, _gib(answering), card)


def _gib(mib: float) -> str:
    return f"{mib / 1024:.1f}"


def _time(members: Sequence[Decision], times: Mapping[str, float]) -> str:
    known = [times[each.key] for each in members if each.key in times]
    return duration(sum(known)) if known else ""


def _skipped(cells: Sequence[Decision]) -> list[str]:
    """A line for each reason, with the number of cells and, if not all, which they are."""
    reasons: dict[str, list[Decision]] = {}
    for each in cells:
        if each.action == "skip":
            reasons.setdefault(each.reason or "", []).append(each)
    lines = []
    for reason, members in reasons.items():
        some = "" if len(members) == len(cells) else f" ({_levels(members, cells)})"
        many = counted(len(members), "cell")
        lines.append(f"{GAP}skip {many}{some}: {reason}")
    return lines


def _levels(members: Sequence[Decision], cells: Sequence[Decision]) -> str:
    """The axis values that the members have and not all cells have."""
    parts = []
    for axis in ("quantization", "adapter", "dataset"):
        own, every = (_values(group, axis) for group in (members, cells))
        if own != every:
            parts.append(", ".join(own))
    return "; ".join(parts) or "some seeds"


def _values(cells: Iterable[Decision], axis: str) -> list[str]:
    return list(dict.fromkeys(str(dict(each.cell.axes)[axis]) for each in cells))
