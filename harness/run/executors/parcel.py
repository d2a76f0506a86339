"""A cell on its way to another machine and back: its folder, and the local files that it reads.

The driver packs the folder; the node unpacks it, gets what it does not have yet (each file or model
once, under the hash of its bytes), and points the cell's paths at its own copies. What comes back
has the driver's paths again, so that nobody who reads the result needs the node.
"""

from __future__ import annotations

import hashlib
import io
import os
import shutil
import tarfile
import tempfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cache, partial
from pathlib import Path
from typing import Any

from harness.datasets.control import BUILT_IN, control_path
from harness.datasets.file_hash import file_digest
from harness.datasets.sources import entry_of_test, source_of
from harness.plan.cell import Cell, cell_of_record
from harness.results.paths import CellPaths, read_json, write_json
from harness.results.stages import FILES
from harness.suite.dataset_entry import DatasetEntry
from harness.user_path import expanded

NANOSECONDS = "HARNESS.mtime_ns"
"""The key of an archive's entry under which the file's exact time of change is kept."""


@dataclass(frozen=True)
class Parcel:
    """A cell with all that a machine without the driver's files needs to run it."""

    key: str
    run: str
    """Names the driver's run directory: cells of one run share caches on a node."""
    job: dict[str, Any] = field(repr=False)
    """``cell.json``."""
    folders: bytes = field(repr=False)
    """The cell's folder, and what it uses of earlier cells."""
    assets: tuple[tuple[str, str], ...]
    """Path at the driver, hash of its bytes."""


@dataclass(frozen=True)
class Delivery:
    """What a cell left behind elsewhere."""

    kind: str
    """The kind of its last event."""
    text: str
    stages: tuple[str, ...]
    folder: bytes = field(repr=False)
    """Its folder."""


def parcel_of(key: str, paths: CellPaths) -> Parcel:
    """The cell ``key``, ready to be sent."""
    job = read_json(paths.cell)
    cell = cell_of_record(job["cell"])
    run = paths.directory.parents[1].resolve()
    name = hashlib.sha256(str(run).encode()).hexdigest()[:12]
    wanted: list[tuple[Path, tuple[str, ...] | None]] = [(paths.directory, None)]
    for stage, folder in job["reuse"].items():
        wanted.append((paths.directory.parent / folder, (*FILES[stage], f"{stage}.json")))
    assets = tuple((path, asset_hash(path)) for path in _local_files(cell))
    return Parcel(key, name, job, _packed(wanted), assets)


def unpack_parcel(
    parcel: Parcel, scratch: Path, fetch: Callable[[str], bytes], here: Mapping[str, object]
) -> CellPaths:
    """Make the cell of ``parcel`` ready to run in ``scratch``; the folder to run it in.

    Args:
        parcel: What the driver sent.
        scratch: The node's folder for cells of all runs.
        fetch: Gives the bytes of an asset that is not here yet, by its hash.
        here: Keys of ``cell.json`` that this machine knows better: its packages and hardware.
    """
    cells = scratch / parcel.run / "cells"
    paths = CellPaths(cells / parcel.key)
    # an earlier attempt that this node lost sight of; what it had finished is in the parcel
    shutil.rmtree(paths.directory, ignore_errors=True)
    _unpack(parcel.folders, cells)
    moved = {path: _asset(path, digest, scratch, fetch) for path, digest in parcel.assets}
    write_json(paths.cell, {**parcel.job, **here, "cell": _moved(parcel.job["cell"], moved)})
    return paths


def pack_delivery(paths: CellPaths) -> bytes:
    """The folder of a cell that has ended, for its way back."""
    # of a training that failed: gigabytes, and the next parcel would not bring them back
    shutil.rmtree(paths.checkpoints, ignore_errors=True)
    return _packed([(paths.directory, None)])


def accept_delivery(parcel: Parcel, folder: bytes, paths: CellPaths) -> None:
    """Put the cell's ``folder`` into the driver's run directory, ``result.json`` last."""
    with tempfile.TemporaryDirectory(dir=paths.directory.parent, prefix=".delivery-") as place:
        _unpack(folder, Path(place))
        came = CellPaths(Path(place) / parcel.key)
        job = read_json(came.cell)
        write_json(came.cell, {**job, "cell": parcel.job["cell"]})
        if came.result.is_file():
            result = read_json(came.result)
            result["provenance"]["cell"] = parcel.job["cell"]
            write_json(came.result, result)
        last = came.result.name
        for path in sorted(came.directory.iterdir(), key=lambda path: path.name == last):
            target = paths.directory / path.name
            if target.is_dir():
                shutil.rmtree(target)
            path.replace(target)


@cache
def asset_hash(path: str) -> str:
    """A hash of the bytes of a file, or of all files of a folder with their names."""
    root = Path(path)
    digest = hashlib.sha256()
    for file in _files(root):
        digest.update(f"{file.relative_to(root).as_posix()}\0".encode())
        digest.update(file_digest(file))
    return digest.hexdigest()[:20]


