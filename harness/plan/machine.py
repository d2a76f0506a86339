"""The machine, the packages and the git revision, read without importing torch."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from harness.errors import HarnessError
from harness.plan.git import git_state
from harness.plugins import load_plugins
from harness.results.records import Environment

PACKAGES = (
    "finetune-harness", "torch", "transformers", "peft", "trl", "bitsandbytes", "datasets",
    "tokenizers", "accelerate", "numpy",
)  # fmt: skip
VISIBLE = "CUDA_VISIBLE_DEVICES"
SMI_SECONDS = 120
"""For `nvidia-smi`: where no persistence daemon runs it initializes every card, one after another,
which takes eight of them half a minute, and longer on a busy machine."""

_silent: list[str] = []
"""After how long `nvidia-smi` was given up, each time that it gave no answer."""
_left: list[subprocess.Popen[str]] = []
"""What was killed and may not end; kept, for an object that goes asks whether its process has."""
_narrowed: tuple[str, str | None] | None = None
"""`VISIBLE` as a worker set it for itself, and as it was before; see `listed_as`."""


@dataclass(frozen=True)
class Machine:
    """What cells can count on."""

    cpu: str
    cores: int
    """Cores this process may use."""
    memory_gib: float
    features: str
    """The vector instructions that kernels choose by: results may differ where these do."""
    gpu: str | None
    gpu_memory_gib: float
    """Memory of the smallest visible CUDA device; 0 without one."""


@dataclass(frozen=True)
class Site:
    """Where the cells of a run can run."""

    machines: tuple[Machine, ...]
    """The kinds of machine there; the first is what a plan names."""
    is_here: bool = True
    """Whether that is this machine, whose caches and network can be looked at."""
    gpus: int = 1
    """How many GPUs one cell can have at most, where there are any."""


@dataclass(frozen=True)
class Gpu:
    """A CUDA device that this process may use."""

    id: str
    """What `CUDA_VISIBLE_DEVICES` takes: its UUID, for CUDA numbers devices by speed and
    `nvidia-smi` by slot; or the entry that you set yourself."""
    index: int
    """Its number in `nvidia-smi`, which `--devices` takes."""
    name: str
    memory_gib: float


@cache
def machine() -> Machine:
    """This machine: CPU, memory, and the CUDA device if there is one."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cards = gpus()
    return Machine(
        cpu=_cpu_name(),
        cores=cores or 1,
        memory_gib=round(_memory_bytes() / 1024**3, 1),
        features=_features(),
        gpu=cards[0].name if cards else None,
        gpu_memory_gib=min(card.memory_gib for card in cards) if cards else 0.0,
    )


def gpus() -> tuple[Gpu, ...]:
    """The CUDA devices that this process may use, in the order it was given them."""
    visible = visible_gpus()
    if visible == "":
        return ()
    lines = query_gpus("index,uuid,memory.total,name")
    rows = [line.split(",", 3) for line in lines if line.count(",") >= 3]
    found = tuple(
        Gpu(uuid.strip(), int(index), name.strip(), float(memory) / 1024)
        for index, uuid, memory, name in rows
    )
    return found if visible is None else _visible(found, visible)


def visible_gpus() -> str | None:
    """`CUDA_VISIBLE_DEVICES`, as plans that are made in this process should read it."""
    now = os.environ.get(VISIBLE)
    # a script that has set it meanwhile means what it says
    return _narrowed[1] if _narrowed and _narrowed[0] == now else now


@contextmanager
def listed_as(visible: str | None) -> Iterator[None]:
    """List those GPUs that ``visible`` names, though this process keeps what it sees of them.

    For a script that a worker runs again: what it plans, it plans for the GPUs of the run.
    """
    global _narrowed
    _narrowed = os.environ.get(VISIBLE, ""), visible
    try:
        yield
    finally:
        _narrowed = None
        machine.cache_clear()


