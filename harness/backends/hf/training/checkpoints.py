"""Checkpoints of a training, and which of them an interrupted one goes on from.

Where a suite sets `save_strategy`, both engines write the trained weights, the optimizer, the
schedule, the random numbers and their place among the rows to the cell's folder. A checkpoint
counts once it is sealed: the seal, written last, holds a hash of every file, the fingerprint of
what is trained and the versions of the libraries. One without a seal was being written when its
process ended; one whose seal does not match is left aside with a warning, never half believed.
"""

from __future__ import annotations

import random
import shutil
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import TypeAdapter, ValidationError
from transformers import PreTrainedModel

from harness.datasets.file_hash import file_digest
from harness.results.paths import settle, sync, write_json

SEAL = "seal.json"
LIBRARIES = ("accelerate", "bitsandbytes", "numpy", "peft", "torch", "transformers", "trl")
"""What reads a checkpoint has to be what wrote it: their formats are not promised to anybody."""
RESUMABLE = frozenset({"lora", "ia3", "loha", "lokr", "oft", "prompt_tuning"})
"""Adapters of which tests show that a resumed training ends in the same weights. AdaLoRA keeps
the importance of its ranks outside of its weights, where no checkpoint has it; what PEFT saves of
p-tuning is the prompt without the encoder that is trained."""
ORDERS = ("random", "sequential")
"""`train_sampling_strategy` whose order of rows is decided by the seed and the epoch alone."""
PLAIN_INITS = (True, False, "gaussian")
"""`init_lora_weights` that leave the frozen weights alone. The others (PiSSA, LoftQ, CorDA) move a
part of them into the adapter by a decomposition, which need not come out the same a second time."""


@dataclass(frozen=True)
class Seal:
    """What a checkpoint is of."""

    inputs: str
    """The fingerprint of everything that decides the training."""
    versions: dict[str, str]
    engine: str
    """`flat` or `trl`: neither reads what the other writes."""
    reason: str | None
    """Why TRL trains."""
    step: int
    seconds: float
    """Training time until then, of all sittings, without pauses."""
    resumed_at: tuple[int, ...]
    """The steps that earlier sittings began after."""
    sums: dict[str, Any]
    """What TRL has summed since it logged last."""
    files: dict[str, str]
    """Name → hash of its bytes."""


