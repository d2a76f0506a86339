"""Adapters that are trained already: where they are, and whether they were made for a model."""

from __future__ import annotations

from pathlib import Path

from harness.errors import HarnessError
from harness.plan.hub import hub_adapter, is_hub_id
from harness.results.paths import read_json
from harness.suite.model_card import ModelCard
from harness.suite.parts import Options
from harness.suite.schema import AdapterEntry
from harness.user_path import expanded

RECORD = "harness.json"
"""Beside an adapter that the harness saved: what it was made for."""
CONFIG = "adapter_config.json"
ORIGIN = frozenset({"source", "hub", "revision"})
"""Keys of a cell's `adapter_config` that say where its files came from; their content is hashed, so
no fingerprint covers the names."""


def adapter_config(entry: AdapterEntry | None, suite: Path) -> Options:
    """`peft_type` and its config's keys, or the folder of an adapter that is already trained.

    Of one from the hub also its id and the commit that was fetched: a branch moves on, and a result
    must say which state of it was scored.

    Raises:
        HarnessError: the folder holds no adapter, or the hub's cannot be fetched.
    """
    if entry is None:
        return {}
    if entry.source is None:
        return {"peft_type": entry.peft_type, **entry.config}
    folder = (suite.resolve().parent / expanded(entry.source)).resolve()
    origin: Options = {}
    if not folder.exists() and is_hub_id(entry.source):
        folder = hub_adapter(entry.source, entry.revision)
        # huggingface_hub names the folder of a snapshot by its commit
        origin = {"hub": entry.source, "revision": folder.name}
    elif entry.revision is not None:
        hint = "It is for adapters on the hub: delete it, or correct `source`."
        text = f'adapter "{entry.name}": `revision` has no effect on a folder'
        raise HarnessError(text, where=str(suite), hint=hint)
    if not (folder / CONFIG).is_file():
        raise HarnessError(
            f'adapter "{entry.name}": no {CONFIG} in {folder}',
            where=str(suite),
            hint="`source` is a folder in PEFT's format, such as cells/KEY/adapter of a run, or the"
            " hub id of an adapter.",
        )
    return {"source": str(folder), **origin}


def unpinned(entry: AdapterEntry, config: Options) -> str | None:
    """A note for an adapter from the hub whose `revision` is no commit; None if it is pinned."""
    if "hub" not in config or entry.revision == config["revision"]:
        return None
    branch = entry.revision or "its main branch"
    return (
        f"{entry.name}: {branch} of {config['hub']} is now {config['revision']};"
        f" pin it by `revision: {config['revision']}`"
    )


def base_notes(folder: Path, card: ModelCard, adapter: str) -> list[str]:
    """What cannot be checked of the base model that the adapter in ``folder`` was trained on.

    Raises:
        HarnessError: it was another one than ``card``'s.
    """
    record = read_json(folder / RECORD) if (folder / RECORD).is_file() else {}
    stated = str(record.get("base_model") or base_of(folder))
    known = {card.name.lower(), card.source.lower(), Path(card.source).name.lower()}
    if stated.lower() in known or Path(stated).name.lower() in known:
        return []
    # a name that is a path, on either side, says little about which model lies there
    if record or ("/" in stated and not stated.startswith(("/", ".")) and not card.is_local):
        raise HarnessError(
            f'adapter "{adapter}" was trained on {stated}, not on {card.source}',
            where=str(folder),
            hint="`exclude` the pair; or if both are the same model, correct"
            f" `base_model_name_or_path` in its {CONFIG}.",
        )
    return [f"the adapter names {stated} as its base: make sure that this is the model"]


def base_of(folder: Path) -> str:
    """The base model that the config of the adapter in ``folder`` names; empty if none."""
    return str(read_json(folder / CONFIG).get("base_model_name_or_path") or "")