def _visible(found: tuple[Gpu, ...], visible: str) -> tuple[Gpu, ...]:
    """Those of ``found`` that the list ``visible`` names: by number, or by the start of a UUID."""
    chosen: list[Gpu] = []
    for entry in map(str.strip, visible.split(",")):
        named = [gpu for gpu in found if entry == str(gpu.index) or gpu.id.startswith(entry)]
        if not named:
            # "-1" and what follows it are not devices; a slice of a card (MIG-…) is on none of
            # the lines, so nothing is known of it but that it is no larger than the smallest
            if not entry.startswith("MIG-") or not found:
                break
            least = min(found, key=lambda gpu: gpu.memory_gib)
            named = [least]
        chosen.append(replace(named[0], id=entry))
    return tuple(chosen)


def keep_gpus(count: int = 1) -> None:
    """Hide every CUDA device but the first ``count`` visible ones from this process.

    A worker owns one device, or those that its model is laid over. With more in sight transformers'
    trainer would wrap the model in `DataParallel`, which TRL refuses and which trains a label head
    at a multiple of the batch size that the suite asks for. Call it before anything touches CUDA;
    later it has no effect.
    """
    # the first entry may be an index, a UUID or "-1" (none); an empty list stays empty
    visible = os.environ.get(VISIBLE, ",".join(map(str, range(count))))
    os.environ[VISIBLE] = ",".join(e.strip() for e in visible.split(",")[:count])


def query_gpus(fields: str) -> list[str]:
    """One line of ``fields`` per CUDA device as NVML knows it; empty without `nvidia-smi`.

    No CUDA context is created.

    Raises:
        HarnessError: it gives no answer.
    """
    seconds = 1 if _silent else SMI_SECONDS  # a driver that hangs costs that once
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    try:
        text = _output(command, seconds)
    except subprocess.TimeoutExpired:
        # taken for a machine without GPUs, it would run everything on its processor
        again = f", and none in {_silent[0]} before" if _silent else ""
        _silent.append(f"{seconds:g} s")
        what = f"nvidia-smi gave no answer in {seconds:g} s{again}: the GPUs are not known"
        hint = f"Try `nvidia-smi` by itself; `{VISIBLE}= harness …` uses no GPU."
        raise HarnessError(what, hint=hint) from None
    except OSError:
        return []
    return [line.strip() for line in (text or "").splitlines() if line.strip()]


def _output(command: list[str], seconds: float) -> str | None:
    """What ``command`` prints; None where it fails.

    Raises:
        subprocess.TimeoutExpired: it is not done after ``seconds``.
    """
    # not `subprocess.run`: it waits for the end of what it has killed, and a process in the driver
    # (state D) ends when the driver lets it, which may be never
    process = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True, errors="replace",
    )  # fmt: skip
    try:
        text, _ = process.communicate(timeout=seconds)
    except BaseException:  # Ctrl-C, too
        process.kill()
        if process.poll() is None and process.stdout:
            process.stdout.close()
        _left.append(process)  # collected when the command ends, without a warning or a wait
        raise
    return text if process.returncode == 0 else None


def _cpu_name() -> str:
    info = Path("/proc/cpuinfo")
    if info.exists():
        for line in info.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return platform.processor() or platform.machine()


def _features() -> str:
    """The widest vector extensions in ``/proc/cpuinfo``; empty where there is none."""
    info = Path("/proc/cpuinfo")
    if not info.exists():
        return ""
    line = next((x for x in info.read_text().splitlines() if x.startswith("flags")), "")
    known = ("avx2", "avx512f", "avx512_bf16", "amx_bf16")
    return "+".join(name for name in known if name in line.split())


def _memory_bytes() -> int:
    return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")


def environment(folder: Path, where: Machine) -> Environment:
    """Packages and plug-ins, Python, the git revision of ``folder``, and ``where`` cells run."""
    return Environment(
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.machine()}",
        machine=asdict(where),
        packages={name: _version(name) for name in PACKAGES},
        plugins=load_plugins(),
        git=git_state(folder),
    )


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
