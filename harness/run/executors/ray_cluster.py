"""A Ray cluster: how it is reached, what its nodes are, and the code that cells need there."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.metadata import entry_points
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from harness.errors import HarnessError
from harness.extras import need
from harness.plan.machine import Machine, machine
from harness.plugins import GROUP

GIB = 1024**3
GPU_MEMORY_LABEL = "gpu-memory-gib"
"""A node's label for the memory of its GPUs, where `nvidia-smi` does not tell it."""
PROBE_SECONDS = 300
"""Seconds for a node to start a process and look at itself; a first start fetches the code."""
ACCELERATOR = "accelerator_type:"
"""How Ray's resource of a node with a known accelerator begins."""


@dataclass(frozen=True)
class Node:
    """A machine of the cluster."""

    id: str
    machine: Machine
    cpus: float
    gpus: float
    accelerator: str | None
    """Ray's resource for the kind of its accelerator."""


def connected(address: str | None) -> Any:
    """The module `ray`, connected to the cluster at ``address``; None starts one on this machine.

    Raises:
        HarnessError: Ray is not installed, or the cluster cannot be reached.
    """
    need("the executor ray", "ray")
    import ray

    if ray.is_initialized():
        return ray
    address = address or os.environ.get("RAY_ADDRESS") or "local"
    # a cluster that is there already runs workers that know nothing of this process's packages
    environment = None if address == "local" else {"working_dir": str(_code())}
    try:
        ray.init(
            address=address,
            runtime_env=environment,
            log_to_driver=False,
            logging_level=logging.ERROR,
            include_dashboard=False if address == "local" else None,
        )
    except Exception as error:  # Ray raises whatever its transport does
        what = f"the Ray cluster cannot be reached: {type(error).__name__}: {_line(error)}"
        hint = "Give --address auto on a node of the cluster, or --address ray://HOST:10001."
        raise HarnessError(what, where=address, hint=hint) from None
    return ray


def nodes(ray: Any) -> list[Node]:
    """The living nodes of the cluster, each as it sees itself."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

    living = [node for node in ray.nodes() if node["Alive"]]
    probe = ray.remote(num_cpus=0, max_retries=0)(_look)
    asked = {
        node["NodeID"]: probe.options(scheduling_strategy=On(node["NodeID"], soft=False)).remote()
        for node in living
    }
    found = []
    for node in living:
        try:
            seen = ray.get(asked[node["NodeID"]], timeout=PROBE_SECONDS)
        except Exception as error:
            if not _is_alive(ray, node["NodeID"]):
                continue  # it was lost between the two questions, which is no fault of the others
            what = f"a node does not answer: {type(error).__name__}: {_line(error)}"
            hint = "`ray status` shows the nodes; harness must be importable there."
            raise HarnessError(what, where=node["NodeManagerAddress"], hint=hint) from None
        found.append(_node(node, seen))
    # nodes that only drive the cluster offer no processors
    return [node for node in found if node.cpus >= 1]


def _is_alive(ray: Any, number: str) -> bool:
    return any(node["NodeID"] == number and node["Alive"] for node in ray.nodes())


def _node(node: Mapping[str, Any], seen: Machine) -> Node:
    resources, labels = node["Resources"], node.get("Labels") or {}
    gpus = float(resources.get("GPU", 0))
    kind = next((name for name in sorted(resources) if name.startswith(ACCELERATOR)), None)
    memory = min(seen.memory_gib, resources.get("memory", seen.memory_gib * GIB) / GIB)
    if gpus < 1:
        here = replace(seen, gpu=None, gpu_memory_gib=0.0, memory_gib=memory)
    else:
        name = seen.gpu or (kind or "GPU").removeprefix(ACCELERATOR)
        size = seen.gpu_memory_gib or float(labels.get(GPU_MEMORY_LABEL, 0))
        here = replace(seen, gpu=name, gpu_memory_gib=size, memory_gib=memory)
    return Node(node["NodeID"], here, float(resources.get("CPU", 0)), gpus, kind)


def _look() -> Machine:
    """The node that this runs on; a task without GPUs may be made to see none."""
    os.environ.pop("CUDA_VISIBLE_DEVICES", None)
    machine.cache_clear()
    return machine()


@cache
def _code() -> Path:
    """A folder with this package and every plug-in, for nodes that have other ones or none."""
    folder = Path(tempfile.mkdtemp(prefix="harness-code-"))
    for name in ("harness", *_plugin_packages()):
        _copy_package(name, folder)
    for point in entry_points(group=GROUP):
        _announce(point, folder)
    return folder


def _plugin_packages() -> list[str]:
    return sorted({point.module.partition(".")[0] for point in entry_points(group=GROUP)})


def _copy_package(name: str, folder: Path) -> None:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise HarnessError(f"the package {name} cannot be found", hint="Install it again.")
    origin, unseen = Path(spec.origin), shutil.ignore_patterns("__pycache__", "*.pyc")
    if spec.submodule_search_locations:
        shutil.copytree(origin.parent, folder / name, ignore=unseen, dirs_exist_ok=True)
    else:
        shutil.copy2(origin, folder / origin.name)


def _announce(point: Any, folder: Path) -> None:
    """Write the entry point of a plug-in, so that it is found on the node as it is here."""
    name = point.dist.name if point.dist else point.module
    version = point.dist.version if point.dist else "0"
    info = folder / f"{name.replace('-', '_')}-{version}.dist-info"
    info.mkdir(exist_ok=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    points = info / "entry_points.txt"
    before = points.read_text() if points.exists() else f"[{GROUP}]\n"
    points.write_text(f"{before}{point.name} = {point.value}\n")


def _line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), "")
