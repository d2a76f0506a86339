"""Whether models can be trained here: accelerators, libraries, and kernels that are really run."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from harness.counting import counted
from harness.doctor.finding import Finding
from harness.errors import HarnessError
from harness.extras import how
from harness.plan.machine import machine, query_gpus

TESTED: dict[str, tuple[str, str]] = {
    "torch": ("2.11", "2.13"),
    "transformers": ("5.17", "5.23"),
    "peft": ("0.21", "0.21"),
    "trl": ("1.16", "1.16"),
    "bitsandbytes": ("0.50", "0.50"),
    "accelerate": ("1.4", "1.15"),
    "datasets": ("4", "5.2"),
    "tokenizers": ("0.22", "0.23"),
    "numpy": ("2", "2.4"),
}
"""Package → the oldest and the newest version that the tests run with; `tests/doctor` holds them to
pyproject.toml and constraints.txt."""
NEEDED = ("torch", "transformers", "peft", "trl", "bitsandbytes")
"""What the probe imports."""
SECONDS = 180.0
"""Time limit of the probe: importing torch and transformers takes 10 s, and minutes on a network
file system. A driver that hangs must not hang this, too."""
PROBE = "harness.backends.hf.probe"


def findings(steps: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Accelerators, packages and kernels, from what the probe said of each step."""
    yield from accelerators(steps.get("torch", {}))
    yield from packages(steps)
    yield from _kernels(steps)


def probed(seconds: float = SECONDS) -> dict[str, dict[str, Any]]:
    """What the probe said of each step; a step that it died of has `ok: false` and why."""
    command = [sys.executable, "-W", "ignore", "-m", PROBE]
    try:
        done = subprocess.run(
            command, capture_output=True, timeout=seconds, check=False, stdin=subprocess.DEVNULL
        )
        out, said = done.stdout, done.stderr
        end = f"its process died (exit code {done.returncode})"
    except subprocess.TimeoutExpired as late:
        out, said = late.stdout or b"", late.stderr or b""
        end = f"no answer within {seconds:.0f} s"
    except OSError as error:
        out, said, end = b"", b"", str(error)
    steps: dict[str, dict[str, Any]] = {}
    for line in out.decode(errors="replace").splitlines():
        try:
            found = json.loads(line)
            steps[str(found.pop("step"))] = found
        except (ValueError, AttributeError, KeyError):
            continue  # a library printed something
    for step in steps.values():
        if "ok" not in step:
            step |= {"ok": False, "error": f"{end}{_last_line(said)}"}
    if not steps:
        steps["torch"] = {"ok": False, "error": f"{end}{_last_line(said)}"}
    return steps


def _last_line(said: bytes) -> str:
    lines = said.decode(errors="replace").strip().splitlines()
    return f": {lines[-1].strip()[:200]}" if lines else ""


def accelerators(torch: Mapping[str, Any]) -> Iterator[Finding]:
    """The processor and each GPU, as the driver and as torch see them."""
    try:
        here = machine()
        lines = query_gpus("index,name,memory.total,memory.free,driver_version,compute_cap")
    except HarnessError as error:
        yield Finding("machine", "GPU", "fail", error.what, error.hint or "")
        return
    text = f"{here.cpu}, {counted(here.cores, 'core')}, {here.memory_gib:.1f} GiB"
    size = {"cores": here.cores, "memory_gib": here.memory_gib}
    yield Finding("machine", "processor", "ok", text, facts=size)
    rows = [[part.strip() for part in line.split(",")] for line in lines]
    for index, name, total, free, driver, capability in (row for row in rows if len(row) == 6):
        text = (
            f"{name}, {_gib(total)} GiB ({_gib(free)} free), driver {driver}, compute {capability}"
        )
        facts = {
            "name": name, "memory_gib": _gib(total), "free_gib": _gib(free), "driver": driver,
            "capability": capability,
        }  # fmt: skip
        yield Finding("machine", f"GPU {index}", "ok", text, facts=facts)
    devices = torch.get("devices", [])
    if rows and torch.get("ok") and not devices:
        build = f"CUDA {torch['cuda']}" if torch.get("cuda") else "no CUDA"
        what = f"torch sees no GPU: it was built for {build}, or CUDA_VISIBLE_DEVICES hides them"
        yield Finding("machine", "GPU", "fail", what, "Install torch for your driver: pytorch.org.")
    elif not rows and not devices:
        kind = "; Apple's GPU is not used" if torch.get("mps") else ""
        text = f"none: tiny and small models run on the processor{kind}"
        yield Finding("machine", "GPU", "note", text)
    for number, device in enumerate(devices if not rows else []):  # AMD, or no nvidia-smi
        text = f"{device['name']}, {device['memory_gib']} GiB ({device['free_gib']} free)"
        yield Finding("machine", f"GPU {number}", "ok", text, facts=device)


def _gib(mib: str) -> float:
    return round(float(mib) / 1024, 1) if re.fullmatch(r"[\d.]+", mib) else 0.0


def packages(steps: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    """Each package against the versions that the harness is tested with."""
    found = sys.version_info
    text = f"{found.major}.{found.minor}.{found.micro}"
    yield Finding("packages", "python", "ok", text)
    for name, (oldest, newest) in TESTED.items():
        try:
            installed = version(name)
        except PackageNotFoundError:
            hint = f"{how(name)}; reading results works without." if name in NEEDED else ""
            yield Finding("packages", name, "warn", "not installed", hint)
            continue
        step = steps.get(name, {})
        facts = {"version": installed, "oldest_tested": oldest, "newest_tested": newest}
        if step.get("ok") is False:
            hint = f"Install it again: pip install --force-reinstall {name}"
            text = f"{installed} does not work: {step['error']}"
            yield Finding("packages", name, "fail", text, hint, facts)
            continue
        yield _against_tested(name, installed, facts)


def _against_tested(name: str, installed: str, facts: Mapping[str, object]) -> Finding:
    oldest, newest = TESTED[name]
    if _numbers(installed) < _numbers(oldest):
        hint = f"pip install -U '{name}>={oldest}'"
        text = f"{installed} is older than {oldest}, the oldest that is tested"
        return Finding("packages", name, "fail", text, hint, facts)
    if _numbers(installed)[: len(_numbers(newest))] > _numbers(newest):
        text = f"{installed} is newer than {newest}, the newest that is tested"
        return Finding("packages", name, "note", text, "", facts)
    return Finding("packages", name, "ok", installed, facts=facts)


def _numbers(text: str) -> tuple[int, ...]:
    """`2.13.0+cpu` as (2, 13, 0)."""
    return tuple(map(int, re.findall(r"\d+", text.partition("+")[0])[:3]))


def _kernels(steps: Mapping[str, Mapping[str, Any]]) -> Iterator[Finding]:
    for name, step in steps.items():
        if " on " not in name:
            continue
        facts = {key: value for key, value in step.items() if key not in ("ok", "error")}
        if step["ok"]:
            yield Finding("kernels", name, "ok", "runs, and its result is right", facts=facts)
        else:
            hint = "Cells that need it fail here; bitsandbytes' page lists what it supports."
            yield Finding("kernels", name, "warn", str(step["error"]), hint, facts)
