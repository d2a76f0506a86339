"""A cell's model written for other engines: merged weights, GGUF, Ollama, vLLM."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from harness import __version__
from harness.datasets.splits import prepare
from harness.errors import HarnessError
from harness.extras import need
from harness.plan.adapter_source import CONFIG
from harness.plan.cell import Cell, cell_of_record
from harness.results.model_of import model_record
from harness.results.paths import read_json, write_json, write_text
from harness.results.result import CellResult
from harness.results.run import Run
from harness.run.answer import saved_adapter
from harness.sharing.draft import SHARED
from harness.sharing.folder import check_new, copy_files
from harness.sharing.ollama import chat_prompt, modelfile, style_prompt
from harness.sharing.vllm import GENERATION, generation_config, merging_reason, serve_command
from harness.user_path import typed

if TYPE_CHECKING:
    from harness.backends.hf.export.gguf_file import GgufType
    from harness.backends.hf.export.merged import Base, Merged

Target = Literal["merged", "gguf", "ollama", "vllm"]
TARGETS: tuple[Target, ...] = ("merged", "gguf", "ollama", "vllm")
FILE = "model.gguf"
RECORD = "export.json"
"""What was exported from where, how, and what reading it again showed."""
PROBES = 3
"""Test prompts on which a GGUF file's logits are compared with the merged model's."""


@dataclass(frozen=True)
class How:
    """How a model is exported, where there is a choice."""

    base: Base = "trained"
    """What the adapter of a quantized cell is merged into; see `harness.backends.hf.export`."""
    dtype: str | None = None
    """Of merged weights: `float32`, `float16`, `bfloat16`; default: the dtype the cell ran in."""
    gguf_type: GgufType | None = None
    """Of a GGUF file: `f32 f16 bf16 q8_0 q4_0`; default: what holds the merged weights exactly."""


@dataclass(frozen=True)
class Exported:
    """An exported model, and the cell that it is scored as."""

    target: Target
    folder: Path
    files: tuple[str, ...]
    notes: tuple[str, ...]
    cell: Cell
    """The trained cell with the exported files in place of its own model."""
    command: str | None = None
    """The command that serves it."""
    read_back: dict[str, float] | None = None
    """Of a GGUF file: how far weights and logits are from the merged model's."""


def export_cell(run: Run, result: CellResult, target: Target, folder: Path, how: How) -> Exported:
    """Write the model of ``result`` to ``folder`` for ``target``.

    Raises:
        HarnessError: the cell has no model, ``folder`` has files, or ``target`` is not known to
            read a model of this kind as it was trained.
    """
    cell = _exportable(result)
    paths = run.paths(result)
    adapter = paths.adapter if cell.is_baseline else saved_adapter(paths, result.companions)
    check_new(folder)
    if cell.serve != "attached":  # it was scored as merged into the original weights
        how = replace(how, base="original")
    folder = folder.absolute()
    try:
        made = _WRITERS[target](_Job(cell, adapter, folder, how, _stops(result)))
    except HarnessError:
        shutil.rmtree(folder, ignore_errors=True)  # half a model must not look like one
        raise
    record = {
        "target": target, "from_cell": result.key, "fingerprint": result.fingerprint,
        "harness": __version__, "how": asdict(how), "notes": made.notes, "command": made.command,
        "read_back": made.read_back,
    }  # fmt: skip
    write_json(folder / RECORD, record)
    files = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    return replace(made, files=tuple(files))


@dataclass(frozen=True)
class _Job:
    """What is exported, and where to."""

    cell: Cell
    adapter: Path
    folder: Path
    how: How
    stops: dict[str, int]
    """Text of a token that ended the cell's answers → its id."""


def _stops(result: CellResult) -> dict[str, int]:
    """As they were when the cell was scored; none of a cell that ranks labels."""
    found = result.facts.get("prompting", {}).get("stop_tokens", {})
    return {text: stop["id"] for text, stop in found.items()}


def _exportable(result: CellResult) -> Cell:
    cell = cell_of_record(model_record(result))
    if cell.backend != "hf" or not cell.has_answers:
        what = (
            f"{result.key}: a model of the backend {cell.backend} with {cell.model.weights} weights"
        )
        raise HarnessError(f"{what} cannot be exported", hint="Export a cell of the backend hf.")
    return cell


def _merged(job: _Job) -> Exported:
    from harness.backends.hf.export.merged import write_merged

    cell, folder = job.cell, job.folder
    merged = _merge(job)
    write_merged(merged, folder)
    card = cell.model.model_copy(
        update={
            "name": f"{cell.model.name}-merged", "source": str(folder), "revision": None,
            "gguf_file": None, "dtype": _dtype(merged),
        }
    )  # fmt: skip
    return Exported("merged", folder, (), merged.notes, _as_model(cell, card))


def _gguf(job: _Job) -> Exported:
    need("`harness export --to gguf`", "gguf")
    return _written(job, _merge(job))


