"""The folder that is shared: a cell's adapter or model, its tokenizer, its card and its suite."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from harness.analysis.leaderboard import build_leaderboard
from harness.errors import HarnessError
from harness.plan.adapter_source import CONFIG, RECORD
from harness.plan.hub import is_hub_id
from harness.results.model_of import model_record
from harness.results.packing import portable
from harness.results.paths import RunPaths, read_json, write_json, write_text
from harness.results.result import CellResult
from harness.results.run import Run
from harness.run.adapter_card import is_full
from harness.run.answer import saved_adapter
from harness.sharing.card import Subject, model_card
from harness.sharing.folder import check_new, copy_files

SHARED = (
    CONFIG, "*.safetensors", "*.safetensors.index.json", "config.json", "generation_config.json",
    "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json",
    "added_tokens.json", "vocab.json", "vocab.txt", "merges.txt", "spiece.model",
    "chat_template.jinja", RECORD,
)  # fmt: skip
"""What of an adapter's folder is shared. Anything else that somebody put there stays here: it may
be a checkpoint of gigabytes, or a file that runs code."""
CARD = "README.md"
SUITE = "suite.yaml"


@dataclass(frozen=True)
class Draft:
    """A folder that is ready to be shared."""

    repository: str
    folder: Path
    files: tuple[str, ...]
    notes: tuple[str, ...]
    """What a reader of the card is warned of, and files that were left out."""


def write_draft(run: Run, result: CellResult, repository: str, folder: Path) -> Draft:
    """Write the adapter or model of ``result`` to ``folder`` as a hub repository holds it.

    Raises:
        HarnessError: the cell has nothing to share, its adapter is gone, or ``folder`` has files.
    """
    _check_shareable(result)
    adapter = saved_adapter(run.paths(result), result.companions)
    check_new(folder)
    taken = copy_files(adapter, folder, SHARED)
    kept = sorted({p.name for p in adapter.iterdir()} - taken - {CARD})
    base, notes = _base(result, folder)
    suite = RunPaths(run.directory).suite
    if suite.is_file():
        write_text(folder / SUITE, str(portable(suite.read_text("utf-8"))))
    subject = Subject(
        result, base, repository, "model" if is_full(result) else "adapter",
        has_suite=suite.is_file(), notes=notes,
    )  # fmt: skip
    write_text(folder / CARD, model_card(build_leaderboard(run), subject))
    files = tuple(sorted(path.name for path in folder.iterdir()))
    left_out = (f"not shared: {', '.join(kept)}",) if kept else ()
    return Draft(repository, folder, files, (*notes, *left_out))


def _check_shareable(result: CellResult) -> None:
    cell = model_record(result)
    if result.is_baseline:
        hint = "Name a cell with an adapter: its key has the adapter's name in it."
        raise HarnessError(f"{result.key} is a baseline: nothing was trained", hint=hint)
    if result.is_served:
        hint = "What its server loaded is not here; share the cell that it was deployed from."
        raise HarnessError(f"{result.key} is a served model: nothing was trained", hint=hint)
    if (backend := cell.get("backend", "hf")) != "hf":
        what = f"{result.key}: the backend {backend} answered for it and left no weights to share"
        raise HarnessError(what, hint="Share a cell of the backend hf.")
    if hub := cell["adapter_config"].get("hub"):
        what = f"{result.key}: its adapter is {hub}, which is on the hub already"
        raise HarnessError(what, hint="Share an adapter that a run of yours has trained.")


def _base(result: CellResult, folder: Path) -> tuple[str, tuple[str, ...]]:
    """The base model's name for others, written into the adapter's config, and a note on it."""
    card = result.provenance.cell["model"]
    source = str(card["source"])
    if is_hub_id(source):
        return source, ()
    path = folder / CONFIG
    if path.is_file():  # a folder of this machine says nothing to others, and tells its names
        write_json(path, {**read_json(path), "base_model_name_or_path": card["name"]})
    if is_full(result):
        return str(card["name"]), ()
    return str(card["name"]), (
        f"its base {card['name']} is a folder on the machine that trained it: others need that"
        " model, or a merged one (`harness export --to merged`)",
    )
