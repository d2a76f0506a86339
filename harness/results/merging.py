"""Several runs as one, for a report over machines and days."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from harness.datasets.example import digest
from harness.errors import HarnessError
from harness.results.measured import MeasuredIn
from harness.results.redaction import without_texts
from harness.results.result import CellResult
from harness.results.run import Run


def merged(runs: Sequence[Run], *, name: str | None = None) -> Run:
    """``runs`` as one; a single run is given back as it is.

    Every cell of every run is kept. Where two runs hold the same variant, the model's name gets
    the run's in front; where their data sets have one name and other test examples, the data
    set's does, so that they are never ranked together. Claims and sources are kept side by side.

    Raises:
        HarnessError: the same run is given twice.
    """
    if len(runs) == 1:
        return runs[0]
    names = run_names(runs)
    split = _other_examples(runs)
    shared = _shared_models(runs, split)
    cells: list[CellResult] = []
    homes: dict[str, Path] = {}
    measured_in: dict[str, MeasuredIn] = {}
    for run, label in zip(runs, names, strict=True):
        keys: dict[str, str] = {}  # of this run → in the merged one
        for cell in run.cells:
            own_key = cell.key
            home = run.paths(cell).directory
            named = _renamed(cell.model, cell.dataset, label, split, shared)
            cell = replace(
                cell,
                model=named.get("model", cell.model),
                dataset=named.get("dataset", cell.dataset),
            )
            # two runs of one suite have equal keys: the key names the run, too
            cell = replace(cell, key=f"{label}: {cell.key}" if cell.key in homes else cell.key)
            homes[cell.key] = home
            keys[own_key] = cell.key
            cells.append(cell)
        for key, place in run.measured_in.items():
            dataset = f"{label}: {place.dataset}" if place.dataset in split else place.dataset
            lender = keys.get(place.key) if place.key else None
            measured_in[keys[key]] = replace(place, dataset=dataset, key=lender)
    paths = [str(run.suite.get("path")) for run in runs]
    suite: dict[str, Any] = {
        "name": name or " + ".join(names),
        "description": "",
        "path": " ".join(paths),
        "paths": paths,
        "claims": [
            _claim(claim, label, split, shared)
            for run, label in zip(runs, names, strict=True)
            for claim in run.suite.get("claims", ())
        ],
        "objectives": runs[0].suite.get("objectives", {}),
    }
    sources = [run.suite["source"] for run in runs if run.suite.get("source")]
    if sources:
        suite["sources"] = sources
    whole = Run(
        runs[0].directory, suite, runs[0].environment, tuple(cells), homes, measured_in=measured_in
    )
    return whole if all(run.has_texts for run in runs) else without_texts(whole)


def _renamed(
    model: str, dataset: str, label: str, split: set[str], shared: set[str]
) -> dict[str, str]:
    """The axis values that distinguish a cell of the run ``label`` from the others', if needed."""
    if dataset in split:
        return {"dataset": f"{label}: {dataset}"}
    return {"model": f"{label}: {model}"} if model in shared else {}


def _claim(
    record: Mapping[str, Any], label: str, split: set[str], shared: set[str]
) -> dict[str, object]:
    """A claim under the names that its run's cells have now."""
    claim = record["claim"]
    wanted = claim.get("cell", {})
    new = _renamed(record["model"], wanted.get("dataset", ""), label, split, shared)
    kept = {key: name for key, name in new.items() if key in wanted}
    renamed = {**record, "claim": {**claim, "cell": {**wanted, **kept}}}
    return {**renamed, "model": new.get("model", record["model"])}


def run_names(runs: Sequence[Run]) -> list[str]:
    """Each run's name; equal names get as much of their folders as makes them differ."""
    folders = [run.directory.resolve() for run in runs]
    twice = next((path for path, count in Counter(folders).items() if count > 1), None)
    if twice:
        raise HarnessError("the same run is given twice", where=str(twice), hint="Name it once.")
    names = [str(run.suite["name"]) for run in runs]
    for parts in range(1, max(len(path.parts) for path in folders) + 1):
        equal = {name for name, count in Counter(names).items() if count > 1}
        if not equal:
            break
        names = [
            "/".join(path.parts[-parts:]) if name in equal else name
            for name, path in zip(names, folders, strict=True)
        ]
    return names


def _shared_models(runs: Sequence[Run], split: set[str]) -> set[str]:
    """Models that have the same variant in several runs.

    All cells of such a model are renamed, or a variant would lose the baseline beside it.
    """
    found: Counter[tuple[Any, ...]] = Counter()
    for run in runs:
        found.update({_axes(cell) for cell in run.cells if cell.dataset not in split})
    return {axes[0] for axes, count in found.items() if count > 1}


def _axes(cell: CellResult) -> tuple[Any, ...]:
    return tuple(cell.axes.values())


def _other_examples(runs: Sequence[Run]) -> set[str]:
    """Data sets of one name that several runs tested on different examples."""
    found: dict[str, set[str]] = {}
    for run in runs:
        for dataset in dict.fromkeys(cell.dataset for cell in run.cells):
            examples = _examples(run, dataset)
            if examples:
                found.setdefault(dataset, set()).add(examples)
    return {dataset for dataset, examples in found.items() if len(examples) > 1}


def _examples(run: Run, dataset: str) -> str | None:
    """A hash of what ``dataset`` was tested on; the number of examples where none is kept."""
    done = [cell for cell in run.cells if cell.dataset == dataset and cell.status == "ok"]
    for cell in done:
        records = run.predictions(cell)
        if records:
            return digest(*sorted(f"{r['id']} {r.get('data_hash')}" for r in records))
    sizes = (cell.value(cell.primary_metric) for cell in done)
    return next((f"n={value.n}" for value in sizes if value and value.n), None)
