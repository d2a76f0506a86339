"""What runs on the nodes of a Ray cluster: one task for each cell."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from harness.plugins import load_plugins
from harness.run.executors.hosted import Allowed, host, surroundings
from harness.run.executors.parcel import Delivery, Parcel, pack_delivery, unpack_parcel


class News:
    """Stages of running cells, on their way from the nodes to the driver."""

    def __init__(self) -> None:
        self._lines: list[tuple[str, str]] = []

    def tell(self, key: str, stage: str) -> None:
        """Keep a stage until the driver asks."""
        self._lines.append((key, stage))

    def since(self) -> list[tuple[str, str]]:
        """What was told since the last call."""
        lines, self._lines = self._lines, []
        return lines


def run_parcel(parcel: Parcel, assets: Mapping[str, Any], news: Any, allowed: Allowed) -> Delivery:
    """Run the cell of ``parcel`` on this node.

    Args:
        parcel: What the driver sent.
        assets: Hash of a file or model → Ray's reference of its bytes.
        news: The `News` of the driver.
        allowed: What the cell may use and take.
    """
    import ray

    load_plugins()
    node = ray.get_runtime_context().get_node_id()
    scratch = Path(tempfile.gettempdir()) / f"harness-ray-{os.getuid()}" / node[:12]
    here = surroundings(parcel.job, [str(number) for number in ray.get_gpu_ids()])
    fetch: Callable[[str], bytes] = lambda digest: ray.get(assets[digest])  # noqa: E731
    paths = unpack_parcel(parcel, scratch, fetch, {**here, "beside": allowed.beside})
    try:
        key = parcel.key
        events = host(key, paths, lambda stage: news.tell.remote(key, stage), allowed)
        stages = tuple(event.text for event in events if not event.is_end)
        end = events[-1]
        return Delivery(end.kind, end.text, stages, pack_delivery(paths))
    finally:
        shutil.rmtree(paths.directory, ignore_errors=True)