def asset_bytes(path: str) -> bytes:
    """The file or folder ``path`` as an archive, under its own name."""
    return _packed([(Path(path), None)])


def _files(root: Path) -> list[Path]:
    return sorted(p for p in root.rglob("*") if p.is_file()) if root.is_dir() else [root]


def _local_files(cell: Cell) -> list[str]:
    """What ``cell`` reads of the driver's files: model, adapter, data, control set, metrics."""
    folder = Path(cell.base_folder)
    found: list[Path] = []
    if cell.model.is_local and cell.model.weights != "random":
        found.append(Path(cell.model.source))
    if "source" in cell.adapter_config:
        found.append(Path(cell.adapter_config["source"]))
    for data in filter(None, (cell.dataset, cell.trained_on)):
        for entry in filter(None, (data, entry_of_test(data))):
            if path := _data_file(entry, folder):
                found.append(path)
    # files that the YAMLs in it name are not sent: their paths are the other machine's own
    if cell.dataset.include_path:
        found.append((folder / expanded(cell.dataset.include_path)).resolve())
    if cell.evaluation.control and cell.evaluation.control not in BUILT_IN:
        found.append(control_path(cell.evaluation.control, folder))
    found += [Path(m.source) for m in cell.evaluation.metrics if Path(m.source).exists()]
    return [str(path.absolute()) for path in dict.fromkeys(found)]


def _data_file(entry: DatasetEntry, folder: Path) -> Path | None:
    """The user's file that ``entry`` reads; a built-in set is where the package is."""
    name = entry.source or entry.name
    path = (folder / expanded(name)).resolve()
    return path if path in source_of(entry, folder).files else None


def _moved(record: Mapping[str, Any], moved: Mapping[str, str]) -> dict[str, Any]:
    """The cell's ``record`` with the paths that it has on this machine."""
    folder = Path(record["base_folder"])

    def place(name: str | None) -> str | None:
        if name is None:
            return None
        given = (folder / expanded(name)).resolve()
        return moved.get(str(given), moved.get(str(Path(name).absolute()), name))

    cell = {key: dict(v) if isinstance(v, dict) else v for key, v in record.items()}
    cell["model"]["source"] = moved.get(record["model"]["source"], record["model"]["source"])
    if "source" in cell["adapter_config"]:
        cell["adapter_config"]["source"] = place(record["adapter_config"]["source"])
    for key in ("dataset", "trained_on"):
        if key in record:
            cell[key] |= _moved_data(record[key], place)
    evaluation = cell["evaluation"]
    if evaluation.get("control"):
        evaluation["control"] = place(evaluation["control"])
    for metric in evaluation.get("metrics") or ():
        if isinstance(metric, dict):
            metric["source"] = place(metric["source"])
    return cell


def _moved_data(
    entry: Mapping[str, Any], place: Callable[[str | None], str | None]
) -> dict[str, str | None]:
    """The keys of a data set's ``entry`` that hold paths, as they are on this machine."""
    moved = {key: place(entry.get(key)) for key in ("test_source", "include_path")}
    # a set whose name is its file is told by `source` from here on; its name stays its name
    named = entry.get("source") or entry["name"]
    there = place(named)
    return moved if there == named else {**moved, "source": there}


def _asset(path: str, digest: str, scratch: Path, fetch: Callable[[str], bytes]) -> str:
    """Where this machine has the file or folder: at the same path, in its cache, or from now on."""
    if Path(path).exists() and asset_hash(path) == digest:
        return path  # a shared file system, or the driver's own machine
    home = scratch / "assets" / digest
    target = home / Path(path).name
    if not target.exists():
        home.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=home.parent) as place:
            _unpack(fetch(digest), Path(place) / "new")
            try:
                os.rename(Path(place) / "new", home)  # noqa: PTH104
            except OSError:
                if not target.exists():  # else another cell of this node was first
                    raise
    return str(target)


def _packed(wanted: Iterable[tuple[Path, tuple[str, ...] | None]]) -> bytes:
    """An archive of folders or files, each under its own name; of some folders only some names."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for root, names in wanted:
            for path in [root / name for name in names] if names else [root]:
                if path.exists():
                    name = path.relative_to(root.parent).as_posix()
                    archive.add(path, arcname=name, filter=partial(_with_time, path, name))
    return buffer.getvalue()


def _with_time(path: Path, name: str, info: tarfile.TarInfo) -> tarfile.TarInfo:
    """``info`` with the nanoseconds of its file: a model's large files count by size and time."""
    file = path / info.name.removeprefix(name).lstrip("/")
    info.pax_headers = {NANOSECONDS: str(file.stat().st_mtime_ns)}
    return info


def _unpack(content: bytes, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with tarfile.open(fileobj=io.BytesIO(content)) as archive:
        archive.extractall(folder, filter="data")
        for info in archive.getmembers():
            if info.isfile():
                changed = int(info.pax_headers[NANOSECONDS])
                os.utime(folder / info.name, ns=(changed, changed))
