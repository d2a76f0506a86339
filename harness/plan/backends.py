"""Which backends there are, and who trains for whom; their code is imported in a worker alone."""

from __future__ import annotations

from typing import NamedTuple

from harness.extras import need
from harness.registry import Registry

TRAINING = ("torch", "transformers", "peft", "trl", "datasets", "bitsandbytes")
"""What the backend `hf` imports: it is the extra `train`."""


class BackendSpec(NamedTuple):
    """Where a backend is, and who trains for it."""

    module: str
    """Its ``open_backend(cell, paths, device)`` gives the backend; imported only in a worker."""
    trained_by: str
    """The backend that trains the adapters it serves: itself, unless it only answers."""
    packages: tuple[str, ...] | None = None
    """Modules of an extra that it imports; None: it does not say, as a plug-in's may not."""


BACKENDS: Registry[BackendSpec] = Registry("backend")
BACKENDS.add("hf", BackendSpec("harness.backends.hf.backend", trained_by="hf", packages=TRAINING))
BACKENDS.add("testing", BackendSpec("harness.backends.testing", trained_by="testing", packages=()))
BACKENDS.add("served", BackendSpec("harness.backends.served", trained_by="served", packages=()))
"""Asks an OpenAI-compatible server; a model card with an `endpoint` chooses it, nothing else."""


def packages_of(name: str) -> tuple[str, ...]:
    """The modules of extras that the backend ``name`` and its trainer import, as far as they say.

    Raises:
        HarnessError: there is no such backend.
    """
    spec = BACKENDS.get(name)
    trainer = BACKENDS.get(spec.trained_by)
    return tuple(dict.fromkeys([*(spec.packages or ()), *(trainer.packages or ())]))


def need_backend(name: str, what: str) -> None:
    """Refuse ``what`` where a package of the backend ``name`` or of its trainer is not installed.

    Raises:
        HarnessError: there is no such backend, or a package is missing.
    """
    need(what, packages_of(name))