@dataclass
class Checkpoints:
    """The checkpoints of one training."""

    folder: Path
    inputs: str
    """The fingerprint of everything that decides the training."""
    paused: Callable[[float], float] = lambda _: 0.0
    """Seconds that the worker stood still for others since a time of `time.monotonic`."""
    keep: int = 1
    """How many are kept; the suite's `save_total_limit`."""
    notes: list[str] = field(default_factory=list)
    """Warnings for the result."""
    found: Seal | None = None
    """What this sitting goes on from."""

    @property
    def place(self) -> Path:
        """The folder that ``found`` seals."""
        assert self.found is not None
        return self._of(self.found.step)

    @property
    def seconds(self) -> float:
        """Training time of earlier sittings, as far as their steps count."""
        return self.found.seconds if self.found else 0.0

    def look(self) -> Seal | None:
        """Find the newest checkpoint of this training that is whole; note those that are not."""
        for step, place in sorted(self._steps().items(), reverse=True):
            if not (place / SEAL).is_file():
                shutil.rmtree(place, ignore_errors=True)  # it was being written at the end
                continue
            try:
                self.found = self._opened(place)
            except ValueError as problem:
                self.notes.append(f"the checkpoint after step {step} was left aside: {problem}")
                # under another name, so that the one that is written there anew stays apart
                aside = place.with_name(f"{place.name}.aside")
                shutil.rmtree(aside, ignore_errors=True)
                place.rename(aside)
                continue
            return self.found
        if self.notes:
            self.notes.append("training began anew")
        return None

    def begin_anew(self, reason: str) -> None:
        """Leave aside what was found, because of ``reason``, and what else is there."""
        if self.found:
            self.notes += [f"training began anew after step {self.found.step}: {reason}"]
        self.found = None
        for place in self._steps().values():
            shutil.rmtree(place, ignore_errors=True)

    def write(self, step: int, content: Callable[[Path], None], *, seconds: float) -> None:
        """Let ``content`` write the flat engine's files of ``step``, and seal them."""
        place = self._of(step)
        place.mkdir(parents=True)
        content(place)
        self.seal(place, step, engine="flat", seconds=seconds)

    def seal(
        self, place: Path, step: int, *, engine: str, seconds: float, reason: str | None = None,
        sums: Mapping[str, Any] | None = None,
    ) -> None:  # fmt: skip
        """Make the files in ``place`` count, and delete older ones.

        Args:
            place: Where an engine has written its files.
            step: The last step that they know of.
            engine: Which engine.
            seconds: Training time of this sitting until now, without pauses.
            reason: Why TRL trains.
            sums: What TRL has summed since it logged last.
        """
        files = [path for path in sorted(place.rglob("*")) if path.is_file()]
        # on the disk before the seal is, or a power cut leaves a seal of nothing
        settle(place.iterdir())
        seal = Seal(
            self.inputs, versions(), engine, reason, step, self.seconds + seconds,
            self.resumed_at(), dict(sums or {}),
            {str(path.relative_to(place)): file_digest(path).hex() for path in files},
        )  # fmt: skip
        write_json(place / SEAL, asdict(seal))
        sync(self.folder)
        older = sorted(number for number in self._steps() if number < step)
        for number in older[: max(0, len(older) + 1 - self.keep)]:
            shutil.rmtree(self._of(number), ignore_errors=True)

    def resumed_at(self) -> tuple[int, ...]:
        """The steps that this sitting and earlier ones began after; none of a whole training."""
        return (*self.found.resumed_at, self.found.step) if self.found else ()

    def describe(self) -> dict[str, object]:
        """How often training was interrupted, for the result, which also gets a note of it."""
        steps = list(self.resumed_at())
        if not steps:
            return {}
        after = " and ".join(str(step) for step in steps)
        self.notes.append(
            f"training was interrupted and resumed after step {after}; its seconds are those of "
            "all sittings, without the steps that were done again"
        )
        return {"resumed_after_steps": steps}

    def _of(self, step: int) -> Path:
        return self.folder / f"checkpoint-{step}"  # as transformers' trainer calls them

    def _steps(self) -> dict[int, Path]:
        found = self.folder.glob("checkpoint-*")
        return {int(p.name[11:]): p for p in found if p.name[11:].isdigit() and p.is_dir()}

    def _opened(self, place: Path) -> Seal:
        """The seal of ``place``; a ValueError says why it does not hold."""
        try:
            seal = TypeAdapter(Seal).validate_json((place / SEAL).read_bytes())
        except (ValidationError, OSError):
            raise ValueError(f"{SEAL} is damaged") from None
        if seal.inputs != self.inputs:
            raise ValueError("it is of other settings, data or weights")
        if seal.versions != (now := versions()):
            before = {k: v for k, v in seal.versions.items() if now.get(k) != v}
            names = ", ".join(f"{name} {before[name]}" for name in before) or "other libraries"
            raise ValueError(f"it was written by {names}")
        for name, expected in seal.files.items():
            path = place / name
            if not path.is_file() or file_digest(path).hex() != expected:
                raise ValueError(f"{name} is damaged or gone")
        return seal


def versions() -> dict[str, str]:
    """Library → its version, of those that write and read a checkpoint."""
    found = {}
    for name in LIBRARIES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "none"
    return found


def unresumable_reason(model: PreTrainedModel, training: Mapping[str, Any]) -> str | None:
    """Return why a training of ``model`` cannot be resumed exactly; None if it can.

    Args:
        model: the model under its adapter.
        training: the suite's training keys.
    """
    order = training.get("train_sampling_strategy", "random")
    if order not in ORDERS:
        return f"with train_sampling_strategy {order} rows come in another order when resumed"
    configs: Mapping[str, Any] = getattr(model, "peft_config", {})
    for config in configs.values():
        kind = str(config.peft_type.value).lower()
        if kind not in RESUMABLE:
            return f"{kind} keeps a state that a checkpoint does not hold, or was not tried"
        init = getattr(config, "init_lora_weights", True)
        if init not in PLAIN_INITS:
            return f"init_lora_weights {init} changes the frozen weights, which no checkpoint holds"
    return None


def random_state() -> dict[str, Any]:
    """The state of every generator that training draws from, as `torch.load` may read it."""
    kind, words, place, has_gauss, gauss = np.random.get_state()
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return {
        "python": random.getstate(),
        "numpy": (str(kind), [int(w) for w in words], int(place), int(has_gauss), float(gauss)),
        "torch": torch.get_rng_state(),
        "cuda": cuda,
    }


def set_random_state(state: Mapping[str, Any]) -> None:
    """Put back what `random_state` gave."""
    number, words, gauss = state["python"]
    random.setstate((number, tuple(words), gauss))
    kind, keys, *rest = state["numpy"]
    np.random.set_state((kind, np.array(keys, dtype=np.uint32), *rest))
    torch.set_rng_state(state["torch"])
    if state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
