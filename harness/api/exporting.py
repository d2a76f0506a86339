"""Exporting: a cell's model for other engines, scored as a cell of its own."""

from __future__ import annotations

import gc
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from harness.analysis import pairs
from harness.analysis.pairs import Comparison, Pair
from harness.api.arguments import RunLike, StrPath, run_of
from harness.api.cells import one_cell
from harness.api.running import execute
from harness.api.suites import ignore
from harness.errors import HarnessError
from harness.extras import need
from harness.plan.cell import Cell, evaluated
from harness.plan.plan import Plan
from harness.plan.preflight import preflight
from harness.results.paths import CellPaths, RunPaths, write_text
from harness.run.executors.base import Event, executor_of
from harness.run.executors.main_module import end_if_run_again
from harness.sharing.export import TARGETS, Exported, How, Target, export_cell
from harness.suite.schema import BASE, Suite

if TYPE_CHECKING:
    from harness.backends.hf.export.gguf_file import GgufType
    from harness.backends.hf.export.merged import Base

__all__ = ["export"]

SCORES = "scores"
"""The run directory of the exported cell, within the export's folder."""


@dataclass(frozen=True)
class Export:
    """What `export` wrote and found."""

    exported: Exported
    comparison: Comparison | None = None
    """The exported cell minus the trained one, example by example; None if it was not scored."""
    run: Path | None = None
    """The run directory of the exported cell."""

    @property
    def same_answers(self) -> tuple[int, int] | None:
        """How many answers are the same to the letter, and of how many."""
        return None if self.comparison is None else _same(self.comparison[0])


def _same(pair: Pair) -> tuple[int, int]:
    first, second = pair.first.records, pair.second.records
    shared = [i for i in first if i in second]
    keys = ("prediction", "predicted_label")
    return sum(all(first[i].get(k) == second[i].get(k) for k in keys) for i in shared), len(shared)


def export(
    run: RunLike,
    cell: str,
    output: StrPath,
    *,
    to: Target,
    base: Base = "trained",
    dtype: str | None = None,
    gguf_type: GgufType | None = None,
    score: bool = False,
    on_event: Callable[[Event], None] = ignore,
) -> Export:
    """Write the model of a cell of ``run`` for another engine, and score what was written.

    This imports torch.

    Args:
        run: A run's directory.
        cell: The beginning of a cell's key; it must name one cell.
        output: The folder to write; it must not hold files.
        to: `merged` (safetensors), `gguf`, `ollama` (GGUF with a Modelfile) or `vllm`.
        base: What the adapter of a quantized cell is merged into: `trained`, the weights that it
            was trained on, written out; or `original`, those of the checkpoint.
        dtype: Of merged weights; default: the dtype that the cell ran in.
        gguf_type: `f32`, `f16`, `bf16`, `q8_0` or `q4_0`; default: what holds the merged weights
            exactly.
        score: Answer the cell's test examples with the exported files, and compare.
        on_event: Is called with the news of the scored cell.

    Raises:
        HarnessError: no such cell, its adapter is gone, ``output`` has files, or ``to`` is not
            known to read such a model as it was trained.
    """
    if score:
        end_if_run_again()  # before it finds that the run's own process has written the folder
    if to not in TARGETS:
        raise HarnessError(f'unknown target "{to}"', hint=f"Targets: {', '.join(TARGETS)}.")
    read = run_of(run)
    result = one_cell(read, cell)
    how = How(base, dtype, gguf_type)
    need("`harness export`", ("torch", "transformers", "peft"))
    from harness.backends.hf.export.quiet import quiet

    with quiet():
        exported = export_cell(read, result, to, Path(output), how)
    if not score:
        return Export(exported)
    gc.collect()  # the model that was exported; the worker loads its own
    directory = exported.folder / SCORES
    scored = _scored(exported.cell, directory, on_event)
    found = pairs.compare(read.paths(result).directory, scored.directory)
    return Export(exported, found, directory)


def _scored(cell: Cell, directory: Path, on_event: Callable[[Event], None]) -> CellPaths:
    """The exported cell, answered and scored in a run directory of its own."""
    cell = evaluated(cell, latency_prompts=0)  # plain weights here say nothing of another engine
    suite = _suite_of(cell)
    path = directory / "suite.yaml"
    write_text(path, yaml.safe_dump(_texts(suite), sort_keys=False, allow_unicode=True))
    where = executor_of("local").site()
    decisions = preflight([replace(cell, measures=True)], where, RunPaths(directory))
    outcome = execute(Plan(suite, path, RunPaths(directory), tuple(decisions)), on_event=on_event)
    (done,) = outcome.run.cells
    if done.status != "ok":
        hint = f"{directory}/cells/{done.key}/cell.log has the whole of it."
        raise HarnessError(f"the exported model was not scored: {done.reason}", hint=hint)
    return outcome.run.paths(done)


def _suite_of(cell: Cell) -> Suite:
    """The suite of one cell, for whoever wants to run it again."""
    adapter: object = BASE
    if "source" in cell.adapter_config:
        adapter = {"name": cell.adapter, "source": cell.adapter_config["source"]}
    dataset = cell.dataset.model_dump(mode="json", exclude_defaults=True)
    for key in ("source", "test_source"):
        if key in dataset and (Path(cell.base_folder) / dataset[key]).is_file():
            dataset[key] = str(Path(cell.base_folder) / dataset[key])
    card = cell.model.model_dump(mode="json", exclude_defaults=True, exclude={"name"})
    return Suite.model_validate(
        {
            "name": "exported",
            "description": "An exported model on the test examples of the cell it was made from.",
            "matrix": {
                "model": [{"name": cell.model.name, "card": card}],
                "adapter": [adapter],
                "dataset": [dataset],
            },
            "evaluation": cell.evaluation.model_dump(mode="json", exclude_defaults=True),
            "generation": cell.generation,
        }
    )


def _texts(suite: Suite) -> object:
    return suite.model_dump(mode="json", exclude_defaults=True)