def _written(job: _Job, merged: Merged) -> Exported:
    """``merged`` as a GGUF file, read again; its tokenizer beside it."""
    from harness.backends.hf.export.gguf_file import PLAIN, write_gguf
    from harness.backends.hf.export.reading_back import read_back

    cell, folder = job.cell, job.folder
    dtype = _dtype(merged)
    stored = job.how.gguf_type or PLAIN[merged.model.dtype]
    folder.mkdir(parents=True, exist_ok=True)
    merged.tokenizer.save_pretrained(folder)
    notes = write_gguf(merged, folder / FILE, stored=stored, name=folder.name)
    read = read_back(merged, folder / FILE, stored, _probes(cell))
    card = cell.model.model_copy(
        update={
            "name": f"{cell.model.name}-gguf-{stored.replace('_', '')}", "source": str(folder),
            "revision": None, "gguf_file": FILE, "dtype": dtype,
        }
    )  # fmt: skip
    notes = (*merged.notes, *notes)
    return Exported("gguf", folder, (), notes, _as_model(cell, card), read_back=asdict(read))


def _ollama(job: _Job) -> Exported:
    need("`harness export --to ollama`", "gguf")
    from harness.backends.hf.export.engines import spoken

    cell, folder = job.cell, job.folder
    merged = _merge(job)
    talk = spoken(merged, cell)
    system = cell.model.system or ""
    if talk.style == "chat":  # looked at before the file is written, which takes a while
        prompt = chat_prompt(talk.render, talk.bos, adds_bos=talk.adds_bos, system=system)
    else:
        prompt = style_prompt(talk.style, system=system)
    text = modelfile(
        prompt, file=FILE, stops=list(job.stops), generation=cell.generation, longest=talk.longest
    )
    written = _written(job, merged)
    write_text(folder / "Modelfile", text)
    return replace(
        written,
        target="ollama",
        notes=(*written.notes, f"the prompt is {prompt.name}"),
        command=f"ollama create {_ollama_name(folder)} -f {typed(folder / 'Modelfile')}",
    )


def _ollama_name(folder: Path) -> str:
    """A name that Ollama takes: small letters, digits, dots and hyphens."""
    return re.sub(r"[^a-z0-9.]+", "-", folder.resolve().name.lower()).strip("-.") or "model"


def _vllm(job: _Job) -> Exported:
    cell, folder = job.cell, job.folder
    config: Mapping[str, Any] = {}
    reason: str | None = "the cell has no adapter beside a base"
    if not cell.is_baseline and (job.adapter / CONFIG).is_file():
        config = read_json(job.adapter / CONFIG)
        reason = merging_reason(config, cell.quantization)
        reason = reason or (None if cell.serve == "attached" else "the cell was scored as merged")
        reason = reason or ("it has a head of its own" if cell.task.answered_by == "head" else None)
    if reason is None:
        made = _beside_base(job)
    else:
        made = replace(_merged(job), target="vllm")
        made = replace(made, notes=(*made.notes, f"merged: {reason}"))
    serving = generation_config(cell.generation, list(job.stops.values()))
    write_json(folder / GENERATION / "generation_config.json", serving)
    base = cell.model.source if reason is None else None
    command = serve_command(
        folder, folder.name, base=base, revision=cell.model.revision, config=config
    )
    write_text(folder / "serve.sh", f'#!/bin/sh\nexec {command} "$@"\n')
    return replace(made, command=command)


def _beside_base(job: _Job) -> Exported:
    """The adapter alone, for an engine that loads it onto the base."""
    cell, folder = job.cell, job.folder
    copy_files(job.adapter, folder / "adapter", SHARED)
    card = cell.model.model_copy(update={"name": f"{cell.model.name}-vllm"})
    source = {"source": str(folder / "adapter")}
    return Exported("vllm", folder, (), (), replace(cell, model=card, adapter_config=source))


_WRITERS: dict[Target, Callable[[_Job], Exported]] = {
    "merged": _merged, "gguf": _gguf, "ollama": _ollama, "vllm": _vllm
}  # fmt: skip


def _merge(job: _Job) -> Merged:
    from harness.backends.hf.export.merged import merge

    return merge(job.cell, job.adapter, base=job.how.base, dtype=job.how.dtype)


def _dtype(merged: Merged) -> str:
    return str(merged.model.dtype).removeprefix("torch.")


def _probes(cell: Cell) -> list[str]:
    """Some test prompts, of the cell's own data."""
    test = prepare(cell.dataset, Path(cell.base_folder)).test
    return [example.prompt for example in test[:PROBES]]


def _as_model(cell: Cell, card: Any) -> Cell:
    """``cell`` with the exported model in place of base and adapter: a baseline of its own."""
    return replace(
        cell, model=card, quantization="none", quantization_config={}, adapter="base",
        adapter_config={}, seed=None, training={}, serve="attached",
    )  # fmt: skip
